/* Rows BAL-STA: memory statistics. */
#include "tests/conformance/fd.h"
#include "util/bytes.h"

static void post_tags(const uint16_t *tags, unsigned n)
{
	uint8_t *data = fakehost_ram(fg.fh, FG_DATA(STATS), n * 10);
	for (unsigned i = 0; i < n; i++) {
		store_le16(data + 10 * i, tags[i]);
		store_le64(data + 10 * i + 2, 1000 + tags[i]);
	}
	fg_send(&fg, STATS, FG_DATA(STATS), n * 10, 0);
}

static void sta_01(void)
{
	fd_init(F_STATS);
	post_tags((const uint16_t[]){4, 500, 0xFFFF, 5}, 4);
	for (unsigned i = 0; i < BALLOON_N_STATS; i++)
		CU_ASSERT_EQUAL(fd_state()->stats[i], i == 4 || i == 5 ? 1000 + i : BALLOON_STAT_UNSET);
	/* They are kept by their number, which is all that can be said of them. */
	CU_ASSERT_EQUAL(fd_state()->n_other_stats, 2);
	CU_ASSERT_EQUAL(fd_state()->other_stats[0].tag, 500);
	CU_ASSERT_EQUAL(fd_state()->other_stats[0].value, 1500);
	CU_ASSERT_EQUAL(fd_state()->other_stats[1].tag, 0xFFFF);
	fd_end();
}

static void sta_02_03_07(void)
{
	fd_init(F_STATS);
	post_tags((const uint16_t[]){15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0}, 16);
	for (unsigned i = 0; i < 16; i++)
		CU_ASSERT_EQUAL(fd_state()->stats[i], 1000 + i);
	fd_end();
}

/* Whole entries of 10 bytes, whatever multiple of 6 the length is; what is left over is none. */
static void sta_03(void)
{
	fd_init(F_STATS);
	for (unsigned len = 10; len <= 160; len++) {
		for (unsigned i = 0; i < 16; i++) {
			store_le16(fakehost_ram(fg.fh, FG_DATA(STATS) + 10 * i, 2), (uint16_t)i);
			store_le64(fakehost_ram(fg.fh, FG_DATA(STATS) + 10 * i + 2, 8), 1000 * len + i);
		}
		fg_send(&fg, STATS, FG_DATA(STATS), len, 0);
		for (unsigned i = 0; i < 16; i++)
			CU_ASSERT_EQUAL(fd_state()->stats[i], i < len / 10 ? 1000 * len + i : BALLOON_STAT_UNSET);
		CU_ASSERT_EQUAL(balloon_request_stats(fg.dev), 0);
	}
	fd_end();
}

static void sta_04(void)
{
	fd_init(F_STATS);
	post_tags((const uint16_t[]){4}, 1);
	fakehost_advance(fg.fh, 1000000);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, STATS), 0);
	CU_ASSERT_EQUAL(balloon_request_stats(fg.dev), 0);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, STATS), 1);
	CU_ASSERT_EQUAL(fg_used_len(&fg, STATS, 0), 0);
	CU_ASSERT_EQUAL(fg_irqs(&fg, STATS + 1), 1);
	fd_post_stats(31337);
	CU_ASSERT_EQUAL(fd_state()->stats[4], 31337);
	fd_end();
}

static void sta_05(void)
{
	fd_begin();
	fg_negotiate(&fg, F_STATS);
	fg_queue_on(&fg, STATS, 64);
	fd_post_stats(5);
	CU_ASSERT_EQUAL(fd_state()->stats[4], BALLOON_STAT_UNSET);
	fg_status_write(&fg, 0xF);
	CU_ASSERT_EQUAL(fd_state()->stats[4], 5);
	fd_end();
}

static void sta_06(void)
{
	fd_init(F_STATS);
	post_tags((const uint16_t[]){0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, 10);
	CU_ASSERT_EQUAL(balloon_request_stats(fg.dev), 0);
	post_tags((const uint16_t[]){4}, 1);
	for (unsigned i = 0; i < BALLOON_N_STATS; i++)
		CU_ASSERT_EQUAL(fd_state()->stats[i], i == 4 ? 1004 : BALLOON_STAT_UNSET);
	fd_end();
}

static const struct test_case cases[] = {
	{"BAL-STA-01", sta_01}, {"BAL-STA-02 BAL-STA-03 BAL-STA-07 NEW-04", sta_02_03_07},
	{"BAL-STA-03", sta_03}, {"BAL-STA-04", sta_04},
	{"BAL-STA-05", sta_05}, {"BAL-STA-06", sta_06},
};

TEST_SUITE(bal_stats, cases);
