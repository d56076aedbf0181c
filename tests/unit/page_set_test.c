#include <CUnit/CUnit.h>
#include <stdlib.h>
#include <string.h>

#include "device/page_set.h"
#include "tests/unit/suite.h"

#define PAGE 4096ULL
#define MANY 4096
#define N_PAGES 16384u /* of the plain layout, from page 0 on */

static const struct gmem plain = {.regions = {{.gpa = 0, .len = N_PAGES * PAGE}}, .n_regions = 1, .page_size = PAGE};

/* Regions that touch in the middle of a block and of a word, and one far up that ends in the middle of a block. */
static const struct gmem split = {
	.regions = {{.gpa = 0, .len = 100 * PAGE}, {.gpa = 100 * PAGE, .len = 1000 * PAGE}, {.gpa = 1ULL << 43, .len = 700 * PAGE}},
	.n_regions = 3,
	.page_size = PAGE,
};

static struct page_set set;
static struct gmem_range ranges[MANY];

static void begin(const struct gmem *gmem)
{
	CU_ASSERT_EQUAL_FATAL(page_set_init(&set, gmem), 0);
}

static void add(uint64_t first, uint32_t count)
{
	page_set_add(&set, &(struct page_run){.first = (uint32_t)first, .count = count}, 1);
}

static void drop(uint64_t first, uint32_t count)
{
	page_set_remove(&set, &(struct page_run){.first = (uint32_t)first, .count = count}, 1);
}

static void expect(size_t index, uint64_t first, uint64_t count)
{
	CU_ASSERT_EQUAL(ranges[index].gpa, first * PAGE);
	CU_ASSERT_EQUAL(ranges[index].len, count * PAGE);
}

static size_t take_all(void)
{
	size_t n = page_set_take(&set, false, ranges, MANY, UINT64_MAX);
	CU_ASSERT_EQUAL(set.n_pages, 0);
	CU_ASSERT_EQUAL(set.n_whole, 0);
	CU_ASSERT_EQUAL(set.n_pieces, 0);
	CU_ASSERT_EQUAL(page_set_most_broken(&set), 0);
	return n;
}

static void test_order_and_merging(void)
{
	begin(&plain);
	add(4095, 1);
	add(10, 2);
	add(8, 2);
	add(9, 1);
	add(510, 4);
	add(0, 1);
	CU_ASSERT_EQUAL(set.n_pages, 10);
	CU_ASSERT_EQUAL(take_all(), 4);
	expect(0, 0, 1);
	expect(1, 8, 4);
	expect(2, 510, 4);
	expect(3, 4095, 1);
	CU_ASSERT_EQUAL(take_all(), 0);
	page_set_finish(&set);
}

static void test_borders_of_regions(void)
{
	uint64_t far = split.regions[2].gpa / PAGE;
	begin(&split);
	add(far + 690, 10);
	add(90, 1010);
	add(far, 1);
	CU_ASSERT_EQUAL(take_all(), 4);
	expect(0, 90, 10);
	expect(1, 100, 1000);
	expect(2, far, 1);
	expect(3, far + 690, 10);
	page_set_finish(&set);
}

static void test_whole_blocks(void)
{
	begin(&plain);
	add(512, 511);
	add(2048, 1024);
	CU_ASSERT_EQUAL(set.n_whole, 2);
	add(1023, 1);
	add(1023, 1);
	CU_ASSERT_EQUAL(set.n_whole, 3);
	drop(2050, 1);
	drop(2050, 1);
	CU_ASSERT_EQUAL(set.n_whole, 2);
	CU_ASSERT_EQUAL(page_set_take(&set, true, ranges, MANY, UINT64_MAX), 2);
	expect(0, 512, 512);
	expect(1, 2560, 512);
	CU_ASSERT_EQUAL(set.n_pages, 511);
	CU_ASSERT_EQUAL(set.n_pieces, 9);
	CU_ASSERT_EQUAL(page_set_take(&set, true, ranges, MANY, UINT64_MAX), 0);
	CU_ASSERT_EQUAL(take_all(), 2);
	expect(0, 2048, 2);
	expect(1, 2051, 509);
	page_set_finish(&set);
}

/* The end of RAM in the middle of a block: it never is a whole one. */
static void test_short_block(void)
{
	uint64_t far = split.regions[2].gpa / PAGE;
	begin(&split);
	add(far, 700);
	CU_ASSERT_EQUAL(set.n_whole, 1);
	CU_ASSERT_EQUAL(take_all(), 1);
	expect(0, far, 700);
	page_set_finish(&set);
}

static void test_clear(void)
{
	begin(&plain);
	add(3, 2000);
	page_set_clear(&set);
	CU_ASSERT_EQUAL(take_all(), 0);
	add(5, 1);
	CU_ASSERT_EQUAL(take_all(), 1);
	expect(0, 5, 1);
	page_set_finish(&set);
}

