#include <CUnit/CUnit.h>
#include <errno.h>
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/fakeguest.h"
#include "tests/unit/suite.h"

#define MIB (1ULL << 20)
#define BLOCK 512u /* pages */
#define INFLATE 0
#define DEFLATE 1
#define PAUSE_MS 10 /* of the driver, after which nothing waits any more */

static struct fakeguest fg;

/* RAM of a host with huge pages that it would have to split. */
static void begin_with(uint64_t features, uint64_t block_size, uint64_t high_len)
{
	struct fakehost *fh = fakehost_create_sized(4096, FAKE_REGION_LEN, high_len);
	fh->host.gmem.block_size = block_size;
	fg_create_on(&fg, NULL, fh);
	fg_init(&fg, features);
}

static void begin(void)
{
	begin_with(F_MUST_TELL_HOST | F_RING_RESET | F_SUSPEND, 2 * MIB, FAKE_REGION_LEN);
}

static void end(void)
{
	CU_ASSERT_EQUAL(fg_destroy(&fg), 0);
}

/* Pages from FG_PAGES on. */
static void send_run(unsigned queue, uint32_t first, uint32_t n)
{
	uint32_t pfns[BLOCK];
	for (uint32_t i = 0; i < n; i++)
		pfns[i] = (uint32_t)(FG_PAGES >> 12) + first + i;
	uint16_t used = fg_used_idx(&fg, queue);
	fg_send_pfns(&fg, queue, pfns, n);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, queue), (uint16_t)(used + 1));
}

static void fill(uint32_t first, uint32_t n)
{
	fg_fill(&fg, FG_PAGES + first * 4096ULL, n * 4096ULL, 0x5A);
}

static bool is_kept(uint32_t first, uint32_t n)
{
	return fg_holds(&fg, FG_PAGES + first * 4096ULL, n * 4096ULL, 0x5A);
}

static bool is_gone(uint32_t first, uint32_t n)
{
	return fg_holds(&fg, FG_PAGES + first * 4096ULL, n * 4096ULL, 0);
}

static void pause_driver(void)
{
	fakehost_advance(fg.fh, PAUSE_MS);
	fakehost_settle(fg.fh, 100);
}

static void expect_discards(uint64_t calls, uint64_t bytes)
{
	CU_ASSERT_EQUAL(fg.fh->discard_calls, calls);
	CU_ASSERT_EQUAL(fg.fh->discarded_bytes, bytes);
}

static void test_block_goes_in_one_piece(void)
{
	begin();
	for (unsigned half = 0; half < 2; half++) {
		send_run(INFLATE, BLOCK / 2, BLOCK / 2);
		expect_discards(half, half * 2 * MIB);
		send_run(INFLATE, 0, BLOCK / 2);
		expect_discards(half + 1, (half + 1) * 2 * MIB);
	}
	CU_ASSERT_EQUAL(fg.fh->n_discards, 2);
	CU_ASSERT_EQUAL(fg.fh->discards[0].gpa, FG_PAGES);
	CU_ASSERT_EQUAL(fg.fh->discards[0].len, 2 * MIB);
	pause_driver();
	expect_discards(2, 4 * MIB);
	end();
}

static void test_rest_goes_in_a_pause(void)
{
	begin();
	fill(0, BLOCK);
	send_run(INFLATE, 0, 100);
	CU_ASSERT_TRUE(is_kept(0, 100));
	pause_driver();
	CU_ASSERT_TRUE(is_gone(0, 100));
	CU_ASSERT_TRUE(is_kept(100, BLOCK - 100));
	/* An idle device does not wake its host. */
	CU_ASSERT_FALSE(fakehost_has_timer(fg.fh));
	end();
}

static void test_busy_driver_keeps_it_not_for_ever(void)
{
	begin();
	send_run(INFLATE, 0, 1);
	unsigned ms = 0;
	for (; !fg.fh->discard_calls && ms < 1000; ms++) {
		fakehost_advance(fg.fh, 1);
		send_run(INFLATE, BLOCK * (1 + ms % 8), 1);
	}
	CU_ASSERT_TRUE(ms > 50 && ms <= 110);
	end();
}

static void test_only_where_it_is_allowed_and_pays(void)
{
	const struct {
		uint64_t features, block_size;
	} rows[] = {{0, 2 * MIB}, {F_MUST_TELL_HOST, 0}, {F_MUST_TELL_HOST, 4 * MIB}};
	for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		begin_with(rows[i].features, rows[i].block_size, FAKE_REGION_LEN);
		send_run(INFLATE, 0, 100);
		expect_discards(1, 100 * 4096);
		CU_ASSERT_FALSE(fakehost_has_timer(fg.fh));
		end();
	}
}

