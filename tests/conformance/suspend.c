/* Rows GEN-22 to GEN-28, HOS-80 and NEW-01: a driver that suspends the device. */
#include <string.h>

#include "tests/conformance/fd.h"
#include "util/bytes.h"

#define ALL (ALL_TYPE | F_RING_RESET | F_SUSPEND)

static void expect_status(uint8_t want)
{
	CU_ASSERT_EQUAL(fg_status(&fg), want);
}

static void suspend(void)
{
	fg_status_write(&fg, 0x1F);
	fakehost_settle(fg.fh, 1000);
	expect_status(0x1B);
}

/* A report of the whole of a region is too long for one piece of work. */
static void begin_long_work(void)
{
	static uint32_t pfns[8192];
	for (unsigned i = 0; i < 8192; i++)
		pfns[i] = PFN(FAKE_HIGH_GPA) + i;
	fg_send_pfns(&fg, INFLATE, pfns, 8192);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), 0);
}

/* Before DRIVER_OK, and without the feature, the bit means nothing; 42 is another device's. */
static void gen_22(void)
{
	for (unsigned negotiated = 0; negotiated < 2; negotiated++) {
		fd_begin();
		CU_ASSERT_TRUE((fg_offered(&fg) & F_SUSPEND) != 0);
		CU_ASSERT_FALSE((fg_offered(&fg) & FG_BIT(42)) != 0);
		fg_accept(&fg, F_VERSION_1 | (negotiated ? F_SUSPEND : 0));
		const uint8_t steps[][2] = {{0x10, 0}, {0x11, 1}, {0x13, 3}, {0x1B, 0xB}, {0x1B, 0xB}};
		for (unsigned i = 0; i < 5; i++) {
			fg_status_write(&fg, steps[i][0]);
			expect_status(steps[i][1]);
		}
		fg_msix_on(&fg);
		fg_queue_on(&fg, INFLATE, 64);
		fg_status_write(&fg, 0xF);
		expect_status(0xF);
		fd_inflate(0, 1);
		CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), 1);
		fg_status_write(&fg, 0x1F);
		expect_status(negotiated ? 0x1B : 0xF);
		fd_inflate(0, 1);
		CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), negotiated ? 1 : 2);
		CU_ASSERT_EQUAL(fd_state()->suspended, negotiated);
		fd_end();
	}
}

/* An idle device is suspended when the write returns; DRIVER_OK goes, the others stay. */
static void gen_23(void)
{
	const uint8_t values[] = {0x1F, 0x1B, 0x10};
	for (unsigned i = 0; i < 3; i++) {
		fd_init(ALL);
		fg_status_write(&fg, values[i]);
		expect_status(0x1B);
		fd_end();
	}
}

/* What was fetched is returned and told, the rest is left alone, and only then the state shows. The parked statistics buffer stays parked. */
static void gen_24(void)
{
	fd_init(ALL);
	fd_post_stats(5);
	begin_long_work();
	for (uint16_t i = 1; i <= 64; i++)
		fd_post(INFLATE, i, i);
	fg_status_write(&fg, 0x1F);
	expect_status(0xF);
	fg_kick(&fg, INFLATE);
	fd_deflate(0, 1);
	expect_status(0xF);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, DEFLATE), 0);
	fakehost_settle(fg.fh, 1000);
	expect_status(0x1B);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), 1);
	CU_ASSERT_EQUAL(fg_irqs(&fg, 1 + INFLATE), 1);
	CU_ASSERT_EQUAL(fg.fh->discarded_bytes, 8192 * 4096);
	CU_ASSERT_FALSE(fakehost_was_discarded(fg.fh, FG_PAGES + 4096));
	CU_ASSERT_EQUAL(fg_used_idx(&fg, STATS), 0);
	CU_ASSERT_EQUAL(fg_irqs(&fg, 1 + STATS), 0);
	fg_status_write(&fg, 0xF);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), 65);
	CU_ASSERT_EQUAL(balloon_request_stats(fg.dev), 0);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, STATS), 1);
	fd_end();
}

