/* Rows HOS-23 to HOS-41: rings and chains that are broken, or mean. */
#include <stdlib.h>
#include <string.h>

#include "tests/conformance/fd.h"
#include "tests/conformance/hos_values.h"
#include "util/bytes.h"

#define TABLE 0x900000ULL

/* The device stopped, told it once, and does nothing more. */
static void expect_broken(void)
{
	uint16_t used = fg_used_idx(&fg, INFLATE);
	CU_ASSERT_EQUAL(fg_status(&fg), 0x4F);
	CU_ASSERT_EQUAL(fg_irqs(&fg, 0), 1);
	fd_inflate(0, 1);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), used);
	CU_ASSERT_EQUAL(fg.fh->n_discards, 0);
	CU_ASSERT_EQUAL(fg_irqs(&fg, 0), 1);
}

static void hos_23(void)
{
	for (unsigned i = 0; i < HOS_COUNT(hos_23_jumps); i++) {
		fd_begin_hostile();
		fg_set_avail_idx(&fg, INFLATE, hos_23_jumps[i]);
		fg_kick(&fg, INFLATE);
		expect_broken();
		fd_end_hostile();
	}
}

static void loop_of(uint16_t n)
{
	fd_begin_hostile();
	for (uint16_t i = 0; i < n; i++)
		fg_desc(&fg, INFLATE, i, FG_DATA(0), 4, D_NEXT, (uint16_t)((i + 1) % n));
	fg_publish(&fg, INFLATE, 0);
	fg_kick(&fg, INFLATE);
	expect_broken();
	fd_end_hostile();
}

static void hos_24(void)
{
	loop_of(1);
	loop_of(2);
	loop_of(128);
	/* A loop in an indirect table, and a chain that is too long with both kinds together. */
	fd_begin_hostile();
	fg_desc(&fg, INFLATE, 0, TABLE, 32, D_INDIRECT, 0);
	fg_desc_at(&fg, TABLE, 0, FG_DATA(0), 4, D_NEXT, 1);
	fg_desc_at(&fg, TABLE, 1, FG_DATA(0), 4, D_NEXT, 0);
	fg_publish(&fg, INFLATE, 0);
	fg_kick(&fg, INFLATE);
	expect_broken();
	fd_end_hostile();

	fd_begin_hostile();
	for (uint16_t i = 0; i < 128; i++)
		fg_desc_at(&fg, TABLE, i, FG_DATA(0), 4, i < 127 ? D_NEXT : 0, i + 1);
	fg_desc(&fg, INFLATE, 0, FG_DATA(0), 4, D_NEXT, 1);
	fg_desc(&fg, INFLATE, 1, TABLE, 128 * 16, D_INDIRECT, 0);
	fg_publish(&fg, INFLATE, 0);
	fg_kick(&fg, INFLATE);
	expect_broken();
	fd_end_hostile();
}

static void hos_25(void)
{
	for (unsigned i = 0; i < HOS_COUNT(hos_25_beyond); i++) {
		fd_begin_hostile();
		fg_publish(&fg, INFLATE, hos_25_beyond[i]);
		fg_kick(&fg, INFLATE);
		expect_broken();
		fd_end_hostile();
		fd_begin_hostile();
		fg_desc(&fg, INFLATE, 0, FG_DATA(0), 4, D_NEXT, hos_25_beyond[i]);
		fg_publish(&fg, INFLATE, 0);
		fg_kick(&fg, INFLATE);
		expect_broken();
		fd_end_hostile();
	}
}

static void hos_26(void)
{
	fd_begin_hostile();
	fd_post(INFLATE, 3, 1);
	fg_publish(&fg, INFLATE, 3);
	fg_publish(&fg, INFLATE, 3);
	fg_kick(&fg, INFLATE);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), 3);
	for (uint16_t i = 0; i < 3; i++)
		CU_ASSERT_EQUAL(fg_used_id(&fg, INFLATE, i), 3);
	fd_end_hostile();
}

static void hos_27(void)
{
	fd_begin_hostile();
	fd_inflate(0, 1);
	memset(fakehost_ram(fg.fh, fg.q[0].used, 4 + 8 * 128), 0xEE, 4 + 8 * 128);
	fd_inflate(1, 1);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), 2);
	CU_ASSERT_EQUAL(fg_used_id(&fg, INFLATE, 1), 0);
	CU_ASSERT_EQUAL(fg_used_len(&fg, INFLATE, 1), 0);
	fd_end_hostile();
}

