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
static struct gmem_range whole[8];

static void begin(void)
{
	CU_ASSERT_EQUAL_FATAL(balloon_map_init(&map, &gmem), 0);
}

static size_t add(uint64_t gpa, uint64_t len)
{
	const struct gmem_range range = {gpa, len};
	return balloon_map_add(&map, &range, 1, whole);
}

static void take(uint64_t gpa, uint64_t len)
{
	const struct gmem_range range = {gpa, len};
	balloon_map_remove(&map, &range, 1);
}

static void test_no_map_passes_through(void)
{
	struct gmem small = gmem;
	small.page_size = 4096;
	CU_ASSERT_EQUAL(balloon_map_init(&map, &small), 0);
	CU_ASSERT_PTR_NULL(map.bits);
	struct gmem_range ranges[] = {{0x1000, 0x1000}, {0x5000, 0x2000}};
	CU_ASSERT_EQUAL(balloon_map_add(&map, ranges, 2, ranges), 2);
	CU_ASSERT_EQUAL(ranges[1].gpa, 0x5000);
	CU_ASSERT_EQUAL(ranges[1].len, 0x2000);
	balloon_map_remove(&map, ranges, 2);
	balloon_map_clear_all(&map);
	balloon_map_finish(&map);
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
	balloon_map_finish(&map);
}

static void test_removed_piece_spoils_the_page(void)
{
	begin();
	CU_ASSERT_EQUAL(add(0, HUGE_PAGE - 4096), 0);
	take(4096, 4096);
	CU_ASSERT_EQUAL(add(HUGE_PAGE - 4096, 4096), 0);
	CU_ASSERT_EQUAL(add(4096, 4096), 1);
	balloon_map_finish(&map);
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
	balloon_map_finish(&map);
}

static void test_two_ranges_in_one_page(void)
{
	begin();
	CU_ASSERT_EQUAL(add(4096, 4096), 0);
	const struct gmem_range ranges[] = {{0, 4096}, {2 * 4096, HUGE_PAGE - 2 * 4096}, {2 * HUGE_PAGE, HUGE_PAGE}};
	CU_ASSERT_EQUAL_FATAL(balloon_map_add(&map, ranges, 3, whole), 2);
	CU_ASSERT_EQUAL(whole[0].gpa, 0);
	CU_ASSERT_EQUAL(whole[0].len, HUGE_PAGE);
	CU_ASSERT_EQUAL(whole[1].gpa, 2 * HUGE_PAGE);
	balloon_map_finish(&map);
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
	balloon_map_finish(&map);
}

static void test_clear_all(void)
{
	begin();
	add(0, HUGE_PAGE - 4096);
	balloon_map_clear_all(&map);
	CU_ASSERT_EQUAL(add(HUGE_PAGE - 4096, 4096), 0);
	balloon_map_finish(&map);
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
	balloon_map_finish(&map);
}

static const struct test_case cases[] = {
	{"held bytes", test_held_bytes},
	{"no map passes through", test_no_map_passes_through},
	{"last piece makes the page", test_last_piece_makes_the_page},
	{"removed piece spoils the page", test_removed_piece_spoils_the_page},
	{"long range gives its whole pages", test_long_range_gives_its_whole_pages},
	{"two ranges in one page", test_two_ranges_in_one_page},
	{"second region", test_second_region},
	{"clear all", test_clear_all},
};

TEST_SUITE(balloon_map, cases);
