#include "kvm/discard.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kvm/board.h"
#include "tests/unit/suite.h"

#define PAGE UINT64_C(4096)
#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)
#define RAM_LEN (64 * MIB)

/* The ways that memory is given back. */
enum way { WAY_VECTOR, WAY_SINGLE, WAY_SHARED, N_WAYS };

static struct guest_ram ram;
static struct discard_result result;

static bool start(enum way way, uint64_t size, bool thp)
{
	struct memory_config config = {.size = size, .shared = way == WAY_SHARED, .thp = thp};
	struct fail why;
	static bool told;

	CU_ASSERT_EQUAL_FATAL(ram_init(&ram, &config, &why), 0);
	if (way == WAY_VECTOR && ram.pidfd < 0) {
		if (!told)
			printf("\n    skipped in part: process_madvise takes no MADV_DONTNEED here (Linux 6.13 does)\n    ");
		told = true;
		ram_finish(&ram);
		return false;
	}
	if (way == WAY_SINGLE && ram.pidfd >= 0) {
		close(ram.pidfd);
		ram.pidfd = -1;
	}
	return true;
}

static uint8_t *at(uint64_t gpa)
{
	uint8_t *hva = gmem_at(&ram.gmem, gpa, 1);

	CU_ASSERT_PTR_NOT_NULL_FATAL(hva);
	return hva;
}

/* Every page starts with its own number, and is not zero. */
static void fill(uint64_t gpa, uint64_t len)
{
	for (uint64_t page = gpa; page < gpa + len; page += PAGE) {
		memset(at(page), 0xA5, PAGE);
		memcpy(at(page), &page, sizeof page);
	}
}

static bool is_filled(uint64_t page)
{
	return memcmp(at(page), &page, sizeof page) == 0 && at(page)[8] == 0xA5 && at(page)[PAGE - 1] == 0xA5;
}

/* Whether the host holds a page there, looked up before anything reads it. */
static bool is_present(uint64_t page)
{
	unsigned char vec = 0xFF;

	CU_ASSERT_EQUAL_FATAL(mincore(at(page), PAGE, &vec), 0);
	return vec & 1;
}

static bool is_zero(uint64_t page)
{
	const uint8_t *hva = at(page);

	return hva[0] == 0 && memcmp(hva, hva + 1, PAGE - 1) == 0;
}

static bool is_inside(const struct gmem_range *ranges, size_t n, uint64_t page)
{
	for (size_t i = 0; i < n; i++)
		if (page >= ranges[i].gpa && page < ranges[i].gpa + ranges[i].len)
			return true;
	return false;
}

/*
 * Pages inside the ranges are gone and read as zero, all others are as filled.
 * Presence is looked up first: the first read may map a huge page of zeros.
 */
static void check(const struct gmem_range *ranges, size_t n)
{
	size_t wrong = 0;

	for (uint64_t page = 0; page < RAM_LEN; page += PAGE)
		wrong += is_inside(ranges, n, page) && is_present(page);
	CU_ASSERT_EQUAL(wrong, 0);
	for (uint64_t page = 0; page < RAM_LEN; page += PAGE)
		wrong += is_inside(ranges, n, page) ? !is_zero(page) : !is_filled(page);
	CU_ASSERT_EQUAL(wrong, 0);
}

static void expect(uint64_t discarded, uint64_t failed, int error)
{
	CU_ASSERT_EQUAL(result.discarded_bytes, discarded);
	CU_ASSERT_EQUAL(result.failed_bytes, failed);
	CU_ASSERT_EQUAL(result.error, error);
}

static void ranges_are_gone_and_neighbours_stay(void)
{
	const struct gmem_range ranges[] = {{0, PAGE}, {3 * PAGE, 2 * PAGE}, {2 * MIB, 2 * MIB}, {7 * MIB + PAGE, 5 * MIB}, {RAM_LEN - PAGE, PAGE}};

	for (int thp = 0; thp < 2; thp++)
		for (enum way way = 0; way < N_WAYS; way++) {
			if (!start(way, RAM_LEN, thp))
				continue;
			fill(0, RAM_LEN);
			result = (struct discard_result){.discarded_bytes = 1, .failed_bytes = 2, .error = 3}; /* set, not added to */
			discard_ranges(&ram, ranges, 5, &result);
			expect(7 * MIB + 4 * PAGE, 0, 0);
			check(ranges, 5);
			ram_finish(&ram);
		}
}

static void one_range(void)
{
	const struct gmem_range range = {5 * MIB, 9 * MIB};

	for (enum way way = 0; way < N_WAYS; way++) {
		if (!start(way, RAM_LEN, true))
			continue;
		fill(0, RAM_LEN);
		discard_ranges(&ram, &range, 1, &result);
		expect(9 * MIB, 0, 0);
		check(&range, 1);
		ram_finish(&ram);
	}
}

