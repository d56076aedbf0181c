#include <CUnit/CUnit.h>
#include <errno.h>
#include <string.h>

#include "tests/unit/fakeguest.h"
#include "tests/unit/suite.h"
#include "util/bytes.h"

#define MIB (1ULL << 20)
#define PFN(gpa) ((uint32_t)((gpa) >> 12))
#define INFLATE 0
#define DEFLATE 1
#define REPORT 4

static struct fakeguest fg;
static struct balloon_state state;

static void begin_with(uint64_t features, uint64_t page_size)
{
	fg_create(&fg, NULL, page_size);
	fg_init(&fg, features);
}

static void begin(void)
{
	begin_with(F_REPORT | F_INDIRECT, 4096);
}

static void end(void)
{
	CU_ASSERT_EQUAL(fg_destroy(&fg), 0);
}

static const struct balloon_queue_counters *counters(enum balloon_queue_role role)
{
	balloon_get_state(fg.dev, &state);
	return &state.queues[role];
}

static void expect_discard(size_t index, uint64_t gpa, uint64_t len)
{
	CU_ASSERT_TRUE_FATAL(index < fg.fh->n_discards);
	CU_ASSERT_EQUAL(fg.fh->discards[index].gpa, gpa);
	CU_ASSERT_EQUAL(fg.fh->discards[index].len, len);
}

static void test_inflate(void)
{
	const uint32_t pfns[] = {PFN(FG_PAGES) + 2, PFN(FG_PAGES), PFN(FG_PAGES) + 1, PFN(FAKE_HIGH_GPA), PFN(FG_PAGES) + 8};
	begin();
	fg_fill(&fg, FG_PAGES, 16 * 4096, 0x77);
	fg_send_pfns(&fg, INFLATE, pfns, 5);
	CU_ASSERT_EQUAL(fg.fh->discard_calls, 1);
	CU_ASSERT_EQUAL(fg.fh->n_discards, 3);
	expect_discard(0, FG_PAGES, 3 * 4096);
	expect_discard(1, FG_PAGES + 8 * 4096, 4096);
	expect_discard(2, FAKE_HIGH_GPA, 4096);
	CU_ASSERT_TRUE(fg_holds(&fg, FG_PAGES, 3 * 4096, 0));
	CU_ASSERT_TRUE(fg_holds(&fg, FG_PAGES + 3 * 4096, 5 * 4096, 0x77));
	CU_ASSERT_TRUE(fg_holds(&fg, FG_PAGES + 9 * 4096, 7 * 4096, 0x77));
	CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), 1);
	CU_ASSERT_EQUAL(fg_used_len(&fg, INFLATE, 0), 0);
	const struct balloon_queue_counters *c = counters(BALLOON_Q_INFLATE);
	CU_ASSERT_EQUAL(c->buffers, 1);
	CU_ASSERT_EQUAL(c->pages, 5);
	CU_ASSERT_EQUAL(c->ranges, 3);
	CU_ASSERT_EQUAL(c->discarded_bytes, 5 * 4096);
	CU_ASSERT_EQUAL(c->bad_pages + c->bad_buffers + c->failed_bytes, 0);
	end();
}

/* The bytes of three page numbers, cut in every way into two, three and four buffers. */
static void test_pieces(void)
{
	begin();
	fg_desc(&fg, INFLATE, 0, 0, 0, 0, 0);
	uint8_t *data = fakehost_ram(fg.fh, FG_DATA(0), 64);
	for (uint32_t i = 0; i < 3; i++)
		store_le32(data + 1 + 4 * i, PFN(FG_PAGES) + 2 * i);
	for (unsigned x = 0; x <= 12; x++)
		for (unsigned y = x; y <= 12; y++)
			for (unsigned z = y; z <= 12; z++) {
				const unsigned cuts[] = {0, x, y, z, 12};
				for (uint16_t i = 0; i < 4; i++)
					fg_desc(&fg, INFLATE, i, FG_DATA(0) + 1 + cuts[i], cuts[i + 1] - cuts[i], i < 3 ? D_NEXT : 0, (uint16_t)(i + 1));
				fakehost_forget_discards(fg.fh);
				fg_publish(&fg, INFLATE, 0);
				fg_kick(&fg, INFLATE);
				CU_ASSERT_EQUAL_FATAL(fg.fh->n_discards, 3);
				for (size_t i = 0; i < 3; i++)
					expect_discard(i, FG_PAGES + 2 * 4096 * i, 4096);
			}
	CU_ASSERT_EQUAL(counters(BALLOON_Q_INFLATE)->bad_buffers, 0);
	end();
}

