/* Rows BAL-FEA, BAL-CFG and BAL-VQ: what the balloon offers and how its queues are numbered. */
#include <errno.h>

#include "tests/conformance/fd.h"
#include "util/bytes.h"

/* MUST_TELL_HOST may be declined: nothing of a page is touched after its acknowledgement anyhow. */
static void fea_01(void)
{
	fd_begin();
	CU_ASSERT_TRUE((fg_offered(&fg) & F_MUST_TELL_HOST) != 0);
	fg_negotiate(&fg, ALL_TYPE & ~F_MUST_TELL_HOST);
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

/* Four fields with every set of options and of features; poison_val takes a value with its feature only, the command none at all. */
static void cfg_01_02(void)
{
	for (unsigned options = 0; options < 4; options++) {
		const struct balloon_config config = {.free_page_reporting = options & 1, .free_page_hinting = options & 2};
		fd_begin_with(&config, 4096);
		balloon_set_target(fg.dev, 8 * 4096);
		uint64_t offered = fg_offered(&fg);
		for (uint64_t type = 0; type < 64; type++) {
			if (type & ~offered)
				continue;
			fg_negotiate(&fg, type);
			fg_dc_write(&fg, DC_ACTUAL, 3);
			fg_dc_write(&fg, DC_POISON, 0x55);
			uint64_t events = fg.fh->n_events;
			fg_dc_write(&fg, DC_NUM_PAGES, 0x77);
			fg_dc_write(&fg, DC_CMD_ID, 0x77);
			const uint32_t want[] = {8, 3, 0, type & F_POISON ? 0x55 : 0};
			for (unsigned i = 0; i < 4; i++)
				CU_ASSERT_EQUAL(fg_dc(&fg, 4 * i), want[i]);
			CU_ASSERT_EQUAL(fg.fh->n_events, events);
		}
		fd_end();
	}
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
	fg_dc_write(&fg, DC_POISON, 0xAA); /* not taken: DRIVER_OK is set */
	fd_post_stats(5);
	CU_ASSERT_EQUAL(balloon_hint_start(fg.dev), 0);
	fg_status_write(&fg, 0);
	CU_ASSERT_EQUAL(fd_state()->stats[4], BALLOON_STAT_UNSET);
	CU_ASSERT_EQUAL(fg_dc(&fg, DC_CMD_ID), 0);
	fakehost_run_work(fg.fh);
	CU_ASSERT_FALSE(fg.fh->watching);
	CU_ASSERT_EQUAL(fd_state()->actual_bytes, 0);
	CU_ASSERT_EQUAL(fg_dc(&fg, DC_ACTUAL), 0);
	CU_ASSERT_EQUAL(fg_dc(&fg, DC_NUM_PAGES), 1000);
	fg_init(&fg, ALL_TYPE);
	fg_fill(&fg, FG_PAGES, 1000 * 4096, 0x42);
	fakehost_settle(fg.fh, 10);
	CU_ASSERT_TRUE(fg_holds(&fg, FG_PAGES, 1000 * 4096, 0x42));
	CU_ASSERT_EQUAL(balloon_request_stats(fg.dev), -EBUSY);
	/* The poison of the driver before. */
	fg_negotiate(&fg, F_POISON | F_REPORT);
	fg_dc_write(&fg, DC_POISON, 0xAA);
	fg_init(&fg, F_POISON | F_REPORT);
	CU_ASSERT_EQUAL(fg_dc(&fg, DC_POISON), 0);
	fg_send(&fg, REPORT, FG_PAGES, 4096, D_WRITE);
	CU_ASSERT_TRUE(fg_holds(&fg, FG_PAGES, 4096, 0));
	fd_end();
}

/* What was in the balloon before the reset does not make a host page whole after it. */
static void cfg_05_map(void)
{
	fd_begin_with(NULL, 2 * MIB);
	fg_init(&fg, 0);
	fd_inflate(0, 511);
	CU_ASSERT_EQUAL(fd_state()->held_bytes, 511 * 4096);
	fg_init(&fg, 0);
	CU_ASSERT_EQUAL(fd_state()->held_bytes, 0);
	fg_fill(&fg, FG_PAGES, 2 * MIB, 7);
	fd_inflate(511, 1);
	CU_ASSERT_EQUAL(fg.fh->n_discards, 0);
	CU_ASSERT_TRUE(fg_holds(&fg, FG_PAGES, 2 * MIB, 7));
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

/* Every queue of the set does its work at the index that the driver gave it. */
static void try_queues(unsigned set, const unsigned *index)
{
	fd_inflate(0, 1);
	CU_ASSERT_EQUAL(fd_counters(BALLOON_Q_INFLATE).pages, 1);
	fd_deflate(0, 1);
	CU_ASSERT_EQUAL(fd_counters(BALLOON_Q_DEFLATE).pages, 1);
	if (set & 1) {
		uint8_t *data = fakehost_ram(fg.fh, FG_DATA(STATS), 10);
		store_le16(data, 4);
		store_le64(data + 2, 100 + set);
		fg_send(&fg, index[STATS], FG_DATA(STATS), 10, 0);
		CU_ASSERT_EQUAL(fd_state()->stats[4], 100 + set);
		CU_ASSERT_EQUAL(balloon_request_stats(fg.dev), 0);
		CU_ASSERT_EQUAL(fg_used_idx(&fg, index[STATS]), 1);
		CU_ASSERT_EQUAL(fg_irqs(&fg, index[STATS] + 1), 1);
	} else {
		CU_ASSERT_EQUAL(balloon_request_stats(fg.dev), -ENOTSUP);
	}
	if (set & 2) {
		CU_ASSERT_EQUAL(fd_hint_run(index[HINT], FG_PAGES + MIB, 3 * 4096), 1);
		CU_ASSERT_EQUAL(fd_counters(BALLOON_Q_HINT).discarded_bytes, 3 * 4096);
		CU_ASSERT_EQUAL(fg_used_idx(&fg, index[HINT]), 3);
	} else {
		CU_ASSERT_EQUAL(balloon_hint_start(fg.dev), -ENOTSUP);
	}
	if (set & 4) {
		fg_send(&fg, index[REPORT], FG_PAGES, 8192, D_WRITE);
		CU_ASSERT_EQUAL(fd_counters(BALLOON_Q_REPORT).pages, 2);
		CU_ASSERT_EQUAL(fg_used_idx(&fg, index[REPORT]), 1);
	}
}

/*
 * All sets of {stats, hints, reporting}, numbered as the specification does and
 * as Linux does. Where both number a set alike the driver means both at once.
 */
static void vq_03(void)
{
	static const uint64_t feature[FG_N_QUEUES] = {0, 0, F_STATS, F_HINT, F_REPORT};
	for (unsigned set = 0; set < 8; set++)
		for (unsigned dense = 0; dense < 2; dense++) {
			uint64_t features = (set & 1 ? F_STATS : 0) | (set & 2 ? F_HINT : 0) | (set & 4 ? F_REPORT : 0);
			unsigned index[FG_N_QUEUES], n = 0;
			bool differs = false;
			fd_begin();
			fg_negotiate(&fg, features);
			fg_msix_on(&fg);
			for (unsigned role = 0; role < FG_N_QUEUES; role++) {
				bool is_there = (features & feature[role]) == feature[role];
				index[role] = dense ? n : role;
				differs |= is_there && n != role;
				n += is_there;
				if (is_there)
					fg_queue_on(&fg, index[role], 128);
			}
			fg_status_write(&fg, 0xF);
			try_queues(set, index);
			CU_ASSERT_EQUAL(fd_state()->dense_queues, dense && differs);
			fd_end();
		}
}

static const struct test_case cases[] = {
	{"BAL-FEA-01 NEW-07", fea_01}, {"BAL-FEA-02", fea_02}, {"BAL-FEA-03", fea_03},	   {"BAL-CFG-01 BAL-CFG-02", cfg_01_02}, {"BAL-CFG-03", cfg_03},
	{"BAL-CFG-04", cfg_04},	       {"BAL-CFG-05", cfg_05}, {"BAL-CFG-05", cfg_05_map}, {"BAL-VQ-01 BAL-VQ-02", vq_01_02},	 {"BAL-VQ-03", vq_03},
};

TEST_SUITE(bal, cases);
