#include <CUnit/CUnit.h>

#include "device/host.h"
#include "tests/unit/suite.h"

/* Two regions that touch as guest addresses but not in the host, and one apart. */
static uint8_t a[8192], b[4096], c[4096];
static const struct gmem gmem = {
	.regions = {{.gpa = 0x1000, .len = sizeof a, .hva = a},
		    {.gpa = 0x1000 + sizeof a, .len = sizeof b, .hva = b},
		    {.gpa = 0xFFFFFFFFFFFFF000, .len = sizeof c, .hva = c}},
	.n_regions = 3,
	.page_size = 4096,
};

static void test_inside(void)
{
	CU_ASSERT_PTR_EQUAL(gmem_at(&gmem, 0x1000, 1), a);
	CU_ASSERT_PTR_EQUAL(gmem_at(&gmem, 0x1000, sizeof a), a);
	CU_ASSERT_PTR_EQUAL(gmem_at(&gmem, 0x2FFF, 1), a + 0x1FFF);
	CU_ASSERT_PTR_EQUAL(gmem_at(&gmem, 0x3000, sizeof b), b);
	CU_ASSERT_PTR_EQUAL(gmem_at(&gmem, 0x1800, 0), a + 0x800);
}

static void test_outside(void)
{
	CU_ASSERT_PTR_NULL(gmem_at(&gmem, 0xFFF, 1));
	CU_ASSERT_PTR_NULL(gmem_at(&gmem, 0x4000, 1));
	CU_ASSERT_PTR_NULL(gmem_at(&gmem, 0x4000, 0));
	CU_ASSERT_PTR_NULL(gmem_at(&gmem, 0x0, 0x1001));
	CU_ASSERT_PTR_NULL(gmem_at(&gmem, 0x1000, UINT64_MAX));
}

static void test_never_across_regions(void)
{
	CU_ASSERT_PTR_NULL(gmem_at(&gmem, 0x2FFF, 2));
	CU_ASSERT_PTR_NULL(gmem_at(&gmem, 0x1000, sizeof a + 1));
}

static void test_at_the_end_of_the_address_space(void)
{
	CU_ASSERT_PTR_EQUAL(gmem_at(&gmem, UINT64_MAX, 1), c + 0xFFF);
	CU_ASSERT_PTR_EQUAL(gmem_at(&gmem, 0xFFFFFFFFFFFFF000, 4096), c);
	CU_ASSERT_PTR_NULL(gmem_at(&gmem, 0xFFFFFFFFFFFFFFF0, 17));
	CU_ASSERT_PTR_NULL(gmem_at(&gmem, UINT64_MAX, UINT64_MAX));
}

static void test_region_and_size(void)
{
	CU_ASSERT_PTR_EQUAL(gmem_region_of(&gmem, 0x2FFF), &gmem.regions[0]);
	CU_ASSERT_PTR_EQUAL(gmem_region_of(&gmem, 0x3000), &gmem.regions[1]);
	CU_ASSERT_PTR_NULL(gmem_region_of(&gmem, 0x4000));
	CU_ASSERT_EQUAL(gmem_size(&gmem), 16384);
}

static const struct test_case cases[] = {
	{"inside", test_inside},
	{"outside", test_outside},
	{"never across regions", test_never_across_regions},
	{"at the end of the address space", test_at_the_end_of_the_address_space},
	{"region and size", test_region_and_size},
};

TEST_SUITE(gmem, cases);
