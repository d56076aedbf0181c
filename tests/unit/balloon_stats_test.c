#include <CUnit/CUnit.h>
#include <errno.h>
#include <string.h>
#include <time.h>

#include "tests/unit/fakeguest.h"
#include "tests/unit/suite.h"
#include "util/bytes.h"

#define STATS 2

static struct fakeguest fg;
static struct balloon_state state;

static void begin(uint64_t interval_s)
{
	const struct balloon_config config = {.statistics = interval_s};
	fg_create(&fg, &config, 4096);
	fg_init(&fg, F_STATS | F_RING_RESET);
}

static void end(void)
{
	CU_ASSERT_EQUAL(fg_destroy(&fg), 0);
}

/* A buffer with tags [first, first + n), value = base + tag, in descriptor `head`. */
static void post(uint16_t head, uint16_t first, uint16_t n, uint64_t base)
{
	uint64_t gpa = FG_DATA(STATS) + head * 4096ULL;
	uint8_t *data = fakehost_ram(fg.fh, gpa, n * 10 + 10);
	for (uint16_t i = 0; i < n; i++) {
		store_le16(data + i * 10, first + i);
		store_le64(data + i * 10 + 2, base + first + i);
	}
	fg_desc(&fg, STATS, head, gpa, n * 10, 0, 0);
	fg_publish(&fg, STATS, head);
	fg_kick(&fg, STATS);
}

static void get(void)
{
	balloon_get_state(fg.dev, &state);
}

static void test_primed_buffer(void)
{
	begin(0);
	get();
	CU_ASSERT_EQUAL(state.stats_time_s, 0);
	CU_ASSERT_EQUAL(state.stats[0], BALLOON_STAT_UNSET);
	post(0, 0, 16, 1000);
	get();
	for (unsigned i = 0; i < 16; i++)
		CU_ASSERT_EQUAL(state.stats[i], 1000 + i);
	CU_ASSERT_TRUE(state.stats_time_s >= (uint64_t)time(NULL) - 5);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, STATS), 0);
	CU_ASSERT_FALSE(fakehost_has_timer(fg.fh));
	end();
}

static void test_unknown_repeated_and_missing_tags(void)
{
	begin(0);
	uint8_t *data = fakehost_ram(fg.fh, FG_DATA(STATS), 100);
	const uint16_t tags[] = {500, 5, 0xFFFF, 4, 16, 4};
	for (unsigned i = 0; i < 6; i++) {
		store_le16(data + i * 10, tags[i]);
		store_le64(data + i * 10 + 2, UINT64_MAX - i);
	}
	post(1, 0, 10, 0);
	fakehost_capture_log();
	fg_desc(&fg, STATS, 0, FG_DATA(STATS), 60, 0, 0);
	fg_publish(&fg, STATS, 0);
	fg_kick(&fg, STATS);
	fakehost_end_log();
	get();
	CU_ASSERT_EQUAL(state.stats[5], UINT64_MAX - 1);
	CU_ASSERT_EQUAL(state.stats[4], UINT64_MAX - 5);
	CU_ASSERT_EQUAL(state.stats[0], BALLOON_STAT_UNSET);
	CU_ASSERT_EQUAL(state.stats[9], BALLOON_STAT_UNSET);
	end();
}

static void test_interval(void)
{
	begin(5);
	CU_ASSERT_FALSE(fakehost_has_timer(fg.fh)); /* nothing is there to ask with */
	post(0, 0, 3, 0);
	for (unsigned i = 1; i <= 3; i++) {
		fakehost_advance(fg.fh, 4999);
		CU_ASSERT_EQUAL(fg_used_idx(&fg, STATS), i - 1);
		fakehost_advance(fg.fh, 1);
		CU_ASSERT_EQUAL(fg_used_idx(&fg, STATS), i);
		CU_ASSERT_EQUAL(fg_irqs(&fg, STATS + 1), i);
		CU_ASSERT_EQUAL(fg_used_len(&fg, STATS, 0), 0);
		CU_ASSERT_FALSE(fakehost_has_timer(fg.fh)); /* a guest that does not answer costs nothing */
		fakehost_advance(fg.fh, 60000);
		CU_ASSERT_EQUAL(fg_used_idx(&fg, STATS), i);
		post(0, 0, 3, 100 * i);
		get();
		CU_ASSERT_EQUAL(state.stats[1], 100 * i + 1);
	}
	end();
}