/* So many hints at once that they wait for the event loop to look at them: the chain is in work all the time. */
static void gen_24_hints(void)
{
	fd_init(ALL);
	fd_hint_cmd(HINT, fd_hint_start());
	for (uint16_t i = 0; i < 8; i++)
		fg_desc(&fg, HINT, i, i % 2 ? FAKE_HIGH_GPA : FG_PAGES, 32 * MIB, D_WRITE | (i < 7 ? D_NEXT : 0), i + 1);
	fg_publish(&fg, HINT, 0);
	fg_kick(&fg, HINT);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, HINT), 1);
	suspend();
	CU_ASSERT_EQUAL(fg_used_idx(&fg, HINT), 2);
	CU_ASSERT_EQUAL(fg_irqs(&fg, 1 + HINT), 2);
	fd_end();
}

struct seen {
	uint64_t used[FG_N_QUEUES];
	uint64_t messages, generation;
	uint64_t config[4];
};

static struct seen see(void)
{
	struct seen seen = {.messages = fd_messages(), .generation = fg_cc(&fg, CC_GENERATION, 1)};
	for (unsigned i = 0; i < FG_N_QUEUES; i++)
		seen.used[i] = fg_used_idx(&fg, i);
	for (unsigned i = 0; i < 4; i++)
		seen.config[i] = fg_dc(&fg, 4 * i);
	return seen;
}

/* All that a driver may leave in its rings. */
static void fill_queues(void)
{
	for (unsigned i = 0; i < FG_N_QUEUES; i++) {
		store_le32(fakehost_ram(fg.fh, FG_DATA(i), 4), PFN(FG_PAGES) + 1);
		fg_desc(&fg, i, 9, i >= HINT ? FG_PAGES + 4096 : FG_DATA(i), i >= HINT ? 4096 : 4, i >= HINT ? D_WRITE : 0, 0);
		fg_publish(&fg, i, 9);
		fg_kick(&fg, i);
	}
}

