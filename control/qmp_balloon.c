/*
 * Commands about the balloon. QMP's `balloon` and `actual` are what the guest
 * has left: RAM minus balloon, in bytes.
 */
#include <errno.h>
#include <inttypes.h>
#include <linux/virtio_balloon.h>
#include <string.h>

#include "control/qmp_command.h"
#include "control/qmp_qom.h"
#include "device/balloon.h"

static bool has_balloon(struct qmp_call *call)
{
	if (!call->machine->balloon)
		qmp_fail(call, QMP_DEVICE_NOT_ACTIVE, "No balloon device has been activated");
	return call->machine->balloon;
}

/* ---- balloon, query-balloon ------------------------------------------ */

static const struct qmp_arg balloon_args[] = {{"value", QMP_ARG_INT, true}, {.name = NULL}};

static void run_balloon(struct qmp_call *call)
{
	uint64_t ram_bytes = call->machine->ram_bytes;
	int64_t value = qmp_int_arg(call, "value");

	if (!has_balloon(call))
		return;
	if (value <= 0) {
		qmp_fail(call, QMP_GENERIC_ERROR, "Parameter 'value' expects a size");
		return;
	}
	uint64_t target_bytes = (uint64_t)value < ram_bytes ? ram_bytes - (uint64_t)value : 0;
	if (balloon_set_target(call->machine->balloon, target_bytes) < 0)
		qmp_fail(call, QMP_GENERIC_ERROR, "Parameter 'value' asks for a balloon of %" PRIu64 " bytes, which is more than there can be", target_bytes);
}

/* The guest may claim a balloon above its RAM. */
static uint64_t left_bytes(const struct machine *machine, const struct balloon_state *state)
{
	return state->actual_bytes < machine->ram_bytes ? machine->ram_bytes - state->actual_bytes : 0;
}

static void run_query_balloon(struct qmp_call *call)
{
	struct balloon_state state;

	if (!has_balloon(call))
		return;
	balloon_get_state(call->machine->balloon, &state);
	json_out_open(call->out, '{');
	json_out_member_u64(call->out, "actual", left_bytes(call->machine, &state));
	json_out_close(call->out, '}');
}

/* ---- Statistics ------------------------------------------------------ */

/* By tag, VIRTIO 1.4, section 5.5.6.5; the names are QEMU's. */
static const char *const stat_names[BALLOON_N_STATS] = {
	"stat-swap-in",		 "stat-swap-out",     "stat-major-faults",   "stat-minor-faults",    "stat-free-memory", "stat-total-memory",
	"stat-available-memory", "stat-disk-caches",  "stat-htlb-pgalloc",   "stat-htlb-pgfail",     "stat-oom-kills",	 "stat-alloc-stalls",
	"stat-async-scans",	 "stat-direct-scans", "stat-async-reclaims", "stat-direct-reclaims",
};

void qmp_put_guest_stats(struct json_out *out, const struct balloon_state *state)
{
	json_out_open(out, '{');
	json_out_member_u64(out, "last-update", state->stats_time_s);
	json_out_key(out, "stats");
	json_out_open(out, '{');
	for (unsigned tag = 0; tag < BALLOON_N_STATS; tag++)
		json_out_member_u64(out, stat_names[tag], state->stats[tag]);
	json_out_close(out, '}');
	json_out_close(out, '}');
}

static void run_request_stats(struct qmp_call *call)
{
	if (!has_balloon(call))
		return;
	int ret = balloon_request_stats(call->machine->balloon);
	if (ret == -ENOTSUP)
		qmp_fail(call, QMP_GENERIC_ERROR, "The guest has no driver that reports statistics");
	/* -EBUSY: they were asked for already, and come when the guest has time. */
}

/* ---- Free page hinting ----------------------------------------------- */

static void run_hint(struct qmp_call *call)
{
	if (!has_balloon(call))
		return;
	int ret = balloon_hint_start(call->machine->balloon);
	if (ret == -ENOTSUP)
		qmp_fail(call, QMP_GENERIC_ERROR, "The guest has no driver that hints at free pages");
	else if (ret == -EBUSY)
		qmp_fail(call, QMP_GENERIC_ERROR, "A free page hinting run is on already");
	else if (ret < 0)
		qmp_fail(call, QMP_GENERIC_ERROR, "The host cannot watch the guest's writes: %s", strerror(-ret));
}

static void put_hint(struct json_out *out, const struct balloon_hint_run *run)
{
	json_out_key(out, "hint");
	json_out_open(out, '{');
	json_out_member_string(out, "phase", balloon_hint_phase_name(run->phase));
	json_out_member_u64(out, "id", run->id);
	json_out_member_u64(out, "runs", run->runs);
	json_out_member_u64(out, "hinted", run->hinted_bytes);
	json_out_member_u64(out, "discarded", run->discarded_bytes);
	json_out_member_u64(out, "written", run->written_bytes);
	json_out_member_u64(out, "failed", run->failed_bytes);
	json_out_member_u64(out, "duration-ms", run->duration_ms);
	json_out_member_u64(out, "holds", run->holds);
	json_out_member_u64(out, "longest-hold-us", run->longest_hold_us);
	json_out_close(out, '}');
}

