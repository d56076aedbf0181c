#include "tests/guest/clock.h"
#include "tests/guest/memory.h"
#include "tests/guest/modes.h"
#include "tests/guest/pages.h"
#include "tests/guest/power.h"
#include "tests/guest/report.h"
#include "tests/guest/ring0.h"
#include "tests/guest/x86.h"

#define POLL_MS 10
#define PAGES_PER_MB 256
#define SEED 6

static struct page_set pool; /* all of RAM; the first b->actual_pages are in the balloon */
static size_t n_touched;     /* pages of the pool that are written to, from its start */

static uint64_t free_bytes(const struct balloon *b)
{
	size_t used = n_touched > b->actual_pages ? n_touched : b->actual_pages;
	return (pool.n - used) * PAGE_LEN;
}

/* Pages [from, end) of the pool came back: those that were in use are checked and used again. */
static void take_back(size_t from, size_t end, const struct options *options)
{
	if (end > n_touched)
		end = n_touched;
	if (from >= end)
		return;
	pages_check_zero(pool.pfns + from, end - from, SEED, options->may_keep, "after deflating");
	pages_fill(pool.pfns + from, end - from, SEED);
}

/* Goes towards the target by at most one batch, so that a new one is seen at once. Returns whether it is reached. */
static bool step(struct balloon *b, const struct options *options)
{
	size_t target = balloon_target_pages(b);
	if (target > pool.n)
		target = pool.n;
	size_t actual = b->actual_pages;
	size_t n = actual < target ? target - actual : actual - target;
	if (n > BALLOON_BUFFER_PAGES)
		n = BALLOON_BUFFER_PAGES;
	if (actual < target) {
		balloon_inflate(b, pool.pfns + actual, n, 1);
	} else if (actual > target) {
		balloon_deflate(b, pool.pfns + actual - n, n, 1);
		take_back(actual - n, actual, options);
	}
	return b->actual_pages == target;
}

static void follow_target(struct balloon *b, const struct options *options)
{
	uint32_t from = b->actual_pages;
	uint64_t start = read_tsc();
	while (!step(b, options))
		balloon_answer_stats(b, free_bytes(b), mem_ram_bytes());
	balloon_answer_stats(b, free_bytes(b), mem_ram_bytes());
	if (b->actual_pages != from)
		say("balloon: from %u to %u pages in %lu ms", from, b->actual_pages, clock_ms_since(start));
}

void follow_run(struct balloon *b, const struct options *options)
{
	pages_first(&pool, mem_free_pages());
	n_touched = (size_t)options->touch_mb * PAGES_PER_MB;
	if (n_touched > pool.n)
		n_touched = pool.n;
	pages_fill(pool.pfns, n_touched, SEED);
	power_enable_button();
	if (b)
		balloon_start(b, NUMBERING_LINUX, USES_AT_ONCE, NULL);
	say("ready: %lu MiB touched; the power button ends the run", n_touched / PAGES_PER_MB);
	while (!power_button_is_pressed()) {
		if (b)
			follow_target(b, options);
		ring0_sleep_ms(POLL_MS);
	}
	if (b)
		balloon_check_status(b);
	size_t in_balloon = b ? b->actual_pages : 0;
	if (in_balloon < n_touched)
		pages_check(pool.pfns + in_balloon, n_touched - in_balloon, SEED, "outside the balloon");
	say("the power button was pressed");
}
