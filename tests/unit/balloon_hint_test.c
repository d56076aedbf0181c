#include <CUnit/CUnit.h>
#include <errno.h>

#include "tests/unit/fakeguest.h"
#include "tests/unit/suite.h"
#include "util/bytes.h"

#define HINT 3
#define BLOCK (4ULL << 20)

static struct fakeguest fg;
static struct balloon_state state;

static void begin(void)
{
	fg_create(&fg, NULL, 4096);
	fg_init(&fg, F_HINT | F_STATS);
	fg_fill(&fg, FG_PAGES, 4 * BLOCK, 0x5A);
}

static void end(void)
{
	CU_ASSERT_EQUAL(fg_destroy(&fg), 0);
}

static void get(void)
{
	balloon_get_state(fg.dev, &state);
}

static void send_command(uint32_t cmd)
{
	store_le32(fakehost_ram(fg.fh, FG_DATA(HINT), 4), cmd);
	fg_send(&fg, HINT, FG_DATA(HINT), 4, 0);
}

static void hint(unsigned block)
{
	fg_send(&fg, HINT, FG_PAGES + block * BLOCK, BLOCK, D_WRITE);
}

/* The host starts a run, the driver answers. Returns the id. */
static uint32_t start(void)
{
	CU_ASSERT_EQUAL(balloon_hint_start(fg.dev), 0);
	uint32_t id = fg_dc(&fg, DC_CMD_ID);
	send_command(id);
	return id;
}

static void stop(void)
{
	send_command(0);
	CU_ASSERT_TRUE(fakehost_settle(fg.fh, 100));
	get();
}

static void test_run_gives_back_what_was_not_written(void)
{
	begin();
	uint64_t irqs = fg_irqs(&fg, 0);
	start();
	CU_ASSERT_EQUAL(fg_irqs(&fg, 0), irqs + 1);
	hint(0);
	fg_fill(&fg, FG_PAGES + 8192, 4096, 0x77);  /* after the hint */
	fg_fill(&fg, FG_PAGES + BLOCK, 4096, 0x5A); /* before it, and no other bytes than there were */
	hint(1);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, HINT), 3);
	CU_ASSERT_TRUE(fg_holds(&fg, FG_PAGES, 4096, 0x5A));
	stop();
	CU_ASSERT_TRUE(fg_holds(&fg, FG_PAGES, 8192, 0));
	CU_ASSERT_TRUE(fg_holds(&fg, FG_PAGES + 8192, 4096, 0x77));
	CU_ASSERT_TRUE(fg_holds(&fg, FG_PAGES + 8192 + 4096, BLOCK - 3 * 4096, 0));
	CU_ASSERT_TRUE(fg_holds(&fg, FG_PAGES + BLOCK, 4096, 0x5A));
	CU_ASSERT_TRUE(fg_holds(&fg, FG_PAGES + BLOCK + 4096, BLOCK - 4096, 0));
	CU_ASSERT_TRUE(fg_holds(&fg, FG_PAGES + 2 * BLOCK, 2 * BLOCK, 0x5A));
	CU_ASSERT_EQUAL(state.hint.phase, BALLOON_HINT_DONE);
	CU_ASSERT_EQUAL(state.hint.hinted_bytes, 2 * BLOCK);
	CU_ASSERT_EQUAL(state.hint.written_bytes, 8192);
	CU_ASSERT_EQUAL(state.hint.discarded_bytes, 2 * BLOCK - 8192);
	CU_ASSERT_EQUAL(state.queues[BALLOON_Q_HINT].written_bytes, 8192);
	CU_ASSERT_EQUAL(state.hint.holds, 1);
	CU_ASSERT_EQUAL(fg_dc(&fg, DC_CMD_ID), 1);
	CU_ASSERT_EQUAL(fg_irqs(&fg, 0), irqs + 2);
	CU_ASSERT_FALSE(fg.fh->watching);
	CU_ASSERT_EQUAL(fg.fh->event_count[HOST_EVENT_BALLOON_HINTED], 1);
	CU_ASSERT_EQUAL(fg.fh->event_value[HOST_EVENT_BALLOON_HINTED], state.hint.discarded_bytes);
	end();
}

static void test_when_there_can_be_no_run(void)
{
	fg_create(&fg, NULL, 4096);
	CU_ASSERT_EQUAL(balloon_hint_start(fg.dev), -ENOTSUP);
	fg_init(&fg, F_STATS);
	CU_ASSERT_EQUAL(balloon_hint_start(fg.dev), -ENOTSUP);
	fg_init(&fg, F_HINT);
	fg.fh->watch_error = -EPERM;
	CU_ASSERT_EQUAL(balloon_hint_start(fg.dev), -EPERM);
	get();
	CU_ASSERT_EQUAL(state.hint.phase, BALLOON_HINT_NONE);
	CU_ASSERT_EQUAL(fg_dc(&fg, DC_CMD_ID), 0);
	fg.fh->watch_error = 0;
	CU_ASSERT_EQUAL(balloon_hint_start(fg.dev), 0);
	CU_ASSERT_EQUAL(balloon_hint_start(fg.dev), -EBUSY);
	end();
}

