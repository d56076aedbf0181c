#include "device/page_ranges.h"

#include <CUnit/CUnit.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/suite.h"
#include "util/bytes.h"

/* Pages 0x10 to 0x1FFF, then 0x2000 to 0x2FFF in another region, then a hole, then from 4 GiB on. */
static const struct gmem gmem = {
	.regions = {{.gpa = 0x10000, .len = 0x1FF0000}, {.gpa = 0x2000000, .len = 0x1000000}, {.gpa = 0x100000000, .len = 0x1000000}},
	.n_regions = 3,
	.page_size = 4096,
};

static struct page_ranges *pr;
static const struct gmem_range *out;

static int init(void)
{
	pr = malloc(sizeof *pr);
	return !pr;
}

static int clean(void)
{
	free(pr);
	return 0;
}

static size_t ranges_of(const uint32_t *pfns, size_t n, size_t *valid)
{
	uint8_t bytes[PAGE_RANGES_MAX * 4 + 1];
	for (size_t i = 0; i < n; i++)
		store_le32(bytes + 1 + 4 * i, pfns[i]);
	page_ranges_init(pr, &gmem);
	*valid = page_ranges_add_le32(pr, bytes + 1, n);
	return page_ranges_finish(pr, &out);
}

#define EXPECT(index, first_pfn, n_pages)                                            \
	do {                                                                         \
		CU_ASSERT_EQUAL(out[index].gpa, (uint64_t)(first_pfn) << PFN_SHIFT); \
		CU_ASSERT_EQUAL(out[index].len, (uint64_t)(n_pages) << PFN_SHIFT);   \
	} while (0)

static void test_nothing(void)
{
	size_t valid;
	CU_ASSERT_EQUAL(ranges_of(NULL, 0, &valid), 0);
	CU_ASSERT_EQUAL(valid, 0);
}

static void test_ascending_run(void)
{
	size_t valid;
	const uint32_t pfns[] = {0x20, 0x21, 0x22, 0x30};
	CU_ASSERT_EQUAL_FATAL(ranges_of(pfns, 4, &valid), 2);
	EXPECT(0, 0x20, 3);
	EXPECT(1, 0x30, 1);
	CU_ASSERT_EQUAL(valid, 4);
}

static void test_descending_runs(void)
{
	size_t valid;
	const uint32_t pfns[] = {0x52, 0x51, 0x50, 0x42, 0x41, 0x20};
	CU_ASSERT_EQUAL_FATAL(ranges_of(pfns, 6, &valid), 3);
	EXPECT(0, 0x20, 1);
	EXPECT(1, 0x41, 2);
	EXPECT(2, 0x50, 3);
}

static void test_unsorted(void)
{
	size_t valid;
	const uint32_t pfns[] = {0x100, 0x20, 0x100002, 0x101, 0x21, 0x100000, 0x100001};
	CU_ASSERT_EQUAL_FATAL(ranges_of(pfns, 7, &valid), 3);
	EXPECT(0, 0x20, 2);
	EXPECT(1, 0x100, 2);
	EXPECT(2, 0x100000, 3);
}

static void test_duplicates(void)
{
	size_t valid;
	const uint32_t pfns[] = {0x20, 0x20, 0x30, 0x20, 0x21, 0x20, 0x30};
	CU_ASSERT_EQUAL_FATAL(ranges_of(pfns, 7, &valid), 2);
	EXPECT(0, 0x20, 2);
	EXPECT(1, 0x30, 1);
	CU_ASSERT_EQUAL(valid, 7);
}

/* A run that grows downwards into one that is already there. */
static void test_overlapping_runs(void)
{
	size_t valid;
	const uint32_t pfns[] = {0x20, 0x21, 0x22, 0x40, 0x24, 0x23, 0x22, 0x21, 0x20, 0x1F};
	CU_ASSERT_EQUAL_FATAL(ranges_of(pfns, 10, &valid), 2);
	EXPECT(0, 0x1F, 6);
	EXPECT(1, 0x40, 1);
}

static void test_not_ram(void)
{
	size_t valid;
	const uint32_t pfns[] = {0xF, 0x10, 0x3000, 0xFFFFF, 0x100000, 0x100FFF, 0x101000, 0xFFFFFFFF, 0};
	CU_ASSERT_EQUAL_FATAL(ranges_of(pfns, 9, &valid), 3);
	CU_ASSERT_EQUAL(valid, 3);
	EXPECT(0, 0x10, 1);
	EXPECT(1, 0x100000, 1);
	EXPECT(2, 0x100FFF, 1);
}

static void test_cut_at_region_border(void)
{
	size_t valid;
	const uint32_t pfns[] = {0x1FFE, 0x1FFF, 0x2000, 0x2001};
	CU_ASSERT_EQUAL_FATAL(ranges_of(pfns, 4, &valid), 2);
	EXPECT(0, 0x1FFE, 2);
	EXPECT(1, 0x2000, 2);
}