static void test_trailing_bytes(void)
{
	begin();
	fakehost_capture_log();
	store_le32(fakehost_ram(fg.fh, FG_DATA(0), 8), PFN(FG_PAGES));
	for (uint32_t len = 0; len < 8; len++) {
		fakehost_forget_discards(fg.fh);
		fg_send(&fg, INFLATE, FG_DATA(0), len, 0);
		CU_ASSERT_EQUAL(fg.fh->n_discards, len >= 4);
	}
	CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), 8);
	CU_ASSERT_EQUAL(counters(BALLOON_Q_INFLATE)->bad_buffers, 6);
	fakehost_end_log();
	end();
}

static void test_bad_buffers(void)
{
	const struct {
		uint64_t gpa;
		uint32_t len;
		uint16_t flags;
	} rows[] = {
		{FG_DATA(0), 4, D_WRITE}, {0xC0000000, 4, 0}, {FAKE_REGION_LEN - 2, 4, 0}, {UINT64_MAX - 1, 4, 0}, {FG_DATA(0), 0xFFFFFFFF, 0},
	};
	begin();
	fakehost_capture_log();
	store_le32(fakehost_ram(fg.fh, FG_DATA(0), 8), PFN(FG_PAGES));
	for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		fg_send(&fg, INFLATE, rows[i].gpa, rows[i].len, rows[i].flags);
		CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), i + 1);
		CU_ASSERT_EQUAL(counters(BALLOON_Q_INFLATE)->bad_buffers, i + 1);
	}
	CU_ASSERT_EQUAL(fg.fh->n_discards, 0);
	/* The good buffers around a bad one count. */
	fg_desc(&fg, INFLATE, 0, FG_DATA(0), 4, D_NEXT, 1);
	fg_desc(&fg, INFLATE, 1, 0xC0000000, 4, D_NEXT, 2);
	fg_desc(&fg, INFLATE, 2, FG_DATA(0), 4, 0, 0);
	fg_publish(&fg, INFLATE, 0);
	fg_kick(&fg, INFLATE);
	CU_ASSERT_EQUAL(fg.fh->n_discards, 1);
	CU_ASSERT_EQUAL(counters(BALLOON_Q_INFLATE)->pages, 2);
	/* Halves of a page number on both sides of it make none. */
	fg_desc(&fg, INFLATE, 0, FG_DATA(0), 2, D_NEXT, 1);
	fg_desc(&fg, INFLATE, 2, FG_DATA(0) + 2, 2, 0, 0);
	fg_publish(&fg, INFLATE, 0);
	fg_kick(&fg, INFLATE);
	CU_ASSERT_EQUAL(counters(BALLOON_Q_INFLATE)->pages, 2);
	CU_ASSERT_EQUAL(fakehost_end_log(), 1);
	end();
}

static void test_bad_pages(void)
{
	const uint32_t pfns[] = {PFN(FAKE_REGION_LEN),	   0xC0000,   0xFFFFF, 0xFFFFFFFF, PFN(FAKE_HIGH_GPA + FAKE_REGION_LEN),
				 PFN(FAKE_REGION_LEN) - 1, 0x80000000};
	begin();
	fakehost_capture_log();
	fg_send_pfns(&fg, INFLATE, pfns, 7);
	fakehost_end_log();
	CU_ASSERT_EQUAL(fg.fh->n_discards, 1);
	expect_discard(0, FAKE_REGION_LEN - 4096, 4096);
	CU_ASSERT_EQUAL(counters(BALLOON_Q_INFLATE)->bad_pages, 6);
	CU_ASSERT_EQUAL(counters(BALLOON_Q_INFLATE)->pages, 1);
	CU_ASSERT_EQUAL(counters(BALLOON_Q_INFLATE)->bad_buffers, 1);
	end();
}