static void indirect_row(bool feature, uint64_t table, uint32_t len, uint16_t flags)
{
	fd_begin_hostile();
	if (!feature)
		fg_init(&fg, ALL_TYPE);
	fg_desc(&fg, INFLATE, 0, table, len, D_INDIRECT | flags, 1);
	fg_publish(&fg, INFLATE, 0);
	fg_kick(&fg, INFLATE);
	expect_broken();
	fd_end_hostile();
}

/* An indirect descriptor that must not be there breaks the queue like any other structure. */
static void hos_29_31(void)
{
	indirect_row(false, TABLE, 16, 0);
	indirect_row(true, TABLE, 16, D_NEXT);
	for (unsigned i = 0; i < HOS_COUNT(hos_31_lens); i++)
		indirect_row(true, TABLE, hos_31_lens[i], 0);
	const uint64_t places[] = {0xC0000000,	      FAKE_REGION_LEN, FAKE_REGION_LEN - 16, FAKE_HIGH_GPA - 16, FAKE_HIGH_GPA + FAKE_REGION_LEN - 31,
				   0xFFFFFFFFFFFFFFF0};
	for (unsigned i = 0; i < 6; i++)
		indirect_row(true, places[i], 32, 0);
	/* Any alignment is legal. */
	fd_begin_hostile();
	store_le32(fakehost_ram(fg.fh, FG_DATA(0), 4), PFN(FG_PAGES));
	for (unsigned shift = 1; shift < 16; shift++) {
		fg_desc_at(&fg, TABLE + shift, 0, FG_DATA(0), 4, 0, 0);
		fg_desc(&fg, INFLATE, 0, TABLE + shift, 16, D_INDIRECT, 0);
		fg_publish(&fg, INFLATE, 0);
		fg_kick(&fg, INFLATE);
		CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), shift);
	}
	CU_ASSERT_EQUAL(fd_counters(BALLOON_Q_INFLATE).pages, 15);
	fd_end_hostile();
}

static void hos_30_32(void)
{
	const uint16_t entries[][2] = {{D_INDIRECT, 0}, {D_INDIRECT | D_NEXT, 1}, {D_NEXT, 2}, {D_NEXT, 0xFFFF}};
	for (unsigned i = 0; i < 4; i++) {
		fd_begin_hostile();
		fg_desc(&fg, INFLATE, 0, TABLE, 32, D_INDIRECT, 0);
		fg_desc_at(&fg, TABLE, 0, TABLE, 32, entries[i][0], entries[i][1]);
		fg_publish(&fg, INFLATE, 0);
		fg_kick(&fg, INFLATE);
		expect_broken();
		fd_end_hostile();
	}
}

/* Writable parts of an inflate request are skipped, wherever they are; the readable ones count. */
static void hos_33(void)
{
	fd_begin_hostile();
	store_le32(fakehost_ram(fg.fh, FG_DATA(0), 4), PFN(FG_PAGES));
	fg_desc(&fg, INFLATE, 0, FG_DATA(0), 4, D_WRITE | D_NEXT, 1);
	fg_desc(&fg, INFLATE, 1, FG_DATA(0), 4, 0, 0);
	fg_publish(&fg, INFLATE, 0);
	fg_kick(&fg, INFLATE);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), 1);
	CU_ASSERT_EQUAL(fd_counters(BALLOON_Q_INFLATE).pages, 1);
	CU_ASSERT_EQUAL(fd_counters(BALLOON_Q_INFLATE).bad_buffers, 1);
	fd_end_hostile();
}

static void hos_34(void)
{
	const struct {
		uint64_t gpa;
		uint32_t len;
	} rows[] = {{FAKE_REGION_LEN - 2, 4}, {0xC0000000, 4},
		    {0xFFFFFFFFFFFFFFFE, 4},  {FAKE_REGION_LEN - 4096, 0xFFFFFFFF},
		    {FAKE_HIGH_GPA - 4, 8},   {FAKE_HIGH_GPA + FAKE_REGION_LEN - 3, 4}};
	fd_begin_hostile();
	for (unsigned q = 0; q < 2; q++)
		for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
			fg_send(&fg, q, rows[i].gpa, rows[i].len, 0);
			CU_ASSERT_EQUAL(fg_used_idx(&fg, q), i + 1);
			CU_ASSERT_EQUAL(fg_used_len(&fg, q, (uint16_t)i), 0);
		}
	CU_ASSERT_EQUAL(fg.fh->n_discards, 0);
	fd_end_hostile();
}

