/*
 * The rows that depend on the kind of memory: host pages of 4 KiB, 2 MiB and
 * 1 GiB, memory above 4 GiB, and as much of it as page numbers reach, 16 TiB.
 * Most of that is never touched, so it costs nothing.
 */
#include <errno.h>

#include "tests/conformance/fd.h"
#include "util/bytes.h"

#define GIB (1024 * MIB)
#define TIB (1024 * GIB)
#define LOW_LEN (3 * GIB)
#define TOP (16 * TIB) /* page numbers have 32 bits */

static void begin_large(uint64_t page_size, uint64_t end)
{
	fg_create_on(&fg, NULL, fakehost_create_sized(page_size, LOW_LEN, end - FAKE_HIGH_GPA));
}

/* Requests of 4096 page numbers. */
static void send_run(unsigned queue, uint64_t first_pfn, uint64_t n)
{
	static uint32_t pfns[4096];
	for (uint64_t done = 0; done < n;) {
		size_t k = 0;
		for (; k < 4096 && done < n; k++, done++)
			pfns[k] = (uint32_t)(first_pfn + done);
		fg_send_pfns(&fg, queue, pfns, k);
		fakehost_settle(fg.fh, 10);
	}
}

static void expect_discard(size_t i, uint64_t gpa, uint64_t len)
{
	CU_ASSERT_TRUE_FATAL(i < fg.fh->n_discards);
	CU_ASSERT_EQUAL(fg.fh->discards[i].gpa, gpa);
	CU_ASSERT_EQUAL(fg.fh->discards[i].len, len);
}

/* num_pages counts 4096 bytes on every host, up to the most that it can say. */
static void cfg_04(void)
{
	const uint64_t pages[] = {4096, 2 * MIB, GIB};
	for (unsigned i = 0; i < 3; i++) {
		begin_large(pages[i], TOP);
		CU_ASSERT_EQUAL(balloon_set_target(fg.dev, GIB), 0);
		CU_ASSERT_EQUAL(fg_dc(&fg, DC_NUM_PAGES), 262144);
		CU_ASSERT_EQUAL(balloon_set_target(fg.dev, TOP - 4 * GIB), 0);
		CU_ASSERT_EQUAL(fg_dc(&fg, DC_NUM_PAGES), 0xFFF00000);
		CU_ASSERT_EQUAL(fd_state()->target_bytes, TOP - 4 * GIB);
		CU_ASSERT_EQUAL(balloon_set_target(fg.dev, TOP - GIB), -ERANGE);
		CU_ASSERT_EQUAL(fg_dc(&fg, DC_NUM_PAGES), 0xFFF00000);
		fd_end();
	}
}

/* A host page of 2 MiB or 1 GiB goes when its last piece is in the balloon, once, and its neighbours stay. */
static void inf_05(void)
{
	const uint64_t pages[] = {2 * MIB, GIB};
	for (unsigned i = 0; i < 2; i++) {
		uint64_t page = pages[i], n = page / 4096, gpa = FAKE_HIGH_GPA + page;
		fg_create_on(&fg, NULL, fakehost_create_sized(page, LOW_LEN, 3 * page));
		fg_init(&fg, 0);
		fg_fill(&fg, gpa - 4096, 4096, 7);
		fg_fill(&fg, gpa + page, 4096, 7);
		fg_fill(&fg, gpa + page / 2, 4096, 7);
		send_run(INFLATE, PFN(gpa), n - 1);
		CU_ASSERT_EQUAL(fg.fh->n_discards, 0);
		CU_ASSERT_EQUAL(fd_state()->held_bytes, page - 4096);
		CU_ASSERT_TRUE(fg_holds(&fg, gpa + page / 2, 4096, 7));
		/* One part out, another in: still not whole. */
		send_run(DEFLATE, PFN(gpa) + 5, 1);
		send_run(INFLATE, PFN(gpa) + (uint32_t)n - 1, 1);
		CU_ASSERT_EQUAL(fg.fh->n_discards, 0);
		send_run(INFLATE, PFN(gpa) + 5, 1);
		CU_ASSERT_EQUAL(fg.fh->n_discards, 1);
		expect_discard(0, gpa, page);
		CU_ASSERT_EQUAL(fd_state()->held_bytes, 0);
		CU_ASSERT_TRUE(fg_holds(&fg, gpa + page / 2, 4096, 0));
		CU_ASSERT_TRUE(fg_holds(&fg, gpa - 4096, 4096, 7));
		CU_ASSERT_TRUE(fg_holds(&fg, gpa + page, 4096, 7));
		/* Again after a deflate of one part. */
		send_run(DEFLATE, PFN(gpa) + 9, 1);
		CU_ASSERT_EQUAL(fg.fh->n_discards, 1);
		send_run(INFLATE, PFN(gpa) + 9, 1);
		expect_discard(1, gpa, page);
		fd_end();
	}
}