static void test_runs_and_pages_mix(void)
{
	page_ranges_init(pr, &gmem);
	page_ranges_add_run(pr, (struct page_run){.first = 0x100, .count = 0x100});
	page_ranges_add_run(pr, (struct page_run){.first = 0x80, .count = 0x20});
	page_ranges_add_run(pr, (struct page_run){.first = 0x180, .count = 0x100});
	CU_ASSERT_EQUAL_FATAL(page_ranges_finish(pr, &out), 2);
	EXPECT(0, 0x80, 0x20);
	EXPECT(1, 0x100, 0x180);
	page_ranges_clear(pr);
	CU_ASSERT_EQUAL(page_ranges_finish(pr, &out), 0);
}

static void test_full_batch_without_neighbours(void)
{
	static uint32_t pfns[PAGE_RANGES_MAX];
	size_t valid;
	for (uint32_t i = 0; i < PAGE_RANGES_MAX; i++)
		pfns[i] = (i % 2 ? 0x100000 : 0x10) + i;
	CU_ASSERT_EQUAL(ranges_of(pfns, PAGE_RANGES_MAX, &valid), PAGE_RANGES_MAX);
	for (uint32_t i = 0; i < PAGE_RANGES_MAX; i++)
		pfns[i] = 0x10 + 2 * (PAGE_RANGES_MAX - i - 1);
	CU_ASSERT_EQUAL(ranges_of(pfns, 4000, &valid), 4000);
	EXPECT(0, 0x10 + 2 * (PAGE_RANGES_MAX - 4000), 1);
}

/* Against a bitmap, for inputs from orderly to random. */
static void test_same_set_as_a_bitmap(void)
{
	static uint8_t want[0x3000], have[0x3000];
	static uint32_t pfns[PAGE_RANGES_MAX];
	srandom(1);
	for (unsigned round = 0; round < 300; round++) {
		size_t n = 1 + (size_t)random() % 600, valid;
		uint32_t spread = 1 + (uint32_t)random() % 0x3000, at = (uint32_t)random() % 0x3000;
		memset(want, 0, sizeof want);
		memset(have, 0, sizeof have);
		for (size_t i = 0; i < n; i++) {
			at = random() % 3 ? (at + 1) % 0x3000 : (uint32_t)random() % spread;
			pfns[i] = at;
			want[at] = at >= 0x10;
		}
		size_t n_out = ranges_of(pfns, n, &valid);
		for (size_t i = 0; i < n_out; i++) {
			CU_ASSERT_FATAL(out[i].len && (i == 0 || out[i].gpa >= out[i - 1].gpa + out[i - 1].len));
			memset(have + (out[i].gpa >> PFN_SHIFT), 1, out[i].len >> PFN_SHIFT);
		}
		CU_ASSERT_FATAL(memcmp(want, have, sizeof want) == 0);
	}
}

static int compare(const void *x, const void *y)
{
	uint32_t a = *(const uint32_t *)x, b = *(const uint32_t *)y;
	return (a > b) - (a < b);
}

/* n page numbers below 2^(32 - shift): the ranges ascend and hold as many pages as there are different numbers. */
static void check_order(uint32_t *pfns, size_t n, unsigned shift)
{
	static const struct gmem huge = {.regions = {{.gpa = 0, .len = 0xFFFFFFFFULL << PFN_SHIFT}}, .n_regions = 1, .page_size = 4096};
	size_t different = 0;
	uint64_t pages = 0;
	for (size_t i = 0; i < n; i++)
		store_le32(&pfns[i], (uint32_t)((uint64_t)random() << 2 ^ (uint64_t)random()) >> shift);
	page_ranges_init(pr, &huge);
	page_ranges_add_le32(pr, pfns, n);
	size_t n_out = page_ranges_finish(pr, &out);
	for (size_t i = 0; i < n_out; i++) {
		CU_ASSERT_FATAL(i == 0 || out[i].gpa > out[i - 1].gpa + out[i - 1].len);
		pages += out[i].len >> PFN_SHIFT;
	}
	qsort(pfns, n, sizeof pfns[0], compare);
	for (size_t i = 0; i < n; i++)
		different += i == 0 || pfns[i] != pfns[i - 1];
	CU_ASSERT_EQUAL(pages, different);
}

/* Page numbers of all sizes, up to the largest that 32 bits hold, few and many: these are sorted in different ways. */
static void test_order_over_all_bits(void)
{
	static const size_t sizes[] = {2, 31, 32, 33, 2000};
	static uint32_t pfns[2000];
	srandom(2);
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
		for (unsigned shift = 0; shift < 32; shift++)
			check_order(pfns, sizes[i], shift);
}

static const struct test_case cases[] = {
	{"nothing", test_nothing},
	{"ascending run", test_ascending_run},
	{"descending runs", test_descending_runs},
	{"unsorted", test_unsorted},
	{"duplicates", test_duplicates},
	{"overlapping runs", test_overlapping_runs},
	{"not RAM", test_not_ram},
	{"cut at region border", test_cut_at_region_border},
	{"runs and pages mix", test_runs_and_pages_mix},
	{"full batch without neighbours", test_full_batch_without_neighbours},
	{"same set as a bitmap", test_same_set_as_a_bitmap},
	{"order over all bits", test_order_over_all_bits},
};

const struct test_suite page_ranges_suite = {.name = "page_ranges", .cases = cases, .n_cases = sizeof cases / sizeof cases[0], .init = init, .clean = clean};
