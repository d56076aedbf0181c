#include "cli/progress.h"

#include <CUnit/CUnit.h>
#include <string.h>

#include "tests/unit/suite.h"

#define MIB (1ULL << 20)

static struct progress progress;
static char buf[PROGRESS_LINE_MAX];

static void speed_and_time_left(void)
{
	progress_init(&progress, 0, 100 * MIB, 1000);
	CU_ASSERT_EQUAL(progress_rate(&progress), 0);
	CU_ASSERT_EQUAL(progress_left_s(&progress), UINT64_MAX);
	progress_add(&progress, 20 * MIB, 2000);
	CU_ASSERT_EQUAL(progress_rate(&progress), 20 * MIB);
	CU_ASSERT_EQUAL(progress_left_s(&progress), 4);
	CU_ASSERT_STRING_EQUAL(progress_text(&progress, buf), "20M of 100M, 20M/s, 4 s left");
	progress_add(&progress, 100 * MIB, 6000);
	CU_ASSERT_EQUAL(progress_left_s(&progress), 0);
}

static void deflating(void)
{
	progress_init(&progress, 100 * MIB, 0, 0);
	progress_add(&progress, 50 * MIB, 500);
	CU_ASSERT_EQUAL(progress_rate(&progress), 100 * MIB);
	CU_ASSERT_STRING_EQUAL(progress_text(&progress, buf), "returned 50M of 100M, 100M/s, 1 s left");
	progress_add(&progress, 0, 1000);
	CU_ASSERT_STRING_EQUAL(progress_text(&progress, buf), "returned 100M of 100M, 100M/s, 0 s left");
	progress_init(&progress, 100 * MIB, 60 * MIB, 0);
	progress_add(&progress, 110 * MIB, 500); /* the other way */
	CU_ASSERT_STRING_EQUAL(progress_text(&progress, buf), "returned 0 of 40M, 0/s");
}

/* Only the last samples count for the speed. */
static void standing_still(void)
{
	progress_init(&progress, 0, 100 * MIB, 0);
	progress_add(&progress, 10 * MIB, 100);
	progress_add(&progress, 10 * MIB, 1099);
	CU_ASSERT(progress_rate(&progress) > 0);
	progress_add(&progress, 10 * MIB, 1100);
	CU_ASSERT_EQUAL(progress_rate(&progress), 0);
	for (int i = 0; i < PROGRESS_SAMPLES; i++)
		progress_add(&progress, 10 * MIB, 1200 + i);
	CU_ASSERT_EQUAL(progress_rate(&progress), 0);
	CU_ASSERT_EQUAL(progress_idle_ms(&progress, 2000), 1900);
	CU_ASSERT_STRING_EQUAL(progress_text(&progress, buf), "10M of 100M, 0/s");
	progress_add(&progress, 5 * MIB, 2000); /* farther away */
	CU_ASSERT_EQUAL(progress_idle_ms(&progress, 2000), 1900);
	CU_ASSERT_EQUAL(progress_rate(&progress), 0);
	progress_add(&progress, 11 * MIB, 2100);
	CU_ASSERT_EQUAL(progress_idle_ms(&progress, 2100), 0);
}

static void long_times(void)
{
	progress_init(&progress, 0, 600 * MIB, 0);
	progress_add(&progress, MIB, 1000);
	CU_ASSERT_STRING_EQUAL(progress_text(&progress, buf), "1M of 600M, 1M/s, 10 min left");
	progress_init(&progress, 0, 10000 * MIB, 0);
	progress_add(&progress, MIB, 1000);
	CU_ASSERT_STRING_EQUAL(progress_text(&progress, buf), "1M of 9.7G, 1M/s, 3 h left");
}

static void lines_fit(void)
{
	progress_init(&progress, 0, 100 * MIB, 0);
	progress_add(&progress, 50 * MIB, 1000);
	CU_ASSERT_STRING_EQUAL(progress_line(&progress, 200, buf), "[####################--------------------] 50M of 100M, 50M/s, 1 s left");
	CU_ASSERT_STRING_EQUAL(progress_line(&progress, 39, buf), "[####----] 50M of 100M, 50M/s, 1 s left");
	CU_ASSERT_STRING_EQUAL(progress_line(&progress, 38, buf), "50M of 100M, 50M/s, 1 s left");
	CU_ASSERT_STRING_EQUAL(progress_line(&progress, 20, buf), "50M of 100M");
	for (size_t columns = 0; columns < 250; columns++)
		CU_ASSERT(strlen(progress_line(&progress, columns, buf)) <= columns);
	progress_init(&progress, MIB, MIB, 0); /* there already */
	CU_ASSERT_STRING_EQUAL(progress_line(&progress, 34, buf), "[########] 1M of 1M, 0/s, 0 s left");
}

static const struct test_case cases[] = {
	{"speed and time left", speed_and_time_left},
	{"deflating", deflating},
	{"standing still", standing_still},
	{"long times", long_times},
	{"lines fit", lines_fit},
};

TEST_SUITE(progress, cases);
