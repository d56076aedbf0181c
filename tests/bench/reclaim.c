/*
 * What the balloon takes to give memory back to the host, for each kind of
 * memory and each order in which a guest may name its pages, beside what the
 * kernel alone takes for the same pages in the same run; and whether that stays
 * as it is when there is more memory. Fails when memory did not really go back,
 * never on time.
 *
 * usage: reclaim [--json] [--quick] [--false-discards] [MEMORY]
 *
 *   --quick           tiny sizes: shows that it works, and no figure worth reading
 *   --false-discards  the host does not discard what it says it does: this must fail
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/arguments.h"
#include "tests/bench/measure.h"
#include "tests/bench/patterns.h"
#include "tests/bench/rows.h"

#define MIB (1ULL << 20)
#define GIB (1ULL << 30)
#define HINT_PAGES 1024 /* of a block: what Linux hints at */

/* Sizes, in full and in quick runs. */
static const struct plan {
	uint64_t area_bytes; /* for the orders and for hints */
	unsigned rounds;
	uint64_t least_bytes, step, most_bytes; /* for growth: the first area, by how much the next is larger, the last */
} full = {256 * MIB, 3, 64 * MIB, 8, MEASURE_MAX_PAGES *AREA_PAGE}, quick = {8 * MIB, 1, 4 * MIB, 2, 16 * MIB};

static const struct plan *plan = &full;
static struct arguments asked;
static bool all_ok = true;
static unsigned n_figures;
static struct rows rows;

/* ---- Output ---------------------------------------------------------- */

/* 0 where there is nothing to compare with: half of each huge page, which cannot be discarded. */
static double ratio(double value, double limit)
{
	return limit > 0 ? value / limit : 0;
}

static double to_limit(const struct figure *f, double limit)
{
	return f->expected_bytes ? ratio(f->device_ns, limit) : 0;
}

static const char *verdict(const struct figure *f)
{
	return figure_is_ok(f) ? "" : "  FAILED: memory did not go back";
}

static void print_title(const char *title)
{
	if (!asked.as_json)
		printf("\n%s\n", title);
}

static void print_head(void)
{
	if (!asked.as_json)
		printf("  %-12s %-14s %5s %7s | %7s %7s %6s | %7s %6s | %6s | %6s %6s %5s %5s\n", "memory", "pattern", "/kick", "MiB", "device", "limit",
		       "ratio", "request", "ratio", "work", "refill", "limit", "huge", "limit");
}

static void print_row(const struct figure *f)
{
	printf("  %-12s %-14s %5u %7llu | %7.1f %7.1f %6.2f | %7.1f %6.2f | %6.1f | %6.2f %6.2f %4.0f%% %4.0f%%%s\n", f->backing, f->pattern, f->per_kick,
	       (unsigned long long)(f->area_bytes / MIB), f->device_ns, f->limit_ns, to_limit(f, f->limit_ns), f->request_limit_ns,
	       to_limit(f, f->request_limit_ns), f->work_ns, f->refill_gib_s, f->refill_limit_gib_s, 100 * f->huge_share, 100 * f->huge_share_limit,
	       verdict(f));
}

static void print_growth_head(void)
{
	if (!asked.as_json)
		printf("  %-12s %-14s %5s %7s | %7s %6s | %7s %6s | %7s %6s | %6s %6s\n", "memory", "pattern", "/kick", "MiB", "device", "growth", "limit",
		       "growth", "request", "growth", "work", "growth");
}

static void print_growth_row(const struct figure *f, const struct figure *first)
{
	printf("  %-12s %-14s %5u %7llu | %7.1f %6.2f | %7.1f %6.2f | %7.1f %6.2f | %6.1f %6.2f%s\n", f->backing, f->pattern, f->per_kick,
	       (unsigned long long)(f->area_bytes / MIB), f->device_ns, ratio(f->device_ns, first->device_ns), f->limit_ns, ratio(f->limit_ns, first->limit_ns),
	       f->request_limit_ns, ratio(f->request_limit_ns, first->request_limit_ns), f->work_ns, ratio(f->work_ns, first->work_ns), verdict(f));
}

static void add_row(const struct figure *f, const char *table)
{
	json_t *row =
		json_pack("{ss ss ss sI sI sI sf sf sf sf sf sf sf sf sI sI sb}", "table", table, "memory", f->backing, "pattern", f->pattern,
			  "requests-per-kick", (json_int_t)f->per_kick, "area-bytes", (json_int_t)f->area_bytes, "pages", (json_int_t)f->named_pages,
			  "device-ns", f->device_ns, "limit-ns", f->limit_ns, "request-limit-ns", f->request_limit_ns, "work-ns", f->work_ns, "refill-gib-s",
			  f->refill_gib_s, "refill-limit-gib-s", f->refill_limit_gib_s, "huge-share", f->huge_share, "huge-share-limit", f->huge_share_limit,
			  "expected-bytes", (json_int_t)f->expected_bytes, "returned-bytes", (json_int_t)f->returned_bytes, "ok", figure_is_ok(f));
	rows_add(&rows, row);
}

static struct figure named(struct figure figure, const struct backing *backing, const char *pattern)
{
	figure.backing = backing->name;
	figure.pattern = pattern;
	return figure;
}

static void count(const struct figure *figure)
{
	fflush(stdout);
	n_figures++;
	all_ok &= figure_is_ok(figure);
}