static void test_deflate_discards_nothing(void)
{
	const uint32_t pfns[] = {PFN(FG_PAGES), 0xC0000};
	begin();
	fakehost_capture_log();
	fg_fill(&fg, FG_PAGES, 4096, 5);
	fg_send_pfns(&fg, DEFLATE, pfns, 2);
	fakehost_end_log();
	CU_ASSERT_EQUAL(fg.fh->discard_calls, 0);
	CU_ASSERT_TRUE(fg_holds(&fg, FG_PAGES, 4096, 5));
	CU_ASSERT_EQUAL(fg_used_idx(&fg, DEFLATE), 1);
	CU_ASSERT_EQUAL(counters(BALLOON_Q_DEFLATE)->pages, 1);
	CU_ASSERT_EQUAL(counters(BALLOON_Q_DEFLATE)->bad_pages, 1);
	end();
}

/* Counted each time, told once a second; the pages stay as they are, and the next ones go. */
static void test_refused_discard(void)
{
	const int errors[] = {EAGAIN, ENOMEM, EINVAL, EPERM};
	const uint32_t pfns[] = {PFN(FG_PAGES), PFN(FG_PAGES) + 1};
	begin();
	fg_fill(&fg, FG_PAGES, 8192, 5);
	fakehost_capture_log();
	for (uint16_t i = 0; i < 4; i++) {
		fg.fh->discard_error = errors[i];
		fg_send_pfns(&fg, INFLATE, pfns, 2);
		CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), i + 1);
		CU_ASSERT_TRUE(fg_holds(&fg, FG_PAGES, 8192, 5));
		CU_ASSERT_EQUAL(counters(BALLOON_Q_INFLATE)->failed_bytes, (i + 1) * 8192U);
		CU_ASSERT_EQUAL(counters(BALLOON_Q_INFLATE)->faults[BALLOON_FAULT_DISCARD], i + 1U);
	}
	CU_ASSERT_EQUAL(fakehost_end_log(), 1);
	CU_ASSERT_EQUAL(counters(BALLOON_Q_INFLATE)->discarded_bytes, 0);
	CU_ASSERT_EQUAL(counters(BALLOON_Q_INFLATE)->bad_buffers, 0);

	fakehost_advance(fg.fh, 1000);
	fakehost_capture_log();
	fg_send_pfns(&fg, INFLATE, pfns, 2);
	CU_ASSERT_EQUAL(fakehost_end_log(), 1);

	fg.fh->discard_error = 0;
	fg_send_pfns(&fg, INFLATE, pfns, 2);
	CU_ASSERT_TRUE(fg_holds(&fg, FG_PAGES, 8192, 0));
	CU_ASSERT_EQUAL(counters(BALLOON_Q_INFLATE)->discarded_bytes, 8192);
	end();
}

/* ---- Huge host pages ------------------------------------------------- */

static void send_run(unsigned queue, uint64_t gpa, uint32_t n)
{
	uint32_t pfns[512];
	for (uint32_t i = 0; i < n; i++)
		pfns[i] = PFN(gpa) + i;
	fg_send_pfns(&fg, queue, pfns, n);
}

static void test_huge_page_goes_when_it_is_whole(void)
{
	begin_with(F_REPORT, 2 * MIB);
	fg_fill(&fg, FG_PAGES, 4 * MIB, 9);
	send_run(INFLATE, FG_PAGES, 511);
	CU_ASSERT_EQUAL(fg.fh->discard_calls, 0);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), 1);
	CU_ASSERT_TRUE(fg_holds(&fg, FG_PAGES, 4 * MIB, 9));
	send_run(DEFLATE, FG_PAGES + 4096, 1);
	send_run(INFLATE, FG_PAGES + 511 * 4096, 1);
	CU_ASSERT_EQUAL(fg.fh->discard_calls, 0);
	send_run(INFLATE, FG_PAGES + 4096, 1);
	CU_ASSERT_EQUAL(fg.fh->discard_calls, 1);
	expect_discard(0, FG_PAGES, 2 * MIB);
	CU_ASSERT_TRUE(fg_holds(&fg, FG_PAGES + 2 * MIB, 2 * MIB, 9));
	CU_ASSERT_EQUAL(counters(BALLOON_Q_INFLATE)->discarded_bytes, 2 * MIB);
	/* A new driver begins with an empty balloon. */
	fg_init(&fg, 0);
	send_run(INFLATE, FG_PAGES, 1);
	CU_ASSERT_EQUAL(fg.fh->discard_calls, 1);
	end();
}

/* ---- Reporting ------------------------------------------------------- */