/* A page number with a buffer in its middle that cannot be read is none: its ends do not make another. */
static void hos_34_cut(void)
{
	fd_begin_hostile();
	fg_fill(&fg, FG_PAGES, 4096, 7);
	store_le32(fakehost_ram(fg.fh, FG_DATA(0), 4), PFN(FG_PAGES));
	fg_desc(&fg, INFLATE, 0, FG_DATA(0), 2, D_NEXT, 1);
	fg_desc(&fg, INFLATE, 1, 0xC0000000, 4, D_NEXT, 2);
	fg_desc(&fg, INFLATE, 2, FG_DATA(0) + 2, 2, 0, 0);
	fg_publish(&fg, INFLATE, 0);
	fg_kick(&fg, INFLATE);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), 1);
	CU_ASSERT_EQUAL(fg.fh->n_discards, 0);
	fd_page_is(0, 7);
	fd_end_hostile();
}

static void hos_35(void)
{
	fd_begin_hostile();
	fg_send(&fg, INFLATE, FG_DATA(0), 0, 0);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), 1);
	fg_send(&fg, INFLATE, 0xFFFFFFFFFFFFFFFF, 0, 0);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), 2);
	store_le32(fakehost_ram(fg.fh, FG_DATA(0), 4), PFN(FG_PAGES));
	for (uint16_t i = 0; i < 5; i++)
		fg_desc(&fg, INFLATE, i, FG_DATA(0), i == 2 ? 4 : 0, i < 4 ? D_NEXT : 0, i + 1);
	fg_publish(&fg, INFLATE, 0);
	fg_kick(&fg, INFLATE);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), 3);
	CU_ASSERT_EQUAL(fd_counters(BALLOON_Q_INFLATE).pages, 1);
	fd_end_hostile();
}

/* A region of RAM as an array of page numbers, 128 times over, 8 GiB in all: a bounded amount a wakeup, and others get their turn. */
static void hos_36(void)
{
	fd_begin_hostile();
	fg.fh->discards_unrecorded = true;
	for (uint16_t i = 0; i < 128; i++)
		fg_desc(&fg, INFLATE, i, FAKE_HIGH_GPA, FAKE_REGION_LEN, i < 127 ? D_NEXT : 0, i + 1);
	memset(fakehost_ram(fg.fh, FAKE_HIGH_GPA, FAKE_REGION_LEN), 0xFF, FAKE_REGION_LEN);
	fg_publish(&fg, INFLATE, 0);
	fg_kick(&fg, INFLATE);
	for (unsigned i = 0; i < 1000; i++) {
		CU_ASSERT_EQUAL(fakehost_run_work(fg.fh), 1);
		CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), 0);
		fd_deflate(0, 1);
		CU_ASSERT_EQUAL(fg_used_idx(&fg, DEFLATE), i + 1);
	}
	CU_ASSERT_EQUAL(fd_counters(BALLOON_Q_INFLATE).bad_pages, 1001 * 32768);
	fg_status_write(&fg, 0); /* it would go on for a while */
	fd_end_hostile();
}

static unsigned refilled;

/* Another chain for each one that is in work. */
static void refill(struct fakehost *fh)
{
	(void)fh;
	fd_post(INFLATE, refilled % 128, refilled % 512);
	refilled++;
}

/* A queue that never gets empty: each wakeup has an end, other queues and the host are served in between. */
static void hos_38(void)
{
	fd_begin_hostile();
	fg.fh->discards_unrecorded = true;
	fg.fh->before_discard = refill;
	refilled = 0;
	fd_inflate(0, 1);
	CU_ASSERT_TRUE(refilled < 5000);
	unsigned before = refilled;
	for (unsigned i = 0; i < 100; i++) {
		fg_kick(&fg, INFLATE);
		CU_ASSERT_EQUAL(refilled, before); /* a kick adds nothing to the queue's share */
		CU_ASSERT_EQUAL(fakehost_run_work(fg.fh), 1);
		CU_ASSERT_TRUE(refilled > before && refilled - before < 5000);
		before = refilled;
		fd_deflate(0, 1);
		CU_ASSERT_EQUAL(fg_used_idx(&fg, DEFLATE), i + 1);
		fd_post_stats(i);
		CU_ASSERT_EQUAL(fd_state()->stats[4], i);
		CU_ASSERT_EQUAL(balloon_request_stats(fg.dev), 0);
	}
	fg.fh->before_discard = NULL;
	fakehost_settle(fg.fh, 100);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), (uint16_t)(refilled + 1));
	fd_end_hostile();
}