static void test_deflated_pages_stay(void)
{
	begin();
	fill(0, 2 * BLOCK);
	send_run(INFLATE, 0, BLOCK - 1);
	send_run(DEFLATE, 10, 20);
	send_run(INFLATE, BLOCK - 1, 1);
	expect_discards(0, 0);
	pause_driver();
	CU_ASSERT_TRUE(is_gone(0, 10) && is_gone(30, BLOCK - 30));
	CU_ASSERT_TRUE(is_kept(10, 20));
	end();
}

static void test_reset_drops_what_waits(void)
{
	for (unsigned power_on = 0; power_on < 2; power_on++) {
		begin();
		fill(0, 100);
		send_run(INFLATE, 0, 100);
		if (power_on)
			device_reset(fg.dev);
		else
			fg_status_write(&fg, 0);
		CU_ASSERT_FALSE(fakehost_has_timer(fg.fh));
		pause_driver();
		CU_ASSERT_TRUE(is_kept(0, 100));
		end();
	}
}

/* A kernel that jumps to the next one may leave without a reset, but not without taking the bus from its devices. */
static void test_driver_that_left(void)
{
	begin();
	fill(0, 100);
	send_run(INFLATE, 0, 100);
	fg_pcicfg_write(&fg, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	pause_driver();
	fg_pcicfg_write(&fg, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	pause_driver();
	CU_ASSERT_TRUE(is_kept(0, 100));
	send_run(INFLATE, 0, 100);
	pause_driver();
	CU_ASSERT_TRUE(is_gone(0, 100));
	end();
}

static void test_nothing_waits_in_a_device_at_rest(void)
{
	begin();
	fill(0, 100);
	send_run(INFLATE, 0, 100);
	fg_q_write(&fg, INFLATE, CC_Q_RESET, 2, 1);
	CU_ASSERT_TRUE(is_gone(0, 100));
	fg_queue_on(&fg, INFLATE, 64);
	fill(0, 100);
	send_run(INFLATE, 0, 100);
	CU_ASSERT_TRUE(is_kept(0, 100));
	fg_status_write(&fg, S_ACK | S_DRIVER | S_FEATURES_OK | S_DRIVER_OK | 16);
	CU_ASSERT_EQUAL(fg_status(&fg) & S_DRIVER_OK, 0);
	CU_ASSERT_TRUE(is_gone(0, 100));
	fill(0, 100);
	pause_driver();
	CU_ASSERT_TRUE(is_kept(0, 100));
	end();
}

#define MANY_BLOCKS 300u

static void begin_large(void)
{
	begin_with(F_MUST_TELL_HOST, 2 * MIB, MANY_BLOCKS * 2 * MIB);
}

/* `n` pages of the upper region, `step` apart. */
static void send_steps(uint32_t first, uint32_t n, uint32_t step)
{
	static uint32_t pfns[BLOCK];
	for (uint32_t i = 0; i < n; i++)
		pfns[i] = (uint32_t)(FAKE_HIGH_GPA >> 12) + first + i * step;
	fg_send_pfns(&fg, INFLATE, pfns, n);
}

/* Half of each block, 1 MiB, until there is something to discard: how many waited before that. A new device lets 16 wait. */
static uint64_t waiting_mib(void)
{
	uint64_t calls = fg.fh->discard_calls;
	uint32_t n_sent = 0;
	while (n_sent < 100 && fg.fh->discard_calls == calls)
		send_steps(n_sent++ * BLOCK, BLOCK / 2, 1);
	CU_ASSERT_TRUE(fakehost_settle(fg.fh, 100));
	pause_driver();
	return n_sent - 1;
}

/* As much as may wait waits; with one request more the lowest pages go before that one is returned, one slice and not all. */
static void expect_limit(uint32_t n, uint32_t step, uint16_t n_waiting)
{
	begin_large();
	CU_ASSERT_EQUAL(waiting_mib(), 16);
	fakehost_forget_discards(fg.fh);
	uint16_t n_sent = 0, n_before = fg_used_idx(&fg, INFLATE);
	for (; n_sent < 100 && !fg.fh->discard_calls; n_sent++)
		send_steps(n_sent * BLOCK, n, step);
	CU_ASSERT_EQUAL(n_sent, n_waiting + 1);
	uint64_t all = n_sent * n * 4096ULL, slice = all < 16 * MIB ? all : 16 * MIB;
	CU_ASSERT_TRUE(fg.fh->discarded_bytes >= slice && fg.fh->discarded_bytes < slice + MIB);
	for (size_t i = 0; i < fg.fh->n_discards; i++)
		CU_ASSERT_TRUE(fg.fh->discards[i].gpa < FAKE_HIGH_GPA + 2 * slice * step);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), n_before + n_sent);
	pause_driver();
	CU_ASSERT_EQUAL(fg.fh->discarded_bytes, all);
	end();
}

