#include "kvm/e820.h"

#include <CUnit/CUnit.h>

#include "kvm/board.h"
#include "tests/unit/suite.h"

#define KIB UINT64_C(1024)
#define MIB (KIB * 1024)
#define GIB (MIB * 1024)

static struct e820_map map;

static void build(uint64_t low, uint64_t high)
{
	struct gmem gmem = {.regions = {{.gpa = 0, .len = low}, {.gpa = BOARD_RAM_HIGH_BASE, .len = high}}, .n_regions = high ? 2 : 1};

	e820_build(&map, &gmem);
}

static void expect(const struct e820_entry *expected, size_t n)
{
	CU_ASSERT_EQUAL_FATAL(map.n, n);
	for (size_t i = 0; i < n; i++) {
		CU_ASSERT_EQUAL(map.entries[i].gpa, expected[i].gpa);
		CU_ASSERT_EQUAL(map.entries[i].len, expected[i].len);
		CU_ASSERT_EQUAL(map.entries[i].type, expected[i].type);
	}
}

static void one_region(void)
{
	const struct e820_entry expected[] = {
		{0, 0x9FC00, E820_RAM},		  {0xE0000, 0x20000, E820_RESERVED},   {MIB, 511 * MIB, E820_RAM},
		{0xE0000000, MIB, E820_RESERVED}, {0xFFFBC000, 0x4000, E820_RESERVED},
	};

	build(512 * MIB, 0);
	expect(expected, 5);
}

static void two_regions(void)
{
	const struct e820_entry expected[] = {
		{0, 0x9FC00, E820_RAM},		  {0xE0000, 0x20000, E820_RESERVED},   {MIB, 3 * GIB - MIB, E820_RAM},
		{0xE0000000, MIB, E820_RESERVED}, {0xFFFBC000, 0x4000, E820_RESERVED}, {4 * GIB, 5 * GIB, E820_RAM},
	};

	build(3 * GIB, 5 * GIB);
	expect(expected, 6);
}

/* Too little for any kernel, but the map still tells no lies. */
static void tiny_ram(void)
{
	build(64 * KIB, 0);
	CU_ASSERT_EQUAL(map.n, 3);
	CU_ASSERT_EQUAL(map.entries[0].len, 64 * KIB);
	build(0xE8000, 0);
	CU_ASSERT_EQUAL(map.entries[0].len, E820_LOW_RAM_END);
	CU_ASSERT_EQUAL(map.entries[1].gpa, E820_BIOS_BASE);
	CU_ASSERT_EQUAL(map.entries[1].len, 0x8000);
	CU_ASSERT_EQUAL(map.n, 4);
}

static void entries_are_sorted_and_disjoint(void)
{
	for (uint64_t low = 4096; low <= BOARD_RAM_LOW_MAX; low *= 2) {
		build(low, low == BOARD_RAM_LOW_MAX ? GIB : 0);
		for (size_t i = 1; i < map.n; i++)
			CU_ASSERT(map.entries[i - 1].gpa + map.entries[i - 1].len <= map.entries[i].gpa);
	}
}

static void all_regions_fit(void)
{
	struct gmem gmem = {.n_regions = GMEM_MAX_REGIONS};

	for (size_t i = 0; i < GMEM_MAX_REGIONS; i++)
		gmem.regions[i] = (struct gmem_region){.gpa = i * GIB / 2, .len = GIB / 4};
	e820_build(&map, &gmem);
	CU_ASSERT_EQUAL(map.n, E820_MAX_ENTRIES);
}

static const struct test_case cases[] = {
	{"one region", one_region},
	{"two regions", two_regions},
	{"tiny RAM", tiny_ram},
	{"entries are sorted and disjoint", entries_are_sorted_and_disjoint},
	{"all regions fit", all_regions_fit},
};
TEST_SUITE(e820, cases);