static void test_hints_of_other_runs_are_returned_unused(void)
{
	begin();
	hint(0); /* there was no run */
	uint32_t first = start();
	stop();
	hint(0); /* it is over */
	CU_ASSERT_EQUAL(balloon_hint_start(fg.dev), 0);
	hint(0); /* before the command */
	send_command(first);
	hint(0);
	send_command(0); /* of the first run, too late: ends nothing */
	fakehost_settle(fg.fh, 100);
	get();
	CU_ASSERT_EQUAL(state.hint.phase, BALLOON_HINT_RUNNING);
	CU_ASSERT_NOT_EQUAL(state.hint.id, first);
	send_command(state.hint.id);
	hint(1);
	stop();
	CU_ASSERT_EQUAL(state.hint.hinted_bytes, BLOCK);
	CU_ASSERT_TRUE(fg_holds(&fg, FG_PAGES, BLOCK, 0x5A));
	CU_ASSERT_TRUE(fg_holds(&fg, FG_PAGES + BLOCK, BLOCK, 0));
	CU_ASSERT_EQUAL(fg_used_idx(&fg, HINT), 11);
	end();
}

static void test_silent_driver_ends_the_run(void)
{
	begin();
	start();
	hint(0);
	fakehost_advance(fg.fh, 9999);
	hint(1);
	fakehost_advance(fg.fh, 9999);
	get();
	CU_ASSERT_EQUAL(state.hint.phase, BALLOON_HINT_RUNNING);
	CU_ASSERT_EQUAL(state.hint.duration_ms, 2 * 9999);
	fakehost_advance(fg.fh, 1);
	fakehost_settle(fg.fh, 100);
	get();
	CU_ASSERT_EQUAL(state.hint.phase, BALLOON_HINT_TIMED_OUT);
	CU_ASSERT_EQUAL(state.hint.discarded_bytes, 2 * BLOCK);
	CU_ASSERT_EQUAL(fg_dc(&fg, DC_CMD_ID), 1);
	end();
}

static void test_reset_ends_the_run(void)
{
	begin();
	uint32_t id = start();
	hint(0);
	fg_status_write(&fg, 0);
	fakehost_settle(fg.fh, 100);
	get();
	CU_ASSERT_EQUAL(state.hint.phase, BALLOON_HINT_ABORTED);
	CU_ASSERT_FALSE(fg.fh->watching);
	CU_ASSERT_TRUE(fg_holds(&fg, FG_PAGES, BLOCK, 0x5A));
	CU_ASSERT_EQUAL(fg_dc(&fg, DC_CMD_ID), 0);
	fg_init(&fg, F_HINT);
	CU_ASSERT_TRUE(start() > id);
	end();
}

/* More than one hold looks at: the rest of a chain waits for the slice to be done. */
static void test_slices(void)
{
	begin();
	start();
	for (unsigned i = 0; i < 3; i++)
		fg_desc(&fg, HINT, (uint16_t)i, i == 1 ? FAKE_HIGH_GPA : 0x2000000, i == 1 ? FAKE_REGION_LEN : 0x2000000, D_WRITE | (i < 2 ? D_NEXT : 0),
			(uint16_t)(i + 1));
	for (unsigned round = 0; round < 2; round++) { /* 128 MiB each */
		fg_publish(&fg, HINT, 0);
		fg_kick(&fg, HINT);
	}
	CU_ASSERT_EQUAL(fg_used_idx(&fg, HINT), 2);
	stop();
	CU_ASSERT_EQUAL(state.hint.phase, BALLOON_HINT_DONE);
	CU_ASSERT_EQUAL(state.hint.hinted_bytes, 256ULL << 20);
	CU_ASSERT_EQUAL(state.hint.holds, 2);
	CU_ASSERT_TRUE(fg_holds(&fg, FAKE_HIGH_GPA, FAKE_REGION_LEN, 0));
	end();
}

static uint64_t most_in_a_hold;

static void note_hold(struct fakehost *fh, const struct gmem_range *ranges, size_t n, struct discard_result *result)
{
	(void)fh;
	for (size_t i = 0; i < n; i++)
		result->discarded_bytes += ranges[i].len;
	if (result->discarded_bytes > most_in_a_hold)
		most_in_a_hold = result->discarded_bytes;
}

