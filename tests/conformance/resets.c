/* Rows GEN-14, GEN-15 and GEN-19 to GEN-21: resets of the device and of a queue. */
#include <errno.h>
#include <string.h>

#include "tests/conformance/fd.h"

static void break_inflate(void)
{
	fg_set_avail_idx(&fg, INFLATE, fg.q[INFLATE].avail_idx + 129);
	fg_kick(&fg, INFLATE);
}

static void gen_14(void)
{
	const uint8_t states[] = {1, 3, 0xB, 0xF, 0x8F};
	fd_begin();
	for (size_t i = 0; i < sizeof states; i++) {
		fg_accept(&fg, F_VERSION_1);
		fg_status_write(&fg, states[i]);
		CU_ASSERT_EQUAL(fg_status(&fg), states[i]);
		fg_status_write(&fg, 0);
		CU_ASSERT_EQUAL(fg_status(&fg), 0);
	}
	fg_init(&fg, 0);
	fakehost_capture_log();
	break_inflate();
	fakehost_end_log();
	CU_ASSERT_EQUAL(fg_status(&fg), 0x4F);
	fg_status_write(&fg, 0);
	CU_ASSERT_EQUAL(fg_status(&fg), 0);
	fd_end();
}

/* A reset with requests in work and deferred: nothing of them comes later. */
static void gen_15(void)
{
	static uint8_t rings[0x50000];
	fd_init(ALL_TYPE);
	/* Hints that nobody has looked at yet. */
	fd_hint_cmd(HINT, fd_hint_start());
	fg_send(&fg, HINT, FG_PAGES + 32 * MIB, MIB, D_WRITE);
	for (uint16_t i = 0; i < 64; i++)
		fd_post(INFLATE, i, i);
	static uint32_t pfns[8192];
	for (unsigned i = 0; i < 8192; i++)
		pfns[i] = PFN(FAKE_HIGH_GPA) + i;
	fg_send_pfns(&fg, DEFLATE, pfns, 8192);
	fg_send_pfns(&fg, INFLATE, pfns, 8192);
	fg_status_write(&fg, 0);
	CU_ASSERT_EQUAL(fg_status(&fg), 0);
	memcpy(rings, fakehost_ram(fg.fh, FG_RING(0), sizeof rings), sizeof rings);
	uint64_t messages = fd_messages();
	size_t discards = fg.fh->n_discards;
	fg_fill(&fg, FAKE_HIGH_GPA, 8192 * 4096, 1);
	fg_fill(&fg, FG_PAGES + 32 * MIB, MIB, 1);
	for (unsigned i = 0; i < FG_N_QUEUES; i++)
		fg_kick(&fg, i);
	CU_ASSERT_TRUE(fakehost_settle(fg.fh, 100));
	fakehost_advance(fg.fh, 100000);
	CU_ASSERT_EQUAL(memcmp(rings, fakehost_ram(fg.fh, FG_RING(0), sizeof rings), sizeof rings), 0);
	CU_ASSERT_TRUE(fg_holds(&fg, FAKE_HIGH_GPA, 8192 * 4096, 1));
	CU_ASSERT_TRUE(fg_holds(&fg, FG_PAGES + 32 * MIB, MIB, 1));
	CU_ASSERT_EQUAL(fg_dc(&fg, DC_CMD_ID), HINT_STOP);
	CU_ASSERT_EQUAL(fd_messages(), messages);
	CU_ASSERT_EQUAL(fg.fh->n_discards, discards);
	fd_end();
}

/* A message that waited behind a mask is none of the next driver's. */
static void gen_15_masked(void)
{
	fd_init(0);
	fg_bar_write(&fg, fg.msix_table + 16 + 12, 4, 1);
	fd_inflate(0, 1);
	CU_ASSERT_EQUAL(fg_bar(&fg, fg.msix_pba, 4), 2);
	fg_status_write(&fg, 0);
	CU_ASSERT_EQUAL(fg_bar(&fg, fg.msix_pba, 4), 0);
	fg_bar_write(&fg, fg.msix_table + 16 + 12, 4, 0);
	CU_ASSERT_EQUAL(fd_messages(), 0);
	fd_end();
}