/* Hints that were taken before may still be looked at: that touches no queue, and the guest has not written those pages. */
static void gen_25(void)
{
	fd_init(ALL);
	CU_ASSERT_EQUAL(balloon_set_stats_interval(fg.dev, 2), 0);
	fd_post_stats(5);
	CU_ASSERT_EQUAL(balloon_set_target(fg.dev, MIB), 0);
	CU_ASSERT_EQUAL(balloon_hint_start(fg.dev), 0);
	fd_hint_cmd(HINT, fg_dc(&fg, DC_CMD_ID));
	fd_hint(HINT, FG_PAGES, 4096);
	suspend();
	CU_ASSERT_TRUE(fd_state()->suspended);
	struct seen before = see();
	fill_queues();
	balloon_set_target(fg.dev, 2 * MIB);
	CU_ASSERT_NOT_EQUAL(balloon_request_stats(fg.dev), 0);
	CU_ASSERT_NOT_EQUAL(balloon_hint_start(fg.dev), 0);
	fakehost_settle(fg.fh, 1000);
	/* Whatever timer there is. */
	fakehost_advance(fg.fh, 3600 * 1000);
	fakehost_settle(fg.fh, 1000);
	fg_pcicfg_write(&fg, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	fg_pcicfg_write(&fg, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	fakehost_settle(fg.fh, 1000);
	struct seen after = see();
	CU_ASSERT_EQUAL(memcmp(&before, &after, sizeof before), 0);
	CU_ASSERT_FALSE(fakehost_was_discarded(fg.fh, FG_PAGES + 4096));
	expect_status(0x1B);
	/* Time ran out for the run: the driver is told when it is back. */
	CU_ASSERT_TRUE(before.config[2] >= 2);
	uint64_t irqs = fg_irqs(&fg, 0);
	fg_status_write(&fg, 0xF);
	fakehost_settle(fg.fh, 1000);
	CU_ASSERT_EQUAL(fg_dc(&fg, DC_CMD_ID), 1);
	CU_ASSERT_TRUE(fg_irqs(&fg, 0) > irqs);
	fd_end();
}

static void gen_26(void)
{
	fd_init(ALL);
	fg_dc_write(&fg, DC_ACTUAL, 7);
	suspend();
	uint64_t events = fg.fh->n_events;
	fg_dc_write(&fg, DC_ACTUAL, 9);
	fg_dc_write(&fg, DC_POISON, 9);
	fg_cc_write(&fg, CC_CFG_VEC, 2, 3);
	fg_cc_write(&fg, CC_Q_SELECT, 2, INFLATE);
	uint64_t selected = fg_cc(&fg, CC_Q_SELECT, 2), size = fg_cc(&fg, CC_Q_SIZE, 2);
	fg_cc_write(&fg, CC_Q_SIZE, 2, 8);
	fg_cc_write(&fg, CC_Q_VEC, 2, 5);
	fg_cc_write(&fg, CC_Q_RESET, 2, 1);
	fg_cc_write(&fg, CC_DRV_FEAT, 4, 0);
	CU_ASSERT_EQUAL(fg_dc(&fg, DC_ACTUAL), 7);
	CU_ASSERT_EQUAL(fg_dc(&fg, DC_POISON), 0);
	CU_ASSERT_EQUAL(fg_cc(&fg, CC_CFG_VEC, 2), 0);
	CU_ASSERT_EQUAL(fg_cc(&fg, CC_Q_SIZE, 2), size);
	CU_ASSERT_EQUAL(fg_cc(&fg, CC_Q_VEC, 2), selected + 1);
	CU_ASSERT_EQUAL(fg_cc(&fg, CC_Q_ENABLE, 2), 1);
	CU_ASSERT_EQUAL(fd_state()->actual_bytes, 7 * 4096);
	CU_ASSERT_EQUAL(fg.fh->n_events, events);
	fg_status_write(&fg, 0xF);
	fg_dc_write(&fg, DC_ACTUAL, 9);
	CU_ASSERT_EQUAL(fg_dc(&fg, DC_ACTUAL), 9);
	fd_end();
}

/* One message for all changes together, after the state is gone; none when nothing changed. */
static void gen_27(void)
{
	fd_init(ALL);
	balloon_set_target(fg.dev, MIB);
	CU_ASSERT_EQUAL(fg_irqs(&fg, 0), 1);
	suspend();
	CU_ASSERT_EQUAL(fg_dc(&fg, DC_NUM_PAGES), 256);
	uint64_t generation = fg_cc(&fg, CC_GENERATION, 1);
	for (unsigned i = 2; i < 10; i++)
		balloon_set_target(fg.dev, i * MIB);
	CU_ASSERT_EQUAL(fg_irqs(&fg, 0), 1);
	CU_ASSERT_EQUAL(fg_dc(&fg, DC_NUM_PAGES), 256);
	CU_ASSERT_EQUAL(fd_state()->target_bytes, 9 * MIB);
	fg_status_write(&fg, 0xF);
	expect_status(0xF);
	CU_ASSERT_EQUAL(fg_irqs(&fg, 0), 2);
	CU_ASSERT_EQUAL(fg_dc(&fg, DC_NUM_PAGES), 9 * 256);
	CU_ASSERT_NOT_EQUAL(fg_cc(&fg, CC_GENERATION, 1), generation);
	suspend();
	fg_status_write(&fg, 0xF);
	CU_ASSERT_EQUAL(fg_irqs(&fg, 0), 2);
	fd_end();
}

static void gen_28(void)
{
	const uint8_t values[] = {0xF, 0x1F, 0x04};
	for (unsigned i = 0; i < 3; i++) {
		fd_init(ALL);
		fd_inflate(0, 1);
		suspend();
		fd_post(INFLATE, 3, 3);
		fd_post(DEFLATE, 4, 4);
		fg_desc(&fg, REPORT, 0, FG_PAGES + MIB, 4096, D_WRITE, 0);
		fg_publish(&fg, REPORT, 0);
		fg_status_write(&fg, values[i]);
		expect_status(0xF);
		CU_ASSERT_FALSE(fd_state()->suspended);
		fakehost_settle(fg.fh, 100);
		CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), 2);
		CU_ASSERT_EQUAL(fg_used_id(&fg, INFLATE, 1), 3);
		CU_ASSERT_EQUAL(fg_used_idx(&fg, DEFLATE), 1);
		CU_ASSERT_EQUAL(fg_used_idx(&fg, REPORT), 1);
		CU_ASSERT_EQUAL(fg_irqs(&fg, 1 + INFLATE), 2);
		CU_ASSERT_EQUAL(fg_irqs(&fg, 1 + DEFLATE), 1);
		CU_ASSERT_TRUE(fakehost_was_discarded(fg.fh, FG_PAGES + 3 * 4096));
		fd_end();
	}
}

