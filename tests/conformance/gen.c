/* Rows GEN: status, features, reset, configuration space, queue reset. */
#include <string.h>

#include "tests/conformance/fd.h"

static void gen_01(void)
{
	fd_begin();
	fg_negotiate(&fg, 0);
	fg_msix_on(&fg);
	fg_queue_on(&fg, INFLATE, 128);
	fd_inflate(0, 1);
	fakehost_settle(fg.fh, 10);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), 0);
	CU_ASSERT_EQUAL(fg.fh->n_discards, 0);
	CU_ASSERT_EQUAL(fd_messages(), 0);
	fg_status_write(&fg, 0xF);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), 1);
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

static void gen_06(void)
{
	fd_begin();
	for (uint64_t type = 0; type < 64; type++)
		for (uint64_t transport = 0; transport < 8; transport++) {
			uint64_t features = type | (transport & 1 ? F_INDIRECT : 0) | (transport & 2 ? F_EVENT_IDX : 0) | (transport & 4 ? F_RING_RESET : 0);
			fg_negotiate(&fg, features);
			bool subset = !(features & ~ALL_OFFERED);
			CU_ASSERT_EQUAL_FATAL(fg_status(&fg), subset ? 0xB : 3);
		}
	fd_end();
}

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
		if (i % 10 == 0) {
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
	static uint8_t ring[0x10000];
	fd_init(0);
	for (uint16_t i = 0; i < 64; i++)
		fd_post_inflate(i, i);
	static uint32_t pfns[8192];
	for (unsigned i = 0; i < 8192; i++)
		pfns[i] = PFN(FAKE_HIGH_GPA) + i;
	fg_send_pfns(&fg, DEFLATE, pfns, 8192);
	fg_send_pfns(&fg, INFLATE, pfns, 8192);
	fg_status_write(&fg, 0);
	CU_ASSERT_EQUAL(fg_status(&fg), 0);
	memcpy(ring, fakehost_ram(fg.fh, FG_RING(INFLATE), sizeof ring), sizeof ring);
	uint64_t messages = fd_messages();
	size_t discards = fg.fh->n_discards;
	fg_fill(&fg, FAKE_HIGH_GPA, 8192 * 4096, 1);
	for (unsigned i = 0; i < FG_N_QUEUES; i++)
		fg_kick(&fg, i);
	CU_ASSERT_TRUE(fakehost_settle(fg.fh, 100));
	fakehost_advance(fg.fh, 100000);
	CU_ASSERT_EQUAL(memcmp(ring, fakehost_ram(fg.fh, FG_RING(INFLATE), sizeof ring), sizeof ring), 0);
	CU_ASSERT_TRUE(fg_holds(&fg, FAKE_HIGH_GPA, 8192 * 4096, 1));
	CU_ASSERT_EQUAL(fd_messages(), messages);
	CU_ASSERT_EQUAL(fg.fh->n_discards, discards);
	fd_end();
}

static void gen_16(void)
{
	fd_begin();
	fg_status_write(&fg, 3);
	for (unsigned offset = 0; offset < 16; offset += 4)
		CU_ASSERT_EQUAL(fg_dc(&fg, offset), 0);
	fd_end();
}

static void gen_17(void)
{
	const uint8_t want[] = {0x34, 0x12, 0, 0};
	fd_begin();
	balloon_set_target(fg.dev, 0x1234000);
	for (unsigned i = 0; i < 4; i++)
		CU_ASSERT_EQUAL(fg_bar(&fg, fg.device + i, 1), want[i]);
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

static void gen_19(void)
{
	static uint32_t pfns[1024];
	fd_init(F_RING_RESET);
	for (unsigned i = 0; i < 1024; i++)
		pfns[i] = PFN(FAKE_HIGH_GPA) + i;
	for (uint16_t i = 0; i < 32; i++) {
		memcpy(fakehost_ram(fg.fh, FG_DATA(INFLATE), sizeof pfns), pfns, sizeof pfns);
		fg_desc(&fg, INFLATE, i, FG_DATA(INFLATE), sizeof pfns, 0, 0);
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

/* Not negotiated: its bit never sticks. */
static void gen_22(void)
{
	fd_begin();
	fg_accept(&fg, F_VERSION_1);
	fg_status_write(&fg, 3);
	fg_status_write(&fg, 0x1B);
	CU_ASSERT_EQUAL(fg_status(&fg), 0xB);
	fg_status_write(&fg, 0x1F);
	CU_ASSERT_EQUAL(fg_status(&fg), 0xF);
	fg_status_write(&fg, 0x1F);
	CU_ASSERT_EQUAL(fg_status(&fg), 0xF);
	fd_end();
}

static const struct test_case cases[] = {
	{"GEN-01", gen_01}, {"GEN-02 GEN-03", gen_02_03}, {"GEN-04", gen_04}, {"GEN-05 GEN-08 GEN-11", gen_05_08_11},
	{"GEN-06", gen_06}, {"GEN-07 GEN-12", gen_07_12}, {"GEN-09", gen_09}, {"GEN-10", gen_10},
	{"GEN-14", gen_14}, {"GEN-15", gen_15},		  {"GEN-16", gen_16}, {"GEN-17", gen_17},
	{"GEN-18", gen_18}, {"GEN-19", gen_19},		  {"GEN-20", gen_20}, {"GEN-21", gen_21},
	{"GEN-22", gen_22},
};

TEST_SUITE(gen, cases);
