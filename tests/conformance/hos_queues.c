/* Rows HOS-59 to HOS-71: statistics, reports, queues that are not there. */
#include <errno.h>

#include "tests/conformance/fd.h"
#include "tests/conformance/hos_values.h"
#include "util/bytes.h"

static struct balloon_state state;

/* 4096 bytes of a buffer are looked at, whole entries of them; a buffer that says nothing is parked all the same. */
static void hos_59_61(void)
{
	fd_begin_hostile();
	for (unsigned i = 0; i < HOS_COUNT(hos_59_lens); i++) {
		for (unsigned k = 0; k < 1000; k++) {
			store_le16(fakehost_ram(fg.fh, FG_DATA(STATS) + 10 * k, 10), (uint16_t)(k % 3));
			store_le64(fakehost_ram(fg.fh, FG_DATA(STATS) + 10 * k + 2, 8), UINT64_MAX - k);
		}
		fg_send(&fg, STATS, FG_DATA(STATS), hos_59_lens[i], 0);
		CU_ASSERT_EQUAL(balloon_request_stats(fg.dev), 0);
		CU_ASSERT_EQUAL(fg_used_idx(&fg, STATS), i + 1);
	}
	balloon_get_state(fg.dev, &state);
	/* Of the long buffer 409 entries were looked at: the last of each tag counts. */
	CU_ASSERT_EQUAL(state.stats[0], UINT64_MAX - 408);
	CU_ASSERT_EQUAL(state.stats[1], UINT64_MAX - 406);
	CU_ASSERT_EQUAL(state.stats[2], UINT64_MAX - 407);
	fg_send(&fg, STATS, FG_DATA(STATS), 4096, D_WRITE);
	CU_ASSERT_EQUAL(balloon_request_stats(fg.dev), 0);
	fd_end_hostile();
}

/* The older one goes back at once, unasked, and the newest is kept. */
static void hos_60(void)
{
	fd_begin_hostile();
	for (uint16_t i = 0; i < 100; i++) {
		fg_desc(&fg, STATS, i, FG_DATA(STATS), 10, 0, 0);
		fg_publish(&fg, STATS, i);
	}
	fg_kick(&fg, STATS);
	fakehost_settle(fg.fh, 100);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, STATS), 99);
	for (uint16_t i = 0; i < 99; i++)
		CU_ASSERT_EQUAL(fg_used_id(&fg, STATS, i), i);
	CU_ASSERT_EQUAL(balloon_request_stats(fg.dev), 0);
	CU_ASSERT_EQUAL(fg_used_id(&fg, STATS, 99), 99);
	/* The same head twice. */
	fg_publish(&fg, STATS, 5);
	fg_publish(&fg, STATS, 5);
	fg_kick(&fg, STATS);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, STATS), 101);
	fd_end_hostile();
}

static void hos_62(void)
{
	fd_begin_hostile();
	CU_ASSERT_EQUAL(balloon_set_stats_interval(fg.dev, 1), 0);
	CU_ASSERT_EQUAL(balloon_request_stats(fg.dev), -EBUSY);
	fd_post_stats(1);
	CU_ASSERT_FALSE(fd_state()->stats_asked);
	fakehost_advance(fg.fh, 365ULL * 86400 * 1000);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, STATS), 1); /* asked once, and not again before the answer */
	CU_ASSERT_TRUE(fd_state()->stats_asked);
	CU_ASSERT_EQUAL(fd_state()->stats_age_ms, 365ULL * 86400 * 1000);
	CU_ASSERT_EQUAL(balloon_request_stats(fg.dev), -EBUSY);
	balloon_get_state(fg.dev, &state);
	CU_ASSERT_EQUAL(state.stats[4], 1);
	fd_post_stats(2);
	CU_ASSERT_FALSE(fd_state()->stats_asked);
	CU_ASSERT_EQUAL(fd_state()->stats_age_ms, 0);
	CU_ASSERT_EQUAL(balloon_request_stats(fg.dev), 0);
	balloon_get_state(fg.dev, &state);
	CU_ASSERT_EQUAL(state.stats[4], 2);
	fd_end_hostile();
}

