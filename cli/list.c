#include "cli/list.h"

#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "cli/vm_client.h"
#include "cli/vm_poll.h"

#define NAME_WIDTH 16

/* Of what has a path nothing but its answers tells. */
static bool is_running(const struct vm_poll *vm)
{
	return strchr(vm_poll_name(vm), '/') || runtime_dir_is_running(vm_poll_name(vm));
}

static void print_row(const struct vm_poll *vm, const struct vm_state *state)
{
	char name[64], pid[16] = "-", ram[CLIENT_SIZE_MAX], target[CLIENT_SIZE_MAX], actual[CLIENT_SIZE_MAX], rss[CLIENT_SIZE_MAX];

	client_plain(name, sizeof name, vm_poll_name(vm));
	if (vm_poll_pid(vm) > 0)
		snprintf(pid, sizeof pid, "%d", (int)vm_poll_pid(vm));
	if (state) {
		const char *note = vm_state_note(state);
		printf("%-*s %7s  %-14s %7s %7s %7s %7s%s%s\n", NAME_WIDTH, name, pid, state->status, client_size(ram, state->ram_bytes),
		       client_size(target, state->target_bytes), client_size(actual, state->actual_bytes), client_size(rss, state->rss_bytes),
		       *note ? "  " : "", note);
	} else {
		printf("%-*s %7s  %s\n", NAME_WIDTH, name, pid, is_running(vm) ? "does not answer" : "is not running");
	}
}

static void put_state(struct json_out *out, const struct vm_state *state)
{
	json_out_member_string(out, "status", state->status);
	client_member_u64(out, "ram", state->ram_bytes);
	client_member_u64(out, "ram-rss", state->rss_bytes);
	json_out_member_bool(out, "has-balloon", state->has_balloon);
	client_member_u64(out, "balloon-target", state->target_bytes);
	client_member_u64(out, "balloon-actual", state->actual_bytes);
	if (!state->tells_all)
		return;
	json_out_member_bool(out, "driver-ok", state->driver_ok);
	json_out_member_bool(out, "stalled", state->stalled);
}

/* What is not known is left out. */
static bool print_json(const struct vm_poll *vm, const struct vm_state *state)
{
	struct json_out out;

	json_out_init(&out, 65536);
	json_out_open(&out, '{');
	json_out_member_string(&out, "name", vm_poll_name(vm));
	if (vm_poll_pid(vm) > 0)
		json_out_member_u64(&out, "pid", (uint64_t)vm_poll_pid(vm));
	json_out_member_string(&out, "socket", vm_poll_socket(vm));
	json_out_member_bool(&out, "answers", state);
	if (state)
		put_state(&out, state);
	json_out_close(&out, '}');
	return client_print_json(&out);
}

static void print_name(const struct vm_poll *vm)
{
	char name[64];

	if (is_running(vm))
		puts(client_plain(name, sizeof name, vm_poll_name(vm)));
}

/* A VM that does not answer has a line of its own. One that nobody named may just have ended: then it has none. */
static bool print_vm(const struct vm_poll *vm, bool is_named, bool json)
{
	json_t *const *answers = vm_poll_answers(vm);
	struct vm_state state;

	if (answers)
		vm_state_read(&state, answers);
	else if (!is_named && !is_running(vm))
		return true;
	if (json)
		return print_json(vm, answers ? &state : NULL);
	print_row(vm, answers ? &state : NULL);
	return true;
}

/* Whoever names a VM wants to know whether it is there: the exit status tells. */
static int print_all(struct vm_poll **vms, size_t n, bool are_named, bool json)
{
	bool good = true, all_answer = true;

	vm_poll_round(vms, n);
	if (!json)
		printf("%-*s %7s  %-14s %7s %7s %7s %7s  %s\n", NAME_WIDTH, "NAME", "PID", "STATUS", "RAM", "TARGET", "ACTUAL", "RSS", "NOTE");
	for (size_t i = 0; i < n && good; i++) {
		good = print_vm(vms[i], are_named, json);
		all_answer &= vm_poll_answers(vms[i]) != NULL;
	}
	return good && (all_answer || !are_named) ? COMMAND_OK : COMMAND_FAILED;
}

int cmd_list(int argc, char **argv)
{
	bool json = false, names = false;
	const struct client_option options[] = {
		{.name = "--names", .given = &names, .help = "only the names, one a line; asks no VM"},
		{.name = "--json", .given = &json, .help = "one JSON object a line"},
		{.name = NULL},
	};
	const struct client_usage usage = {
		.arguments = "[NAME...] [--names | --json]",
		.about = "Lists your running VMs, or those that are named: RAM, how much of it the balloon\n"
			 "is to take (TARGET) and has taken (ACTUAL), and how much of it the host holds in\n"
			 "memory (RSS).\n"
			 "Exit status 1: one that is named does not run, or does not answer.\n",
		.vms = CLIENT_ANY_VMS,
		.options = options,
	};
	struct client_args args;
	struct vm_poll **vms;
	struct fail why;
	int status;

	if (!client_parse(&usage, argc, argv, &args, &status))
		return status;
	ssize_t n = vm_poll_list(&args, &vms, &why);
	if (n < 0) {
		fail_log(&why);
		return COMMAND_FAILED;
	}
	status = names ? COMMAND_OK : print_all(vms, (size_t)n, args.n_words > 0 || *args.qmp_path, json);
	for (ssize_t i = 0; i < n && names; i++)
		print_name(vms[i]);
	vm_poll_destroy_all(vms, (size_t)n);
	return client_flush() ? status : COMMAND_FAILED;
}
