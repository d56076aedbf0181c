#include "cli/balloon.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/progress.h"
#include "cli/vm_client.h"
#include "cli/vm_state.h"
#include "util/log.h"

#define POLL_MS 200
#define LINE_MS 1000 /* between lines when there is no terminal to draw on; also: what stands still for so long is explained */
#define ASK_MS 500   /* standing still for so long, the guest is asked for what it has left */
#define FIRST_POLL_MS 10

/* A request as the command line has it. */
struct request {
	const char *name;
	const char *size; /* NULL: only show */
	bool wait, json;
	uint64_t wait_s; /* 0: as long as it takes */
	struct qmp_client *client;
};

static bool query(const struct request *request, struct vm_state *state)
{
	struct fail why;

	if (vm_state_query(request->client, state, &why) == 0)
		return true;
	client_complain(request->name, &why);
	return false;
}

/* ---- Setting --------------------------------------------------------- */

static bool parse_size(const char *text, uint64_t *bytes)
{
	struct diag_list *diags = diag_list_create();
	bool good = diags && client_parse_size(text, bytes, diags) == 0;

	if (diags)
		diag_print(diags, stderr, diag_colour_for(stderr));
	else
		log_line(LOG_LEVEL_ERROR, NULL, "out of memory");
	diag_list_destroy(diags);
	return good;
}

/* QMP's number is what the guest is to have left. */
static int set_target(const struct request *request, const struct vm_state *state, uint64_t bytes)
{
	char size[CLIENT_SIZE_MAX], ram[CLIENT_SIZE_MAX];

	if (state->ram_bytes == UINT64_MAX) {
		log_line(LOG_LEVEL_ERROR, request->name, "this VM does not tell how much RAM it has");
		return COMMAND_FAILED;
	}
	if (bytes >= state->ram_bytes) {
		log_line(LOG_LEVEL_ERROR, request->name, "a balloon of %s leaves nothing of the VM's %s", client_size(size, bytes),
			 client_size(ram, state->ram_bytes));
		return COMMAND_USAGE;
	}
	json_t *args = json_pack("{s:I}", "value", (json_int_t)(state->ram_bytes - bytes));
	return client_call(request->name, request->client, "balloon", args, NULL) ? COMMAND_OK : COMMAND_FAILED;
}

/* ---- Showing --------------------------------------------------------- */

/* Whether it is on its way to a target that it has not reached. */
static bool is_on_its_way(const struct vm_state *state)
{
	return state->target_bytes != UINT64_MAX && state->target_bytes != state->actual_bytes;
}

static bool show_text(const struct request *request, const struct vm_state *state)
{
	char ram[CLIENT_SIZE_MAX], size[CLIENT_SIZE_MAX], actual[CLIENT_SIZE_MAX], reason[VM_STATE_REASON_MAX];

	printf("%s: the balloon has %s of %s RAM", request->name, client_size(actual, state->actual_bytes), client_size(ram, state->ram_bytes));
	if (is_on_its_way(state))
		printf(", and is to have %s", client_size(size, state->target_bytes));
	if (state->rss_bytes != UINT64_MAX)
		printf("; the host holds %s", client_size(size, state->rss_bytes));
	puts("");
	if (state->tells_all && !request->wait && (!state->driver_ok || state->suspended || state->stalled)) /* a wait has told */
		printf("%s: %s\n", request->name, vm_state_reason(state, state->target_bytes, reason));
	return client_flush();
}

/* What is not known is left out. */
static bool show_json(const struct request *request, const struct vm_state *state)
{
	char reason[VM_STATE_REASON_MAX];
	struct json_out out;

	json_out_init(&out, 65536);
	json_out_open(&out, '{');
	json_out_member_string(&out, "name", request->name);
	json_out_member_string(&out, "status", state->status);
	client_member_u64(&out, "ram", state->ram_bytes);
	client_member_u64(&out, "ram-rss", state->rss_bytes);
	client_member_u64(&out, "balloon-target", state->target_bytes);
	client_member_u64(&out, "balloon-actual", state->actual_bytes);
	if (state->tells_all) {
		json_out_member_bool(&out, "driver-ok", state->driver_ok);
		json_out_member_bool(&out, "stalled", state->stalled);
		client_member_u64(&out, "oom-deflations", state->oom_deflations);
		client_member_u64(&out, "guest-free", state->free_bytes);
		client_member_u64(&out, "guest-available", state->available_bytes);
	}
	if (is_on_its_way(state))
		json_out_member_string(&out, "reason", vm_state_reason(state, state->target_bytes, reason));
	json_out_close(&out, '}');
	return client_print_json(&out);
}

