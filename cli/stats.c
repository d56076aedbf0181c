#include "cli/stats.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli/command.h"
#include "cli/vm_client.h"
#include "control/json_out.h"
#include "util/log.h"

/* How long the guest has to answer when it is asked for fresh values; then the old ones are shown. */
#define FRESH_MS 1000
#define FRESH_STEP_MS 50

struct request {
	const char *name;
	bool json, watch;
	uint64_t watch_s;
	struct qmp_client *client;
	bool asks_by_itself; /* QEMU: the guest is asked on a timer only */
	char path[256];	     /* of the balloon in the tree of objects */
};

/* The statistics by QEMU's names, in the order of the specification; is_bytes: a size, else a count. */
static const struct {
	const char *key, *text;
	bool is_bytes;
} stats[] = {
	{"stat-total-memory", "total memory", true},
	{"stat-free-memory", "free memory", true},
	{"stat-available-memory", "available memory", true},
	{"stat-disk-caches", "disk caches", true},
	{"stat-swap-in", "swapped in", true},
	{"stat-swap-out", "swapped out", true},
	{"stat-major-faults", "major faults", false},
	{"stat-minor-faults", "minor faults", false},
	{"stat-htlb-pgalloc", "huge pages allocated", false},
	{"stat-htlb-pgfail", "huge pages failed", false},
	{"stat-oom-kills", "OOM kills", false},
	{"stat-alloc-stalls", "allocation stalls", false},
	{"stat-async-scans", "pages scanned by kswapd", false},
	{"stat-direct-scans", "pages scanned directly", false},
	{"stat-async-reclaims", "pages reclaimed by kswapd", false},
	{"stat-direct-reclaims", "pages reclaimed directly", false},
};
#define N_STATS (sizeof stats / sizeof stats[0])

/* ---- Asking ---------------------------------------------------------- */

static bool find_balloon_in(struct request *request, const char *folder)
{
	json_t *list = NULL;
	bool found = false;
	const json_t *entry;
	size_t i;

	if (!client_call(request->name, request->client, "qom-list", json_pack("{s:s}", "path", folder), &list))
		return false;
	json_array_foreach(list, i, entry)
	{
		const char *type = json_string_value(json_object_get(entry, "type"));
		const char *name = json_string_value(json_object_get(entry, "name"));
		if (type && name && strncmp(type, "child<virtio-balloon", 20) == 0 && !found)
			found = (size_t)snprintf(request->path, sizeof request->path, "%s/%s", folder, name) < sizeof request->path;
	}
	json_decref(list);
	return found;
}

static bool find_balloon(struct request *request)
{
	if (find_balloon_in(request, "/machine/peripheral") || find_balloon_in(request, "/machine/peripheral-anon"))
		return true;
	log_line(LOG_LEVEL_ERROR, request->name, "this VM has no balloon");
	return false;
}

static bool get_stats(const struct request *request, json_t **values)
{
	return client_call(request->name, request->client, "qom-get", json_pack("{s:s,s:s}", "path", request->path, "property", "guest-stats"), values);
}

/* Has the guest asked for new ones, where the VM can; the old ones are better than none. */
static bool get_fresh_stats(struct request *request, json_t **values)
{
	struct fail why;

	if (!get_stats(request, values))
		return false;
	uint64_t before = qmp_client_member_u64(*values, "last-update");
	int ret = qmp_client_call(request->client, "x-balloon-request-stats", NULL, NULL, &why);
	request->asks_by_itself = ret == -EREMOTEIO && strcmp(qmp_client_error_class(request->client), "CommandNotFound") == 0;
	if (ret < 0 && ret != -EREMOTEIO) {
		client_complain(request->name, &why);
		return false;
	}
	for (unsigned waited_ms = 0; ret == 0 && waited_ms < FRESH_MS; waited_ms += FRESH_STEP_MS) {
		client_sleep_ms(FRESH_STEP_MS);
		json_decref(*values);
		*values = NULL;
		if (!get_stats(request, values))
			return false;
		if (qmp_client_member_u64(*values, "last-update") != before)
			break;
	}
	return true;
}

/* ---- Showing --------------------------------------------------------- */

static bool print_text(const struct request *request, uint64_t updated_s, const json_t *values)
{
	time_t time_s = (time_t)updated_s;
	char when[64] = "", size[CLIENT_SIZE_MAX], path[sizeof request->path];
	struct tm tm;

	if (updated_s == 0 || updated_s == UINT64_MAX) {
		printf("%s: the guest has not reported any statistics\n", request->name);
		if (request->asks_by_itself)
			printf("%s: QEMU asks for them every so many seconds, once qom-set gave %s a guest-stats-polling-interval\n", request->name,
			       client_plain(path, sizeof path, request->path));
		return client_flush();
	}
	if (localtime_r(&time_s, &tm))
		strftime(when, sizeof when, "%F %T", &tm);
	printf("%s at %s\n", request->name, when);
	for (size_t i = 0; i < N_STATS; i++) {
		uint64_t value = qmp_client_member_u64(values, stats[i].key);
		if (value != UINT64_MAX && stats[i].is_bytes)
			printf("  %-26s %12s\n", stats[i].text, client_size(size, value));
		else if (value != UINT64_MAX)
			printf("  %-26s %12" PRIu64 "\n", stats[i].text, value);
	}
	return client_flush();
}

/* What the guest does not report is left out. */
static bool print_json(const struct request *request, uint64_t updated_s, const json_t *values)
{
	struct json_out out;

	json_out_init(&out, 65536);
	json_out_open(&out, '{');
	json_out_member_string(&out, "name", request->name);
	json_out_member_u64(&out, "last-update", updated_s);
	json_out_key(&out, "stats");
	json_out_open(&out, '{');
	for (size_t i = 0; i < N_STATS; i++)
		client_member_u64(&out, stats[i].key, qmp_client_member_u64(values, stats[i].key));
	json_out_close(&out, '}');
	json_out_close(&out, '}');
	return client_print_json(&out);
}

static int show(struct request *request)
{
	json_t *values = NULL;
	bool good;

	do {
		good = get_fresh_stats(request, &values);
		if (good) {
			uint64_t updated_s = qmp_client_member_u64(values, "last-update");
			good = (request->json ? print_json : print_text)(request, updated_s, json_object_get(values, "stats"));
		}
		json_decref(values);
		values = NULL;
		if (good && request->watch)
			client_sleep_ms(request->watch_s * 1000);
	} while (good && request->watch);
	return good ? COMMAND_OK : COMMAND_FAILED;
}

static int serve(const struct client_vm *vm, void *opaque)
{
	struct request *request = opaque;

	request->name = vm->name;
	request->client = vm->client;
	return find_balloon(request) ? show(request) : COMMAND_FAILED;
}

int cmd_stats(int argc, char **argv)
{
	struct request request = {.watch_s = 1};
	const struct client_option options[] = {
		{.name = "--json", .given = &request.json, .help = "one JSON object a line"},
		{.name = "--watch", .given = &request.watch, .seconds = &request.watch_s, .help = "again every SEC seconds, 1 unless told, until the VM ends"},
		{.name = NULL},
	};
	const struct client_usage usage = {
		.arguments = "NAME [--json] [--watch[=SEC]]",
		.about = "Shows what the guest's balloon driver reports of its memory. The guest is asked\n"
			 "for fresh figures; when it does not answer within a second the last ones are\n"
			 "shown, and when they are from.\n",
		.options = options,
	};

	return client_run(&usage, argc, argv, serve, &request);
}