static void test_too_many_wait(void)
{
	expect_limit(BLOCK - 1, 1, 32); /* 16352 pages */
	expect_limit(BLOCK / 2, 2, 4);	/* 1024 pieces */
	expect_limit(BLOCK / 4, 4, 8);	/* the same */
	expect_limit(BLOCK / 2, 1, 64); /* 16384 pages */
}

/* To split a huge page takes the host long, however little of it there is to discard. */
static void test_too_many_blocks_wait(void)
{
	begin_large();
	send_steps(0, 256, BLOCK);
	CU_ASSERT_EQUAL(fg.fh->discard_calls, 0);
	send_steps(256 * BLOCK, 1, 1);
	CU_ASSERT_EQUAL(fg.fh->discarded_bytes, 257 * 4096);
	pause_driver();
	CU_ASSERT_EQUAL(fg.fh->discarded_bytes, 257 * 4096);
	end();
}

static uint64_t slice_ms; /* that a discard takes */

static void pass_time(struct fakehost *fh)
{
	fh->now_ms += slice_ms;
}

/* Where discards take long, less waits, but some; and more again when they do not. */
static void test_what_waits_follows_the_hosts_speed(void)
{
	begin_large();
	fg.fh->before_discard = pass_time;
	CU_ASSERT_EQUAL(waiting_mib(), 16);
	CU_ASSERT_EQUAL(waiting_mib(), 64);
	slice_ms = 4;
	waiting_mib();
	CU_ASSERT_EQUAL(waiting_mib(), 12);
	slice_ms = 1000;
	waiting_mib();
	CU_ASSERT_EQUAL(waiting_mib(), 8);
	slice_ms = 0;
	waiting_mib();
	CU_ASSERT_EQUAL(waiting_mib(), 36);
	CU_ASSERT_EQUAL(waiting_mib(), 64);
	end();
}

/* The driver stops at any moment, after requests of any kind: then few pages in few ranges are left, and no other work. */
static void test_little_is_left_when_the_driver_stops(void)
{
	unsigned n_left = 0, n_most = 0;
	begin_large();
	srandom(5);
	for (unsigned round = 0; round < 400; round++) {
		for (long n = random() % 60; n >= 0; n--) {
			uint32_t step = round % 2 ? 1 : 1 + (uint32_t)random() % 4, count = 1 + (uint32_t)random() % (BLOCK / step);
			send_steps((uint32_t)random() % (MANY_BLOCKS - 1) * BLOCK, count, step);
			CU_ASSERT_TRUE(fakehost_settle(fg.fh, 100));
			CU_ASSERT_EQUAL_FATAL(fg_used_idx(&fg, INFLATE), fg.q[INFLATE].avail_idx);
			fakehost_advance(fg.fh, (uint64_t)random() % 3);
		}
		fakehost_forget_discards(fg.fh);
		fakehost_advance(fg.fh, PAUSE_MS / 2);
		CU_ASSERT_TRUE_FATAL(fg.fh->discard_calls <= 4);
		CU_ASSERT_TRUE(fg.fh->n_discards < 1024 + fg.fh->discard_calls); /* each cuts one at most */
		CU_ASSERT_TRUE(fg.fh->discarded_bytes <= 64 * MIB);
		if (fg.fh->discard_calls)
			CU_ASSERT_TRUE(fg.fh->discarded_bytes > (fg.fh->discard_calls - 1) * 16 * MIB);
		CU_ASSERT_FALSE(fakehost_has_timer(fg.fh));
		CU_ASSERT_EQUAL(fakehost_run_work(fg.fh), 0);
		n_left += fg.fh->discard_calls;
		n_most = fg.fh->discard_calls > n_most ? fg.fh->discard_calls : n_most;
	}
	CU_ASSERT_TRUE(n_left > 300);
	CU_ASSERT_TRUE(n_most > 1);
	end();
}

/* ---- Batches, with or without pages that may wait --------------------- */

static uint16_t used_before;

static void note_used(struct fakehost *fh)
{
	(void)fh;
	used_before = fg_used_idx(&fg, INFLATE);
}

/* Pages of several requests are merged, and none is returned before all are discarded. */
static void test_batch(void)
{
	begin_with(0, 0, FAKE_REGION_LEN);
	fg.fh->before_discard = note_used;
	used_before = 99;
	uint32_t *pfns = fakehost_ram(fg.fh, FG_DATA(INFLATE), 4 * 100);
	for (uint32_t i = 0; i < 100; i++)
		pfns[i] = (uint32_t)(FG_PAGES >> 12) + (i * 37) % 100;
	for (uint16_t i = 0; i < 10; i++) {
		fg_desc(&fg, INFLATE, i, FG_DATA(INFLATE) + 40 * i, 40, 0, 0);
		fg_publish(&fg, INFLATE, i);
	}
	fg_kick(&fg, INFLATE);
	expect_discards(1, 100 * 4096);
	CU_ASSERT_EQUAL(fg.fh->n_discards, 1);
	CU_ASSERT_EQUAL(used_before, 0);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), 10);
	for (uint16_t i = 0; i < 10; i++)
		CU_ASSERT_EQUAL(fg_used_id(&fg, INFLATE, i), i);
	CU_ASSERT_EQUAL(fg_irqs(&fg, 1), 1);
	end();
}

