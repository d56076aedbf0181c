/* Rows HOS-01 to HOS-22: a driver that misuses the registers. Races are in races.c. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/conformance/fd.h"
#include "tests/conformance/hos_values.h"

static void hos_01(void)
{
	fd_begin_hostile();
	fg_negotiate(&fg, 0);
	for (unsigned i = 0; i < HOS_COUNT(hos_01_sizes); i++) {
		fg_q_write(&fg, INFLATE, CC_Q_SIZE, 2, hos_01_sizes[i]);
		CU_ASSERT_EQUAL(fg_q(&fg, INFLATE, CC_Q_SIZE, 2), 256);
	}
	fg_queue_on(&fg, INFLATE, 256);
	fg_status_write(&fg, 0xF);
	fd_inflate(0, 1);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), 1);
	fd_end_hostile();
}

/* Also HOS-03 and HOS-04: rings that are misaligned or not in RAM are not taken. */
static void hos_02(void)
{
	const uint64_t d = FG_RING(0), a = FG_RING(0) + 0x6000, u = FG_RING(0) + 0x8000, end = FAKE_REGION_LEN;
	const uint64_t bad[][3] = {
		{d + 8, a, u},
		{d + 1, a, u},
		{d, a + 1, u},
		{d, a, u + 2},
		{d, a, u + 1},
		{end, a, u},
		{end - 16, a, u},
		{d, end - 2, u},
		{d, a, end - 4},
		{FAKE_HIGH_GPA - 16, a, u},
		{FAKE_HIGH_GPA + end - 16, a, u},
	};
	fd_begin_hostile();
	fg_negotiate(&fg, F_EVENT_IDX);
	for (unsigned i = 0; i < HOS_COUNT(bad); i++) {
		fg_queue_on_at(&fg, INFLATE, 128, bad[i][0], bad[i][1], bad[i][2]);
		CU_ASSERT_EQUAL(fg_q(&fg, INFLATE, CC_Q_ENABLE, 2), 0);
	}
	for (unsigned i = 0; i < 3 * HOS_COUNT(hos_03_no_ram); i++) {
		uint64_t gpa = hos_03_no_ram[i / 3];
		fg_queue_on_at(&fg, INFLATE, 128, i % 3 == 0 ? gpa : d, i % 3 == 1 ? gpa : a, i % 3 == 2 ? gpa : u);
		CU_ASSERT_EQUAL(fg_q(&fg, INFLATE, CC_Q_ENABLE, 2), 0);
	}
	fg_status_write(&fg, 0xF);
	fg_kick(&fg, INFLATE);
	CU_ASSERT_EQUAL(fg_status(&fg), 0xF);
	fd_end_hostile();
}

static void hos_05(void)
{
	fd_begin_hostile();
	srandom(5);
	for (unsigned round = 0; round < 200; round++) {
		fg_negotiate(&fg, ALL_TYPE);
		uint64_t base = FG_RING(0);
		memset(fakehost_ram(fg.fh, base, 0x4000), (int)random(), 0x4000);
		for (unsigned i = 0; i < FG_N_QUEUES; i++)
			fg_queue_on_at(&fg, i, 16, base + (uint64_t)(random() % 8) * 16, base + (uint64_t)(random() % 64) * 2,
				       base + (uint64_t)(random() % 64) * 4);
		fg_status_write(&fg, 0xF);
		for (unsigned k = 0; k < 20; k++) {
			fg_publish(&fg, k % 2, (uint16_t)(random() % 16));
			fg_kick(&fg, k % 5);
		}
	}
	fd_end_hostile();
}

static void hos_06_07(void)
{
	fd_begin_hostile();
	fd_inflate(0, 1);
	fg_q_write(&fg, INFLATE, CC_Q_SIZE, 2, 8);
	fg_q_write(&fg, INFLATE, CC_Q_DESC, 8, 0x800000);
	fg_q_write(&fg, INFLATE, CC_Q_DRIVER, 4, 0x800000);
	fg_q_write(&fg, INFLATE, CC_Q_DEVICE, 8, 0x800000);
	CU_ASSERT_EQUAL(fg_q(&fg, INFLATE, CC_Q_SIZE, 2), 128);
	CU_ASSERT_EQUAL(fg_q(&fg, INFLATE, CC_Q_DESC, 8), FG_RING(INFLATE));
	for (unsigned i = 0; i < HOS_COUNT(hos_07_enables); i++) {
		fg_q_write(&fg, INFLATE, CC_Q_ENABLE, 2, hos_07_enables[i]);
		CU_ASSERT_EQUAL(fg_q(&fg, INFLATE, CC_Q_ENABLE, 2), 1);
	}
	fd_inflate(1, 1);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), 2);
	fd_end_hostile();
}

