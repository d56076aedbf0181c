#include "tests/bench/patterns.h"
#include "tests/guest/clock.h"
#include "tests/guest/memory.h"
#include "tests/guest/modes.h"
#include "tests/guest/pages.h"
#include "tests/guest/power.h"
#include "tests/guest/report.h"
#include "tests/guest/ring0.h"
#include "tests/guest/x86.h"

/*
 * What memory costs when it is used again after the balloon had it, by the order in which it was given away: how fast it
 * is there, and, for somebody who looks at the VM from outside, whether huge pages are behind it again.
 */
#define DEFAULT_PAGES 32768
#define PATTERN_MULTIPLE 1024
#define BLOCK_PAGES 512
#define POLL_MS 10
#define SETTLE_MS 50 /* longer than a host waits for the rest of a huge page once the driver has paused */
#define PAUSE_MS 3   /* after which the host no longer waits: device/balloon_lazy.c */
#define SEED 7

static struct page_set region; /* whole huge pages, ascending */
static struct page_set given;  /* those of them that are given away, in the pattern's order */

static void choose_region(size_t want)
{
	want -= want % PATTERN_MULTIPLE;
	given.pfns = mem_alloc(want * sizeof(uint32_t));
	pages_blocks(&region, want);
	region.n -= region.n % PATTERN_MULTIPLE;
	if (!region.n)
		fail("mode=refill wants 4 MiB in one piece at least");
}

/* Patterns count from 0. */
static void choose_given(const struct pattern *pattern)
{
	given.n = pattern->fill(given.pfns, region.n);
	for (size_t i = 0; i < given.n; i++)
		given.pfns[i] = region.pfns[given.pfns[i]];
}

/* A deflated page is ours once its buffer was used, also if the host still kept it for the rest of its huge page. */
static void check_taken_back(struct balloon *b, unsigned depth)
{
	balloon_inflate(b, given.pfns, given.n, depth);
	balloon_deflate(b, given.pfns, given.n, depth);
	pages_fill(given.pfns, given.n, SEED);
	ring0_sleep_ms(SETTLE_MS);
	pages_check(given.pfns, given.n, SEED, "used again after deflating");
}

/* Batch by batch. Returns how often the host may have seen the driver pause in between: it counts whole milliseconds. */
static uint64_t give_away(struct balloon *b, unsigned depth)
{
	uint64_t pauses = 0, before = read_tsc();
	for (size_t done = 0, n; done < given.n; done += n) {
		n = given.n - done < depth * BALLOON_BUFFER_PAGES ? given.n - done : depth * BALLOON_BUFFER_PAGES;
		balloon_inflate(b, given.pfns + done, n, depth);
		pauses += clock_ms_since(before) >= PAUSE_MS - 1;
		before = read_tsc();
	}
	return pauses;
}

/* The most that can be had: each huge page in one piece. */
static void report_region(struct balloon *b)
{
	for (size_t at = 0; at < region.n;) {
		struct virtq_buffer ranges[BALLOON_REPORT_RANGES];
		size_t n = 0;
		for (; n < balloon_report_max(b) && at < region.n; n++, at += BLOCK_PAGES)
			ranges[n] = (struct virtq_buffer){region.pfns[at] * PAGE_LEN, BLOCK_PAGES * PAGE_LEN};
		balloon_report(b, ranges, n);
	}
}

static void wait_for_button(void)
{
	power_enable_button();
	say("ready: all of it is in use again; the power button ends the run");
	while (!power_button_is_pressed())
		ring0_sleep_ms(POLL_MS);
}

void refill_run(struct balloon *b, const struct options *options)
{
	const struct pattern *pattern = options->pattern ? &patterns[options->pattern - 1] : NULL;
	uint32_t target = balloon_target_pages(b);
	choose_region(target ? target : DEFAULT_PAGES);
	balloon_start(b, NUMBERING_LINUX, TELLS_FIRST, NULL);
	if (!pattern && !b->has_report)
		fail("pattern=whole wants free_page_reporting");
	if (pattern) {
		choose_given(pattern);
		check_taken_back(b, options->depth);
	}
	pages_fill(region.pfns, region.n, SEED);

	uint64_t start = read_tsc(), pauses = 0;
	if (pattern)
		pauses = give_away(b, options->depth);
	else
		report_region(b);
	uint64_t give = clock_since(start);
	ring0_sleep_ms(SETTLE_MS);
	if (pattern)
		balloon_deflate(b, given.pfns, given.n, options->depth);
	start = read_tsc();
	pages_touch(region.pfns, region.n, SEED);
	uint64_t refill = clock_since(start);
	size_t n = pattern ? given.n : region.n;
	say("refill pattern=%s depth=%u pages=%lu give=%lu pauses=%lu refill=%lu unit=%s", pattern ? pattern->name : "whole", options->depth, n, give, pauses,
	    refill, clock_unit());
	balloon_check_status(b);
	wait_for_button();
}