/* Of a block those host pages go that are wholly in it. */
static void rep_04(void)
{
	const struct {
		uint64_t page, from, len, want_from, want_len;
	} rows[] = {
		{2 * MIB, 0, 2 * MIB, 0, 2 * MIB},
		{2 * MIB, 4096, 2 * MIB, 0, 0},
		{2 * MIB, 4096, 4 * MIB - 4096, 2 * MIB, 2 * MIB},
		{2 * MIB, MIB, 8 * MIB, 2 * MIB, 6 * MIB},
		{2 * MIB, 0, 2 * MIB - 4096, 0, 0},
		{GIB, 0, GIB, 0, GIB},
		{GIB, 4096, GIB, 0, 0},
		{GIB, MIB, 2 * GIB, GIB, GIB},
		{GIB, 0, GIB - 4096, 0, 0},
	};
	for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++)
		for (unsigned queue = HINT; queue <= REPORT; queue++) {
			fg_create_on(&fg, NULL, fakehost_create_sized(rows[i].page, 64 * MIB, 4 * (rows[i].page)));
			fg_init(&fg, F_HINT | F_REPORT);
			fg_fill(&fg, FAKE_HIGH_GPA + rows[i].from - (rows[i].from ? 4096 : 0), 4096, 7);
			if (queue == REPORT)
				fg_send(&fg, REPORT, FAKE_HIGH_GPA + rows[i].from, (uint32_t)rows[i].len, D_WRITE);
			else
				CU_ASSERT_EQUAL(fd_hint_run(HINT, FAKE_HIGH_GPA + rows[i].from, (uint32_t)rows[i].len), 1);
			fakehost_settle(fg.fh, 1000);
			CU_ASSERT_EQUAL(fg.fh->discarded_bytes, rows[i].want_len);
			if (rows[i].want_len)
				CU_ASSERT_EQUAL(fg.fh->discards[0].gpa, FAKE_HIGH_GPA + rows[i].want_from);
			if (rows[i].from)
				CU_ASSERT_TRUE(fg_holds(&fg, FAKE_HIGH_GPA + rows[i].from - 4096, 4096, 7));
			fd_end();
		}
}

/* All of a huge guest in one report: a bounded part of it a wakeup, and other queues get their turn. */
static void hos_66_all(void)
{
	begin_large(4096, TOP);
	fd_go_hostile();
	for (uint16_t i = 0; i < 128; i++)
		fg_desc(&fg, REPORT, i, FAKE_HIGH_GPA + i * 4 * GIB, 0xFFFFF000, D_WRITE | (i < 127 ? D_NEXT : 0), i + 1);
	fg_publish(&fg, REPORT, 0);
	fg_kick(&fg, REPORT);
	for (unsigned i = 0; i < 10; i++) {
		CU_ASSERT_TRUE(fg.fh->discarded_bytes > 0 && fg.fh->discarded_bytes < GIB);
		CU_ASSERT_EQUAL(fg_used_idx(&fg, REPORT), 0);
		fd_deflate(0, 1);
		CU_ASSERT_EQUAL(fg_used_idx(&fg, DEFLATE), i + 1);
		fakehost_forget_discards(fg.fh);
		CU_ASSERT_EQUAL(fakehost_run_work(fg.fh), 1);
	}
	fg_status_write(&fg, 0); /* it would go on for a while */
	fd_end_hostile();
}

