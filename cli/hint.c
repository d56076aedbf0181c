#include "cli/hint.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "cli/vm_client.h"
#include "util/log.h"

#define WAIT_S 60
#define POLL_MS 50

struct request {
	const char *name;
	bool json;
	uint64_t wait_s;
	struct qmp_client *client;
};

/* The run that the VM tells of. */
struct run {
	char phase[24]; /* "none" before the first */
	uint64_t runs, id, hinted, discarded, written, failed, duration_ms, holds, longest_hold_us;
};

static bool query(const struct request *request, struct run *run)
{
	json_t *state = NULL;

	if (!client_call(request->name, request->client, "x-query-balloon", NULL, &state))
		return false;
	const json_t *hint = json_object_get(state, "hint");
	const char *phase = json_string_value(json_object_get(hint, "phase"));
	*run = (struct run){
		.runs = qmp_client_member_u64(hint, "runs"),
		.id = qmp_client_member_u64(hint, "id"),
		.hinted = qmp_client_member_u64(hint, "hinted"),
		.discarded = qmp_client_member_u64(hint, "discarded"),
		.written = qmp_client_member_u64(hint, "written"),
		.failed = qmp_client_member_u64(hint, "failed"),
		.duration_ms = qmp_client_member_u64(hint, "duration-ms"),
		.holds = qmp_client_member_u64(hint, "holds"),
		.longest_hold_us = qmp_client_member_u64(hint, "longest-hold-us"),
	};
	client_plain(run->phase, sizeof run->phase, phase ? phase : "");
	json_decref(state);
	if (phase)
		return true;
	log_line(LOG_LEVEL_ERROR, request->name, "this VM tells nothing of its hints");
	return false;
}

static bool start(const struct request *request)
{
	struct fail why;
	int ret = qmp_client_call(request->client, "x-balloon-hint", NULL, NULL, &why);

	if (ret == -EREMOTEIO && strcmp(qmp_client_error_class(request->client), "CommandNotFound") == 0)
		log_line(LOG_LEVEL_ERROR, request->name, "this VM has no x-balloon-hint: QEMU takes hints for a migration only");
	else if (ret < 0)
		client_complain(request->name, &why);
	return ret == 0;
}

/* Until the run that was just started is over. */
static int wait_for_end(const struct request *request, struct run *run)
{
	int64_t end_ms = client_now_ms() + (int64_t)request->wait_s * 1000;

	for (;;) {
		if (!query(request, run))
			return COMMAND_FAILED;
		if (strcmp(run->phase, "running") != 0)
			return COMMAND_OK;
		if (client_now_ms() >= end_ms) {
			log_line(LOG_LEVEL_ERROR, request->name, "the guest is still at it after %" PRIu64 " s", request->wait_s);
			return COMMAND_TIMED_OUT;
		}
		client_sleep_ms(POLL_MS);
	}
}

static bool show_text(const struct request *request, const struct run *run)
{
	char hinted[CLIENT_SIZE_MAX], discarded[CLIENT_SIZE_MAX], written[CLIENT_SIZE_MAX], failed[CLIENT_SIZE_MAX];

	printf("%s: %s came back to the host, of %s that the guest called free", request->name, client_size(discarded, run->discarded),
	       client_size(hinted, run->hinted));
	if (run->written > 0)
		printf("; it had written %s since", client_size(written, run->written));
	if (run->failed > 0)
		printf("; the host could not take %s", client_size(failed, run->failed));
	printf("\n%s: the run took %" PRIu64 " ms; the vCPUs were held %" PRIu64 " time%s, for %" PRIu64 " us at most\n", request->name, run->duration_ms,
	       run->holds, run->holds == 1 ? "" : "s", run->longest_hold_us);
	return client_flush();
}

/* Why a run ended before all free pages were named. */
static void complain_of_end(const struct request *request, const struct run *run)
{
	const char *reason = run->phase;

	if (strcmp(reason, "timed-out") == 0)
		reason = "the guest fell silent";
	else if (strcmp(reason, "aborted") == 0)
		reason = "the guest's driver went away";
	log_line(LOG_LEVEL_ERROR, request->name, "the run did not come to its end: %s", reason);
}

static bool show_json(const struct request *request, const struct run *run)
{
	struct json_out out;

	json_out_init(&out, 65536);
	json_out_open(&out, '{');
	json_out_member_string(&out, "name", request->name);
	json_out_member_string(&out, "phase", run->phase);
	json_out_member_u64(&out, "id", run->id);
	json_out_member_u64(&out, "runs", run->runs);
	json_out_member_u64(&out, "hinted", run->hinted);
	json_out_member_u64(&out, "discarded", run->discarded);
	json_out_member_u64(&out, "written", run->written);
	json_out_member_u64(&out, "failed", run->failed);
	json_out_member_u64(&out, "duration-ms", run->duration_ms);
	json_out_member_u64(&out, "holds", run->holds);
	json_out_member_u64(&out, "longest-hold-us", run->longest_hold_us);
	json_out_close(&out, '}');
	return client_print_json(&out);
}

static int serve(const struct client_vm *vm, void *opaque)
{
	struct request *request = opaque;
	struct run run;

	request->name = vm->name;
	request->client = vm->client;
	if (!start(request))
		return COMMAND_FAILED;
	int status = wait_for_end(request, &run);
	if (status == COMMAND_FAILED)
		return status;
	if (!(request->json ? show_json : show_text)(request, &run))
		return COMMAND_FAILED;
	if (status != COMMAND_OK || strcmp(run.phase, "done") == 0)
		return status;
	complain_of_end(request, &run);
	return COMMAND_FAILED;
}

int cmd_hint(int argc, char **argv)
{
	struct request request = {.wait_s = WAIT_S};
	const struct client_option options[] = {
		{.name = "--wait", .seconds = &request.wait_s, .help = "how long the run may take, 60 s unless told"},
		{.name = "--json", .given = &request.json, .help = "one JSON object instead of a text"},
		{.name = NULL},
	};
	const struct client_usage usage = {
		.arguments = "NAME [--wait[=SEC]] [--json]",
		.about = "Has the guest of the VM NAME name its free pages once, gives their memory back\n"
			 "to the host, and says how much that was. What the guest has written meanwhile is\n"
			 "left alone. The VM's balloon needs free_page_hinting=on.\n"
			 "Exit status 1: the run ended early; 4: the guest took longer.\n",
		.options = options,
	};

	return client_run(&usage, argc, argv, serve, &request);
}
