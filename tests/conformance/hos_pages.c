/* Rows HOS-42 to HOS-58: page numbers and device configuration. */
#include <errno.h>
#include <stdlib.h>

#include "tests/conformance/fd.h"
#include "tests/conformance/hos_values.h"
#include "util/bytes.h"

static struct balloon_state state;

static void hos_42_43(void)
{
	const uint64_t top = FAKE_HIGH_GPA + FAKE_REGION_LEN;
	const uint32_t pfns[] = {
		PFN(FAKE_REGION_LEN),	  PFN(FG_MMIO_BASE),  PFN(FG_ECAM_BASE), 0xFEE00, 0xFFFFF, PFN(top), 0xFFFFFFFF, 0x100000 | 0x80000000, 0,
		PFN(FAKE_REGION_LEN) - 1, PFN(FAKE_HIGH_GPA), PFN(top) - 1};
	fd_begin_hostile();
	fg_send_pfns(&fg, INFLATE, pfns, 12);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), 1);
	CU_ASSERT_EQUAL(fg.fh->n_discards, 4);
	CU_ASSERT_EQUAL(fg.fh->discarded_bytes, 4 * 4096);
	const uint64_t want[] = {0, FAKE_REGION_LEN - 4096, FAKE_HIGH_GPA, top - 4096};
	for (unsigned i = 0; i < 4; i++)
		CU_ASSERT_EQUAL(fg.fh->discards[i].gpa, want[i]);
	CU_ASSERT_EQUAL(fd_counters(BALLOON_Q_INFLATE).bad_pages, 8);
	fd_end_hostile();
}

static void hos_44_45_46(void)
{
	fd_begin_hostile();
	for (unsigned i = 0; i < HOS_COUNT(hos_44_lens); i++) {
		uint64_t at = FG_DATA(0) + 1 + i;
		for (unsigned k = 0; k < 1024; k++)
			store_le32(fakehost_ram(fg.fh, at + 4 * k, 4), PFN(FG_PAGES) + k);
		uint64_t before = fd_counters(BALLOON_Q_INFLATE).pages;
		fg_send(&fg, INFLATE, at, hos_44_lens[i], 0);
		CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), i + 1);
		CU_ASSERT_EQUAL(fd_counters(BALLOON_Q_INFLATE).pages - before, hos_44_lens[i] / 4);
	}
	fakehost_forget_discards(fg.fh);
	fg_send(&fg, INFLATE, FG_DATA(0), 4096, D_WRITE);
	fg_send(&fg, DEFLATE, FG_DATA(0), 4096, D_WRITE);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), 6);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, DEFLATE), 1);
	CU_ASSERT_EQUAL(fg.fh->n_discards, 0);
	fd_end_hostile();
}

static void hos_47_48_56(void)
{
	const uint32_t twice[] = {PFN(FG_PAGES), PFN(FG_PAGES), PFN(FG_PAGES)};
	fd_begin_hostile();
	fg_send_pfns(&fg, INFLATE, twice, 3);
	fg_send_pfns(&fg, INFLATE, twice, 3);
	fg_fill(&fg, FG_PAGES + 4096, 4096, 4);
	for (unsigned i = 0; i < 10; i++)
		fd_deflate(0, 2);
	CU_ASSERT_TRUE(fg_holds(&fg, FG_PAGES + 4096, 4096, 4));
	for (unsigned i = 0; i < 2000; i++) {
		fd_inflate(0, 8);
		fd_deflate(0, 8);
	}
	CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), 2002);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, DEFLATE), 2010);
	balloon_get_state(fg.dev, &state);
	CU_ASSERT_EQUAL(state.actual_bytes, 0);
	fd_end_hostile();
}

/* A deflate of pages whose inflate is still going on: both are served, and after both nothing happens to the pages. */
static void hos_49(void)
{
	static uint32_t pfns[8192];
	fd_begin_hostile();
	for (unsigned i = 0; i < 8192; i++)
		pfns[i] = PFN(FAKE_HIGH_GPA) + i;
	fg_send_pfns(&fg, INFLATE, pfns, 8192);
	fg_send_pfns(&fg, DEFLATE, pfns, 4096);
	fakehost_settle(fg.fh, 100);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), 1);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, DEFLATE), 1);
	fg_fill(&fg, FAKE_HIGH_GPA, 8192 * 4096, 8);
	fakehost_settle(fg.fh, 100);
	fakehost_advance(fg.fh, 100000);
	CU_ASSERT_TRUE(fg_holds(&fg, FAKE_HIGH_GPA, 8192 * 4096, 8));
	fd_end_hostile();
}

static void hos_50(void)
{
	fd_begin_hostile();
	/* The array's own page, with pages after it: all of them are done. */
	const uint32_t pfns[] = {PFN(FG_DATA(INFLATE)), PFN(FG_PAGES), PFN(FG_PAGES) + 2};
	fg_send_pfns(&fg, INFLATE, pfns, 3);
	CU_ASSERT_EQUAL(fg.fh->n_discards, 3);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), 1);
	/* Every ring of every queue. */
	static uint32_t rings[16 * FG_N_QUEUES];
	for (unsigned i = 0; i < 16 * FG_N_QUEUES; i++)
		rings[i] = PFN(FG_RING(0)) + i;
	fg_send_pfns(&fg, INFLATE, rings, 16 * FG_N_QUEUES);
	for (unsigned i = 0; i < 10; i++) {
		fd_inflate(0, 1);
		fd_deflate(0, 1);
		fg_kick(&fg, i % 5);
	}
	fd_end_hostile();
}