static void test_set_interval(void)
{
	begin(0);
	post(0, 0, 3, 7);
	CU_ASSERT_EQUAL(balloon_set_stats_interval(fg.dev, 2), 0);
	get();
	CU_ASSERT_EQUAL(state.stats_interval_s, 2);
	fakehost_advance(fg.fh, 2000);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, STATS), 1);
	post(0, 0, 3, 8);
	CU_ASSERT_EQUAL(balloon_set_stats_interval(fg.dev, 0), 0);
	CU_ASSERT_FALSE(fakehost_has_timer(fg.fh));
	fakehost_advance(fg.fh, 100000);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, STATS), 1);
	get();
	CU_ASSERT_EQUAL(state.stats[0], 8);
	CU_ASSERT_EQUAL(balloon_set_stats_interval(fg.dev, UINT32_MAX), 0);
	CU_ASSERT_EQUAL(balloon_set_stats_interval(fg.dev, 1ULL + UINT32_MAX), -EINVAL);
	end();
}

/* Whoever manages VMs sets it before the guest's driver is there. */
static void test_set_interval_before_the_driver(void)
{
	fg_create(&fg, NULL, 4096);
	CU_ASSERT_EQUAL(balloon_set_stats_interval(fg.dev, 2), 0);
	fakehost_advance(fg.fh, 100000);
	fg_probe(&fg);
	fg_init(&fg, 0); /* nor does this one report any */
	CU_ASSERT_FALSE(fakehost_has_timer(fg.fh));
	fg_init(&fg, F_STATS);
	post(0, 0, 3, 7);
	fakehost_advance(fg.fh, 2000);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, STATS), 1);
	end();
}

static void test_on_demand(void)
{
	begin(0);
	CU_ASSERT_EQUAL(balloon_request_stats(fg.dev), -EBUSY);
	post(0, 0, 3, 7);
	CU_ASSERT_EQUAL(balloon_request_stats(fg.dev), 0);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, STATS), 1);
	CU_ASSERT_EQUAL(balloon_request_stats(fg.dev), -EBUSY);
	post(0, 0, 3, 9);
	get();
	CU_ASSERT_EQUAL(state.stats[2], 11);
	CU_ASSERT_EQUAL(state.queues[BALLOON_Q_STATS].buffers, 1);
	fg_init(&fg, 0);
	CU_ASSERT_EQUAL(balloon_request_stats(fg.dev), -ENOTSUP);
	fg_status_write(&fg, 0);
	CU_ASSERT_EQUAL(balloon_request_stats(fg.dev), -ENOTSUP);
	end();
}

static void test_second_buffer(void)
{
	begin(0);
	fakehost_capture_log();
	post(3, 0, 3, 7);
	post(5, 0, 3, 8);
	fakehost_end_log();
	CU_ASSERT_EQUAL(fg_used_idx(&fg, STATS), 1);
	CU_ASSERT_EQUAL(fg_used_id(&fg, STATS, 0), 3);
	CU_ASSERT_EQUAL(balloon_request_stats(fg.dev), 0);
	CU_ASSERT_EQUAL(fg_used_id(&fg, STATS, 1), 5);
	get();
	CU_ASSERT_EQUAL(state.stats[0], 8);
	end();
}

static void test_bad_buffers(void)
{
	const struct {
		uint64_t gpa;
		uint32_t len;
		uint16_t flags;
	} rows[] = {{FG_DATA(STATS), 0, 0}, {FG_DATA(STATS), 9, 0}, {FG_DATA(STATS), 100, D_WRITE}, {0xC0000000, 100, 0}, {FG_DATA(STATS), 0xFFFFFFFF, 0}};
	begin(0);
	post(1, 0, 3, 7);
	fakehost_capture_log();
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		fg_send(&fg, STATS, rows[i].gpa, rows[i].len, rows[i].flags);
		get();
		CU_ASSERT_EQUAL(state.stats[0], 7);		   /* nothing new: the old values with their time */
		CU_ASSERT_EQUAL(balloon_request_stats(fg.dev), 0); /* the protocol goes on */
	}
	/* Whole entries of a torn buffer count; the first 4096 bytes of a long one are looked at. */
	fg_send(&fg, STATS, FG_DATA(STATS) + 4096, 19, 0);
	get();
	CU_ASSERT_EQUAL(state.stats[0], 7);
	CU_ASSERT_EQUAL(state.stats[1], BALLOON_STAT_UNSET);
	fg_send(&fg, STATS, FG_DATA(STATS) + 4096, 1 << 20, 0);
	get();
	CU_ASSERT_EQUAL(state.stats[1], 8);
	fakehost_end_log();
	end();
}