/* A report of pages that are in the balloon takes nothing out of it, and a report of others puts nothing in. */
static void hos_67(void)
{
	fg_create_on(&fg, NULL, fakehost_create_sized(2 * MIB, 64 * MIB, 0));
	fg_init(&fg, F_REPORT);
	fd_inflate(0, 100);
	fg_send(&fg, REPORT, FG_PAGES, 4 * MIB, D_WRITE);
	CU_ASSERT_EQUAL(fg.fh->discarded_bytes, 4 * MIB);
	CU_ASSERT_EQUAL(fd_state()->held_bytes, 100 * 4096);
	fd_inflate(101, 411);
	CU_ASSERT_EQUAL(fg.fh->discarded_bytes, 4 * MIB);
	CU_ASSERT_EQUAL(fd_state()->held_bytes, 511 * 4096);
	fd_inflate(100, 1);
	CU_ASSERT_EQUAL(fg.fh->discarded_bytes, 6 * MIB);
	CU_ASSERT_EQUAL(fd_state()->held_bytes, 0);
	fd_end();
}

/* First and last pages of 16 TiB: above 4 GiB, with bit 31 set, the very last number. Nothing wraps to the pages at 0. */
static void hos_42_43(void)
{
	const uint32_t pfns[] = {0xFFFFFFFF, 0x100000, 0, 0x7FFFFFFF, 0xFFFFFFFE, 0x80000000, PFN(LOW_LEN), 1};
	begin_large(4096, TOP);
	fd_go_hostile();
	fg_fill(&fg, TOP - 3 * 4096, 4096, 7);
	fg_fill(&fg, 2 * 4096, 4096, 7);
	fg_send_pfns(&fg, INFLATE, pfns, 8);
	CU_ASSERT_EQUAL(fg.fh->n_discards, 4);
	expect_discard(0, 0, 2 * 4096);
	expect_discard(1, FAKE_HIGH_GPA, 4096);
	expect_discard(2, 8 * TIB - 4096, 2 * 4096);
	expect_discard(3, TOP - 2 * 4096, 2 * 4096);
	CU_ASSERT_EQUAL(fd_counters(BALLOON_Q_INFLATE).bad_pages, 1);
	/* The last and the first page as neighbours in the request, both ways. */
	const uint32_t wraps[][2] = {{0xFFFFFFFF, 0}, {0, 0xFFFFFFFF}};
	for (unsigned i = 0; i < 2; i++) {
		fakehost_forget_discards(fg.fh);
		fg_send_pfns(&fg, INFLATE, wraps[i], 2);
		CU_ASSERT_EQUAL(fg.fh->n_discards, 2);
		expect_discard(0, 0, 4096);
		expect_discard(1, TOP - 4096, 4096);
	}
	CU_ASSERT_TRUE(fg_holds(&fg, TOP - 3 * 4096, 4096, 7));
	CU_ASSERT_TRUE(fg_holds(&fg, 2 * 4096, 4096, 7));
	fd_end_hostile();
}

/* The last host page below 16 TiB. */
static void hos_43_53(void)
{
	const uint64_t pages[] = {2 * MIB, GIB};
	for (unsigned i = 0; i < 2; i++) {
		uint64_t n = pages[i] / 4096;
		begin_large(pages[i], TOP);
		fg_init(&fg, 0);
		/* Every other piece of 4 GiB first: nothing goes, and what is remembered is a bit each. */
		for (uint32_t k = 0; k < 1024; k++)
			send_run(INFLATE, 0x200000 + 2 * k * 512, 1);
		CU_ASSERT_EQUAL(fg.fh->n_discards, 0);
		send_run(INFLATE, TOP / 4096 - n, n - 1);
		CU_ASSERT_EQUAL(fg.fh->n_discards, 0);
		send_run(INFLATE, TOP / 4096 - 1, 1);
		CU_ASSERT_EQUAL(fg.fh->n_discards, 1);
		expect_discard(0, TOP - pages[i], pages[i]);
		CU_ASSERT_EQUAL(fd_state()->held_bytes, 1024 * 4096);
		fd_end();
	}
}

