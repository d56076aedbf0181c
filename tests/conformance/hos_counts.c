/* What each mistake is counted as, so that a user can see it: once a request and kind. */
#include <errno.h>

#include "tests/conformance/fd.h"
#include "util/bytes.h"

static struct balloon_queue_counters before;

static void watch(unsigned role)
{
	before = fd_counters(role);
}

/* Since watch(): `fault` was counted once for one more buffer, and no other kind. */
static void counted(unsigned role, enum balloon_fault fault)
{
	struct balloon_queue_counters now = fd_counters(role);
	for (unsigned i = 0; i < BALLOON_N_FAULTS; i++)
		CU_ASSERT_EQUAL(now.faults[i] - before.faults[i], i == fault);
	CU_ASSERT_EQUAL(now.bad_buffers - before.bad_buffers, fault != BALLOON_FAULT_DISCARD);
}

static void send_counted(unsigned role, uint64_t gpa, uint32_t len, uint16_t flags, enum balloon_fault fault)
{
	watch(role);
	fg_send(&fg, role, gpa, len, flags);
	fakehost_settle(fg.fh, 1000);
	counted(role, fault);
}

static void pages(void)
{
	const uint32_t bad[] = {0xFFFFFFFF, PFN(FG_PAGES), 0xC0000, 0xC0001};
	fd_begin_hostile();
	for (unsigned queue = INFLATE; queue <= DEFLATE; queue++) {
		watch(queue);
		fg_send_pfns(&fg, queue, bad, 4);
		counted(queue, BALLOON_FAULT_OUTSIDE);
		CU_ASSERT_EQUAL(fd_counters(queue).bad_pages - before.bad_pages, 3);
		CU_ASSERT_EQUAL(fd_counters(queue).pages - before.pages, 1);
		send_counted(queue, FG_DATA(queue), 4, D_WRITE, BALLOON_FAULT_DIRECTION);
		send_counted(queue, 0xC0000000, 4, 0, BALLOON_FAULT_UNREADABLE);
		store_le32(fakehost_ram(fg.fh, FG_DATA(queue), 4), PFN(FG_PAGES));
		send_counted(queue, FG_DATA(queue), 7, 0, BALLOON_FAULT_LEFTOVER);
	}
	fd_end_hostile();
}

/* Several of a kind in one request are one of that kind. */
static void pages_in_pieces(void)
{
	fd_begin_hostile();
	watch(INFLATE);
	store_le32(fakehost_ram(fg.fh, FG_DATA(INFLATE), 4), 0xC0000);
	for (uint16_t i = 0; i < 6; i++)
		fg_desc(&fg, INFLATE, i, i < 3 ? FG_DATA(INFLATE) : 0xC0000000, 4, i < 5 ? D_NEXT : 0, i + 1);
	fg_publish(&fg, INFLATE, 0);
	fg_kick(&fg, INFLATE);
	struct balloon_queue_counters now = fd_counters(INFLATE);
	CU_ASSERT_EQUAL(now.faults[BALLOON_FAULT_OUTSIDE] - before.faults[BALLOON_FAULT_OUTSIDE], 1);
	CU_ASSERT_EQUAL(now.faults[BALLOON_FAULT_UNREADABLE] - before.faults[BALLOON_FAULT_UNREADABLE], 1);
	CU_ASSERT_EQUAL(now.bad_buffers - before.bad_buffers, 1);
	CU_ASSERT_EQUAL(now.bad_pages - before.bad_pages, 3);
	fd_end_hostile();
}

static void stats(void)
{
	fd_begin_hostile();
	fd_post_stats(1);
	send_counted(STATS, FG_DATA(STATS), 10, 0, BALLOON_FAULT_PROTOCOL); /* a second one */
	CU_ASSERT_EQUAL(balloon_request_stats(fg.dev), 0);
	send_counted(STATS, FG_DATA(STATS), 19, 0, BALLOON_FAULT_LEFTOVER);
	CU_ASSERT_EQUAL(balloon_request_stats(fg.dev), 0);
	send_counted(STATS, FG_DATA(STATS), 10, D_WRITE, BALLOON_FAULT_DIRECTION);
	CU_ASSERT_EQUAL(balloon_request_stats(fg.dev), 0);
	send_counted(STATS, 0xC0000000, 10, 0, BALLOON_FAULT_UNREADABLE);
	fd_end_hostile();
}

static void blocks(void)
{
	fd_begin_hostile();
	send_counted(REPORT, 0xC0000000, 4096, D_WRITE, BALLOON_FAULT_OUTSIDE);
	send_counted(REPORT, FG_PAGES + 1, 4096, D_WRITE, BALLOON_FAULT_PARTIAL);
	send_counted(REPORT, FG_PAGES, 4096, 0, BALLOON_FAULT_DIRECTION);
	CU_ASSERT_EQUAL(balloon_hint_start(fg.dev), 0);
	fd_hint_cmd(HINT, fg_dc(&fg, DC_CMD_ID));
	send_counted(HINT, 0xC0000000, 4096, D_WRITE, BALLOON_FAULT_OUTSIDE);
	send_counted(HINT, FG_PAGES + 1, 4096, D_WRITE, BALLOON_FAULT_PARTIAL);
	send_counted(HINT, FG_DATA(HINT), 5, 0, BALLOON_FAULT_PROTOCOL);
	fd_end_hostile();
}

/* What the host refused is counted for the queue, in bytes and as a kind; the request is answered, and the page stays as it is. */
static void discards(void)
{
	fd_begin_hostile();
	fg.fh->discard_error = EPERM;
	fg_fill(&fg, FG_PAGES, 4 * 4096, 6);
	watch(INFLATE);
	fd_inflate(0, 4);
	counted(BALLOON_Q_INFLATE, BALLOON_FAULT_DISCARD);
	CU_ASSERT_EQUAL(fd_counters(BALLOON_Q_INFLATE).failed_bytes - before.failed_bytes, 4 * 4096);
	send_counted(REPORT, FG_PAGES, 4 * 4096, D_WRITE, BALLOON_FAULT_DISCARD);
	CU_ASSERT_EQUAL(fd_counters(BALLOON_Q_REPORT).failed_bytes - before.failed_bytes, 4 * 4096);
	watch(HINT);
	CU_ASSERT_EQUAL(fd_hint_run(HINT, FG_PAGES, 4 * 4096), 1);
	counted(BALLOON_Q_HINT, BALLOON_FAULT_DISCARD);
	CU_ASSERT_EQUAL(fd_state()->hint.failed_bytes, 4 * 4096);
	CU_ASSERT_EQUAL(fd_state()->hint.discarded_bytes, 0);
	CU_ASSERT_TRUE(fg_holds(&fg, FG_PAGES, 4 * 4096, 6));
	for (unsigned i = 0; i < FG_N_QUEUES; i++)
		CU_ASSERT_EQUAL(fg_used_idx(&fg, i), fg.q[i].avail_idx);
	fd_end_hostile();
}

static const struct test_case cases[] = {
	{"HOS-33 HOS-34 HOS-42 HOS-44 HOS-46", pages},
	{"HOS-34 HOS-42", pages_in_pieces},
	{"HOS-59 HOS-60 HOS-61", stats},
	{"HOS-63 HOS-65 HOS-66 HOS-68", blocks},
	{"HOS-54", discards},
};

TEST_SUITE(hos_counts, cases);
