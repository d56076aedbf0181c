/* Commands about the machine as a whole and about QMP itself. */
#include <stdio.h>
#include <string.h>

#include "control/qmp_command.h"

/* ---- QMP itself ------------------------------------------------------ */

static const struct qmp_arg capabilities_args[] = {{"enable", QMP_ARG_LIST, false}, {.name = NULL}};

static void run_capabilities(struct qmp_call *call)
{
	const json_t *enable = json_object_get(call->args, "enable");
	const char *first = json_string_value(json_array_get(enable, 0));

	if (json_array_size(enable) == 0)
		*call->negotiated = true;
	else if (first)
		qmp_fail(call, QMP_GENERIC_ERROR, "Capability '%.100s' not available", first);
	else
		qmp_fail(call, QMP_GENERIC_ERROR, "Invalid parameter type for 'enable[0]', expected: string");
}

static void run_query_version(struct qmp_call *call)
{
	qmp_put_version(call->out);
}

static void run_query_commands(struct qmp_call *call)
{
	json_out_open(call->out, '[');
	for (size_t i = 0; qmp_command_tables[i]; i++)
		for (const struct qmp_command *command = qmp_command_tables[i]; command->name; command++) {
			json_out_open(call->out, '{');
			json_out_member_string(call->out, "name", command->name);
			json_out_close(call->out, '}');
		}
	json_out_close(call->out, ']');
}

/* ---- What the machine is --------------------------------------------- */

static void run_query_status(struct qmp_call *call)
{
	static const char *const names[] = {
		[MACHINE_RUNNING] = "running",
		[MACHINE_PAUSED] = "paused",
		[MACHINE_PANICKED] = "guest-panicked",
		[MACHINE_SHUTDOWN] = "shutdown",
	};
	enum machine_status status = call->machine->ops->status(call->machine->opaque);

	json_out_open(call->out, '{');
	json_out_member_bool(call->out, "running", status == MACHINE_RUNNING);
	json_out_member_string(call->out, "status", names[status]);
	json_out_close(call->out, '}');
}

static void run_query_name(struct qmp_call *call)
{
	json_out_open(call->out, '{');
	json_out_member_string(call->out, "name", call->machine->name);
	json_out_close(call->out, '}');
}

/* There is no memory hotplug. x-ram-rss: what the host holds of it, absent when the host will not say. */
static void run_query_memory(struct qmp_call *call)
{
	const struct machine *machine = call->machine;
	uint64_t rss_bytes;

	json_out_open(call->out, '{');
	json_out_member_u64(call->out, "base-memory", machine->ram_bytes);
	json_out_member_u64(call->out, "plugged-memory", 0);
	if (machine->ops->ram_rss_bytes(machine->opaque, &rss_bytes) == 0)
		json_out_member_u64(call->out, "x-ram-rss", rss_bytes);
	json_out_close(call->out, '}');
}

static void put_cpu(struct qmp_call *call, unsigned index)
{
	const struct machine *machine = call->machine;
	char path[64];

	snprintf(path, sizeof path, "/machine/unattached/device[%u]", index);
	json_out_open(call->out, '{');
	json_out_member_u64(call->out, "cpu-index", index);
	json_out_member_string(call->out, "qom-path", path);
	json_out_member_u64(call->out, "thread-id", (uint64_t)machine->ops->vcpu_tid(machine->opaque, index));
	json_out_member_string(call->out, "target", "x86_64");
	json_out_close(call->out, '}');
}

static void run_query_cpus_fast(struct qmp_call *call)
{
	json_out_open(call->out, '[');
	for (unsigned i = 0; i < call->machine->n_vcpus; i++)
		put_cpu(call, i);
	json_out_close(call->out, ']');
}

/* ---- What it does ---------------------------------------------------- */

static bool succeeds(struct qmp_call *call, const char *what, int ret)
{
	char text[128];

	if (ret < 0)
		qmp_fail(call, QMP_GENERIC_ERROR, "Cannot %s the machine: %s", what, strerror_r(-ret, text, sizeof text));
	return ret >= 0;
}

static void run_stop(struct qmp_call *call)
{
	const struct machine *machine = call->machine;

	if (machine->ops->status(machine->opaque) == MACHINE_RUNNING && succeeds(call, "pause", machine->ops->pause(machine->opaque)))
		qmp_emit(call->events, QMP_EVENT_STOP, NULL);
}

static void run_cont(struct qmp_call *call)
{
	const struct machine *machine = call->machine;
	enum machine_status status = machine->ops->status(machine->opaque);

	if (status == MACHINE_PANICKED || status == MACHINE_SHUTDOWN)
		qmp_fail(call, QMP_GENERIC_ERROR, "Resetting the Virtual Machine is required");
	else if (status == MACHINE_PAUSED && succeeds(call, "resume", machine->ops->resume(machine->opaque)))
		qmp_emit(call->events, QMP_EVENT_RESUME, NULL);
}

static void run_system_powerdown(struct qmp_call *call)
{
	succeeds(call, "power down", call->machine->ops->power_button(call->machine->opaque));
}

static void run_system_reset(struct qmp_call *call)
{
	succeeds(call, "reset", call->machine->ops->reset(call->machine->opaque));
}

static void run_quit(struct qmp_call *call)
{
	call->machine->ops->quit(call->machine->opaque);
}

const struct qmp_command qmp_machine_commands[] = {
	{"qmp_capabilities", capabilities_args, run_capabilities},
	{"query-version", NULL, run_query_version},
	{"query-commands", NULL, run_query_commands},
	{"query-status", NULL, run_query_status},
	{"query-name", NULL, run_query_name},
	{"query-memory-size-summary", NULL, run_query_memory},
	{"query-cpus-fast", NULL, run_query_cpus_fast},
	{"stop", NULL, run_stop},
	{"cont", NULL, run_cont},
	{"system_powerdown", NULL, run_system_powerdown},
	{"system_reset", NULL, run_system_reset},
	{"quit", NULL, run_quit},
	{.name = NULL},
};