/* ---- x-query-balloon ------------------------------------------------- */

static const struct {
	unsigned bit;
	const char *name;
} features[] = {
	{VIRTIO_BALLOON_F_MUST_TELL_HOST, "must-tell-host"}, {VIRTIO_BALLOON_F_STATS_VQ, "statistics"},
	{VIRTIO_BALLOON_F_DEFLATE_ON_OOM, "deflate-on-oom"}, {VIRTIO_BALLOON_F_FREE_PAGE_HINT, "free-page-hinting"},
	{VIRTIO_BALLOON_F_PAGE_POISON, "page-poison"},	     {VIRTIO_BALLOON_F_REPORTING, "free-page-reporting"},
};

/* The names of the balloon's own features; the bits have the transport's, too. */
static void put_features(struct json_out *out, const char *names_key, const char *bits_key, uint64_t bits)
{
	json_out_key(out, names_key);
	json_out_open(out, '[');
	for (size_t i = 0; i < sizeof features / sizeof features[0]; i++)
		if (bits >> features[i].bit & 1)
			json_out_string(out, features[i].name);
	json_out_close(out, ']');
	json_out_member_u64(out, bits_key, bits);
}

static void put_queues(struct json_out *out, const struct balloon_state *state)
{
	static const char *const names[BALLOON_N_QUEUES] = {
		[BALLOON_Q_INFLATE] = "inflate", [BALLOON_Q_DEFLATE] = "deflate", [BALLOON_Q_STATS] = "stats",
		[BALLOON_Q_HINT] = "hint",	 [BALLOON_Q_REPORT] = "report",
	};

	json_out_key(out, "queues");
	json_out_open(out, '{');
	for (unsigned i = 0; i < BALLOON_N_QUEUES; i++) {
		const struct balloon_queue_counters *queue = &state->queues[i];
		json_out_key(out, names[i]);
		json_out_open(out, '{');
		json_out_member_u64(out, "buffers", queue->buffers);
		json_out_member_u64(out, "pages", queue->pages);
		json_out_member_u64(out, "ranges", queue->ranges);
		json_out_member_u64(out, "discarded-bytes", queue->discarded_bytes);
		json_out_member_u64(out, "failed-bytes", queue->failed_bytes);
		json_out_member_u64(out, "bad-pages", queue->bad_pages);
		json_out_member_u64(out, "bad-buffers", queue->bad_buffers);
		json_out_close(out, '}');
	}
	json_out_close(out, '}');
}

static void put_memory(struct json_out *out, const struct machine *machine, const struct balloon_state *state)
{
	uint64_t rss_bytes;

	json_out_member_u64(out, "ram", machine->ram_bytes);
	/* Absent when the host will not say. */
	if (machine->ops->ram_rss_bytes(machine->opaque, &rss_bytes) == 0)
		json_out_member_u64(out, "ram-rss", rss_bytes);
	json_out_member_u64(out, "actual", left_bytes(machine, state));
	json_out_member_u64(out, "balloon-target", state->target_bytes);
	json_out_member_u64(out, "balloon-actual", state->actual_bytes);
}

static void run_x_query_balloon(struct qmp_call *call)
{
	const struct machine *machine = call->machine;
	struct json_out *out = call->out;
	struct balloon_state state;

	if (!has_balloon(call))
		return;
	balloon_get_state(machine->balloon, &state);
	json_out_open(out, '{');
	json_out_member_string(out, "id", machine->balloon->id);
	put_memory(out, machine, &state);
	json_out_member_bool(out, "stalled", state.stalled);
	json_out_member_u64(out, "oom-deflations", state.oom_deflations);
	json_out_member_bool(out, "driver-ok", state.driver_ok);
	json_out_member_u64(out, "status", state.status);
	put_features(out, "offered-features", "offered-feature-bits", state.offered_features);
	put_features(out, "negotiated-features", "negotiated-feature-bits", state.negotiated_features);
	json_out_member_u64(out, "guest-stats-polling-interval", state.stats_interval_s);
	json_out_key(out, "guest-stats");
	qmp_put_guest_stats(out, &state);
	put_hint(out, &state.hint);
	put_queues(out, &state);
	json_out_close(out, '}');
}

const struct qmp_command qmp_balloon_commands[] = {
	{"balloon", balloon_args, run_balloon},
	{"query-balloon", NULL, run_query_balloon},
	{"qom-get", qmp_qom_get_args, qmp_run_qom_get},
	{"qom-set", qmp_qom_set_args, qmp_run_qom_set},
	{"qom-list", qmp_qom_list_args, qmp_run_qom_list},
	{"x-query-balloon", NULL, run_x_query_balloon},
	{"x-balloon-request-stats", NULL, run_request_stats},
	{"x-balloon-hint", NULL, run_hint},
	{.name = NULL},
};