/* Every second page: more ranges than there is room for. Nothing is lost, nothing comes twice. */
static void test_little_room(void)
{
	unsigned taken = 0;
	begin(&plain);
	for (uint32_t page = 0; page < N_PAGES; page += 2)
		add(page, 1);
	while (set.n_pages) {
		size_t n = page_set_take(&set, false, ranges, PAGE_SET_MIN_RANGES, UINT64_MAX);
		CU_ASSERT_TRUE_FATAL(n > 0 && n <= PAGE_SET_MIN_RANGES);
		for (size_t i = 0; i < n; i++, taken++)
			expect(i, 2 * taken, 1);
	}
	CU_ASSERT_EQUAL(taken, N_PAGES / 2);
	add(0, N_PAGES);
	size_t n = page_set_take(&set, false, ranges, MANY, 600);
	CU_ASSERT_EQUAL(n, 1);
	expect(0, 0, 640);
	page_set_finish(&set);
}

/* Blocks that are broken are not counted one by one: as many as there are pieces, or as a stretch of 4096 pages has. */
static void test_broken_blocks(void)
{
	begin(&plain);
	for (uint32_t page = 0; page < N_PAGES; page += PAGE_SET_BLOCK)
		add(page, 1);
	CU_ASSERT_EQUAL(page_set_most_broken(&set), N_PAGES / PAGE_SET_BLOCK);
	for (uint32_t page = 1; page < PAGE_SET_BLOCK; page += 2)
		add(page, 1);
	CU_ASSERT_EQUAL(page_set_most_broken(&set), N_PAGES / PAGE_SET_BLOCK);
	add(0, N_PAGES - PAGE_SET_BLOCK);
	CU_ASSERT_EQUAL(page_set_most_broken(&set), 1);
	drop(0, N_PAGES - PAGE_SET_BLOCK);
	CU_ASSERT_EQUAL(page_set_most_broken(&set), 1);
	add(0, 2);
	CU_ASSERT_EQUAL(page_set_most_broken(&set), 2);
	drop(0, 4096);
	for (uint32_t page = 12288; page < N_PAGES; page += 2)
		add(page, 1);
	CU_ASSERT_EQUAL(page_set_most_broken(&set), 8);
	page_set_clear(&set);
	CU_ASSERT_EQUAL(page_set_most_broken(&set), 0);
	page_set_finish(&set);
}

static unsigned pieces_of(const uint8_t *model)
{
	unsigned n = 0;
	for (unsigned page = 0; page < N_PAGES; page++)
		n += model[page] && (page % 64 == 0 || !model[page - 1]);
	return n;
}

/* Against one byte a page. */
static void test_any_changes(void)
{
	static uint8_t model[N_PAGES];
	begin(&plain);
	srandom(3);
	memset(model, 0, sizeof model);
	for (unsigned round = 0; round < 2000; round++) {
		uint32_t first = (uint32_t)random() % N_PAGES, count = 1 + (uint32_t)random() % (round % 3 ? 40 : 1500);
		count = count < N_PAGES - first ? count : N_PAGES - first;
		bool in = random() % 5 < 3;
		memset(model + first, in, count);
		if (in)
			add(first, count);
		else
			drop(first, count);
		uint64_t n_pages = 0, n_whole = 0, n_broken = 0;
		for (unsigned block = 0; block < N_PAGES; block += PAGE_SET_BLOCK) {
			bool is_whole = !memchr(model + block, 0, PAGE_SET_BLOCK);
			n_whole += is_whole;
			n_broken += !is_whole && memchr(model + block, 1, PAGE_SET_BLOCK);
			for (unsigned i = 0; i < PAGE_SET_BLOCK; i++)
				n_pages += model[block + i];
		}
		CU_ASSERT_EQUAL_FATAL(set.n_pages, n_pages);
		CU_ASSERT_EQUAL_FATAL(set.n_whole, n_whole);
		CU_ASSERT_EQUAL_FATAL(set.n_pieces, pieces_of(model));
		CU_ASSERT_TRUE_FATAL(page_set_most_broken(&set) >= n_broken);
		if (round % 50)
			continue;
		size_t n = take_all();
		for (size_t i = 0; i < n; i++)
			for (uint64_t page = ranges[i].gpa / PAGE; page < (ranges[i].gpa + ranges[i].len) / PAGE; page++)
				model[page]--;
		for (unsigned page = 0; page < N_PAGES; page++)
			CU_ASSERT_EQUAL_FATAL(model[page], 0);
	}
	page_set_finish(&set);
}

static const struct test_case cases[] = {
	{"order and merging", test_order_and_merging},
	{"borders of regions", test_borders_of_regions},
	{"whole blocks", test_whole_blocks},
	{"short block", test_short_block},
	{"clear", test_clear},
	{"little room", test_little_room},
	{"broken blocks", test_broken_blocks},
	{"any changes", test_any_changes},
};

TEST_SUITE(page_set, cases);
