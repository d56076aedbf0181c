#include "cli/balloon.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/vm_client.h"
#include "parser/value.h"
#include "util/log.h"

#define POLL_MS 200
#define BAR_CELLS 30

/* A request as the command line has it. */
struct request {
	const char *name;
	const char *size; /* NULL: only show */
	bool wait;
	uint64_t wait_s;
	struct qmp_client *client;
};

static double now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* ---- Setting --------------------------------------------------------- */

static bool parse_size(const char *text, uint64_t *bytes)
{
	static const struct schema_prop prop = {.name = "SIZE", .type = SCHEMA_SIZE, .example = "512M"};
	static const struct schema schema = {.name = "balloon", .props = &prop, .n_props = 1};
	struct diag_source source = {.name = "SIZE", .text = text, .len = strlen(text)};
	struct value_text value = {.schema = &schema, .prop = &prop, .text = text, .len = source.len, .at = {.source = &source, .begin = 0, .end = source.len}};
	struct diag_list *diags = diag_list_create();
	bool good = diags && value_parse_size(&value, bytes, diags) == 0;

	if (!diags)
		log_line(LOG_LEVEL_ERROR, NULL, "out of memory");
	else
		diag_print(diags, stderr, isatty(STDERR_FILENO) ? DIAG_COLOUR : DIAG_PLAIN);
	diag_list_destroy(diags);
	return good;
}

/* QMP's number is what the guest is to have left. */
static int set_target(const struct request *request, const struct client_memory *memory, uint64_t bytes)
{
	char size[CLIENT_SIZE_MAX], ram[CLIENT_SIZE_MAX];

	if (bytes >= memory->ram_bytes) {
		log_line(LOG_LEVEL_ERROR, request->name, "a balloon of %s leaves nothing of the VM's %s", client_size(size, bytes),
			 client_size(ram, memory->ram_bytes));
		return COMMAND_USAGE;
	}
	json_t *args = json_pack("{s:I}", "value", (json_int_t)(memory->ram_bytes - bytes));
	return client_call(request->name, request->client, "balloon", args, NULL) ? COMMAND_OK : COMMAND_FAILED;
}

/* ---- Showing --------------------------------------------------------- */

static void show(const struct request *request, const struct client_memory *memory)
{
	char ram[CLIENT_SIZE_MAX], rss[CLIENT_SIZE_MAX], target[CLIENT_SIZE_MAX], actual[CLIENT_SIZE_MAX];

	printf("%s: the balloon has %s of %s RAM", request->name, client_size(actual, memory->actual_bytes), client_size(ram, memory->ram_bytes));
	if (memory->target_bytes != UINT64_MAX && memory->target_bytes != memory->actual_bytes)
		printf(", and is to have %s", client_size(target, memory->target_bytes));
	if (memory->rss_bytes != UINT64_MAX)
		printf("; the host holds %s", client_size(rss, memory->rss_bytes));
	puts("");
	if (!memory->driver_ok)
		printf("%s: the guest has no balloon driver (yet)\n", request->name);
	else if (memory->stalled)
		printf("%s: the guest cannot or will not give more: the target is not coming nearer\n", request->name);
}

/* One line that is drawn anew; from is where the wait began. */
static void draw(const struct client_memory *memory, uint64_t from, uint64_t to)
{
	char actual[CLIENT_SIZE_MAX], target[CLIENT_SIZE_MAX], bar[BAR_CELLS + 1];
	uint64_t way = from > to ? from - to : to - from;
	uint64_t left = memory->actual_bytes > to ? memory->actual_bytes - to : to - memory->actual_bytes;
	unsigned cells = way == 0 || left > way ? 0 : (unsigned)((double)(way - left) / (double)way * BAR_CELLS);

	memset(bar, '-', BAR_CELLS);
	memset(bar, '#', cells);
	bar[BAR_CELLS] = '\0';
	fprintf(stderr, "\r[%s] %s of %s%s\033[K", bar, client_size(actual, memory->actual_bytes), client_size(target, to), memory->stalled ? ", stalled" : "");
}