/* Requests that cost nothing have an end as well: a full queue of empty ones is not served in one go. */
static void hos_38_empty(void)
{
	const unsigned queues[] = {HINT, REPORT};
	for (unsigned k = 0; k < 2; k++) {
		unsigned queue = queues[k];
		fd_begin_hostile();
		fg_negotiate(&fg, ALL_TYPE);
		fg_queue_on(&fg, INFLATE, 128);
		fg_queue_on(&fg, queue, 1024);
		fg_status_write(&fg, 0xF);
		for (uint16_t i = 0; i < 1024; i++)
			fg_publish(&fg, queue, i); /* descriptors are all zero */
		fg_kick(&fg, queue);
		uint16_t used = fg_used_idx(&fg, queue);
		CU_ASSERT_TRUE(used > 0 && used < 1024);
		fg_kick(&fg, queue);
		CU_ASSERT_EQUAL(fg_used_idx(&fg, queue), used);
		fd_inflate(0, 1);
		CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), 1);
		fakehost_settle(fg.fh, 100);
		CU_ASSERT_EQUAL(fg_used_idx(&fg, queue), 1024);
		fd_end_hostile();
	}
}

static void hos_37(void)
{
	fd_begin_hostile();
	store_le32(fakehost_ram(fg.fh, FG_DATA(0), 4), PFN(FG_PAGES));
	fg_send(&fg, INFLATE, FG_DATA(0), 4, 0xFFF8);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), 1);
	CU_ASSERT_EQUAL(fd_counters(BALLOON_Q_INFLATE).pages, 1);
	fd_end_hostile();
}

static void hos_39_41(void)
{
	fd_begin_hostile();
	fg_init(&fg, ALL_TYPE | F_EVENT_IDX);
	srandom(39);
	for (unsigned i = 0; i < 20000; i++) {
		fg_avail_flags(&fg, INFLATE, (uint16_t)random());
		fg_used_event(&fg, INFLATE, i % 2 ? (uint16_t)random() : fg_used_idx(&fg, INFLATE));
		fd_inflate(i % 100, 1);
		CU_ASSERT_EQUAL_FATAL(fg_used_idx(&fg, INFLATE), (uint16_t)(i + 1));
		fakehost_forget_discards(fg.fh);
		fakehost_advance(fg.fh, FD_HOLD_MS);
	}
	CU_ASSERT_TRUE(fg_irqs(&fg, 1) >= 10000 && fg_irqs(&fg, 1) <= 20000);
	fd_end_hostile();
}

/* One message a batch, and with INTx one edge until ISR is read. */
static void hos_40(void)
{
	fd_begin_hostile();
	for (uint16_t i = 0; i < 128; i++)
		fd_post(INFLATE, i, i);
	fg_kick(&fg, INFLATE);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), 128);
	CU_ASSERT_EQUAL(fg_irqs(&fg, 1), 1);
	fg_pcicfg_write(&fg, fg.msix_cap + 2, 2, 0);
	for (unsigned i = 0; i < 1000; i++)
		fd_inflate(i, 1);
	CU_ASSERT_EQUAL(fg.fh->irq_raised[FG_GSI], 1);
	CU_ASSERT_TRUE(fg.fh->irq_level[FG_GSI]);
	fd_end_hostile();
}

static const struct test_case cases[] = {
	{"HOS-23", hos_23},	      {"HOS-24", hos_24},	    {"HOS-25", hos_25}, {"HOS-26", hos_26},	  {"HOS-27", hos_27},
	{"HOS-29 HOS-31", hos_29_31}, {"HOS-30 HOS-32", hos_30_32}, {"HOS-33", hos_33}, {"HOS-34", hos_34},	  {"HOS-34", hos_34_cut},
	{"HOS-35", hos_35},	      {"HOS-36", hos_36},	    {"HOS-38", hos_38}, {"HOS-38", hos_38_empty}, {"HOS-37", hos_37},
	{"HOS-39 HOS-41", hos_39_41}, {"HOS-40", hos_40},
};

TEST_SUITE(hos_ring, cases);