static void gen_19(void)
{
	static uint32_t pfns[16384];
	fd_init(F_RING_RESET);
	for (unsigned i = 0; i < 16384; i++)
		pfns[i] = PFN(FAKE_HIGH_GPA) + i;
	memcpy(fakehost_ram(fg.fh, FG_DATA(INFLATE), sizeof pfns), pfns, sizeof pfns);
	for (uint16_t i = 0; i < 32; i++) {
		fg_desc(&fg, INFLATE, i, FG_DATA(INFLATE) + i * 2048, 2048, 0, 0);
		fg_publish(&fg, INFLATE, i);
	}
	fg_kick(&fg, INFLATE);
	fg_q_write(&fg, INFLATE, CC_Q_RESET, 2, 1);
	CU_ASSERT_EQUAL(fg_q(&fg, INFLATE, CC_Q_RESET, 2), 0);
	CU_ASSERT_EQUAL(fg_q(&fg, INFLATE, CC_Q_ENABLE, 2), 0);
	uint16_t used = fg_used_idx(&fg, INFLATE);
	uint64_t irqs = fg_irqs(&fg, 1);
	CU_ASSERT_TRUE(used < 32);
	fg_kick(&fg, INFLATE);
	fakehost_settle(fg.fh, 100);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), used);
	CU_ASSERT_EQUAL(fg_irqs(&fg, 1), irqs);
	fd_deflate(0, 1);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, DEFLATE), 1);
	CU_ASSERT_EQUAL(fg_irqs(&fg, 2), 1);
	/* The chain that was in work then is none of the new queue's. */
	fg_queue_on(&fg, INFLATE, 128);
	fakehost_settle(fg.fh, 100);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), 0);
	fd_post(INFLATE, 77, 0);
	fg_kick(&fg, INFLATE);
	fakehost_settle(fg.fh, 100);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), 1);
	CU_ASSERT_EQUAL(fg_used_id(&fg, INFLATE, 0), 77);
	fd_end();
}

/* A parked statistics buffer goes with its queue. */
static void gen_19_stats(void)
{
	fd_init(F_STATS | F_RING_RESET);
	fd_post_stats(1);
	CU_ASSERT_EQUAL(balloon_set_stats_interval(fg.dev, 1), 0);
	fg_q_write(&fg, STATS, CC_Q_RESET, 2, 1);
	CU_ASSERT_EQUAL(balloon_request_stats(fg.dev), -EBUSY);
	fg_queue_on(&fg, STATS, 64);
	CU_ASSERT_EQUAL(balloon_request_stats(fg.dev), -EBUSY);
	fakehost_advance(fg.fh, 10000);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, STATS), 0);
	CU_ASSERT_EQUAL(fg_irqs(&fg, 1 + STATS), 0);
	fd_post_stats(2);
	CU_ASSERT_EQUAL(fd_state()->stats[4], 2);
	CU_ASSERT_EQUAL(balloon_request_stats(fg.dev), 0);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, STATS), 1);
	fd_end();
}

static void gen_20(void)
{
	fd_init(F_RING_RESET);
	for (unsigned i = 0; i < 10; i++)
		fd_inflate(i, 1);
	fg_q_write(&fg, INFLATE, CC_Q_RESET, 2, 1);
	CU_ASSERT_EQUAL(fg_q(&fg, INFLATE, CC_Q_SIZE, 2), 256);
	CU_ASSERT_EQUAL(fg_q(&fg, INFLATE, CC_Q_VEC, 2), 0xFFFF);
	CU_ASSERT_EQUAL(fg_q(&fg, INFLATE, CC_Q_DESC, 8), 0);
	CU_ASSERT_EQUAL(fg_q(&fg, INFLATE, CC_Q_DRIVER, 8), 0);
	CU_ASSERT_EQUAL(fg_q(&fg, INFLATE, CC_Q_DEVICE, 8), 0);
	fg_queue_on(&fg, INFLATE, 128);
	fd_inflate(20, 1);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), 1);
	CU_ASSERT_EQUAL(fg_used_id(&fg, INFLATE, 0), 0);
	fd_end();
}

static void gen_21(void)
{
	const uint64_t other = 0x800000;
	fd_init(F_RING_RESET);
	fd_inflate(0, 1);
	fg_q_write(&fg, INFLATE, CC_Q_RESET, 2, 1);
	fg_fill(&fg, FG_RING(INFLATE), 0x10000, 0xCA);
	fg_queue_on_at(&fg, INFLATE, 8, other, other + 0x1000, other + 0x2000);
	fg_q_write(&fg, INFLATE, CC_Q_VEC, 2, 5);
	uint64_t irqs = fg_irqs(&fg, 5);
	for (unsigned i = 0; i < 20; i++)
		fd_inflate(i, 1);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), 20);
	CU_ASSERT_EQUAL(fg_irqs(&fg, 5), irqs + 20);
	CU_ASSERT_TRUE(fg_holds(&fg, FG_RING(INFLATE), 0x10000, 0xCA));
	fd_end();
}

static const struct test_case cases[] = {
	{"GEN-14", gen_14},	  {"GEN-15", gen_15},	     {"GEN-15", gen_15_masked}, {"GEN-19", gen_19},
	{"GEN-19", gen_19_stats}, {"GEN-20 NEW-09", gen_20}, {"GEN-21", gen_21},
};

TEST_SUITE(resets, cases);