/* More than one process_madvise takes, with a remainder of one. */
static void more_ranges_than_a_vector_holds(void)
{
	enum { N = 2 * 1024 + 1 };
	static struct gmem_range ranges[N];

	for (size_t i = 0; i < N; i++)
		ranges[i] = (struct gmem_range){.gpa = (3 * i + 1) * PAGE, .len = PAGE};
	for (enum way way = 0; way < N_WAYS; way++) {
		if (!start(way, RAM_LEN, false))
			continue;
		fill(0, RAM_LEN);
		discard_ranges(&ram, ranges, N, &result);
		expect(N * PAGE, 0, 0);
		size_t wrong = 0;
		for (size_t i = 0; i < N; i++)
			wrong += !is_filled(ranges[i].gpa - PAGE) || is_present(ranges[i].gpa) || !is_filled(ranges[i].gpa + PAGE);
		CU_ASSERT_EQUAL(wrong, 0);
		ram_finish(&ram);
	}
}

/* process_madvise stops short of 2 GiB without an error. Only the ends of each range are touched. */
static void ranges_of_more_than_2_gib(void)
{
	const uint64_t size = BOARD_RAM_LOW_MAX + 4 * GIB;
	const struct gmem_range ranges[] = {
		{0, GIB - PAGE}, {GIB, GIB / 2}, {2 * GIB, GIB - PAGE}, {BOARD_RAM_HIGH_BASE, 3 * GIB}, {BOARD_RAM_HIGH_BASE + 3 * GIB + PAGE, GIB / 2},
	};
	uint64_t total = 0;

	for (enum way way = 0; way < N_WAYS; way++) {
		if (!start(way, size, false))
			continue;
		total = 0;
		for (size_t i = 0; i < 5; i++) {
			fill(ranges[i].gpa, PAGE);
			fill(ranges[i].gpa + ranges[i].len - PAGE, 2 * PAGE);
			total += ranges[i].len;
		}
		discard_ranges(&ram, ranges, 5, &result);
		expect(total, 0, 0);
		for (size_t i = 0; i < 5; i++) {
			CU_ASSERT_FALSE(is_present(ranges[i].gpa));
			CU_ASSERT_FALSE(is_present(ranges[i].gpa + ranges[i].len - PAGE));
			CU_ASSERT(is_filled(ranges[i].gpa + ranges[i].len));
		}
		ram_finish(&ram);
	}
}

/* Locked pages cannot be discarded: the refusal is counted and the rest goes on. (Sanitizers make mlock() do nothing.) */
static void a_refusal_stops_nothing(void)
{
	const struct gmem_range ranges[] = {{0, PAGE}, {4 * PAGE, 2 * PAGE}, {8 * PAGE, PAGE}, {12 * PAGE, PAGE}, {16 * PAGE, PAGE}};

	for (enum way way = WAY_VECTOR; way <= WAY_SINGLE; way++)
		for (size_t locked = 0; locked < 5; locked++) {
			if (!start(way, RAM_LEN, false))
				continue;
			fill(0, 32 * PAGE);
			CU_ASSERT_EQUAL_FATAL(syscall(SYS_mlock, at(ranges[locked].gpa), PAGE), 0);
			discard_ranges(&ram, ranges, 5, &result);
			expect(6 * PAGE - ranges[locked].len, ranges[locked].len, EINVAL);
			for (size_t i = 0; i < 5; i++)
				CU_ASSERT_EQUAL(i == locked, is_present(ranges[i].gpa));
			CU_ASSERT(is_filled(ranges[locked].gpa));
			ram_finish(&ram);
		}
}

/* A vector whose descriptor went bad falls back to single calls. */
static void a_dead_pidfd_is_survived(void)
{
	const struct gmem_range ranges[] = {{0, PAGE}, {4 * PAGE, PAGE}, {8 * PAGE, PAGE}};

	if (!start(WAY_VECTOR, RAM_LEN, false))
		return;
	fill(0, RAM_LEN);
	close(ram.pidfd);
	discard_ranges(&ram, ranges, 3, &result);
	expect(3 * PAGE, 0, 0);
	check(ranges, 3);
	ram.pidfd = -1;
	ram_finish(&ram);
}

static void nothing_outside_of_ram_is_touched(void)
{
	const struct gmem_range outside[] = {
		{RAM_LEN - PAGE, 2 * PAGE}, {RAM_LEN, PAGE}, {BOARD_RAM_HIGH_BASE, PAGE}, {UINT64_MAX - PAGE + 1, PAGE}, {PAGE, UINT64_MAX - PAGE + 1}};

	for (enum way way = 0; way < N_WAYS; way++) {
		if (!start(way, RAM_LEN, false))
			continue;
		fill(0, RAM_LEN);
		for (size_t i = 0; i < 5; i++) {
			discard_ranges(&ram, &outside[i], 1, &result);
			expect(0, outside[i].len, EINVAL);
		}
		check(NULL, 0);
		ram_finish(&ram);
	}
}