/* A page that is deflated before its inflate request came back is not discarded any more. */
static void test_deflate_amid_a_batch(void)
{
	static uint32_t pfns[12000];
	begin_with(0, 0, FAKE_REGION_LEN);
	for (uint32_t i = 0; i < 12000; i++)
		pfns[i] = (uint32_t)(FAKE_HIGH_GPA >> 12) + i;
	fg_send_pfns(&fg, INFLATE, pfns, 12000);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), 0);
	fg_send_pfns(&fg, DEFLATE, pfns + 11000, 500);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, DEFLATE), 1);
	fg_fill(&fg, FAKE_HIGH_GPA + 11000 * 4096, 500 * 4096, 9);
	fakehost_settle(fg.fh, 100);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), 1);
	CU_ASSERT_TRUE(fg_holds(&fg, FAKE_HIGH_GPA + 11000 * 4096, 500 * 4096, 9));
	CU_ASSERT_EQUAL(fg.fh->discarded_bytes, 11500 * 4096);
	end();
}

/* A good request and then a head that is none, in one kick: the good one is returned, and what is broken is told once. */
static void test_queue_that_breaks_behind_a_request(void)
{
	begin();
	const uint32_t pfn = (uint32_t)(FG_PAGES >> 12);
	memcpy(fakehost_ram(fg.fh, FG_DATA(INFLATE), sizeof pfn), &pfn, sizeof pfn);
	fg_desc(&fg, INFLATE, 0, FG_DATA(INFLATE), sizeof pfn, 0, 0);
	fg_publish(&fg, INFLATE, 0);
	fg_publish(&fg, INFLATE, 0xFFFF);
	uint64_t irqs = fg_irqs(&fg, 0);
	fg_kick(&fg, INFLATE);
	CU_ASSERT_EQUAL(fg_status(&fg), 0x4F);
	CU_ASSERT_EQUAL(fg_irqs(&fg, 0), irqs + 1);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), 1);
	pause_driver();
	end();
}

/* The host refuses what waited and, in one piece, a whole block: both stay as they are, and nothing is tried for ever. */
static void test_refused_pieces(void)
{
	struct balloon_state state;
	begin();
	fill(0, 2 * BLOCK);
	fakehost_capture_log();
	fg.fh->discard_error = EAGAIN;
	send_run(INFLATE, 0, BLOCK / 2);
	pause_driver();
	send_run(INFLATE, BLOCK, BLOCK);
	CU_ASSERT_EQUAL(fg.fh->discard_calls, 2);
	CU_ASSERT_EQUAL(fakehost_end_log(), 1);
	pause_driver();
	expect_discards(2, 0);
	balloon_get_state(fg.dev, &state);
	CU_ASSERT_EQUAL(state.queues[BALLOON_Q_INFLATE].failed_bytes, 3 * MIB);
	CU_ASSERT_TRUE(is_kept(0, 2 * BLOCK));

	fg.fh->discard_error = 0;
	send_run(DEFLATE, 0, BLOCK / 2);
	send_run(INFLATE, 0, BLOCK);
	expect_discards(3, 2 * MIB);
	CU_ASSERT_TRUE(is_gone(0, BLOCK));
	CU_ASSERT_TRUE(is_kept(BLOCK, BLOCK));
	end();
}

static const struct test_case cases[] = {
	{"refused pieces", test_refused_pieces},
	{"queue that breaks behind a request", test_queue_that_breaks_behind_a_request},
	{"block goes in one piece", test_block_goes_in_one_piece},
	{"rest goes in a pause", test_rest_goes_in_a_pause},
	{"busy driver keeps it, not for ever", test_busy_driver_keeps_it_not_for_ever},
	{"only where it is allowed and pays", test_only_where_it_is_allowed_and_pays},
	{"deflated pages stay", test_deflated_pages_stay},
	{"reset drops what waits", test_reset_drops_what_waits},
	{"driver that left", test_driver_that_left},
	{"nothing waits in a device at rest", test_nothing_waits_in_a_device_at_rest},
	{"too many wait", test_too_many_wait},
	{"too many blocks wait", test_too_many_blocks_wait},
	{"what waits follows the host's speed", test_what_waits_follows_the_hosts_speed},
	{"little is left when the driver stops", test_little_is_left_when_the_driver_stops},
	{"batch", test_batch},
	{"deflate amid a batch", test_deflate_amid_a_batch},
};

TEST_SUITE(balloon_lazy, cases);
