#include "cli/metrics_text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "parser/utf8.h"

#define PREFIX "vmm_balloon_"

/* Where a family's values stand. */
enum source {
	FROM_UP,     /* 1 or 0: whether the VM answers */
	FROM_STATUS, /* members of query-status */
	FROM_MEMORY, /* ... of query-memory-size-summary */
	FROM_STATE,  /* ... of x-query-balloon */
	FROM_LEFT,   /* ... of query-balloon, which QEMU has too */
	FROM_UPDATE, /* ... of guest-stats in x-query-balloon; 0: never */
	FROM_STATS,  /* ... of its stats */
	FROM_HINT,   /* ... of hint in x-query-balloon */
	FROM_QUEUES, /* ... of each queue in x-query-balloon */
	FROM_FAULTS, /* all members of `faults` of each queue */
};

/* One row per family; `name` without the prefix, the unit's suffix and _total. */
static const struct family {
	const char *name, *unit;
	bool is_counter;
	enum source source;
	const char *member;
	double scale; /* 0: as it is */
	const char *help;
} families[] = {
	{"up", NULL, false, FROM_UP, NULL, 0, "Whether the VM answers on its control socket."},
	{"running", NULL, false, FROM_STATUS, "running", 0, "Whether its vCPUs run."},
	{"ram", "bytes", false, FROM_MEMORY, "base-memory", 0, "RAM that the guest was given."},
	{"ram_resident", "bytes", false, FROM_MEMORY, "x-ram-rss", 0, "Host memory behind the guest's RAM."},
	{"left", "bytes", false, FROM_LEFT, "actual", 0, "RAM less what is in the balloon."},
	{"target", "bytes", false, FROM_STATE, "balloon-target", 0, "What the balloon is to take from the guest."},
	{"actual", "bytes", false, FROM_STATE, "balloon-actual", 0, "What the balloon has taken from the guest."},
	{"held", "bytes", false, FROM_STATE, "held-bytes", 0, "In the balloon, but not given back: parts of host pages that are not wholly in it."},
	{"driver_ok", NULL, false, FROM_STATE, "driver-ok", 0, "Whether the guest has a balloon driver at work."},
	{"suspended", NULL, false, FROM_STATE, "suspended", 0, "Whether the guest has the balloon suspended."},
	{"stalled", NULL, false, FROM_STATE, "stalled", 0, "Whether the balloon does not come nearer to its target."},
	{"oom_deflations", NULL, true, FROM_STATE, "oom-deflations", 0, "Times that the guest, out of memory, took pages back."},
	{"queue_buffers", NULL, true, FROM_QUEUES, "buffers", 0, "Buffers of the guest that were served."},
	{"queue_pages", NULL, true, FROM_QUEUES, "pages", 0, "Pages of 4 KiB that the guest named."},
	{"queue_ranges", NULL, true, FROM_QUEUES, "ranges", 0, "Ranges of pages handed to the host after merging."},
	{"queue_discarded", "bytes", true, FROM_QUEUES, "discarded-bytes", 0, "Memory given back to the host."},
	{"queue_failed", "bytes", true, FROM_QUEUES, "failed-bytes", 0, "Memory that the host did not take back."},
	{"queue_written", "bytes", true, FROM_QUEUES, "written-bytes", 0, "Hinted memory left alone because the guest had written it since."},
	{"queue_bad_pages", NULL, true, FROM_QUEUES, "bad-pages", 0, "Page numbers of the guest that were refused."},
	{"queue_bad_buffers", NULL, true, FROM_QUEUES, "bad-buffers", 0, "Buffers of the guest that were refused."},
	{"queue_faults", NULL, true, FROM_FAULTS, NULL, 0, "Requests that were wrong or that the host refused, by what was the matter."},
	{"hint_runs", NULL, true, FROM_HINT, "runs", 0, "Free page hinting runs that were started."},
	{"hint_hinted", "bytes", false, FROM_HINT, "hinted", 0, "Memory that the guest called free in the last hinting run."},
	{"hint_discarded", "bytes", false, FROM_HINT, "discarded", 0, "Memory given back to the host in the last hinting run."},
	{"hint_duration", "seconds", false, FROM_HINT, "duration-ms", 1e-3, "Length of the last hinting run."},
	{"hint_longest_hold", "seconds", false, FROM_HINT, "longest-hold-us", 1e-6, "Longest time that the vCPUs were held in the last hinting run."},
	{"guest_stats_timestamp", "seconds", false, FROM_UPDATE, "last-update", 0, "When the guest last reported the figures below, Unix time."},
	{"guest_memory", "bytes", false, FROM_STATS, "stat-total-memory", 0, "Memory that the guest's kernel manages."},
	{"guest_free", "bytes", false, FROM_STATS, "stat-free-memory", 0, "Memory that the guest does not use at all."},
	{"guest_available", "bytes", false, FROM_STATS, "stat-available-memory", 0, "Memory that the guest could get without swapping."},
	{"guest_disk_caches", "bytes", false, FROM_STATS, "stat-disk-caches", 0, "Memory of the guest that caches files."},
	{"guest_swap_in", "bytes", true, FROM_STATS, "stat-swap-in", 0, "Memory that the guest swapped in."},
	{"guest_swap_out", "bytes", true, FROM_STATS, "stat-swap-out", 0, "Memory that the guest swapped out."},
	{"guest_major_faults", NULL, true, FROM_STATS, "stat-major-faults", 0, "Page faults of the guest that needed its disk."},
	{"guest_minor_faults", NULL, true, FROM_STATS, "stat-minor-faults", 0, "Page faults of the guest that did not."},
	{"guest_hugetlb_allocations", NULL, true, FROM_STATS, "stat-htlb-pgalloc", 0, "Huge pages that the guest allocated."},
	{"guest_hugetlb_failures", NULL, true, FROM_STATS, "stat-htlb-pgfail", 0, "Huge pages that the guest could not allocate."},
	{"guest_oom_kills", NULL, true, FROM_STATS, "stat-oom-kills", 0, "Processes that the guest killed for want of memory."},
	{"guest_allocation_stalls", NULL, true, FROM_STATS, "stat-alloc-stalls", 0, "Allocations of the guest that had to reclaim pages first."},
	{"guest_async_scanned_pages", NULL, true, FROM_STATS, "stat-async-scans", 0, "Pages that the guest's kswapd looked at."},
	{"guest_direct_scanned_pages", NULL, true, FROM_STATS, "stat-direct-scans", 0, "Pages that the guest's allocations looked at."},
	{"guest_async_reclaimed_pages", NULL, true, FROM_STATS, "stat-async-reclaims", 0, "Pages that the guest's kswapd reclaimed."},
	{"guest_direct_reclaimed_pages", NULL, true, FROM_STATS, "stat-direct-reclaims", 0, "Pages that the guest's allocations reclaimed."},
};
#define N_FAMILIES (sizeof families / sizeof families[0])