/* The target's change is not lost when the driver resets instead of resuming, nor the device's ability to tell. */
static void reset_while_suspended(void)
{
	fg_init(&fg, ALL);
	suspend();
	uint64_t target = fd_state()->target_bytes ^ (2 * MIB);
	balloon_set_target(fg.dev, target);
	fg_status_write(&fg, 0);
	expect_status(0);
	CU_ASSERT_FALSE(fd_state()->suspended);
	CU_ASSERT_EQUAL(fg_dc(&fg, DC_NUM_PAGES), target / 4096);
	CU_ASSERT_EQUAL(fg_q(&fg, INFLATE, CC_Q_ENABLE, 2), 0);
}

static void hos_80(void)
{
	fd_begin_hostile();
	for (unsigned i = 0; i < 10; i++) {
		fg_status_write(&fg, 0x1F);
		fd_inflate(0, 1);
		expect_status(0xF);
	}
	CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), 10);
	fg_init(&fg, ALL);
	for (unsigned i = 0; i < 10; i++) {
		fg_status_write(&fg, 0x1B);
		fd_inflate(0, 1);
		fg_dc_write(&fg, DC_ACTUAL, i);
		fg_q_write(&fg, INFLATE, CC_Q_RESET, 2, 1);
		expect_status(0x1B);
	}
	CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), 0);
	reset_while_suspended();
	/* Reset, queue reset and a second request while it is still on its way. */
	fg_init(&fg, ALL);
	begin_long_work();
	fg_status_write(&fg, 0x1F);
	fg_status_write(&fg, 0x1F);
	fg_q_write(&fg, INFLATE, CC_Q_RESET, 2, 1);
	fakehost_settle(fg.fh, 1000);
	expect_status(0x1B);
	fg_init(&fg, ALL);
	begin_long_work();
	fg_status_write(&fg, 0x1F);
	fg_status_write(&fg, 0);
	fakehost_settle(fg.fh, 1000);
	expect_status(0);
	/* A driver that gave up is not served because it resumes. */
	fg_init(&fg, ALL);
	suspend();
	fg_status_write(&fg, 0x9B);
	fg_status_write(&fg, 0x9F);
	fd_inflate(0, 1);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), 0);
	/* A broken ring shows after the resume. */
	fg_init(&fg, ALL);
	suspend();
	fg_set_avail_idx(&fg, INFLATE, 5000);
	fg_kick(&fg, INFLATE);
	expect_status(0x1B);
	fg_status_write(&fg, 0xF);
	expect_status(0x4F);
	fd_end_hostile();
}

static const struct test_case cases[] = {
	{"GEN-22 NEW-01", gen_22}, {"GEN-23", gen_23}, {"GEN-24", gen_24}, {"GEN-24", gen_24_hints}, {"GEN-25 HOS-11", gen_25},
	{"GEN-26", gen_26},	   {"GEN-27", gen_27}, {"GEN-28", gen_28}, {"HOS-80", hos_80},
};

TEST_SUITE(suspend, cases);
