/* Rows BAL-INF, BAL-DEF, BAL-POI and BAL-REP: pages that go and come back. */
#include "tests/conformance/fd.h"
#include "util/bytes.h"

static void inf_01(void)
{
	static uint32_t pfns[4096];
	fd_init(0);
	fd_inflate(5, 1);
	CU_ASSERT_EQUAL(fg.fh->n_discards, 1);
	const uint32_t three[] = {PFN(FG_PAGES) + 9, PFN(FG_PAGES) + 7, PFN(FG_PAGES) + 8};
	fg_send_pfns(&fg, INFLATE, three, 3);
	CU_ASSERT_EQUAL(fg.fh->discards[1].gpa, FG_PAGES + 7 * 4096);
	CU_ASSERT_EQUAL(fg.fh->discards[1].len, 3 * 4096);
	fakehost_forget_discards(fg.fh);
	for (unsigned i = 0; i < 4096; i++)
		pfns[i] = PFN(FG_PAGES) + (i * 2053) % 8192;
	fg_send_pfns(&fg, INFLATE, pfns, 4096);
	fakehost_settle(fg.fh, 10);
	uint64_t bytes = 0;
	for (size_t i = 0; i < fg.fh->n_discards; i++)
		bytes += fg.fh->discards[i].len;
	CU_ASSERT_EQUAL(bytes, 4096 * 4096);
	for (unsigned i = 0; i < 4096; i += 37)
		CU_ASSERT_TRUE(fakehost_was_discarded(fg.fh, (uint64_t)pfns[i] << 12));
	fd_end();
}

/* Every page of the request has its old contents until the host is asked, and the used entry is there only after that. */
static uint16_t used_at_discard;
static bool intact_at_discard;

static void look(struct fakehost *fh)
{
	(void)fh;
	used_at_discard = fg_used_idx(&fg, INFLATE) + fg_used_idx(&fg, REPORT);
	intact_at_discard = fg_holds(&fg, FG_PAGES, 4 * 4096, 0x66);
}

static void inf_02_03(void)
{
	fd_init(ALL_TYPE);
	fg.fh->before_discard = look;
	fg_fill(&fg, FG_PAGES, 4 * 4096, 0x66);
	fd_inflate(0, 4);
	CU_ASSERT_TRUE(intact_at_discard);
	CU_ASSERT_EQUAL(used_at_discard, 0);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), 1);
	fg_fill(&fg, FG_PAGES, 4 * 4096, 0x66);
	fg_send(&fg, REPORT, FG_PAGES, 4 * 4096, D_WRITE);
	CU_ASSERT_TRUE(intact_at_discard);
	CU_ASSERT_EQUAL(used_at_discard, 1);
	fd_end();
}

/* Inflate, acknowledgement, write, read: nothing comes late. Reports as well. */
static void inf_03_rep_02(void)
{
	fd_init(ALL_TYPE);
	fg.fh->discards_unrecorded = true;
	uint32_t *word = fakehost_ram(fg.fh, FG_PAGES, 4096);
	for (uint32_t i = 1; i < 40000; i++) {
		if (i == 20000)
			fg_init(&fg, ALL_TYPE & ~F_MUST_TELL_HOST);
		if (i % 2)
			fd_inflate(0, 1);
		else
			fg_send(&fg, REPORT, FG_PAGES, 4096, D_WRITE);
		CU_ASSERT_EQUAL_FATAL(*word, 0);
		*word = i;
		fakehost_run_work(fg.fh);
		fakehost_advance(fg.fh, 1);
		CU_ASSERT_EQUAL_FATAL(*word, i);
	}
	fd_end();
}

/*
 * With MUST_TELL_HOST the device might go on with a page until its deflate; this
 * one never does: the discards are done at the acknowledgement either way, and
 * a deflate has none to wait for.
 */
static void inf_04(void)
{
	for (unsigned told = 0; told < 2; told++) {
		fd_init(told ? F_MUST_TELL_HOST : 0);
		fd_inflate(0, 512);
		CU_ASSERT_EQUAL(fg.fh->discarded_bytes, 512 * 4096);
		fg_fill(&fg, FG_PAGES, 256 * 4096, 0x21); /* before the deflate: a mistake of the guest's, and harmless */
		fd_deflate(0, 512);
		fg_fill(&fg, FG_PAGES + 256 * 4096, 256 * 4096, 0x21);
		fakehost_settle(fg.fh, 100);
		fakehost_advance(fg.fh, 100000);
		CU_ASSERT_EQUAL(fg.fh->discarded_bytes, 512 * 4096);
		CU_ASSERT_TRUE(fg_holds(&fg, FG_PAGES, 512 * 4096, 0x21));
		fd_end();
	}
}