/*
 * Reports at the end of 16 TiB, and beyond it: there pages have no number, and
 * the device leaves them alone rather than take another page for them.
 */
static void hos_66(void)
{
	const struct {
		uint64_t gpa;
		uint32_t len;
		uint64_t want;
	} rows[] = {
		{8 * TIB - MIB, 2 * MIB, 2 * MIB}, {TOP - 4 * MIB, 4 * MIB, 4 * MIB}, {TOP - MIB, 2 * MIB, MIB}, {TOP, MIB, 0}, {TOP + MIB, MIB, 0},
		{TOP + GIB - 4096, 8192, 0},	   {TOP + FG_PAGES, 4 * MIB, 0},
	};
	begin_large(4096, TOP + GIB);
	fd_go_hostile();
	for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		fakehost_forget_discards(fg.fh);
		fg_fill(&fg, 0, 4 * MIB > FG_RING(0) ? FG_RING(0) : 4 * MIB, 7);
		fg_fill(&fg, FG_PAGES, 4 * MIB, 7);
		fg_send(&fg, REPORT, rows[i].gpa, rows[i].len, D_WRITE);
		fakehost_settle(fg.fh, 1000);
		CU_ASSERT_EQUAL(fg.fh->discarded_bytes, rows[i].want);
		if (rows[i].want)
			expect_discard(0, rows[i].gpa, rows[i].want);
		CU_ASSERT_TRUE(fg_holds(&fg, 0, FG_RING(0), 7));
		CU_ASSERT_TRUE(fg_holds(&fg, FG_PAGES, 4 * MIB, 7));
		CU_ASSERT_EQUAL(fg_used_idx(&fg, REPORT), i + 1);
	}
	fd_end_hostile();
}

/* A host whose watch over so much memory is not simulated: it notes what it is asked to discard. */
static struct gmem_range hinted[16];
static size_t n_hinted;

static int watch_nothing(struct host *host, bool on)
{
	(void)host;
	(void)on;
	return 0;
}

static void note_hints(struct host *host, const struct gmem_range *ranges, size_t n, struct discard_result *result)
{
	(void)host;
	*result = (struct discard_result){0};
	for (size_t i = 0; i < n && n_hinted < 16; i++) {
		hinted[n_hinted++] = ranges[i];
		result->discarded_bytes += ranges[i].len;
	}
}

static void hos_65(void)
{
	const struct gmem_range blocks[] = {{8 * TIB - MIB, 2 * MIB}, {TOP - MIB, 2 * MIB}, {TOP + MIB, MIB}, {TOP + FG_PAGES, 4096}};
	struct host_ops ops;
	begin_large(4096, TOP + GIB);
	ops = *fg.fh->host.ops;
	ops.watch_writes = watch_nothing;
	ops.discard_unwritten = note_hints;
	fg.fh->host.ops = &ops;
	fg_init(&fg, F_HINT);
	n_hinted = 0;
	for (unsigned i = 0; i < 4; i++)
		CU_ASSERT_EQUAL(fd_hint_run(HINT, blocks[i].gpa, (uint32_t)blocks[i].len), 1);
	CU_ASSERT_EQUAL(n_hinted, 2);
	CU_ASSERT_EQUAL(hinted[0].gpa, 8 * TIB - MIB);
	CU_ASSERT_EQUAL(hinted[0].len, 2 * MIB);
	CU_ASSERT_EQUAL(hinted[1].gpa, TOP - MIB);
	CU_ASSERT_EQUAL(hinted[1].len, MIB);
	fd_end();
}

static const struct test_case cases[] = {
	{"BAL-CFG-04", cfg_04},	      {"BAL-INF-05", inf_05},	    {"BAL-REP-04 HOS-65 HOS-66", rep_04},
	{"HOS-42 HOS-43", hos_42_43}, {"HOS-43 HOS-53", hos_43_53}, {"HOS-66", hos_66},
	{"HOS-66", hos_66_all},	      {"HOS-67", hos_67},	    {"HOS-65", hos_65},
};

TEST_SUITE(memory, cases);
