/* Rows GEN: status, features, configuration space. */
#include "tests/conformance/fd.h"

static void gen_01(void)
{
	fd_begin();
	fg_negotiate(&fg, ALL_TYPE);
	fg_msix_on(&fg);
	for (unsigned i = 0; i < FG_N_QUEUES; i++)
		fg_queue_on(&fg, i, 128);
	fd_inflate(0, 1);
	fd_deflate(1, 1);
	fd_post_stats(5);
	fg_send(&fg, HINT, FG_PAGES, 4096, D_WRITE);
	fg_send(&fg, REPORT, FG_PAGES, 4096, D_WRITE);
	balloon_set_target(fg.dev, MIB);
	fakehost_settle(fg.fh, 10);
	fakehost_advance(fg.fh, 100000);
	for (unsigned i = 0; i < FG_N_QUEUES; i++)
		CU_ASSERT_EQUAL(fg_used_idx(&fg, i), 0);
	CU_ASSERT_EQUAL(fd_state()->stats[4], BALLOON_STAT_UNSET);
	CU_ASSERT_EQUAL(fg.fh->n_discards, 0);
	CU_ASSERT_EQUAL(fd_messages(), 0);
	fg_status_write(&fg, 0xF);
	for (unsigned i = 0; i < FG_N_QUEUES; i++)
		CU_ASSERT_EQUAL(fg_used_idx(&fg, i), i != STATS);
	CU_ASSERT_EQUAL(fd_state()->stats[4], 5);
	fd_end();
}

static void break_inflate(void)
{
	fg_set_avail_idx(&fg, INFLATE, fg.q[INFLATE].avail_idx + 129);
	fg_kick(&fg, INFLATE);
}

static void gen_02_03(void)
{
	fd_init(0);
	fakehost_capture_log();
	break_inflate();
	CU_ASSERT_EQUAL(fg_status(&fg), 0x4F);
	CU_ASSERT_EQUAL(fg_irqs(&fg, 0), 1);
	for (unsigned i = 0; i < 10; i++)
		fg_kick(&fg, INFLATE);
	CU_ASSERT_EQUAL(fg_irqs(&fg, 0), 1);
	CU_ASSERT_EQUAL(fakehost_end_log(), 1);
	fd_end();
}

static void gen_04(void)
{
	fd_begin();
	CU_ASSERT_EQUAL(fg_status(&fg), 0);
	fg_accept(&fg, F_VERSION_1);
	const uint8_t steps[] = {1, 3, 0xB, 0xF};
	for (size_t i = 0; i < 4; i++) {
		fg_status_write(&fg, steps[i]);
		CU_ASSERT_EQUAL(fg_status(&fg), steps[i]);
	}
	fd_end();
}

/* Prerequisites: HINT, POISON and REPORT need nothing here; what is offered is the same for all selectors. */
static void gen_05_08_11(void)
{
	for (unsigned bits = 0; bits < 8; bits++) {
		const struct balloon_config config = {.deflate_on_oom = bits & 1, .free_page_reporting = bits & 2, .free_page_hinting = bits & 4};
		uint64_t want = F_MUST_TELL_HOST | F_STATS | F_POISON | F_INDIRECT | F_EVENT_IDX | F_VERSION_1 | F_RING_RESET | F_SUSPEND;
		want |= bits & 1 ? F_OOM : 0;
		want |= bits & 2 ? F_REPORT : 0;
		want |= bits & 4 ? F_HINT : 0;
		fg_create(&fg, &config, 4096);
		CU_ASSERT_EQUAL(fg_offered(&fg), want);
		const uint32_t selects[] = {2, 3, 4, 5, 6, 7, 31, 0x80000000, 0xFFFFFFFF};
		for (size_t i = 0; i < sizeof selects / sizeof selects[0]; i++) {
			fg_cc_write(&fg, CC_DEV_FEAT_SEL, 4, selects[i]);
			CU_ASSERT_EQUAL(fg_cc(&fg, CC_DEV_FEAT, 4), 0);
		}
		fd_end();
	}
}

/* All of them, and each brings a device up that works. */
static void gen_06(void)
{
	fd_begin();
	for (uint64_t type = 0; type < 64; type++)
		for (unsigned transport = 0; transport < 16; transport++) {
			uint64_t features = type | (transport & 1 ? F_INDIRECT : 0) | (transport & 2 ? F_EVENT_IDX : 0) | (transport & 4 ? F_RING_RESET : 0) |
					    (transport & 8 ? F_SUSPEND : 0);
			fg_init(&fg, features);
			CU_ASSERT_EQUAL_FATAL(fg_status(&fg), 0xF);
			CU_ASSERT_EQUAL(fd_state()->negotiated_features, features | F_VERSION_1);
			fd_inflate(0, 1);
			CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), 1);
		}
	fd_end();
}