/* ---- Waiting --------------------------------------------------------- */

/* One wait; all of it is said on standard error. */
struct wait {
	const struct request *request;
	struct progress progress;
	int64_t begin_ms, line_ms; /* line_ms: when the last plain line was written */
	uint64_t oom_deflations;   /* before it */
	bool is_drawn;		   /* on a terminal */
	bool is_explained;	   /* why it stands still */
};

static size_t columns_of_terminal(void)
{
	struct winsize size;

	return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col - 1 : 79;
}

static void draw(const struct wait *wait)
{
	char line[PROGRESS_LINE_MAX];

	fprintf(stderr, "\r%s\033[K", progress_line(&wait->progress, columns_of_terminal(), line));
}

static void show_progress(struct wait *wait, int64_t now_ms)
{
	char line[PROGRESS_LINE_MAX];

	if (wait->is_drawn) {
		draw(wait);
	} else if (now_ms - wait->line_ms >= LINE_MS && progress_idle_ms(&wait->progress, now_ms) < LINE_MS) {
		fprintf(stderr, "%s: %s\n", wait->request->name, progress_text(&wait->progress, line));
		wait->line_ms = now_ms;
	}
}

/* Ends the line that is drawn anew. */
static void end_line(const struct wait *wait)
{
	if (wait->is_drawn)
		fputs("\n", stderr);
}

/* Says once why it stands still, and has the guest asked for what it has left. False when the VM is gone. */
static bool explain(struct wait *wait, const struct vm_state *state, int64_t now_ms)
{
	char reason[VM_STATE_REASON_MAX];
	struct fail why;
	int ret = 0;

	int64_t idle_ms = progress_idle_ms(&wait->progress, now_ms);
	if (idle_ms < ASK_MS) {
		wait->is_explained = false;
		return true;
	}
	if (state->tells_all)
		ret = qmp_client_call(wait->request->client, "x-balloon-request-stats", NULL, NULL, &why);
	if (ret < 0 && ret != -EREMOTEIO) {
		end_line(wait);
		client_complain(wait->request->name, &why);
		return false;
	}
	if (wait->is_explained || idle_ms < LINE_MS || !(state->stalled || state->suspended || !state->driver_ok || strcmp(state->status, "running") != 0))
		return true;
	/* Above the bar. */
	fprintf(stderr, "%s%s: %s\n", wait->is_drawn ? "\r\033[K" : "", wait->request->name, vm_state_reason(state, wait->progress.to, reason));
	if (wait->is_drawn)
		draw(wait);
	wait->is_explained = true;
	return true;
}

/* One look: COMMAND_OK with *is_over when the balloon is there, or what ends the wait otherwise. */
static int look(struct wait *wait, struct vm_state *state, bool *is_over)
{
	const struct request *request = wait->request;
	char reason[VM_STATE_REASON_MAX], target[CLIENT_SIZE_MAX];

	if (!query(request, state))
		return COMMAND_FAILED;
	int64_t now_ms = client_now_ms();
	if (state->oom_deflations != UINT64_MAX)
		state->oom_deflations -= wait->oom_deflations;
	progress_add(&wait->progress, state->actual_bytes, now_ms);
	show_progress(wait, now_ms);
	*is_over = state->actual_bytes == wait->progress.to;
	if (*is_over)
		return COMMAND_OK;
	if (state->tells_all && state->target_bytes != wait->progress.to) {
		end_line(wait);
		log_line(LOG_LEVEL_ERROR, request->name, "somebody else has set the target to %s meanwhile", client_size(target, state->target_bytes));
		return COMMAND_FAILED;
	}
	if (!explain(wait, state, now_ms))
		return COMMAND_FAILED;
	if (request->wait_s == 0 || now_ms - wait->begin_ms < (int64_t)request->wait_s * 1000)
		return COMMAND_OK;
	end_line(wait);
	log_line(LOG_LEVEL_ERROR, request->name, "the balloon is not there after %" PRIu64 " s%s%s", request->wait_s, wait->is_explained ? "" : ": ",
		 wait->is_explained ? "" : vm_state_reason(state, wait->progress.to, reason));
	return COMMAND_TIMED_OUT;
}

