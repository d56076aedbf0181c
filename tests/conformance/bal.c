/* Rows BAL-FEA, BAL-CFG and BAL-VQ: what the balloon offers and how its queues are numbered. */
#include <errno.h>

#include "tests/conformance/fd.h"
#include "util/bytes.h"

/* MUST_TELL_HOST may be declined: nothing of a page is touched after its acknowledgement anyhow. */
static void fea_01(void)
{
	fd_begin();
	fg_negotiate(&fg, 0);
	CU_ASSERT_EQUAL(fg_status(&fg), 0xB);
	fd_end();
}

static void fea_02(void)
{
	static uint32_t pfns[24000];
	fd_init(F_OOM);
	balloon_set_target(fg.dev, 1000 * 4096);
	fg_dc_write(&fg, DC_ACTUAL, 1000);
	for (unsigned i = 0; i < 24000; i++)
		pfns[i] = PFN(FAKE_HIGH_GPA) + i % 16384;
	fg_send_pfns(&fg, INFLATE, pfns, 24000);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), 0);
	fd_deflate(0, 16);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, DEFLATE), 1);
	fd_end();
}

static void fea_03(void)
{
	fd_begin();
	fg_negotiate(&fg, 0);
	for (unsigned i = STATS; i <= REPORT; i++) {
		CU_ASSERT_EQUAL(fg_q(&fg, i, CC_Q_SIZE, 2), 0);
		fg_queue_on(&fg, i, 64);
		CU_ASSERT_EQUAL(fg_q(&fg, i, CC_Q_ENABLE, 2), 0);
	}
	fg_status_write(&fg, 0xF);
	fg_desc(&fg, REPORT, 0, FG_PAGES, 4096, D_WRITE, 0);
	fg_publish(&fg, REPORT, 0);
	for (unsigned i = STATS; i <= REPORT; i++)
		fg_kick(&fg, i);
	CU_ASSERT_EQUAL(fg.fh->n_discards, 0);
	fd_end();
}

static void cfg_01_02(void)
{
	fd_begin();
	balloon_set_target(fg.dev, 8 * 4096);
	fg_negotiate(&fg, ALL_TYPE);
	fg_dc_write(&fg, DC_ACTUAL, 3);
	fg_dc_write(&fg, DC_POISON, 0x55);
	uint64_t events = fg.fh->n_events;
	fg_dc_write(&fg, DC_NUM_PAGES, 0x77);
	fg_dc_write(&fg, DC_CMD_ID, 0x77);
	CU_ASSERT_EQUAL(fg_dc(&fg, 0), 8);
	CU_ASSERT_EQUAL(fg_dc(&fg, 4), 3);
	CU_ASSERT_EQUAL(fg_dc(&fg, 8), 0);
	CU_ASSERT_EQUAL(fg_dc(&fg, 12), 0x55);
	CU_ASSERT_EQUAL(fg.fh->n_events, events);
	fd_end();
}

static void cfg_03(void)
{
	fd_init(0);
	for (unsigned i = 0; i < 10; i++)
		fd_inflate(256 * i, 256);
	CU_ASSERT_EQUAL(fd_state()->actual_bytes, 0);
	fg_dc_write(&fg, DC_ACTUAL, 2560);
	CU_ASSERT_EQUAL(fd_state()->actual_bytes, 2560 * 4096);
	fd_end();
}

static void cfg_04(void)
{
	struct fakehost *fh = fakehost_create(2 * MIB);
	fg_create_on(&fg, NULL, fh);
	CU_ASSERT_EQUAL(balloon_set_target(fg.dev, 96 * MIB), 0);
	CU_ASSERT_EQUAL(fg_dc(&fg, DC_NUM_PAGES), 96 * 256);
	fd_end();
}

static void cfg_05(void)
{
	fd_init(ALL_TYPE);
	balloon_set_target(fg.dev, 1000 * 4096);
	fd_inflate(0, 1000);
	fg_dc_write(&fg, DC_ACTUAL, 1000);
	fd_post_stats(5);
	fg_status_write(&fg, 0);
	CU_ASSERT_EQUAL(fd_state()->actual_bytes, 0);
	CU_ASSERT_EQUAL(fg_dc(&fg, DC_ACTUAL), 0);
	CU_ASSERT_EQUAL(fg_dc(&fg, DC_NUM_PAGES), 1000);
	fg_init(&fg, ALL_TYPE);
	fg_fill(&fg, FG_PAGES, 1000 * 4096, 0x42);
	fakehost_settle(fg.fh, 10);
	CU_ASSERT_TRUE(fg_holds(&fg, FG_PAGES, 1000 * 4096, 0x42));
	CU_ASSERT_EQUAL(balloon_request_stats(fg.dev), -EBUSY);
	fd_end();
}

static void vq_01_02(void)
{
	fd_init(ALL_TYPE);
	fd_inflate(0, 1);
	fd_deflate(0, 1);
	fd_post_stats(8);
	fg_send(&fg, REPORT, FG_PAGES, 4096, D_WRITE);
	CU_ASSERT_EQUAL(fd_counters(BALLOON_Q_INFLATE).pages, 1);
	CU_ASSERT_EQUAL(fd_counters(BALLOON_Q_DEFLATE).pages, 1);
	CU_ASSERT_EQUAL(fd_counters(BALLOON_Q_REPORT).pages, 1);
	CU_ASSERT_EQUAL(fd_state()->stats[4], 8);
	fd_end();
}

/* Linux's indices over all feature sets, and the specification's. */
static void vq_03(void)
{
	for (unsigned set = 0; set < 4; set++)
		for (unsigned dense = 0; dense < 2; dense++) {
			uint64_t features = (set & 1 ? F_STATS : 0) | (set & 2 ? F_REPORT | F_POISON : 0);
			unsigned stats = 2, report = dense ? 2 + (set & 1) : 4;
			fd_begin();
			fg_negotiate(&fg, features);
			fg_queue_on(&fg, INFLATE, 128);
			fg_queue_on(&fg, DEFLATE, 128);
			if (set & 1)
				fg_queue_on(&fg, stats, 128);
			if (set & 2)
				fg_queue_on(&fg, report, 128);
			fg_status_write(&fg, 0xF);
			fd_inflate(0, 1);
			CU_ASSERT_EQUAL(fd_counters(BALLOON_Q_INFLATE).pages, 1);
			if (set & 1) {
				fd_post_stats(set);
				CU_ASSERT_EQUAL(fd_state()->stats[4], set);
			}
			if (set & 2) {
				fg_send(&fg, report, FG_PAGES, 8192, D_WRITE);
				CU_ASSERT_EQUAL(fd_counters(BALLOON_Q_REPORT).pages, 2);
				CU_ASSERT_EQUAL(fg_used_idx(&fg, report), 1);
			}
			fd_end();
		}
}

static const struct test_case cases[] = {
	{"BAL-FEA-01", fea_01}, {"BAL-FEA-02", fea_02}, {"BAL-FEA-03", fea_03}, {"BAL-CFG-01 BAL-CFG-02", cfg_01_02},
	{"BAL-CFG-03", cfg_03}, {"BAL-CFG-04", cfg_04}, {"BAL-CFG-05", cfg_05}, {"BAL-VQ-01 BAL-VQ-02", vq_01_02},
	{"BAL-VQ-03", vq_03},
};

TEST_SUITE(bal, cases);