static void hos_08(void)
{
	fd_begin_hostile();
	fg_status_write(&fg, 0);
	fg_queue_on(&fg, INFLATE, 64);
	CU_ASSERT_EQUAL(fg_q(&fg, INFLATE, CC_Q_ENABLE, 2), 0);
	fg_status_write(&fg, 3);
	fg_accept(&fg, F_VERSION_1);
	fg_queue_on(&fg, INFLATE, 64);
	CU_ASSERT_EQUAL(fg_q(&fg, INFLATE, CC_Q_ENABLE, 2), 0);
	fg_status_write(&fg, 0xF);
	fg_queue_on(&fg, INFLATE, 64);
	CU_ASSERT_EQUAL(fg_q(&fg, INFLATE, CC_Q_ENABLE, 2), 0);
	fd_inflate(0, 1);
	CU_ASSERT_EQUAL(fg.fh->n_discards, 0);
	fd_end_hostile();
}

static void hos_09(void)
{
	struct balloon_state state;
	fd_begin_hostile();
	fg_negotiate(&fg, ALL_TYPE);
	fg_status_write(&fg, 0xF);
	for (unsigned i = 0; i < FG_N_QUEUES; i++)
		fg_kick(&fg, i);
	CU_ASSERT_EQUAL(balloon_set_target(fg.dev, MIB), 0);
	CU_ASSERT_EQUAL(balloon_request_stats(fg.dev), -EBUSY);
	balloon_get_state(fg.dev, &state);
	CU_ASSERT_TRUE(state.driver_ok);
	/* Inflate alone. */
	fg_negotiate(&fg, ALL_TYPE);
	fg_queue_on(&fg, INFLATE, 64);
	fg_status_write(&fg, 0xF);
	fd_inflate(0, 1);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), 1);
	fd_end_hostile();
}

static void hos_10(void)
{
	fd_begin_hostile();
	for (unsigned i = 0; i < HOS_COUNT(hos_10_selects); i++)
		for (unsigned offset = CC_Q_SIZE; offset < CC_LEN; offset += 2) {
			uint64_t want = offset == CC_Q_VEC ? 0xFFFF : 0;
			CU_ASSERT_EQUAL(fg_q(&fg, hos_10_selects[i], offset, 2), want);
			fg_q_write(&fg, hos_10_selects[i], offset, 2, 1);
			fg_q_write(&fg, hos_10_selects[i], offset, 4, 1);
			CU_ASSERT_EQUAL(fg_q(&fg, hos_10_selects[i], offset, 2), want);
		}
	fd_end_hostile();
}

static void hos_11(void)
{
	fd_begin_hostile();
	fg_negotiate(&fg, 0);
	fg_queue_on(&fg, INFLATE, 128);
	fd_inflate(0, 1);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), 0);
	fg_status_write(&fg, 0xF);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), 1);
	fg_status_write(&fg, 0x8F);
	fd_inflate(0, 1);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), 1);
	fg_init(&fg, 0);
	fg_set_avail_idx(&fg, DEFLATE, 1000);
	fg_kick(&fg, DEFLATE);
	CU_ASSERT_EQUAL(fg_status(&fg), 0x4F);
	fd_inflate(0, 1);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), 0);
	fd_end_hostile();
}

static void hos_12_13(void)
{
	fd_begin_hostile();
	fd_post(INFLATE, 0, 0);
	for (uint64_t offset = 0; offset < 0x100; offset++)
		for (unsigned size = 1; size <= 8; size *= 2) {
			if (offset == 0 && (size == 2 || size == 4))
				continue;
			fg_bar_write(&fg, fg.notify + offset, size, 0);
			CU_ASSERT_EQUAL(fg_bar(&fg, fg.notify + offset, size), 0);
		}
	CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), 0);
	/* The address decides, whatever is written. */
	fg_bar_write(&fg, fg.notify, 2, 0xFFFF);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), 1);
	fd_post(INFLATE, 1, 0);
	fg_bar_write(&fg, fg.notify, 4, 0xDEADBEEF);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), 2);
	fd_end_hostile();
}

static void hos_15(void)
{
	fd_begin_hostile();
	for (unsigned bit = 0; bit < 64; bit++) {
		fg_status_write(&fg, 0);
		fg_status_write(&fg, 3);
		fg_accept(&fg, F_VERSION_1 | FG_BIT(bit));
		for (uint32_t select = 2; select; select <<= 1) {
			fg_cc_write(&fg, CC_DRV_FEAT_SEL, 4, select);
			fg_cc_write(&fg, CC_DRV_FEAT, 4, 0xFFFFFFFF);
		}
		fg_status_write(&fg, 0xB);
		CU_ASSERT_EQUAL(fg_status(&fg), ALL_OFFERED >> bit & 1 ? 0xB : 3);
	}
	fd_end_hostile();
}

static void hos_16(void)
{
	fd_begin_hostile();
	fg_status_write(&fg, 0);
	fg_status_write(&fg, 7);
	CU_ASSERT_EQUAL(fg_status(&fg), 3);
	fg_accept(&fg, F_VERSION_1 | FG_BIT(20));
	fg_status_write(&fg, 0xB);
	fg_status_write(&fg, 0xF);
	CU_ASSERT_EQUAL(fg_status(&fg), 3);
	fd_inflate(0, 1);
	CU_ASSERT_EQUAL(fg.fh->n_discards, 0);
	fd_end_hostile();
}

