#include "device/balloon_map.h"

#include <CUnit/CUnit.h>

#include "tests/unit/suite.h"

#define MIB (1ULL << 20)
#define HUGE_PAGE (2 * MIB)
#define HIGH (4096 * MIB)

static const struct gmem gmem = {
	.regions = {{.gpa = 0, .len = 64 * MIB}, {.gpa = HIGH, .len = 9 * MIB}},
	.n_regions = 2,
	.page_size = HUGE_PAGE,
};

static struct balloon_map map;
static struct page_set set;
static struct gmem_range whole[PAGE_SET_MIN_RANGES];

static void begin(void)
{
	CU_ASSERT_EQUAL_FATAL(balloon_map_init(&map, &gmem), 0);
	CU_ASSERT_EQUAL_FATAL(page_set_init(&set, &gmem), 0);
}

static void end(void)
{
	balloon_map_finish(&map);
	page_set_finish(&set);
}

static struct page_run run_of(uint64_t gpa, uint64_t len)
{
	return (struct page_run){.first = (uint32_t)(gpa / 4096), .count = (uint32_t)(len / 4096)};
}

/* How many ranges of host pages can be given back now; they are in `whole`. */
static size_t take_whole(void)
{
	return page_set_take(&set, false, whole, PAGE_SET_MIN_RANGES, UINT64_MAX);
}

static size_t add(uint64_t gpa, uint64_t len)
{
	const struct page_run run = run_of(gpa, len);
	balloon_map_add(&map, &run, 1, &set);
	return take_whole();
}

static void take(uint64_t gpa, uint64_t len)
{
	const struct page_run run = run_of(gpa, len);
	balloon_map_remove(&map, &run, 1, &set);
}

static void test_no_map_on_small_pages(void)
{
	struct gmem small = gmem;
	small.page_size = 4096;
	CU_ASSERT_EQUAL(balloon_map_init(&map, &small), 0);
	CU_ASSERT_PTR_NULL(map.bits);
	CU_ASSERT_EQUAL(balloon_map_held_bytes(&map), 0);
	balloon_map_clear_all(&map);
	balloon_map_finish(&map);
}

/* One that waits in the set is not given back once a piece of it is taken. */
static void test_removed_piece_keeps_a_page_that_waits(void)
{
	begin();
	const struct page_run run = run_of(HUGE_PAGE, 3 * HUGE_PAGE);
	balloon_map_add(&map, &run, 1, &set);
	take(3 * HUGE_PAGE - 4096, 4096);
	CU_ASSERT_EQUAL_FATAL(take_whole(), 2);
	CU_ASSERT_EQUAL(whole[0].gpa, HUGE_PAGE);
	CU_ASSERT_EQUAL(whole[0].len, HUGE_PAGE);
	CU_ASSERT_EQUAL(whole[1].gpa, 3 * HUGE_PAGE);
	CU_ASSERT_EQUAL(whole[1].len, HUGE_PAGE);
	end();
}

/* A slice of a discard ends between two host pages, however large they are. */
static void test_no_slice_cuts_a_page(void)
{
	begin();
	const struct page_run run = run_of(0, 32 * HUGE_PAGE);
	balloon_map_add(&map, &run, 1, &set);
	for (unsigned i = 0; i < 16; i++) {
		CU_ASSERT_EQUAL_FATAL(page_set_take(&set, false, whole, PAGE_SET_MIN_RANGES, 700), 1);
		CU_ASSERT_EQUAL(whole[0].gpa, i * 2 * HUGE_PAGE);
		CU_ASSERT_EQUAL(whole[0].len, 2 * HUGE_PAGE);
	}
	CU_ASSERT_EQUAL(set.n_pages, 0);
	end();
}

/* 511 of 512 pieces are nothing, the last one makes the page. */
static void test_last_piece_makes_the_page(void)
{
	begin();
	for (unsigned i = 0; i < 512; i++)
		if (i != 77)
			CU_ASSERT_EQUAL(add(HUGE_PAGE + i * 4096, 4096), 0);
	CU_ASSERT_EQUAL_FATAL(add(HUGE_PAGE + 77 * 4096, 4096), 1);
	CU_ASSERT_EQUAL(whole[0].gpa, HUGE_PAGE);
	CU_ASSERT_EQUAL(whole[0].len, HUGE_PAGE);
	end();
}