static void hos_51_52_55(void)
{
	static uint32_t pfns[16384];
	fd_begin_hostile();
	fd_canary_is_named();
	for (unsigned i = 0; i < 16384; i++)
		pfns[i] = PFN(FAKE_HIGH_GPA) + i;
	fg_send_pfns(&fg, INFLATE, pfns, 16384);
	fakehost_settle(fg.fh, 100);
	CU_ASSERT_EQUAL(fg.fh->discarded_bytes, FAKE_REGION_LEN);
	/* Used again without a deflate. */
	CU_ASSERT_TRUE(fg_holds(&fg, FAKE_HIGH_GPA, FAKE_REGION_LEN, 0));
	fg_fill(&fg, FAKE_HIGH_GPA, MIB, 1);
	CU_ASSERT_TRUE(fg_holds(&fg, FAKE_HIGH_GPA, MIB, 1));
	for (unsigned i = 0; i < 16384; i++)
		pfns[i] = i;
	fg_send_pfns(&fg, DEFLATE, pfns, 16384);
	fg_send_pfns(&fg, INFLATE, pfns, 16384);
	fakehost_settle(fg.fh, 100);
	fd_end_hostile();
}

static void hos_53(void)
{
	struct fakehost *fh = fakehost_create(2 * MIB);
	fg_create_on(&fg, NULL, fh);
	fg_init(&fg, 0);
	fg_fill(&fg, FG_PAGES, 16 * MIB, 6);
	static uint32_t pfns[2048];
	for (unsigned i = 0; i < 2048; i++)
		pfns[i] = PFN(FG_PAGES) + 2 * i;
	fg_send_pfns(&fg, INFLATE, pfns, 2048);
	fakehost_settle(fh, 10);
	CU_ASSERT_EQUAL(fh->n_discards, 0);
	CU_ASSERT_TRUE(fg_holds(&fg, FG_PAGES, 16 * MIB, 6));
	fd_end();
}

static void hos_54(void)
{
	fd_begin_hostile();
	fg.fh->discard_error = EPERM;
	fg_fill(&fg, FG_PAGES, 4 * 4096, 6);
	fd_inflate(0, 4);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), 1);
	CU_ASSERT_EQUAL(fd_counters(BALLOON_Q_INFLATE).failed_bytes, 4 * 4096);
	CU_ASSERT_TRUE(fg_holds(&fg, FG_PAGES, 4 * 4096, 6));
	fd_end_hostile();
}

static void hos_57(void)
{
	fd_begin_hostile();
	balloon_set_target(fg.dev, MIB);
	for (uint32_t i = 0; i < 100000; i++)
		fg_dc_write(&fg, DC_ACTUAL, i % 2 ? 0xFFFFFFFF : 0);
	balloon_get_state(fg.dev, &state);
	CU_ASSERT_EQUAL(state.actual_bytes, 0xFFFFFFFFULL * 4096);
	/* An event each: that they come seldom is for who takes them, see the tests of the event queue. */
	CU_ASSERT_TRUE(fg.fh->event_count[HOST_EVENT_BALLOON_CHANGE] <= 100000);
	for (unsigned i = 0; i < 4; i++)
		fg_bar_write(&fg, fg.device + DC_ACTUAL + i, 1, 0x10 + i);
	CU_ASSERT_EQUAL(fg_dc(&fg, DC_ACTUAL), 0x13121110);
	fg_status_write(&fg, 0);
	fg_dc_write(&fg, DC_ACTUAL, 77);
	CU_ASSERT_EQUAL(fg_dc(&fg, DC_ACTUAL), 77);
	fd_end_hostile();
}

static void hos_58(void)
{
	fd_begin_hostile();
	balloon_set_target(fg.dev, 0x1234000);
	fg_dc_write(&fg, DC_ACTUAL, 0x89ABCDEF);
	uint8_t image[16];
	for (unsigned i = 0; i < 16; i++)
		image[i] = (uint8_t)fg_bar(&fg, fg.device + i, 1);
	for (unsigned size = 1; size <= 8; size *= 2)
		for (unsigned offset = 0; offset < 64; offset++) {
			uint64_t want = 0;
			for (unsigned b = 0; b < size && offset + size <= 16; b++)
				want |= (uint64_t)image[offset + b] << 8 * b;
			CU_ASSERT_EQUAL(fg_bar(&fg, fg.device + offset, size), want);
			if (offset < DC_ACTUAL ? offset + size <= DC_ACTUAL : offset >= DC_CMD_ID)
				fg_bar_write(&fg, fg.device + offset, size, UINT64_MAX);
		}
	for (unsigned i = 0; i < 16; i++)
		CU_ASSERT_EQUAL(fg_bar(&fg, fg.device + i, 1), image[i]);
	fd_end_hostile();
}

static const struct test_case cases[] = {
	{"HOS-42 HOS-43", hos_42_43},
	{"HOS-44 HOS-45 HOS-46", hos_44_45_46},
	{"HOS-47 HOS-48 HOS-56", hos_47_48_56},
	{"HOS-49", hos_49},
	{"HOS-50", hos_50},
	{"HOS-51 HOS-52 HOS-55", hos_51_52_55},
	{"HOS-53", hos_53},
	{"HOS-54", hos_54},
	{"HOS-57", hos_57},
	{"HOS-58", hos_58},
};

TEST_SUITE(hos_pages, cases);
