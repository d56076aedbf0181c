#include "cli/events.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "cli/vm_client.h"
#include "parser/utf8.h"

/*
 * One event, as it came but for what could drive a terminal. It is valid JSON,
 * so that other characters than ASCII are inside strings, where \uXXXX stands for the same.
 */
static bool print_event(const char *line)
{
	uint32_t code;

	for (size_t left = strlen(line), used; left > 0; line += used, left -= used) {
		used = utf8_decode(line, left, &code);
		if (used == 0)
			code = 0xfffd, used = 1;
		if (code >= 0x10000)
			printf("\\u%04x\\u%04x", 0xd800 + ((code - 0x10000) >> 10), 0xdc00 + ((code - 0x10000) & 0x3ff));
		else if (code >= 0x7f)
			printf("\\u%04x", code);
		else
			putchar(code < ' ' ? ' ' : (int)code); /* white space between tokens */
	}
	putchar('\n');
	return client_flush();
}

static int print_events(const struct client_vm *vm, void *opaque)
{
	const char *line;
	struct fail why;
	int status = COMMAND_OK, ret;

	(void)opaque;
	while ((ret = qmp_client_event(vm->client, -1, &line, &why)) == 0 && status == COMMAND_OK)
		if (!print_event(line))
			status = COMMAND_FAILED;
	if (ret < 0 && ret != -ECONNRESET) {
		client_complain(vm->name, &why);
		status = COMMAND_FAILED;
	}
	return status;
}

int cmd_events(int argc, char **argv)
{
	static const struct client_usage usage = {
		.arguments = "NAME",
		.about = "Prints the events of the VM NAME until it ends, each as one JSON object a line.\n",
	};

	return client_run(&usage, argc, argv, print_events, NULL);
}
