#include "tests/guest/clock.h"
#include "tests/guest/memory.h"
#include "tests/guest/modes.h"
#include "tests/guest/pages.h"
#include "tests/guest/power.h"
#include "tests/guest/report.h"
#include "tests/guest/ring0.h"
#include "tests/guest/x86.h"

/*
 * A guest that uses hinted pages again without a word, as Linux does when it
 * runs short. Pages are in one of four classes, by groups of neighbours; each is
 * written at another moment of a run, or not at all. What was written must be
 * there in the end, whatever the host did meanwhile.
 */
#define BLOCK_PAGES 320 /* of one hint: some groups of each class */
#define GROUP_PAGES 16
#define DEFAULT_MB 64
#define PAGES_PER_MB 256
#define POLL_MS 10
#define WAIT_MS 60000

enum class {
	UNUSED,		    /* not written in the run */
	ZEROED_BEFORE_HINT, /* as Linux does with init_on_alloc=1: may go like unused ones */
	SAME_BEFORE_HINT,   /* with the bytes that are there already */
	AFTER_HINT,
	WHILE_HOST_LOOKS, /* between the last hint and the end of the run */
	N_CLASSES,
};

#define SEED_BEFORE 11
#define SEED_AFTER 12

static struct page_set pool;

static void fill_class(size_t from, size_t end, enum class class, uint64_t seed)
{
	for (size_t at = from + class * GROUP_PAGES; at + GROUP_PAGES <= end; at += N_CLASSES * GROUP_PAGES)
		pages_fill(pool.pfns + at, GROUP_PAGES, seed);
}

#define MARK 0xA5

/* The last page of a group of zeroed ones is not all zero: one byte, the last, belies it. */
static volatile uint8_t *mark_of(size_t group)
{
	return (volatile uint8_t *)(uintptr_t)((uint64_t)pool.pfns[group + GROUP_PAGES - 1] * PAGE_LEN + PAGE_LEN - 1);
}

static void zero_class(size_t from, size_t end, enum class class)
{
	for (size_t at = from + class * GROUP_PAGES; at + GROUP_PAGES <= end; at += N_CLASSES * GROUP_PAGES) {
		pages_fill_value(pool.pfns + at, GROUP_PAGES, 0);
		*mark_of(at) = MARK;
	}
}

static void check_zeroed_class(enum class class)
{
	for (size_t at = class * GROUP_PAGES; at + GROUP_PAGES <= pool.n; at += N_CLASSES * GROUP_PAGES) {
		if (*mark_of(at) != MARK)
			fail("a page that was zero but for its last byte lost that in the hint run");
		*mark_of(at) = 0;
		pages_check_value(pool.pfns + at, GROUP_PAGES, 0, "after the hint run");
	}
}

static void check_class(enum class class, uint64_t seed)
{
	for (size_t at = class * GROUP_PAGES; at + GROUP_PAGES <= pool.n; at += N_CLASSES * GROUP_PAGES)
		pages_check(pool.pfns + at, GROUP_PAGES, seed, "after the hint run");
}

static size_t count_zeroed(void)
{
	size_t zeroed = 0;
	for (size_t at = 0; at + GROUP_PAGES <= pool.n; at += N_CLASSES * GROUP_PAGES)
		zeroed += pages_check_zero(pool.pfns + at, GROUP_PAGES, SEED_BEFORE, true, "after the hint run");
	return zeroed;
}

static void wait_for_end(struct balloon *b, uint32_t id)
{
	uint64_t start = read_tsc();
	do {
		fill_class(0, pool.n, WHILE_HOST_LOOKS, SEED_AFTER);
		if (clock_ms_since(start) > WAIT_MS)
			fail("hint run %u does not end", id);
	} while (balloon_hint_command(b) == id);
}

static void run(struct balloon *b, uint32_t id)
{
	balloon_hint_say(b, id);
	for (size_t at = 0; at + BLOCK_PAGES <= pool.n; at += BLOCK_PAGES) {
		zero_class(at, at + BLOCK_PAGES, ZEROED_BEFORE_HINT);
		fill_class(at, at + BLOCK_PAGES, SAME_BEFORE_HINT, SEED_BEFORE);
		balloon_hint_pages(b, pool.pfns[at] * PAGE_LEN, BLOCK_PAGES * PAGE_LEN);
		fill_class(at, at + BLOCK_PAGES, AFTER_HINT, SEED_AFTER);
	}
	balloon_hint_say(b, BALLOON_HINT_STOP);
	wait_for_end(b, id);
	check_zeroed_class(ZEROED_BEFORE_HINT);
	check_class(SAME_BEFORE_HINT, SEED_BEFORE);
	check_class(AFTER_HINT, SEED_AFTER);
	check_class(WHILE_HOST_LOOKS, SEED_AFTER);
	say("hint run %u: %lu of %lu unused pages came back zeroed, %lu used ones are whole", id, count_zeroed(), pool.n / N_CLASSES,
	    pool.n - pool.n / N_CLASSES);
	pages_fill(pool.pfns, pool.n, SEED_BEFORE); /* for the next run */
	say("ready again after hint run %u", id);
}

void hint_run(struct balloon *b, const struct options *options)
{
	size_t mb = options->touch_mb ? options->touch_mb : DEFAULT_MB;
	pages_first(&pool, mb * PAGES_PER_MB / BLOCK_PAGES * BLOCK_PAGES);
	pages_fill(pool.pfns, pool.n, SEED_BEFORE);
	balloon_start(b, NUMBERING_LINUX, USES_AT_ONCE, NULL);
	if (!b->has_hint)
		fail("the balloon does not offer FREE_PAGE_HINT");
	power_enable_button();
	say("ready: hints at %lu pages", pool.n);
	uint32_t done = 0;
	while (!power_button_is_pressed()) {
		uint32_t cmd = balloon_hint_command(b);
		if (cmd > BALLOON_HINT_DONE && cmd != done)
			run(b, done = cmd);
		ring0_sleep_ms(POLL_MS);
	}
	balloon_check_status(b);
	say("the power button was pressed");
}