static void inf_05(void)
{
	struct fakehost *fh = fakehost_create(2 * MIB);
	fg_create_on(&fg, NULL, fh);
	fg_init(&fg, 0);
	fg_fill(&fg, FG_PAGES, 2 * MIB, 7);
	fd_inflate(0, 511);
	CU_ASSERT_EQUAL(fh->n_discards, 0);
	CU_ASSERT_TRUE(fg_holds(&fg, FG_PAGES, 2 * MIB, 7));
	fd_deflate(3, 1);
	fd_inflate(511, 1);
	CU_ASSERT_EQUAL(fh->n_discards, 0);
	fd_inflate(3, 1);
	CU_ASSERT_EQUAL(fh->n_discards, 1);
	CU_ASSERT_EQUAL(fh->discards[0].len, 2 * MIB);
	fd_end();
}

static void inf_06(void)
{
	const uint32_t bad[] = {0xFFFFFFFF, 0xC0000, 0x7FFFFFFF};
	fd_init(0);
	fakehost_capture_log();
	fg_send_pfns(&fg, INFLATE, bad, 3);
	fakehost_end_log();
	CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), 1);
	CU_ASSERT_EQUAL(fg_used_len(&fg, INFLATE, 0), 0);
	CU_ASSERT_EQUAL(fg_irqs(&fg, 1), 1);
	fd_end();
}

static void def_01_02(void)
{
	fd_init(F_MUST_TELL_HOST);
	fg_fill(&fg, FG_PAGES, MIB, 0x30);
	fd_inflate(0, 256);
	CU_ASSERT_TRUE(fg_holds(&fg, FG_PAGES, MIB, 0));
	fd_deflate(0, 256);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, DEFLATE), 1);
	fg_fill(&fg, FG_PAGES, MIB, 0x31);
	fakehost_settle(fg.fh, 10);
	fakehost_advance(fg.fh, 100000);
	CU_ASSERT_TRUE(fg_holds(&fg, FG_PAGES, MIB, 0x31));
	fd_end();
}

static void def_03(void)
{
	fd_init(0);
	fg.fh->discards_unrecorded = true;
	fg_dc_write(&fg, DC_ACTUAL, 1);
	fd_inflate(0, 1);
	for (unsigned i = 1; i <= 10000; i++) {
		fd_inflate(i % 1000, 1);
		fd_deflate((i - 1) % 1000, 1);
	}
	CU_ASSERT_EQUAL(fd_state()->actual_bytes, 4096);
	CU_ASSERT_EQUAL(fd_state()->queues[BALLOON_Q_INFLATE].pages, 10001);
	CU_ASSERT_EQUAL(fd_state()->queues[BALLOON_Q_DEFLATE].pages, 10000);
	fd_end();
}

static void poi_02_rep_03(void)
{
	fd_begin();
	for (unsigned poison = 0; poison < 2; poison++) {
		fg_negotiate(&fg, F_POISON | F_REPORT);
		fg_dc_write(&fg, DC_POISON, poison ? 0xAAAAAAAA : 0);
		fg_queue_on(&fg, REPORT, 64);
		fg_status_write(&fg, 0xF);
		fg_dc_write(&fg, DC_POISON, poison ? 0 : 0xAAAAAAAA);
		fakehost_forget_discards(fg.fh);
		fg_fill(&fg, FG_PAGES, 2 * MIB, 0xAA);
		fg_send(&fg, REPORT, FG_PAGES, 2 * MIB, D_WRITE);
		fakehost_settle(fg.fh, 10);
		CU_ASSERT_EQUAL(fg_used_idx(&fg, REPORT), 1);
		CU_ASSERT_EQUAL(fg.fh->n_discards, !poison);
		CU_ASSERT_TRUE(fg_holds(&fg, FG_PAGES, 2 * MIB, poison ? 0xAA : 0));
	}
	/* Without the feature the field is not there. */
	fg_negotiate(&fg, F_REPORT);
	fg_dc_write(&fg, DC_POISON, 0xAAAAAAAA);
	fg_queue_on(&fg, REPORT, 64);
	fg_status_write(&fg, 0xF);
	fg_send(&fg, REPORT, FG_PAGES, 4096, D_WRITE);
	CU_ASSERT_TRUE(fg_holds(&fg, FG_PAGES, 4096, 0));
	fd_end();
}