/* Neither unknown features nor a driver without VERSION_1: this device has no legacy side. */
static void gen_07_12(void)
{
	fd_begin();
	fg_negotiate(&fg, FG_BIT(20));
	CU_ASSERT_EQUAL(fg_status(&fg), 3);
	fg_status_write(&fg, 0);
	fg_status_write(&fg, 3);
	fg_accept(&fg, F_STATS);
	fg_status_write(&fg, 0xB);
	CU_ASSERT_EQUAL(fg_status(&fg), 3);
	/* A second try is allowed. */
	fg_accept(&fg, F_STATS | F_VERSION_1);
	fg_status_write(&fg, 0xB);
	CU_ASSERT_EQUAL(fg_status(&fg), 0xB);
	fd_end();
}

static void gen_09(void)
{
	fd_begin();
	for (unsigned i = 0; i < 1000; i++) {
		fg_init(&fg, ALL_TYPE | F_RING_RESET);
		CU_ASSERT_EQUAL_FATAL(fg_status(&fg), 0xF);
		fg_status_write(&fg, 0);
		if (i % 10 == 0) { /* the VM boots anew */
			device_reset(fg.dev);
			pci_root_reset(fg.root);
			fg_probe(&fg);
		}
	}
	fd_end();
}

static void gen_10(void)
{
	fd_begin();
	fg_negotiate(&fg, F_STATS);
	fg_queue_on(&fg, STATS, 64);
	fg_accept(&fg, F_VERSION_1);
	fg_cc_write(&fg, CC_DRV_FEAT_SEL, 4, 0);
	CU_ASSERT_EQUAL(fg_cc(&fg, CC_DRV_FEAT, 4), F_STATS);
	fg_status_write(&fg, 0xF);
	fd_post_stats(17);
	struct balloon_state state;
	balloon_get_state(fg.dev, &state);
	CU_ASSERT_EQUAL(state.stats[4], 17);
	fd_end();
}

static void gen_16(void)
{
	const uint32_t want[] = {0x1234, 7, 0, 0};
	fd_begin();
	balloon_set_target(fg.dev, 0x1234000);
	fg_dc_write(&fg, DC_ACTUAL, 7);
	for (uint8_t status = 0; status <= 3; status++) {
		fg_status_write(&fg, status);
		if (!status)
			fg_dc_write(&fg, DC_ACTUAL, 7);
		for (unsigned i = 0; i < 4; i++)
			CU_ASSERT_EQUAL(fg_dc(&fg, 4 * i), want[i]);
	}
	fd_end();
}

static void gen_17(void)
{
	const uint8_t want[] = {0x34, 0x12, 0, 0};
	fd_begin();
	balloon_set_target(fg.dev, 0x1234000);
	for (unsigned i = 0; i < 4; i++)
		CU_ASSERT_EQUAL(fg_bar(&fg, fg.device + i, 1), want[i]);
	const uint8_t actual[] = {0xEF, 0xCD, 0xAB, 0x89};
	for (unsigned i = 0; i < 4; i++)
		fg_bar_write(&fg, fg.device + DC_ACTUAL + i, 1, actual[i]);
	CU_ASSERT_EQUAL(fd_state()->actual_bytes, 0x89ABCDEFULL * 4096);
	fd_end();
}

static void gen_18(void)
{
	fd_init(0);
	for (uint64_t i = 1; i <= 100; i++) {
		balloon_set_target(fg.dev, i * 4096);
		CU_ASSERT_EQUAL(fg_irqs(&fg, 0), i);
	}
	balloon_set_target(fg.dev, 100 * 4096);
	CU_ASSERT_TRUE(fg_irqs(&fg, 0) <= 101);
	fd_end();
}

static const struct test_case cases[] = {
	{"GEN-01", gen_01}, {"GEN-02 GEN-03", gen_02_03}, {"GEN-04", gen_04}, {"GEN-05 GEN-08 GEN-11", gen_05_08_11},
	{"GEN-06", gen_06}, {"GEN-07 GEN-12", gen_07_12}, {"GEN-09", gen_09}, {"GEN-10", gen_10},
	{"GEN-16", gen_16}, {"GEN-17", gen_17},		  {"GEN-18", gen_18},
};

TEST_SUITE(gen, cases);