static void report(uint64_t gpa, uint32_t len)
{
	fakehost_forget_discards(fg.fh);
	fg_send(&fg, REPORT, gpa, len, D_WRITE);
}

static void test_report(void)
{
	begin();
	fg_fill(&fg, FG_PAGES, 16 * MIB, 3);
	for (uint16_t i = 0; i < 4; i++)
		fg_desc(&fg, REPORT, i, FG_PAGES + (3 - i) * 4 * MIB, 2 * MIB, D_WRITE | (i < 3 ? D_NEXT : 0), (uint16_t)(i + 1));
	fg_publish(&fg, REPORT, 0);
	fg_kick(&fg, REPORT);
	CU_ASSERT_EQUAL(fg.fh->discard_calls, 1);
	CU_ASSERT_EQUAL(fg.fh->n_discards, 4);
	for (size_t i = 0; i < 4; i++)
		expect_discard(i, FG_PAGES + i * 4 * MIB, 2 * MIB);
	CU_ASSERT_EQUAL(fg_used_len(&fg, REPORT, 0), 0);
	CU_ASSERT_TRUE(fg_holds(&fg, FG_PAGES, 2 * MIB, 0));
	CU_ASSERT_TRUE(fg_holds(&fg, FG_PAGES + 2 * MIB, 2 * MIB, 3));
	CU_ASSERT_EQUAL(counters(BALLOON_Q_REPORT)->pages, 2048);
	CU_ASSERT_EQUAL(counters(BALLOON_Q_REPORT)->discarded_bytes, 8 * MIB);
	end();
}

static void test_report_is_rounded_inwards(void)
{
	begin();
	fakehost_capture_log();
	const struct {
		uint64_t gpa;
		uint32_t len;
		uint64_t want_gpa, want_len; /* len 0: nothing */
		uint64_t bad;
	} rows[] = {
		{FG_PAGES, 4096, FG_PAGES, 4096, 0},
		{FG_PAGES + 1, 4096, 0, 0, 1},
		{FG_PAGES, 4095, 0, 0, 1},
		{FG_PAGES + 1, 8191, FG_PAGES + 4096, 4096, 1},
		{FG_PAGES + 4095, 4098, FG_PAGES + 4096, 4096, 1},
		{FAKE_REGION_LEN - 4096, 8192, FAKE_REGION_LEN - 4096, 4096, 1},
		{FAKE_HIGH_GPA - 4096, 8192, FAKE_HIGH_GPA, 4096, 1},
		{0xC0000000, 8192, 0, 0, 2},
		{UINT64_MAX - 4095, 8192, 0, 0, 1},
		{FG_PAGES, 0, 0, 0, 0},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		uint64_t bad = counters(BALLOON_Q_REPORT)->bad_pages;
		report(rows[i].gpa, rows[i].len);
		CU_ASSERT_EQUAL(fg.fh->n_discards, rows[i].want_len != 0);
		if (rows[i].want_len)
			expect_discard(0, rows[i].want_gpa, rows[i].want_len);
		CU_ASSERT_EQUAL(counters(BALLOON_Q_REPORT)->bad_pages - bad, rows[i].bad);
		CU_ASSERT_EQUAL(fg_used_idx(&fg, REPORT), i + 1);
	}
	fakehost_end_log();
	end();
}

/* A block from low RAM over the hole into high RAM: 4 GiB - 1 from the middle on. */
static void test_report_of_everything(void)
{
	begin();
	fakehost_capture_log();
	fg_fill(&fg, FAKE_HIGH_GPA, 4096, 3);
	report(32 * MIB, 0xFFFFFFFF);
	CU_ASSERT_TRUE(fakehost_settle(fg.fh, 1000));
	CU_ASSERT_EQUAL(fg_used_idx(&fg, REPORT), 1);
	CU_ASSERT_EQUAL(fg.fh->discarded_bytes, 64 * MIB - 4096);
	CU_ASSERT_TRUE(fg_holds(&fg, FAKE_HIGH_GPA, 4096, 0));
	fakehost_end_log();
	end();
}

