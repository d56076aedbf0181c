/*
 * What the balloon takes to give memory back to the host, for each kind of
 * memory and each order in which a guest may name its pages, beside what the
 * kernel alone takes for the same pages in the same run. Fails when memory did
 * not really go back, never on time.
 *
 * usage: reclaim [--json] [MEMORY]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/measure.h"
#include "tests/bench/patterns.h"

#define MIB (1ULL << 20)
#define GIB (1ULL << 30)
#define AREA_BYTES (256 * MIB)
#define ROUNDS 3
#define LARGEST_BYTES (4 * GIB)

static bool as_json;
static const char *only; /* this memory, NULL for all */
static bool all_ok = true;
static unsigned n_figures;

/* ---- Output ---------------------------------------------------------- */

/* 0 where there is nothing to discard: half of each huge page. */
static double ratio(const struct figure *f, double limit)
{
	return f->expected_bytes && limit > 0 ? f->device_ns / limit : 0;
}

static void print_head(const char *title)
{
	if (as_json)
		return;
	printf("\n%s\n", title);
	printf("  %-12s %-14s %5s %7s | %7s %7s %6s | %7s %6s | %6s | %6s %6s %5s %5s\n", "memory", "pattern", "/kick", "MiB", "device", "limit", "ratio",
	       "request", "ratio", "work", "refill", "limit", "huge", "limit");
}

static void print_row(const struct figure *f)
{
	printf("  %-12s %-14s %5u %7llu | %7.1f %7.1f %6.2f | %7.1f %6.2f | %6.1f | %6.2f %6.2f %4.0f%% %4.0f%%%s\n", f->backing, f->pattern, f->per_kick,
	       (unsigned long long)(f->area_bytes / MIB), f->device_ns, f->limit_ns, ratio(f, f->limit_ns), f->request_limit_ns, ratio(f, f->request_limit_ns),
	       f->work_ns, f->refill_gib_s, f->refill_limit_gib_s, 100 * f->huge_share, 100 * f->huge_share_limit,
	       figure_is_ok(f) ? "" : "  FAILED: memory did not go back");
}

static void print_object(const struct figure *f)
{
	printf("%s{\"memory\": \"%s\", \"pattern\": \"%s\", \"requests-per-kick\": %u, \"area-bytes\": %llu, \"pages\": %llu, \"device-ns\": %.2f, "
	       "\"limit-ns\": %.2f, \"request-limit-ns\": %.2f, \"work-ns\": %.2f, \"refill-gib-s\": %.3f, \"refill-limit-gib-s\": %.3f, \"huge-share\": %.3f, "
	       "\"huge-share-limit\": %.3f, \"expected-bytes\": %llu, \"returned-bytes\": %llu, \"ok\": %s}",
	       n_figures ? ",\n " : "", f->backing, f->pattern, f->per_kick, (unsigned long long)f->area_bytes, (unsigned long long)f->named_pages,
	       f->device_ns, f->limit_ns, f->request_limit_ns, f->work_ns, f->refill_gib_s, f->refill_limit_gib_s, f->huge_share, f->huge_share_limit,
	       (unsigned long long)f->expected_bytes, (unsigned long long)f->returned_bytes, figure_is_ok(f) ? "true" : "false");
}

static void show(struct figure figure, const struct backing *backing, const char *pattern)
{
	figure.backing = backing->name;
	figure.pattern = pattern;
	if (as_json)
		print_object(&figure);
	else
		print_row(&figure);
	fflush(stdout);
	n_figures++;
	all_ok &= figure_is_ok(&figure);
}

/* ---- Orders ---------------------------------------------------------- */

static uint32_t *page_array(size_t n)
{
	uint32_t *pages = malloc(n * sizeof *pages);
	if (!pages)
		abort();
	return pages;
}

static void run_backing(const struct backing *backing)
{
	struct guest_ram ram;
	struct measure m;
	size_t n = AREA_BYTES / 4096;
	const char *missing = backing_open(backing, AREA_BYTES + FG_PAGES, &ram);
	if (missing) {
		fprintf(stderr, "  %-12s left out: %s\n", backing->name, missing);
		return;
	}
	uint32_t *pages = page_array(n);
	measure_open(&m, &ram, n, ROUNDS);
	for (size_t i = 0; i < n_patterns; i++) {
		size_t named = patterns[i].fill(pages, n);
		show(measure_inflate(&m, pages, named, 1), backing, patterns[i].name);
		show(measure_inflate(&m, pages, named, 128), backing, patterns[i].name);
	}
	show(measure_report(&m, pages, pattern_blocks(pages, n, 512), 512), backing, "report-2m");
	if (ram.gmem.page_size == 4096)
		show(measure_report(&m, pages, pattern_blocks(pages, n, 1), 1), backing, "report-4k");
	measure_close(&m);
	ram_finish(&ram);
	free(pages);
}

/* ---- Growth ---------------------------------------------------------- */

static void run_size(const struct backing *backing, uint64_t bytes)
{
	struct guest_ram ram;
	struct measure m;
	size_t n = bytes / 4096;
	if (backing_open(backing, bytes + FG_PAGES, &ram))
		return;
	uint32_t *pages = page_array(n);
	measure_open(&m, &ram, n, 2);
	for (size_t i = 0; i < n_patterns; i++)
		if (&patterns[i] == PATTERN_ASCENDING || &patterns[i] == PATTERN_RANDOM)
			show(measure_inflate(&m, pages, patterns[i].fill(pages, n), 1), backing, patterns[i].name);
	measure_close(&m);
	ram_finish(&ram);
	free(pages);
}

static void run_growth(const struct backing *backing)
{
	uint64_t largest = backing_spare_bytes() < LARGEST_BYTES ? backing_spare_bytes() : LARGEST_BYTES;
	const uint64_t sizes[] = {64 * MIB, 1 * GIB, largest / GIB * GIB};
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
		if (sizes[i] <= largest && (!i || sizes[i] > sizes[i - 1]))
			run_size(backing, sizes[i]);
}

static void for_each_backing(void (*run)(const struct backing *backing))
{
	for (size_t i = 0; i < n_backings; i++)
		if (!only || !strcmp(only, backings[i].name))
			run(&backings[i]);
}

int main(int argc, char **argv)
{
	as_json = argc > 1 && !strcmp(argv[1], "--json");
	if (argc > 2 + as_json) {
		fprintf(stderr, "usage: %s [--json] [MEMORY]\n", argv[0]);
		return 2;
	}
	only = argv[1 + as_json];
	if (as_json)
		printf("[");
	else
		printf("CPU ns per page of 4 KiB, middle of all rounds; refill in GiB/s, and its share of huge pages\n"
		       "limit: the fewest, largest discards of the same pages; request: those for each notification by itself;\n"
		       "work: the device with a host that discards nothing\n");
	print_head("Orders: requests of 256 pages, reports of 32 blocks");
	for_each_backing(run_backing);
	print_head("Growth");
	for_each_backing(run_growth);
	if (as_json)
		printf("]\n");
	return !all_ok;
}
