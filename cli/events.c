#include "cli/events.h"

#include <errno.h>
#include <stdio.h>

#include "cli/command.h"
#include "cli/vm_client.h"

int cmd_events(int argc, char **argv)
{
	static const struct client_usage usage = {
		.arguments = "NAME",
		.about = "Prints the events of the VM NAME until it ends, each as one JSON object a line.\n"
			 "NAME may be the path of a QMP socket.\n",
		.min_words = 1,
		.max_words = 1,
	};
	const char *words[CLIENT_MAX_WORDS], *line;
	struct qmp_client *client;
	struct fail why;
	int status, ret;

	if (!client_parse(&usage, argc, argv, words, &status))
		return status;
	if (!client_connect(words[0], &client))
		return COMMAND_FAILED;
	status = COMMAND_OK;
	while ((ret = qmp_client_event(client, -1, &line, &why)) == 0 && status == COMMAND_OK)
		if (puts(line) < 0 || fflush(stdout) != 0)
			status = COMMAND_FAILED;
	if (ret < 0 && ret != -ECONNRESET) {
		client_complain(words[0], &why);
		status = COMMAND_FAILED;
	}
	qmp_client_close(client);
	return status;
}