static void hos_17(void)
{
	fd_begin_hostile();
	for (unsigned i = 0; i < HOS_COUNT(hos_17_statuses); i++) {
		fg_status_write(&fg, hos_17_statuses[i]);
		CU_ASSERT_EQUAL(fg_status(&fg), 0xF);
	}
	fd_inflate(0, 1);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), 1);
	fg_status_write(&fg, 0xFF);
	CU_ASSERT_EQUAL(fg_status(&fg), 0x8F);
	/* From nothing to all in one go: only with features that are acceptable. */
	fg_status_write(&fg, 0);
	fg_status_write(&fg, 0xF);
	CU_ASSERT_EQUAL(fg_status(&fg), 3);
	fg_status_write(&fg, 0);
	fg_accept(&fg, F_VERSION_1);
	fg_status_write(&fg, 0xF);
	CU_ASSERT_EQUAL(fg_status(&fg), 0xF);
	fd_end_hostile();
}

static void hos_18(void)
{
	fd_begin_hostile();
	fg_status_write(&fg, 0x80);
	fd_inflate(0, 1);
	fd_deflate(0, 1);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE) + fg_used_idx(&fg, DEFLATE), 0);
	CU_ASSERT_EQUAL(fg.fh->n_discards, 0);
	balloon_set_target(fg.dev, MIB);
	CU_ASSERT_EQUAL(fg_irqs(&fg, 0), 0);
	fd_end_hostile();
}

/* The storm; a reset against another vCPU is in races.c. */
static void hos_19(void)
{
	fd_begin_hostile();
	for (unsigned i = 0; i < 100000; i++) {
		fg_status_write(&fg, 0);
		if (i % 16 == 0)
			fg_init(&fg, ALL_TYPE);
	}
	fd_end_hostile();
}

static void hos_20(void)
{
	fd_begin_hostile();
	fg_q_write(&fg, INFLATE, CC_Q_RESET, 2, 2);
	fg_q_write(&fg, INFLATE, CC_Q_RESET, 2, 0xFFFF);
	CU_ASSERT_EQUAL(fg_q(&fg, INFLATE, CC_Q_ENABLE, 2), 1);
	for (unsigned i = 0; i < 2; i++) {
		fg_q_write(&fg, INFLATE, CC_Q_RESET, 2, 1);
		fg_q_write(&fg, HINT, CC_Q_RESET, 2, 1);
		CU_ASSERT_EQUAL(fg_q(&fg, INFLATE, CC_Q_RESET, 2), 0);
		CU_ASSERT_EQUAL(fg_q(&fg, INFLATE, CC_Q_ENABLE, 2), 0);
	}
	fg_init(&fg, 0);
	fg_q_write(&fg, INFLATE, CC_Q_RESET, 2, 1);
	CU_ASSERT_EQUAL(fg_q(&fg, INFLATE, CC_Q_ENABLE, 2), 1);
	fd_inflate(0, 1);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), 1);
	fd_end_hostile();
}

/* Every offset and width, reads and writes; byte reads agree with wide ones. */
static void hos_21(void)
{
	fd_begin_hostile();
	fg_status_write(&fg, 0);
	srandom(21);
	for (unsigned size = 1; size <= 8; size *= 2)
		for (uint64_t offset = 0; offset < 0x100; offset++) {
			uint64_t want = 0;
			for (unsigned b = 0; b < size && offset + size <= CC_LEN; b++)
				want |= fg_cc(&fg, (unsigned)offset + b, 1) << 8 * b;
			CU_ASSERT_EQUAL(fg_cc(&fg, (unsigned)offset, size), want);
		}
	for (unsigned i = 0; i < 100000; i++) {
		unsigned size = 1u << random() % 4;
		fg_bar_write(&fg, (uint64_t)random() % 0x1FF9, size, (uint64_t)random() * 0x100000001);
		fg_bar(&fg, (uint64_t)random() % 0x1FF9, size);
	}
	fd_end_hostile();
}

static const struct test_case cases[] = {
	{"HOS-01", hos_01},	      {"HOS-02 HOS-03 HOS-04", hos_02},
	{"HOS-05", hos_05},	      {"HOS-06 HOS-07", hos_06_07},
	{"HOS-08", hos_08},	      {"HOS-09", hos_09},
	{"HOS-10", hos_10},	      {"HOS-11", hos_11},
	{"HOS-12 HOS-13", hos_12_13}, {"HOS-15", hos_15},
	{"HOS-16", hos_16},	      {"HOS-17", hos_17},
	{"HOS-18", hos_18},	      {"HOS-19", hos_19},
	{"HOS-20", hos_20},	      {"HOS-21", hos_21},
};

TEST_SUITE(hos_regs, cases);