/* One wakeup gives back a bounded amount. */
static void test_report_budget(void)
{
	begin();
	for (uint16_t i = 0; i < 3; i++)
		fg_desc(&fg, REPORT, i, i % 2 ? FAKE_HIGH_GPA : 0x400000, 48 * MIB, D_WRITE | (i < 2 ? D_NEXT : 0), (uint16_t)(i + 1));
	fg_publish(&fg, REPORT, 0);
	fg_kick(&fg, REPORT);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, REPORT), 0);
	CU_ASSERT_EQUAL(fg.fh->discarded_bytes, 64 * MIB);
	fakehost_settle(fg.fh, 10);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, REPORT), 1);
	CU_ASSERT_EQUAL(fg.fh->discarded_bytes, 144 * MIB);
	end();
}

/* Where a wakeup ends in the middle of a block that begins in the middle of a page, no page is lost. */
static void test_report_budget_at_odd_addresses(void)
{
	begin();
	fakehost_capture_log();
	fg_desc(&fg, REPORT, 0, FAKE_HIGH_GPA, 40 * MIB, D_WRITE | D_NEXT, 1);
	fg_desc(&fg, REPORT, 1, 0x400800, 48 * MIB, D_WRITE, 0);
	fg_publish(&fg, REPORT, 0);
	fg_kick(&fg, REPORT);
	fakehost_settle(fg.fh, 10);
	fakehost_end_log();
	CU_ASSERT_EQUAL(fg_used_idx(&fg, REPORT), 1);
	CU_ASSERT_EQUAL(fg.fh->discarded_bytes, 88 * MIB - 4096);
	end();
}

static void test_report_on_huge_pages(void)
{
	begin_with(F_REPORT, 2 * MIB);
	fakehost_capture_log();
	report(FG_PAGES, 2 * MIB);
	expect_discard(0, FG_PAGES, 2 * MIB);
	report(FG_PAGES + MIB, 4 * MIB);
	CU_ASSERT_EQUAL(fg.fh->n_discards, 1);
	expect_discard(0, FG_PAGES + 2 * MIB, 2 * MIB);
	report(FG_PAGES, MIB);
	CU_ASSERT_EQUAL(fg.fh->n_discards, 0);
	fakehost_end_log();
	end();
}

static void test_report_of_readable_buffers(void)
{
	begin();
	fakehost_capture_log();
	fg_send(&fg, REPORT, FG_PAGES, 4096, 0);
	fakehost_end_log();
	CU_ASSERT_EQUAL(fg.fh->n_discards, 0);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, REPORT), 1);
	CU_ASSERT_EQUAL(counters(BALLOON_Q_REPORT)->bad_buffers, 1);
	end();
}

static void test_poisoned_pages_stay(void)
{
	fg_create(&fg, NULL, 4096);
	for (unsigned round = 0; round < 2; round++) {
		fg_negotiate(&fg, F_REPORT | F_POISON);
		fg_dc_write(&fg, DC_POISON, round ? 0 : 0xAAAAAAAA);
		fg_queue_on(&fg, REPORT, 64);
		fg_status_write(&fg, 0xF);
		fg_dc_write(&fg, DC_POISON, 0);
		fg_fill(&fg, FG_PAGES, 4096, 0xAA);
		report(FG_PAGES, 4096);
		CU_ASSERT_EQUAL(fg_used_idx(&fg, REPORT), 1);
		CU_ASSERT_EQUAL(fg_used_len(&fg, REPORT, 0), 0);
		CU_ASSERT_TRUE(fg_holds(&fg, FG_PAGES, 4096, round ? 0 : 0xAA));
	}
	/* Of inflated pages nothing is promised. */
	fg_queue_on(&fg, INFLATE, 64);
	end();
}

static const struct test_case cases[] = {
	{"inflate", test_inflate},
	{"pieces", test_pieces},
	{"trailing bytes", test_trailing_bytes},
	{"bad buffers", test_bad_buffers},
	{"bad pages", test_bad_pages},
	{"deflate discards nothing", test_deflate_discards_nothing},
	{"refused discard", test_refused_discard},
	{"huge page goes when it is whole", test_huge_page_goes_when_it_is_whole},
	{"report", test_report},
	{"report is rounded inwards", test_report_is_rounded_inwards},
	{"report of everything", test_report_of_everything},
	{"report budget", test_report_budget},
	{"report budget at odd addresses", test_report_budget_at_odd_addresses},
	{"report on huge pages", test_report_on_huge_pages},
	{"report of readable buffers", test_report_of_readable_buffers},
	{"poisoned pages stay", test_poisoned_pages_stay},
};

TEST_SUITE(balloon_pages, cases);