static void test_removed_piece_spoils_the_page(void)
{
	begin();
	CU_ASSERT_EQUAL(add(0, HUGE_PAGE - 4096), 0);
	take(4096, 4096);
	CU_ASSERT_EQUAL(add(HUGE_PAGE - 4096, 4096), 0);
	CU_ASSERT_EQUAL(add(4096, 4096), 1);
	end();
}

static void test_long_range_gives_its_whole_pages(void)
{
	begin();
	CU_ASSERT_EQUAL_FATAL(add(MIB, 8 * MIB), 1);
	CU_ASSERT_EQUAL(whole[0].gpa, HUGE_PAGE);
	CU_ASSERT_EQUAL(whole[0].len, 3 * HUGE_PAGE);
	/* The piece before completes the first page; the others are not named again. */
	CU_ASSERT_EQUAL_FATAL(add(0, MIB), 1);
	CU_ASSERT_EQUAL(whole[0].gpa, 0);
	CU_ASSERT_EQUAL(whole[0].len, HUGE_PAGE);
	end();
}

static void test_runs_in_one_page(void)
{
	begin();
	CU_ASSERT_EQUAL(add(4096, 4096), 0);
	const struct page_run runs[] = {run_of(2 * HUGE_PAGE, HUGE_PAGE), run_of(2 * 4096, HUGE_PAGE - 2 * 4096), run_of(0, 4096)};
	balloon_map_add(&map, runs, 3, &set);
	CU_ASSERT_EQUAL_FATAL(take_whole(), 2);
	CU_ASSERT_EQUAL(whole[0].gpa, 0);
	CU_ASSERT_EQUAL(whole[0].len, HUGE_PAGE);
	CU_ASSERT_EQUAL(whole[1].gpa, 2 * HUGE_PAGE);
	end();
}

/* The second region ends with half a host page, which never can be whole. Its bits do not mix with the first region's. */
static void test_second_region(void)
{
	begin();
	CU_ASSERT_EQUAL_FATAL(add(HIGH, 9 * MIB), 1);
	CU_ASSERT_EQUAL(whole[0].gpa, HIGH);
	CU_ASSERT_EQUAL(whole[0].len, 8 * MIB);
	CU_ASSERT_EQUAL(add(62 * MIB, 2 * MIB - 4096), 0);
	CU_ASSERT_EQUAL(add(64 * MIB - 4096, 4096), 1);
	CU_ASSERT_EQUAL(whole[0].gpa, 62 * MIB);
	end();
}

static void test_clear_all(void)
{
	begin();
	add(0, HUGE_PAGE - 4096);
	balloon_map_clear_all(&map);
	CU_ASSERT_EQUAL(add(HUGE_PAGE - 4096, 4096), 0);
	end();
}

/* What is in the balloon, but not given back. */
static void test_held_bytes(void)
{
	begin();
	add(HUGE_PAGE + 4096, 3 * HUGE_PAGE);
	CU_ASSERT_EQUAL(balloon_map_held_bytes(&map), HUGE_PAGE);
	add(HUGE_PAGE + 4096, 8192); /* again: nothing changes */
	CU_ASSERT_EQUAL(balloon_map_held_bytes(&map), HUGE_PAGE);
	add(HUGE_PAGE, 4096);
	CU_ASSERT_EQUAL(balloon_map_held_bytes(&map), 4096);
	take(3 * HUGE_PAGE, 4096); /* breaks up a whole one */
	CU_ASSERT_EQUAL(balloon_map_held_bytes(&map), HUGE_PAGE);
	add(HIGH + 8 * MIB, MIB); /* the end of RAM is no whole page */
	CU_ASSERT_EQUAL(balloon_map_held_bytes(&map), HUGE_PAGE + MIB);
	balloon_map_clear_all(&map);
	CU_ASSERT_EQUAL(balloon_map_held_bytes(&map), 0);
	end();
}

static const struct test_case cases[] = {
	{"held bytes", test_held_bytes},
	{"no map on small pages", test_no_map_on_small_pages},
	{"last piece makes the page", test_last_piece_makes_the_page},
	{"removed piece spoils the page", test_removed_piece_spoils_the_page},
	{"long range gives its whole pages", test_long_range_gives_its_whole_pages},
	{"runs in one page", test_runs_in_one_page},
	{"removed piece keeps a page that waits", test_removed_piece_keeps_a_page_that_waits},
	{"no slice cuts a page", test_no_slice_cuts_a_page},
	{"second region", test_second_region},
	{"clear all", test_clear_all},
};

TEST_SUITE(balloon_map, cases);
