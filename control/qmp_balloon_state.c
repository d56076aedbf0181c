/* What the balloon's state looks like in JSON. */
#include "control/qmp_balloon_state.h"

#include <linux/virtio_balloon.h>
#include <stddef.h>
#include <stdio.h>

uint64_t qmp_left_bytes(uint64_t ram_bytes, uint64_t balloon_bytes)
{
	return balloon_bytes < ram_bytes ? ram_bytes - balloon_bytes : 0;
}

/* ---- Counters -------------------------------------------------------- */

/* A uint64_t of a struct; a field of another type does not compile. */
struct counter {
	const char *key;
	size_t offset;
};

#define COUNTER(owner, key, field)                                                                    \
	{                                                                                             \
		(key), _Generic(((struct owner *)0)->field, uint64_t : offsetof(struct owner, field)) \
	}

static void put_counters(struct json_out *out, const struct counter *counters, size_t n, const void *owner)
{
	for (size_t i = 0; i < n; i++)
		json_out_member_u64(out, counters[i].key, *(const uint64_t *)(const void *)((const char *)owner + counters[i].offset));
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

/* Those that the guest sends and this program has no name for. */
static void put_other_stats(struct json_out *out, const struct balloon_state *state)
{
	char tag[8];

	json_out_key(out, "other-stats");
	json_out_open(out, '{');
	for (unsigned i = 0; i < state->n_other_stats; i++) {
		snprintf(tag, sizeof tag, "%u", state->other_stats[i].tag);
		json_out_member_u64(out, tag, state->other_stats[i].value);
	}
	json_out_close(out, '}');
}

static void put_stats(struct json_out *out, const struct balloon_state *state)
{
	json_out_member_u64(out, "guest-stats-polling-interval", state->stats_interval_s);
	json_out_key(out, "guest-stats");
	qmp_put_guest_stats(out, state);
	put_other_stats(out, state);
	/* By a clock that nobody sets; there is no age without values. */
	if (state->stats_time_s != 0)
		json_out_member_u64(out, "stats-age-ms", state->stats_age_ms);
	json_out_member_bool(out, "stats-asked", state->stats_asked);
}

/* ---- Device, driver, queues ------------------------------------------ */

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

static void put_faults(struct json_out *out, const struct balloon_queue_counters *queue)
{
	json_out_key(out, "faults");
	json_out_open(out, '{');
	for (unsigned i = 0; i < BALLOON_N_FAULTS; i++)
		json_out_member_u64(out, balloon_fault_name(i), queue->faults[i]);
	json_out_close(out, '}');
}

static const struct counter queue_counters[] = {
	COUNTER(balloon_queue_counters, "buffers", buffers),
	COUNTER(balloon_queue_counters, "pages", pages),
	COUNTER(balloon_queue_counters, "ranges", ranges),
	COUNTER(balloon_queue_counters, "discarded-bytes", discarded_bytes),
	COUNTER(balloon_queue_counters, "failed-bytes", failed_bytes),
	COUNTER(balloon_queue_counters, "written-bytes", written_bytes),
	COUNTER(balloon_queue_counters, "bad-pages", bad_pages),
	COUNTER(balloon_queue_counters, "bad-buffers", bad_buffers),
};

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
		put_counters(out, queue_counters, sizeof queue_counters / sizeof queue_counters[0], queue);
		put_faults(out, queue);
		json_out_close(out, '}');
	}
	json_out_close(out, '}');
}

/* Which of the two numberings it is shows when the driver has set up its queues. */
static const char *queue_numbering(const struct balloon_state *state)
{
	if (!state->driver_ok)
		return "unknown";
	return state->dense_queues ? "dense" : "specification";
}

static void put_driver(struct json_out *out, const struct balloon_state *state)
{
	json_out_member_bool(out, "driver-ok", state->driver_ok);
	json_out_member_u64(out, "status", state->status);
	json_out_member_bool(out, "suspended", state->suspended);
	put_features(out, "offered-features", "offered-feature-bits", state->offered_features);
	put_features(out, "negotiated-features", "negotiated-feature-bits", state->negotiated_features);
	json_out_member_string(out, "queue-numbering", queue_numbering(state));
	json_out_member_u64(out, "poison-val", state->poison_val);
}

/* ---- Memory ---------------------------------------------------------- */

static void put_memory(struct json_out *out, const struct machine *machine, const struct balloon_state *state)
{
	uint64_t rss_bytes;

	json_out_member_u64(out, "ram", machine->ram_bytes);
	/* Absent when the host will not say. */
	if (machine->ops->ram_rss_bytes(machine->opaque, &rss_bytes) == 0)
		json_out_member_u64(out, "ram-rss", rss_bytes);
	json_out_member_u64(out, "actual", qmp_left_bytes(machine->ram_bytes, state->actual_bytes));
	json_out_member_u64(out, "balloon-target", state->target_bytes);
	json_out_member_u64(out, "balloon-actual", state->actual_bytes);
	json_out_member_u64(out, "held-bytes", state->held_bytes);
}

static const struct counter hint_counters[] = {
	COUNTER(balloon_hint_run, "runs", runs),
	COUNTER(balloon_hint_run, "hinted", hinted_bytes),
	COUNTER(balloon_hint_run, "discarded", discarded_bytes),
	COUNTER(balloon_hint_run, "written", written_bytes),
	COUNTER(balloon_hint_run, "failed", failed_bytes),
	COUNTER(balloon_hint_run, "duration-ms", duration_ms),
	COUNTER(balloon_hint_run, "holds", holds),
	COUNTER(balloon_hint_run, "longest-hold-us", longest_hold_us),
};

static void put_hint(struct json_out *out, const struct balloon_hint_run *run)
{
	json_out_key(out, "hint");
	json_out_open(out, '{');
	json_out_member_string(out, "phase", balloon_hint_phase_name(run->phase));
	json_out_member_u64(out, "id", run->id);
	put_counters(out, hint_counters, sizeof hint_counters / sizeof hint_counters[0], run);
	json_out_close(out, '}');
}

/* ---- All of it ------------------------------------------------------- */

void qmp_put_balloon_state(struct json_out *out, const struct machine *machine, const struct balloon_state *state)
{
	json_out_open(out, '{');
	json_out_member_string(out, "id", machine->balloon->id);
	put_memory(out, machine, state);
	json_out_member_bool(out, "stalled", state->stalled);
	json_out_member_u64(out, "stall-timeout", state->stall_timeout_s);
	json_out_member_u64(out, "oom-deflations", state->oom_deflations);
	put_driver(out, state);
	put_stats(out, state);
	put_hint(out, &state->hint);
	put_queues(out, state);
	json_out_close(out, '}');
}