/* Inflation, deflation and hints are the same with a poison as without: old data or zero in the pages that were named, every other byte as it was. */
static void poi_01(void)
{
	for (unsigned poison = 0; poison < 2; poison++) {
		fd_begin();
		fg_negotiate(&fg, ALL_TYPE);
		fg_msix_on(&fg);
		fg_dc_write(&fg, DC_POISON, poison ? 0xAAAAAAAA : 0);
		for (unsigned i = 0; i < FG_N_QUEUES; i++)
			fg_queue_on(&fg, i, 128);
		fg_status_write(&fg, 0xF);
		CU_ASSERT_EQUAL(fd_state()->poison_val, poison ? 0xAAAAAAAA : 0);
		fg_fill(&fg, FG_PAGES, 64 * 4096, 0xAA);
		fd_inflate(8, 8);
		CU_ASSERT_EQUAL(fd_hint_run(HINT, FG_PAGES + 24 * 4096, 8 * 4096), 1);
		fg_send(&fg, REPORT, FG_PAGES + 40 * 4096, 8 * 4096, D_WRITE);
		fakehost_settle(fg.fh, 100);
		for (unsigned block = 0; block < 8; block++) {
			bool goes = block == 1 || block == 3 || (block == 5 && !poison);
			CU_ASSERT_TRUE(fg_holds(&fg, FG_PAGES + block * 8 * 4096ULL, 8 * 4096, goes ? 0 : 0xAA));
		}
		fd_deflate(8, 8);
		fg_fill(&fg, FG_PAGES, 64 * 4096, 0xBB);
		fakehost_settle(fg.fh, 100);
		fakehost_advance(fg.fh, 100000);
		CU_ASSERT_TRUE(fg_holds(&fg, FG_PAGES, 64 * 4096, 0xBB));
		fd_end();
	}
}

static void rep_04_05(void)
{
	const uint64_t table = 0x900000;
	fd_init(F_REPORT | F_INDIRECT);
	uint64_t at = FG_PAGES, bytes = 0;
	for (uint16_t i = 0; i < 32; i++) {
		uint32_t len = 4096u << (i % 11); /* up to 4 MiB */
		fg_fill(&fg, at, len + 4096, 0x11);
		fg_desc_at(&fg, table, i, at, len, D_WRITE | (i < 31 ? D_NEXT : 0), i + 1);
		at += len + 4096;
		bytes += len;
	}
	fg_desc(&fg, REPORT, 0, table, 32 * 16, D_INDIRECT, 0);
	fg_publish(&fg, REPORT, 0);
	fg_kick(&fg, REPORT);
	CU_ASSERT_EQUAL(fg.fh->n_discards, 32);
	CU_ASSERT_EQUAL(fg.fh->discarded_bytes, bytes);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, REPORT), 1);
	at = FG_PAGES;
	for (unsigned i = 0; i < 32; i++) {
		uint32_t len = 4096u << (i % 11);
		CU_ASSERT_TRUE(fg_holds(&fg, at, len, 0));
		CU_ASSERT_TRUE(fg_holds(&fg, at + len, 4096, 0x11));
		at += len + 4096;
	}
	fg_fill(&fg, FG_PAGES, 4096, 0x22);
	fakehost_settle(fg.fh, 10);
	CU_ASSERT_TRUE(fg_holds(&fg, FG_PAGES, 4096, 0x22));
	fd_end();
}

static const struct test_case cases[] = {
	{"BAL-INF-01", inf_01},
	{"BAL-INF-02 BAL-INF-03 BAL-REP-01", inf_02_03},
	{"BAL-INF-03 BAL-REP-02", inf_03_rep_02},
	{"BAL-INF-04", inf_04},
	{"BAL-INF-05", inf_05},
	{"BAL-INF-06", inf_06},
	{"BAL-DEF-01 BAL-DEF-02", def_01_02},
	{"BAL-DEF-03", def_03},
	{"BAL-POI-02 BAL-REP-03 NEW-06", poi_02_rep_03},
	{"BAL-POI-01", poi_01},
	{"BAL-REP-04 BAL-REP-05", rep_04_05},
};

TEST_SUITE(bal_pages, cases);
