#include "cli/list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "cli/vm_client.h"
#include "control/runtime_dir.h"
#include "util/fail.h"

static const char *note_of(const struct client_memory *memory)
{
	if (!memory->has_balloon)
		return "no balloon";
	if (!memory->driver_ok)
		return "no driver";
	return memory->stalled ? "stalled" : "";
}

/* A VM that does not answer has a line of its own, and the next one is asked. */
static void print_row(const struct runtime_vm *vm)
{
	char ram[CLIENT_SIZE_MAX], target[CLIENT_SIZE_MAX], actual[CLIENT_SIZE_MAX], rss[CLIENT_SIZE_MAX];
	struct client_memory memory;
	struct qmp_client *client = NULL;
	json_t *status = NULL;
	const char *text = NULL;

	if (qmp_client_open(vm->socket_path, &client, NULL) == 0 && qmp_client_call(client, "query-status", NULL, &status, NULL) == 0)
		text = json_string_value(json_object_get(status, "status"));
	if (text && client_query_memory(client, &memory, NULL) == 0)
		printf("%-20s %8d  %-14s %8s %8s %8s %8s  %s\n", vm->name, (int)vm->pid, text, client_size(ram, memory.ram_bytes),
		       client_size(target, memory.target_bytes), client_size(actual, memory.actual_bytes), client_size(rss, memory.rss_bytes),
		       note_of(&memory));
	else if (runtime_dir_is_running(vm->name)) /* it may just have ended */
		printf("%-20s %8d  does not answer\n", vm->name, (int)vm->pid);
	json_decref(status);
	qmp_client_close(client);
}

int cmd_list(int argc, char **argv)
{
	static const struct client_usage usage = {
		.arguments = "",
		.about = "Lists your running VMs: RAM, how much of it the balloon is to take and has\n"
			 "taken, and how much of it the host holds in memory (RSS).\n",
	};
	const char *words[CLIENT_MAX_WORDS];
	struct runtime_vm *vms;
	struct fail why;
	int status;

	if (!client_parse(&usage, argc, argv, words, &status))
		return status;
	ssize_t n = runtime_dir_list(&vms, &why);
	if (n < 0) {
		fail_log(&why);
		return COMMAND_FAILED;
	}
	printf("%-20s %8s  %-14s %8s %8s %8s %8s\n", "NAME", "PID", "STATUS", "RAM", "TARGET", "ACTUAL", "RSS");
	for (ssize_t i = 0; i < n; i++)
		print_row(&vms[i]);
	free(vms);
	return fflush(stdout) == 0 ? COMMAND_OK : COMMAND_FAILED;
}