static void report(uint64_t gpa, uint32_t len)
{
	fg_send(&fg, REPORT, gpa, len, D_WRITE);
	fakehost_settle(fg.fh, 1000);
}

static void hos_66_67_68(void)
{
	fd_begin_hostile();
	for (unsigned i = 0; i < FD_N_ODD_BLOCKS; i++) {
		const struct fd_block *block = &fd_odd_blocks[i];
		fakehost_forget_discards(fg.fh);
		report(block->gpa, block->len);
		CU_ASSERT_EQUAL(fg.fh->discarded_bytes, block->bytes);
		CU_ASSERT_EQUAL(fg_used_idx(&fg, REPORT), i + 1);
		CU_ASSERT_EQUAL(fg_used_len(&fg, REPORT, (uint16_t)i), 0);
	}
	/* Overlapping blocks. */
	fakehost_forget_discards(fg.fh);
	for (uint16_t i = 0; i < 10; i++)
		fg_desc(&fg, REPORT, i, FG_PAGES + (i % 3) * 4096, MIB, D_WRITE | (i < 9 ? D_NEXT : 0), i + 1);
	fg_publish(&fg, REPORT, 0);
	fg_kick(&fg, REPORT);
	CU_ASSERT_EQUAL(fg.fh->n_discards, 1);
	CU_ASSERT_EQUAL(fg.fh->discarded_bytes, MIB + 8192);
	/* Readable ones. */
	fakehost_forget_discards(fg.fh);
	fg_send(&fg, REPORT, FG_PAGES, MIB, 0);
	CU_ASSERT_EQUAL(fg.fh->n_discards, 0);
	/* Pages that are in the balloon already. */
	fd_inflate(0, 8);
	uint64_t inflated = fd_counters(BALLOON_Q_INFLATE).pages;
	report(FG_PAGES, 16 * 4096);
	CU_ASSERT_EQUAL(fd_state()->actual_bytes, 0);
	CU_ASSERT_EQUAL(fd_counters(BALLOON_Q_INFLATE).pages, inflated);
	/* The rings themselves. */
	report(FG_RING(0), 0x50000);
	fd_end_hostile();
}

static void hos_69(void)
{
	fd_begin_hostile();
	fg_negotiate(&fg, ALL_TYPE);
	fg_dc_write(&fg, DC_POISON, 1);
	fg_queue_on(&fg, REPORT, 64);
	fg_status_write(&fg, 0xF);
	fakehost_forget_discards(fg.fh);
	for (unsigned i = 0; i < 10; i++) {
		fg_dc_write(&fg, DC_POISON, 0);
		fg_bar_write(&fg, fg.device + DC_POISON + i % 4, 1, 0);
		report(FG_PAGES, MIB);
	}
	CU_ASSERT_EQUAL(fg.fh->n_discards, 0);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, REPORT), 10);
	fd_end_hostile();
}

static void hos_70(void)
{
	fd_begin_hostile();
	fg_negotiate(&fg, 0);
	for (unsigned i = STATS; i <= REPORT; i++)
		fg_queue_on(&fg, i, 64);
	fg_status_write(&fg, 0xF);
	for (unsigned i = STATS; i <= REPORT; i++) {
		CU_ASSERT_EQUAL(fg_q(&fg, i, CC_Q_ENABLE, 2), 0);
		fg_send(&fg, i, FG_PAGES, 4096, i == REPORT ? D_WRITE : 0);
		CU_ASSERT_EQUAL(fg_used_idx(&fg, i), 0);
	}
	CU_ASSERT_EQUAL(fg.fh->n_discards, 0);
	fd_end_hostile();
}

static const struct test_case cases[] = {
	{"HOS-59 HOS-61", hos_59_61}, {"HOS-60", hos_60}, {"HOS-62", hos_62}, {"HOS-66 HOS-67 HOS-68", hos_66_67_68}, {"HOS-69", hos_69}, {"HOS-70", hos_70},
};

TEST_SUITE(hos_queues, cases);