/* Two regions can be neighbours in a list of ranges, but not in the host. */
static void ranges_of_two_regions(void)
{
	for (enum way way = 0; way < N_WAYS; way++) {
		if (!start(way, BOARD_RAM_LOW_MAX + RAM_LEN, false))
			continue;
		const struct gmem_range ranges[] = {{BOARD_RAM_LOW_MAX - PAGE, PAGE}, {BOARD_RAM_HIGH_BASE, PAGE}};
		fill(BOARD_RAM_LOW_MAX - 2 * PAGE, 2 * PAGE);
		fill(BOARD_RAM_HIGH_BASE, 2 * PAGE);
		discard_ranges(&ram, ranges, 2, &result);
		expect(2 * PAGE, 0, 0);
		CU_ASSERT(is_filled(BOARD_RAM_LOW_MAX - 2 * PAGE));
		CU_ASSERT_FALSE(is_present(BOARD_RAM_LOW_MAX - PAGE));
		CU_ASSERT_FALSE(is_present(BOARD_RAM_HIGH_BASE));
		CU_ASSERT(is_filled(BOARD_RAM_HIGH_BASE + PAGE));
		ram_finish(&ram);
	}
}

/* A memfd of small pages stands for one of huge pages: what is punched is the same. */
static void only_whole_huge_pages_go(void)
{
	CU_ASSERT_FATAL(start(WAY_SHARED, RAM_LEN, false));
	ram.gmem.page_size = 2 * MIB;
	fill(0, RAM_LEN);
	const struct gmem_range ranges[] = {
		{PAGE, 3 * MIB},			   /* none whole */
		{4 * MIB, 2 * MIB},			   /* one, exactly */
		{7 * MIB, 4 * MIB},			   /* one and a bit */
		{12 * MIB, MIB},	 {13 * MIB, MIB},  /* one, together */
		{16 * MIB - PAGE, PAGE}, {16 * MIB, PAGE}, /* a bit of two */
	};
	const struct gmem_range gone[] = {{4 * MIB, 2 * MIB}, {8 * MIB, 2 * MIB}, {12 * MIB, 2 * MIB}};
	discard_ranges(&ram, ranges, 7, &result);
	expect(6 * MIB, 3 * MIB + 2 * MIB + 2 * PAGE, EINVAL);
	check(gone, 3);
	ram_finish(&ram);
}

/* A page that is gone from the file is gone from page tables too, this process's and KVM's. */
static void punching_unmaps(void)
{
	CU_ASSERT_FATAL(start(WAY_SHARED, RAM_LEN, false));
	fill(0, RAM_LEN);
	uint8_t *other = mmap(NULL, RAM_LEN, PROT_READ, MAP_SHARED, ram.memfd, 0);
	CU_ASSERT_PTR_NOT_EQUAL_FATAL(other, MAP_FAILED);
	CU_ASSERT_EQUAL(other[MIB + 8], 0xA5);
	const struct gmem_range range = {MIB, PAGE};
	discard_ranges(&ram, &range, 1, &result);
	CU_ASSERT_EQUAL(other[MIB + 8], 0);
	CU_ASSERT(is_filled(MIB + PAGE));
	munmap(other, RAM_LEN);
	ram_finish(&ram);
}

static void no_ranges(void)
{
	const struct gmem_range unused = {0, PAGE};

	for (enum way way = 0; way < N_WAYS; way++) {
		if (!start(way, RAM_LEN, false))
			continue;
		discard_ranges(&ram, &unused, 0, &result);
		expect(0, 0, 0);
		ram_finish(&ram);
	}
}

static const struct test_case cases[] = {
	{"ranges are gone and neighbours stay", ranges_are_gone_and_neighbours_stay},
	{"one range", one_range},
	{"more ranges than a vector holds", more_ranges_than_a_vector_holds},
	{"ranges of more than 2 GiB", ranges_of_more_than_2_gib},
	{"a refusal stops nothing", a_refusal_stops_nothing},
	{"a dead pidfd is survived", a_dead_pidfd_is_survived},
	{"nothing outside of RAM is touched", nothing_outside_of_ram_is_touched},
	{"ranges of two regions", ranges_of_two_regions},
	{"only whole huge pages go", only_whole_huge_pages_go},
	{"punching unmaps", punching_unmaps},
	{"no ranges", no_ranges},
};
TEST_SUITE(discard, cases);
