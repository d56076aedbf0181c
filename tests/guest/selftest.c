#include "tests/guest/clock.h"
#include "tests/guest/memory.h"
#include "tests/guest/modes.h"
#include "tests/guest/pages.h"
#include "tests/guest/report.h"
#include "tests/guest/ring0.h"
#include "tests/guest/x86.h"

/* Pages to test when no target says how many. */
#define DEFAULT_PAGES 16384

#define SEED_PROBE 1
#define SEED_KEPT 2
#define SEED_BEFORE 3 /* what the balloon's pages hold when they are given away */
#define SEED_AFTER 4  /* ... and what is written when they came back */

#define PROBE_STEP (128ULL << 20)
#define PROBE_MAX 8192
#define POISON 0xAAAAAAAAu /* what Linux poisons free pages with (include/linux/poison.h) */
#define POISON_WORD 0xAAAAAAAAAAAAAAAAul

#define REPORT_BLOCK_PAGES 512 /* 2 MiB, what Linux reports at least */
#define MAX_REPORTED_RANGES 1024
#define REUSED_BUFFERS 16
#define IN_FLIGHT 8 /* buffers at a time where several are tried */

static struct page_set given, kept;
static struct page_set reported, unreported; /* parts of the given ones */

/* One page here and there over all of RAM: is each one a page of its own? Without the cost of touching all. */
static void probe_ram(void)
{
	struct page_set probes = {mem_alloc(PROBE_MAX * sizeof(uint32_t)), 0};
	for (size_t i = 0; i < mem_n_free; i++) {
		for (uint64_t at = 0; at < mem_free[i].len && probes.n < PROBE_MAX - mem_n_free; at += PROBE_STEP)
			probes.pfns[probes.n++] = (uint32_t)((mem_free[i].gpa + at) / PAGE_LEN);
		probes.pfns[probes.n++] = (uint32_t)((mem_free[i].gpa + mem_free[i].len) / PAGE_LEN - 1);
	}
	pages_fill(probes.pfns, probes.n, SEED_PROBE);
	pages_check(probes.pfns, probes.n, SEED_PROBE, "of the probe");
	say("RAM: %lu pages all over it are pages of their own", probes.n);
}

static void fill_all(uint64_t seed)
{
	uint64_t start = read_tsc();
	pages_fill(given.pfns, given.n, seed);
	pages_fill(kept.pfns, kept.n, SEED_KEPT);
	pages_check(given.pfns, given.n, seed, "after writing");
	pages_check(kept.pfns, kept.n, SEED_KEPT, "after writing");
	say("RAM: wrote and read back %lu pages in %lu ms", given.n + kept.n, clock_ms_since(start));
}

/* So that somebody can look at the VM from outside. */
static void hold(uint32_t ms)
{
	uint64_t start = read_tsc();
	while (clock_ms_since(start) < ms)
		ring0_sleep_ms(10);
}

/* Inflate all, deflate all; what was given away comes back zero, what was kept is whole. */
static void test_inflate(struct balloon *b, const struct options *options, unsigned depth)
{
	uint64_t start = read_tsc();
	balloon_inflate(b, given.pfns, given.n, depth);
	uint64_t took = clock_since(start);
	say("inflated %lu pages, %u buffers at a time, %lu %s a page", given.n, depth, took / given.n, clock_unit());
	pages_check(kept.pfns, kept.n, SEED_KEPT, "beside an inflated page");
	hold(options->hold_ms);
	start = read_tsc();
	balloon_deflate(b, given.pfns, given.n, depth);
	took = clock_since(start);
	size_t zeroed = pages_check_zero(given.pfns, given.n, SEED_BEFORE, options->may_keep, "after deflating");
	pages_check(kept.pfns, kept.n, SEED_KEPT, "beside a deflated page");
	say("deflated them, %lu %s a page; %lu came back zeroed, %lu as they were, %lu neighbours are whole", took / given.n, clock_unit(), zeroed,
	    given.n - zeroed, kept.n);
}

/*
 * Without MUST_TELL_HOST a page may be used again at once: what is written
 * after the acknowledgement stays (VIRTIO 1.4, section 5.5.6).
 */
static void test_reuse(struct balloon *b)
{
	size_t stride = given.n / REUSED_BUFFERS / BALLOON_BUFFER_PAGES * BALLOON_BUFFER_PAGES + BALLOON_BUFFER_PAGES;
	size_t pages = 0;
	for (size_t at = 0; at + BALLOON_BUFFER_PAGES <= given.n; at += stride, pages += BALLOON_BUFFER_PAGES) {
		balloon_inflate(b, given.pfns + at, BALLOON_BUFFER_PAGES, 1);
		pages_fill(given.pfns + at, BALLOON_BUFFER_PAGES, SEED_AFTER);
	}
	clock_wait_ms(20);
	for (size_t at = 0; at + BALLOON_BUFFER_PAGES <= given.n; at += stride) {
		pages_check(given.pfns + at, BALLOON_BUFFER_PAGES, SEED_AFTER, "used again after inflating");
		balloon_deflate(b, given.pfns + at, BALLOON_BUFFER_PAGES, 1);
		pages_check(given.pfns + at, BALLOON_BUFFER_PAGES, SEED_AFTER, "used again, then deflated");
	}
	say("used %lu pages again as soon as their inflation was acknowledged; they kept what was written", pages);
}