/* Where it goes. */
struct text {
	FILE *out;
	enum metrics_format format;
	const struct family *family;
	const struct metrics_vm *vm;
};

/* ---- Words ----------------------------------------------------------- */

/* A counter's family has no _total in OpenMetrics; its samples always have. */
static void put_name(const struct text *text, bool with_total)
{
	const struct family *family = text->family;

	fprintf(text->out, PREFIX "%s%s%s%s", family->name, family->unit ? "_" : "", family->unit ? family->unit : "",
		family->is_counter && with_total ? "_total" : "");
}

/* The value of a label: nothing in it may drive a terminal, end the string or the line. */
static void put_label(const struct text *text, const char *name, const char *value)
{
	char *shown = utf8_escaped(value);

	fprintf(text->out, "%s=\"", name);
	for (const char *c = shown ? shown : ""; *c; c++)
		fprintf(text->out, *c == '"' || *c == '\\' ? "\\%c" : "%c", *c);
	fputc('"', text->out);
	free(shown);
}

static void put_head(const struct text *text)
{
	bool is_old = text->format == METRICS_PROMETHEUS;

	fputs("# HELP ", text->out);
	put_name(text, is_old);
	fprintf(text->out, " %s\n# TYPE ", text->family->help);
	put_name(text, is_old);
	fputs(text->family->is_counter ? " counter\n" : " gauge\n", text->out);
	if (is_old || !text->family->unit)
		return;
	fputs("# UNIT ", text->out);
	put_name(text, false);
	fprintf(text->out, " %s\n", text->family->unit);
}