static int wait_for(const struct request *request, struct vm_state *state, uint64_t to)
{
	struct wait wait = {.request = request, .begin_ms = client_now_ms(), .oom_deflations = state->oom_deflations};
	bool is_over = false;
	int status = COMMAND_OK;

	wait.is_drawn = isatty(STDERR_FILENO) && state->actual_bytes != to; /* a way of no length makes no bar */
	wait.line_ms = wait.begin_ms;
	progress_init(&wait.progress, state->actual_bytes, to, wait.begin_ms);
	for (unsigned pause_ms = FIRST_POLL_MS; status == COMMAND_OK; pause_ms = pause_ms < POLL_MS ? 2 * pause_ms : POLL_MS) {
		status = look(&wait, state, &is_over);
		if (is_over)
			break;
		if (status == COMMAND_OK)
			client_sleep_ms(pause_ms);
	}
	if (is_over)
		end_line(&wait);
	return status;
}

/* Where the balloon goes: to the size that was asked for, or where it is going already. */
static int find_target(const struct request *request, const struct vm_state *state, uint64_t *bytes)
{
	*bytes = state->target_bytes;
	if (request->size && !parse_size(request->size, bytes))
		return COMMAND_USAGE;
	if (request->wait && *bytes == UINT64_MAX) {
		log_line(LOG_LEVEL_ERROR, request->name, "this VM does not tell its balloon's target: say the SIZE to wait for");
		return COMMAND_USAGE;
	}
	*bytes -= *bytes % 4096; /* the balloon's page */
	return COMMAND_OK;
}

static int set_and_wait(const struct request *request, struct vm_state *state)
{
	uint64_t bytes;
	int status = find_target(request, state, &bytes);

	if (status == COMMAND_OK && request->size)
		status = set_target(request, state, bytes);
	if (status == COMMAND_OK && request->wait)
		return wait_for(request, state, bytes);
	if (status == COMMAND_OK && request->size && !query(request, state))
		return COMMAND_FAILED;
	return status;
}

static int serve(const struct client_vm *vm, void *opaque)
{
	struct request *request = opaque;
	struct vm_state state;

	request->name = vm->name;
	request->client = vm->client;
	request->size = vm->n_words > 0 ? vm->words[0] : NULL;
	if (!query(request, &state))
		return COMMAND_FAILED;
	if (!state.has_balloon) {
		log_line(LOG_LEVEL_ERROR, request->name, "this VM has no balloon");
		return COMMAND_FAILED;
	}
	int status = set_and_wait(request, &state);
	if (status != COMMAND_OK && status != COMMAND_TIMED_OUT)
		return status;
	return (request->json ? show_json : show_text)(request, &state) ? status : COMMAND_FAILED;
}

int cmd_balloon(int argc, char **argv)
{
	struct request request = {.wait_s = 0};
	const struct client_option options[] = {
		{.name = "--wait", .given = &request.wait, .seconds = &request.wait_s, .help = "wait until the balloon is there, for SEC seconds at most"},
		{.name = "--json", .given = &request.json, .help = "one JSON object instead of a text"},
		{.name = NULL},
	};
	const struct client_usage usage = {
		.arguments = "NAME [SIZE] [--wait[=SEC]] [--json]",
		.about = "Shows the balloon of the VM NAME, or asks its guest for one of SIZE (512M, 1G,\n"
			 "0): that much of its memory goes to the host. With --wait, progress is drawn on\n"
			 "a terminal, or told in lines on standard error, and so is what holds it up.\n"
			 "Exit status 4: the wait ran out of time.\n",
		.max_words = 1,
		.options = options,
	};

	return client_run(&usage, argc, argv, serve, &request);
}