/* A range of `pages` consecutive pages from given.pfns[at] on? */
static bool is_run(size_t at, size_t pages)
{
	size_t i = 1;
	while (i < pages && at + i < given.n && given.pfns[at + i] == given.pfns[at] + i)
		i++;
	return i == pages;
}

/* Which of the given pages to report: ranges of `pages` pages, aligned to their length. Of single pages every other one, so that neighbours stay. */
static size_t choose_reported(size_t pages)
{
	size_t n_ranges = 0;
	size_t alignment = pages > 1 ? pages : 2;
	reported.n = unreported.n = 0;
	for (size_t at = 0; at < given.n;) {
		bool take = n_ranges < MAX_REPORTED_RANGES && given.pfns[at] % alignment == 0 && is_run(at, pages);
		struct page_set *set = take ? &reported : &unreported;
		for (size_t i = 0; i < (take ? pages : 1); i++)
			set->pfns[set->n++] = given.pfns[at++];
		n_ranges += take;
	}
	return n_ranges;
}

/* In chains that are as long as the device takes. */
static void report_ranges(struct balloon *b, size_t n_ranges, size_t pages)
{
	for (size_t done = 0; done < n_ranges;) {
		struct virtq_buffer ranges[BALLOON_REPORT_RANGES];
		size_t n = 0;
		for (; n < balloon_report_max(b) && done < n_ranges; n++, done++)
			ranges[n] = (struct virtq_buffer){reported.pfns[done * pages] * PAGE_LEN, (uint32_t)(pages * PAGE_LEN)};
		balloon_report(b, ranges, n);
	}
}

/*
 * Reported pages come back zeroed; with a poison value that free pages hold,
 * they hold it still (VIRTIO 1.4, section 5.5.6.7). The rest is as it was.
 */
static void test_report(struct balloon *b, const struct options *options, size_t pages)
{
	size_t n_ranges = choose_reported(pages);
	pages_fill(given.pfns, given.n, SEED_BEFORE);
	if (b->has_poison)
		pages_fill_value(reported.pfns, reported.n, POISON_WORD);
	uint64_t start = read_tsc();
	report_ranges(b, n_ranges, pages);
	uint64_t took = clock_since(start);
	size_t zeroed = 0;
	if (b->has_poison)
		pages_check_value(reported.pfns, reported.n, POISON_WORD, "reported while poisoned");
	else
		zeroed = pages_check_zero(reported.pfns, reported.n, SEED_BEFORE, options->may_keep, "after reporting");
	pages_check(unreported.pfns, unreported.n, SEED_BEFORE, "not reported");
	pages_check(kept.pfns, kept.n, SEED_KEPT, "beside a reported page");
	say("reported %lu %sranges of %lu KiB, %lu %s each; %lu pages came back zeroed, %lu as they were", n_ranges, b->has_poison ? "poisoned " : "",
	    pages * PAGE_LEN / 1024, n_ranges ? took / n_ranges : 0, clock_unit(), zeroed, reported.n - zeroed);
}

/* A reset gives everything back: pages that were in the balloon are plain RAM again. */
static void test_reset(struct balloon *b)
{
	size_t n = given.n < BALLOON_BUFFER_PAGES ? given.n : BALLOON_BUFFER_PAGES;
	balloon_inflate(b, given.pfns, n, 1);
	balloon_check_status(b);
	balloon_stop(b);
	pages_fill(given.pfns, n, SEED_AFTER);
	pages_check(given.pfns, n, SEED_AFTER, "after the device's reset");
}

static void test_balloon(struct balloon *b, const struct options *options, enum balloon_numbering numbering, bool has_target)
{
	static const uint32_t poison = POISON;
	balloon_start(b, numbering, USES_AT_ONCE, numbering == NUMBERING_LINUX ? &poison : NULL);
	fill_all(SEED_BEFORE);
	if (has_target) {
		test_inflate(b, options, numbering == NUMBERING_SPEC ? IN_FLIGHT : 1);
		balloon_answer_stats(b, mem_free_pages() * PAGE_LEN, mem_ram_bytes());
		fill_all(SEED_AFTER);
		test_reuse(b);
	} else {
		say("the target is 0: nothing to inflate");
	}
	if (b->has_report) {
		test_report(b, options, REPORT_BLOCK_PAGES);
		test_report(b, options, 1);
	}
	balloon_check_status(b);
	if (has_target)
		test_reset(b);
	else
		balloon_stop(b);
}

static void choose_pages(uint32_t target_pages)
{
	size_t want = target_pages ? target_pages : DEFAULT_PAGES;
	if (want > mem_free_pages())
		want = mem_free_pages();
	reported.pfns = mem_alloc(want * sizeof(uint32_t));
	unreported.pfns = mem_alloc(want * sizeof(uint32_t));
	pages_choose(&given, &kept, want);
	if (!given.n)
		fail("there is no RAM to test");
	if (given.n < target_pages)
		say("the target of %u pages is more than the %lu that can be given away", target_pages, given.n);
}

void selftest_run(struct balloon *b, const struct options *options)
{
	uint32_t target_pages = b ? balloon_target_pages(b) : 0;
	probe_ram();
	choose_pages(target_pages);
	if (!b)
		fill_all(SEED_BEFORE);
	if (b && options->numbering_spec)
		test_balloon(b, options, NUMBERING_SPEC, target_pages != 0);
	if (b && options->numbering_linux)
		test_balloon(b, options, NUMBERING_LINUX, target_pages != 0);
}