static void show(struct figure measured, const struct backing *backing, const char *pattern, const char *table)
{
	const struct figure figure = named(measured, backing, pattern);
	if (asked.as_json)
		add_row(&figure, table);
	else
		print_row(&figure);
	count(&figure);
}

/* ---- An area of memory ----------------------------------------------- */

struct bench {
	const struct backing *backing;
	struct guest_ram ram;
	struct measure m;
	size_t n;	 /* pages of the area */
	uint32_t *pages; /* room for n */
};

/* False when the host does not have such memory, which is said. */
static bool begin(struct bench *b, const struct backing *backing, uint64_t bytes, unsigned rounds)
{
	b->backing = backing;
	b->n = bytes / AREA_PAGE;
	const char *missing = backing_open(backing, bytes + FG_PAGES, &b->ram);
	if (missing) {
		fprintf(stderr, "  %-12s left out: %s\n", backing->name, missing);
		return false;
	}
	b->pages = malloc(b->n * sizeof *b->pages);
	if (!b->pages)
		abort();
	measure_open(&b->m, &b->ram, b->n, rounds);
	b->m.lies = asked.lies;
	return true;
}

static void end(struct bench *b)
{
	measure_close(&b->m);
	ram_finish(&b->ram);
	free(b->pages);
}

/* ---- Orders and hints ------------------------------------------------ */

static void run_orders(const struct backing *backing)
{
	struct bench b;
	if (!begin(&b, backing, plan->area_bytes, plan->rounds))
		return;
	for (size_t i = 0; i < n_patterns; i++) {
		size_t n_named = patterns[i].fill(b.pages, b.n);
		show(measure_inflate(&b.m, b.pages, n_named, 1), backing, patterns[i].name, "orders");
		show(measure_inflate(&b.m, b.pages, n_named, 128), backing, patterns[i].name, "orders");
	}
	show(measure_report(&b.m, b.pages, pattern_blocks(b.pages, b.n, 512), 512), backing, "report-2m", "orders");
	if (b.ram.gmem.page_size == AREA_PAGE)
		show(measure_report(&b.m, b.pages, pattern_blocks(b.pages, b.n, 1), 1), backing, "report-4k", "orders");
	end(&b);
}

static void run_hints(const struct backing *backing)
{
	struct bench b;
	if (!begin(&b, backing, plan->area_bytes, plan->rounds))
		return;
	show(measure_hints(&b.m, b.pages, pattern_blocks(b.pages, b.n, HINT_PAGES), HINT_PAGES), backing, "hint-4m", "hints");
	end(&b);
}

/* ---- Growth ---------------------------------------------------------- */

static const struct {
	const char *pattern;
	unsigned per_kick;
} growing[] = {{"ascending", 1}, {"large-runs", 128}, {"random", 1}};
#define N_GROWING (sizeof growing / sizeof growing[0])

static const struct pattern *pattern_of(const char *name)
{
	size_t i = 0;
	while (strcmp(patterns[i].name, name) != 0)
		i++;
	return &patterns[i];
}

/* The size after this one; the last is what there is. */
static uint64_t next_size(uint64_t bytes, uint64_t largest)
{
	uint64_t next = bytes * plan->step;
	return bytes == largest ? UINT64_MAX : next < largest ? next : largest;
}

static void run_growth(const struct backing *backing)
{
	struct figure first[N_GROWING];
	uint64_t largest = backing_spare_bytes() < plan->most_bytes ? backing_spare_bytes() / plan->least_bytes * plan->least_bytes : plan->most_bytes;

	for (uint64_t bytes = plan->least_bytes; bytes <= largest; bytes = next_size(bytes, largest)) {
		struct bench b;
		if (!begin(&b, backing, bytes, bytes > GIB ? 1 : plan->rounds))
			return;
		for (size_t i = 0; i < N_GROWING; i++) {
			const struct pattern *pattern = pattern_of(growing[i].pattern);
			const struct figure f = named(measure_inflate(&b.m, b.pages, pattern->fill(b.pages, b.n), growing[i].per_kick), backing, pattern->name);
			first[i] = bytes == plan->least_bytes ? f : first[i];
			if (asked.as_json)
				add_row(&f, "growth");
			else
				print_growth_row(&f, &first[i]);
			count(&f);
		}
		end(&b);
	}
}

/* ---- All of it ------------------------------------------------------- */

static void for_each_backing(void (*run)(const struct backing *backing))
{
	for (size_t i = 0; i < n_backings; i++)
		if (!asked.memory || asked.memory == &backings[i])
			run(&backings[i]);
}

int main(int argc, char **argv)
{
	if (!arguments_read(&asked, "reclaim", argc, argv))
		return 2;
	if (asked.is_quick)
		plan = &quick;
	if (!asked.as_json)
		printf("CPU ns per page of 4 KiB, middle of all rounds; refill in GiB/s, and its share of huge pages\n"
		       "limit: the fewest, largest discards of the same pages; request: those for each notification by itself;\n"
		       "work: the device with a host that discards nothing\n");
	print_title("Orders: requests of 256 pages, reports of 32 blocks");
	print_head();
	for_each_backing(run_orders);
	print_title("Hints: a run over all of it, with the dirty log of the fake host in device and work");
	print_head();
	for_each_backing(run_hints);
	print_title("Growth: times beside those of the smallest area");
	print_growth_head();
	for_each_backing(run_growth);
	if (asked.as_json)
		rows_end(&rows);
	return !all_ok || !n_figures;
}