static int wait_for(const struct request *request, struct client_memory *memory, uint64_t to)
{
	bool is_drawn = isatty(STDERR_FILENO);
	uint64_t from = memory->actual_bytes;
	double begin_s = now_s();
	struct fail why;

	for (;;) {
		int ret = client_query_memory(request->client, memory, &why);
		double passed_s = now_s() - begin_s;
		bool is_over = ret < 0 || memory->actual_bytes == to || (request->wait_s > 0 && passed_s >= (double)request->wait_s);
		if (ret == 0 && is_drawn)
			draw(memory, from, to);
		if (is_over && is_drawn)
			fputs("\n", stderr);
		if (ret < 0) {
			client_complain(request->name, &why);
			return COMMAND_FAILED;
		}
		if (memory->actual_bytes == to)
			return COMMAND_OK;
		if (is_over) {
			log_line(LOG_LEVEL_ERROR, request->name, "the balloon is not there after %" PRIu64 " s", request->wait_s);
			return COMMAND_TIMED_OUT;
		}
		struct timespec pause = {.tv_nsec = POLL_MS * 1000000L};
		nanosleep(&pause, NULL);
	}
}

/* Where the balloon goes: to the size that was asked for, or where it is going already. */
static int find_target(const struct request *request, const struct client_memory *memory, uint64_t *bytes)
{
	*bytes = memory->target_bytes;
	if (request->size && !parse_size(request->size, bytes))
		return COMMAND_USAGE;
	if (request->wait && *bytes == UINT64_MAX) {
		log_line(LOG_LEVEL_ERROR, request->name, "this VM does not tell its balloon's target: say the SIZE to wait for");
		return COMMAND_USAGE;
	}
	*bytes -= *bytes % 4096; /* the balloon's page */
	return COMMAND_OK;
}

static int set_and_wait(const struct request *request, struct client_memory *memory)
{
	uint64_t bytes;
	struct fail why;
	int status = find_target(request, memory, &bytes);

	if (status == COMMAND_OK && request->size)
		status = set_target(request, memory, bytes);
	if (status == COMMAND_OK && request->wait)
		return wait_for(request, memory, bytes);
	if (status == COMMAND_OK && request->size && client_query_memory(request->client, memory, &why) < 0) {
		client_complain(request->name, &why);
		return COMMAND_FAILED;
	}
	return status;
}

static int serve(const struct request *request)
{
	struct client_memory memory;
	struct fail why;

	if (client_query_memory(request->client, &memory, &why) < 0) {
		client_complain(request->name, &why);
		return COMMAND_FAILED;
	}
	if (!memory.has_balloon) {
		log_line(LOG_LEVEL_ERROR, request->name, "this VM has no balloon");
		return COMMAND_FAILED;
	}
	int status = set_and_wait(request, &memory);
	if (status == COMMAND_OK || status == COMMAND_TIMED_OUT)
		show(request, &memory);
	return status;
}

int cmd_balloon(int argc, char **argv)
{
	struct request request = {.wait_s = 0};
	const struct client_option options[] = {
		{"--wait", &request.wait, &request.wait_s, "wait until the balloon is there, for SEC seconds at most"},
		{.name = NULL},
	};
	const struct client_usage usage = {
		.arguments = "NAME [SIZE] [--wait[=SEC]]",
		.about = "Shows the balloon of the VM NAME, or asks the guest for one of SIZE (512M, 1G, 0):\n"
			 "that much of its memory goes to the host. NAME may be the path of a QMP socket.\n"
			 "Exit status 4: the wait ran out of time.\n",
		.min_words = 1,
		.max_words = 2,
		.options = options,
	};
	const char *words[CLIENT_MAX_WORDS];
	int status;

	if (!client_parse(&usage, argc, argv, words, &status))
		return status;
	request.name = words[0];
	request.size = words[1];
	if (!client_connect(request.name, &request.client))
		return COMMAND_FAILED;
	status = serve(&request);
	qmp_client_close(request.client);
	return status;
}
