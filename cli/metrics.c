#include "cli/metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "cli/metrics_text.h"
#include "cli/vm_client.h"
#include "cli/vm_poll.h"
#include "util/log.h"

/* What a guest needs to answer when it is asked for its statistics: they are in the next answer then. */
#define STATS_MS 100

static bool print(enum metrics_format format, struct vm_poll **polls, size_t n)
{
	struct metrics_vm *vms = calloc(n + 1, sizeof *vms);

	if (!vms) {
		log_line(LOG_LEVEL_ERROR, NULL, "out of memory");
		return false;
	}
	for (size_t i = 0; i < n; i++)
		vms[i] = (struct metrics_vm){.name = vm_poll_name(polls[i]), .answers = vm_poll_answers(polls[i])};
	metrics_write(stdout, format, vms, n);
	free(vms);
	return client_flush();
}

int cmd_metrics(int argc, char **argv)
{
	const char *format = "openmetrics";
	const struct client_option options[] = {
		{.name = "--format", .text = &format, .arg = "FORMAT", .help = "openmetrics, which is the default, or prometheus (0.0.4)"},
		{.name = NULL},
	};
	const struct client_usage usage = {
		.arguments = "[NAME...] [--format openmetrics|prometheus]",
		.about = "Prints what the running VMs, or those that are named, tell of their memory and\n"
			 "their balloons, as OpenMetrics text. A VM that does not answer within 2 seconds\n"
			 "has vmm_balloon_up 0 and nothing else. The node exporter's textfile collector\n"
			 "takes either format, but knows what is a counter only in prometheus.\n",
		.vms = CLIENT_ANY_VMS,
		.options = options,
	};
	struct client_args args;
	struct vm_poll **polls;
	struct fail why;
	int status;

	if (!client_parse(&usage, argc, argv, &args, &status))
		return status;
	if (strcmp(format, "openmetrics") != 0 && strcmp(format, "prometheus") != 0) {
		log_line(LOG_LEVEL_ERROR, NULL, "%s: the format is openmetrics or prometheus, not '%s'", argv[0], format);
		return COMMAND_USAGE;
	}
	ssize_t n = vm_poll_list(&args, &polls, &why);
	if (n < 0) {
		fail_log(&why);
		return COMMAND_FAILED;
	}
	vm_poll_round(polls, (size_t)n);
	client_sleep_ms(STATS_MS);
	vm_poll_round(polls, (size_t)n);
	bool good = print(*format == 'o' ? METRICS_OPENMETRICS : METRICS_PROMETHEUS, polls, (size_t)n);
	vm_poll_destroy_all(polls, (size_t)n);
	return good ? COMMAND_OK : COMMAND_FAILED;
}