/* One buffer has more than a hold may take, and more than there is RAM: no hold is longer for it. */
static void test_long_block(void)
{
	fg_create_on(&fg, NULL, fakehost_create_sized(4096, FAKE_REGION_LEN, 600ULL << 20));
	fg_init(&fg, F_HINT);
	fg.fh->discard = note_hold;
	most_in_a_hold = 0;
	start();
	fg_send(&fg, HINT, FAKE_HIGH_GPA, 700U << 20, D_WRITE);
	CU_ASSERT_TRUE(fakehost_settle(fg.fh, 100));
	CU_ASSERT_EQUAL(fg_used_idx(&fg, HINT), 2);
	stop();
	CU_ASSERT_EQUAL(state.hint.phase, BALLOON_HINT_DONE);
	CU_ASSERT_EQUAL(state.hint.hinted_bytes, 600ULL << 20);
	CU_ASSERT_EQUAL(state.hint.discarded_bytes, 600ULL << 20);
	CU_ASSERT_EQUAL(state.hint.holds, 5);
	CU_ASSERT_EQUAL(most_in_a_hold, 128ULL << 20);
	CU_ASSERT_EQUAL(state.queues[BALLOON_Q_HINT].bad_pages, 100ULL << 20 >> 12);
	CU_ASSERT_EQUAL(state.queues[BALLOON_Q_HINT].bad_buffers, 1);
	end();
}

static void test_driver_without_end(void)
{
	begin();
	start();
	for (unsigned i = 0; i < 100 && fg_dc(&fg, DC_CMD_ID) > 1; i++) {
		fg_send(&fg, HINT, FAKE_HIGH_GPA, FAKE_REGION_LEN, D_WRITE);
		fakehost_settle(fg.fh, 100);
	}
	get();
	CU_ASSERT_EQUAL(state.hint.phase, BALLOON_HINT_DONE);
	CU_ASSERT_EQUAL(state.hint.hinted_bytes, 5 * FAKE_REGION_LEN);
	end();
}

static void test_commands_of_another_length(void)
{
	begin();
	uint32_t id = start();
	store_le32(fakehost_ram(fg.fh, FG_DATA(HINT), 8), id);
	fg_send(&fg, HINT, FG_DATA(HINT), 5, 0);
	hint(0); /* has no command any more */
	fg_desc(&fg, HINT, 0, FG_DATA(HINT), 1, D_NEXT, 1);
	fg_desc(&fg, HINT, 1, FG_DATA(HINT) + 1, 3, 0, 0);
	fg_publish(&fg, HINT, 0);
	fg_kick(&fg, HINT);
	hint(1);
	stop();
	CU_ASSERT_EQUAL(state.hint.hinted_bytes, BLOCK);
	CU_ASSERT_TRUE(fg_holds(&fg, FG_PAGES, BLOCK, 0x5A));
	CU_ASSERT_EQUAL(state.queues[BALLOON_Q_HINT].faults[BALLOON_FAULT_PROTOCOL], 1);
	CU_ASSERT_EQUAL(state.queues[BALLOON_Q_HINT].bad_buffers, 1);
	end();
}

/* What the host refuses to free stays as it is; the run goes on and ends, and the next one frees it. */
static void test_refused_hints(void)
{
	begin();
	fakehost_capture_log();
	fg.fh->discard_error = EAGAIN;
	start();
	hint(0);
	stop();
	CU_ASSERT_EQUAL(fakehost_end_log(), 1);
	CU_ASSERT_EQUAL(state.hint.phase, BALLOON_HINT_DONE);
	CU_ASSERT_EQUAL(state.hint.failed_bytes, BLOCK);
	CU_ASSERT_EQUAL(state.hint.discarded_bytes, 0);
	CU_ASSERT_EQUAL(state.queues[BALLOON_Q_HINT].faults[BALLOON_FAULT_DISCARD], 1);
	CU_ASSERT_TRUE(fg_holds(&fg, FG_PAGES, BLOCK, 0x5A));

	fg.fh->discard_error = 0;
	start();
	hint(0);
	stop();
	CU_ASSERT_EQUAL(state.hint.failed_bytes, 0);
	CU_ASSERT_EQUAL(state.hint.discarded_bytes, BLOCK);
	CU_ASSERT_TRUE(fg_holds(&fg, FG_PAGES, BLOCK, 0));
	end();
}

static const struct test_case cases[] = {
	{"refused hints", test_refused_hints},
	{"run gives back what was not written", test_run_gives_back_what_was_not_written},
	{"when there can be no run", test_when_there_can_be_no_run},
	{"hints of other runs are returned unused", test_hints_of_other_runs_are_returned_unused},
	{"silent driver ends the run", test_silent_driver_ends_the_run},
	{"reset ends the run", test_reset_ends_the_run},
	{"slices", test_slices},
	{"long block", test_long_block},
	{"driver without end", test_driver_without_end},
	{"commands of another length", test_commands_of_another_length},
};

TEST_SUITE(balloon_hint, cases);