/* ---- Values ---------------------------------------------------------- */

/* One sample, unless the value is none. */
static void put_sample(const struct text *text, const json_t *value, const char *queue, const char *fault)
{
	uint64_t number = json_is_boolean(value) ? json_is_true(value) : qmp_client_u64(value);

	if (number == UINT64_MAX)
		return;
	put_name(text, true);
	fputc('{', text->out);
	put_label(text, "vm", text->vm->name);
	if (queue) {
		fputc(',', text->out);
		put_label(text, "queue", queue);
	}
	if (fault) {
		fputc(',', text->out);
		put_label(text, "fault", fault);
	}
	if (text->family->scale > 0)
		fprintf(text->out, "} %.9g\n", (double)number * text->family->scale);
	else
		fprintf(text->out, "} %" PRIu64 "\n", number);
}

/* The values of a family that one VM has one of. */
static const json_t *single_value(const struct text *text)
{
	json_t *const *answers = text->vm->answers;
	const json_t *state = answers[VM_ANSWER_X_BALLOON];
	const json_t *stats = json_object_get(state, "guest-stats");
	const char *member = text->family->member;

	switch (text->family->source) {
	case FROM_STATUS:
		return json_object_get(answers[VM_ANSWER_STATUS], member);
	case FROM_MEMORY:
		return json_object_get(answers[VM_ANSWER_MEMORY], member);
	case FROM_LEFT:
		return json_object_get(answers[VM_ANSWER_BALLOON], member);
	case FROM_STATE:
		return json_object_get(state, member);
	case FROM_UPDATE:
		return json_number_value(json_object_get(stats, member)) > 0 ? json_object_get(stats, member) : NULL;
	case FROM_STATS:
		return json_object_get(json_object_get(stats, "stats"), member);
	case FROM_HINT:
		return json_object_get(json_object_get(state, "hint"), member);
	default:
		return NULL;
	}
}

static void put_faults(const struct text *text, const char *queue_name, json_t *faults)
{
	const char *fault;
	json_t *count;

	json_object_foreach(faults, fault, count)
	{
		put_sample(text, count, queue_name, fault);
	}
}

static void put_queues(const struct text *text)
{
	json_t *queues = json_object_get(text->vm->answers[VM_ANSWER_X_BALLOON], "queues");
	const char *queue_name;
	json_t *queue;

	json_object_foreach(queues, queue_name, queue)
	{
		if (text->family->source == FROM_QUEUES)
			put_sample(text, json_object_get(queue, text->family->member), queue_name, NULL);
		else
			put_faults(text, queue_name, json_object_get(queue, "faults"));
	}
}

static void put_values(const struct text *text)
{
	if (text->family->source == FROM_UP)
		put_sample(text, text->vm->answers ? json_true() : json_false(), NULL, NULL);
	else if (text->vm->answers && text->family->source >= FROM_QUEUES)
		put_queues(text);
	else if (text->vm->answers)
		put_sample(text, single_value(text), NULL, NULL);
}

void metrics_write(FILE *out, enum metrics_format format, const struct metrics_vm *vms, size_t n)
{
	for (size_t i = 0; i < N_FAMILIES; i++) {
		struct text text = {.out = out, .format = format, .family = &families[i]};
		put_head(&text);
		for (size_t j = 0; j < n; j++) {
			text.vm = &vms[j];
			put_values(&text);
		}
	}
	if (format == METRICS_OPENMETRICS)
		fputs("# EOF\n", out);
}