static void test_entries_across_buffers(void)
{
	begin(0);
	uint8_t *data = fakehost_ram(fg.fh, FG_DATA(STATS), 20);
	store_le16(data, 4);
	store_le64(data + 2, 44);
	store_le16(data + 10, 5);
	store_le64(data + 12, 55);
	fg_desc(&fg, STATS, 0, FG_DATA(STATS), 1, D_NEXT, 1);
	fg_desc(&fg, STATS, 1, FG_DATA(STATS) + 1, 12, D_NEXT, 2);
	fg_desc(&fg, STATS, 2, FG_DATA(STATS) + 13, 7, 0, 0);
	fg_publish(&fg, STATS, 0);
	fg_kick(&fg, STATS);
	get();
	CU_ASSERT_EQUAL(state.stats[4], 44);
	CU_ASSERT_EQUAL(state.stats[5], 55);
	end();
}

/* Linux primes the buffer before DRIVER_OK and does not kick again. */
static void test_primed_before_driver_ok(void)
{
	begin(0);
	fg_negotiate(&fg, F_STATS);
	fg_queue_on(&fg, STATS, 64);
	post(0, 0, 3, 30);
	get();
	CU_ASSERT_EQUAL(state.stats_time_s, 0);
	fg_status_write(&fg, 0xF);
	get();
	CU_ASSERT_EQUAL(state.stats[0], 30);
	end();
}

static void test_reset_forgets(void)
{
	begin(5);
	post(0, 0, 3, 30);
	CU_ASSERT_TRUE(fakehost_has_timer(fg.fh));
	device_reset(fg.dev);
	CU_ASSERT_FALSE(fakehost_has_timer(fg.fh));
	get();
	CU_ASSERT_EQUAL(state.stats[0], BALLOON_STAT_UNSET);
	CU_ASSERT_EQUAL(state.stats_time_s, 0);
	CU_ASSERT_EQUAL(state.stats_interval_s, 5);
	end();
}

/* While the function may not reach memory the buffer stays, and is returned later. */
static void test_no_bus_master(void)
{
	begin(5);
	post(0, 0, 3, 30);
	fg_pcicfg_write(&fg, 4, 2, 2);
	fakehost_advance(fg.fh, 5000);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, STATS), 0);
	fg_pcicfg_write(&fg, 4, 2, 6);
	fakehost_advance(fg.fh, 5000);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, STATS), 1);
	end();
}

/* Tags without a name are kept by their number, as many as fit. */
static void test_other_tags(void)
{
	begin(0);
	post(0, 15, 40, 100);
	get();
	CU_ASSERT_EQUAL(state.stats[15], 115);
	CU_ASSERT_EQUAL(state.n_other_stats, BALLOON_N_OTHER_STATS);
	for (unsigned i = 0; i < BALLOON_N_OTHER_STATS; i++) {
		CU_ASSERT_EQUAL(state.other_stats[i].tag, 16 + i);
		CU_ASSERT_EQUAL(state.other_stats[i].value, 116 + i);
	}
	balloon_request_stats(fg.dev);
	post(1, 31, 1, 500);
	get();
	CU_ASSERT_EQUAL(state.n_other_stats, 1);
	CU_ASSERT_EQUAL(state.other_stats[0].value, 531);
	end();
}

static void test_age(void)
{
	begin(0);
	get();
	CU_ASSERT_EQUAL(state.stats_age_ms, 0);
	CU_ASSERT_FALSE(state.stats_asked);
	post(0, 0, 1, 1);
	fakehost_advance(fg.fh, 1500);
	get();
	CU_ASSERT_EQUAL(state.stats_age_ms, 1500);
	balloon_request_stats(fg.dev);
	get();
	CU_ASSERT_TRUE(state.stats_asked);
	CU_ASSERT_EQUAL(state.stats_age_ms, 1500);
	post(0, 0, 1, 2);
	get();
	CU_ASSERT_FALSE(state.stats_asked);
	CU_ASSERT_EQUAL(state.stats_age_ms, 0);
	end();
}

static const struct test_case cases[] = {
	{"other tags", test_other_tags},
	{"age", test_age},
	{"primed buffer", test_primed_buffer},
	{"unknown, repeated and missing tags", test_unknown_repeated_and_missing_tags},
	{"interval", test_interval},
	{"set interval", test_set_interval},
	{"set interval before the driver", test_set_interval_before_the_driver},
	{"on demand", test_on_demand},
	{"second buffer", test_second_buffer},
	{"bad buffers", test_bad_buffers},
	{"entries across buffers", test_entries_across_buffers},
	{"primed before DRIVER_OK", test_primed_before_driver_ok},
	{"reset forgets", test_reset_forgets},
	{"no bus master", test_no_bus_master},
};

TEST_SUITE(balloon_stats, cases);
