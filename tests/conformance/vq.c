/* Rows VQ-01 to VQ-09 and VQ-17: rings and chains. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/conformance/fd.h"
#include "util/bytes.h"

/* Rings flush against the end of RAM, without the event words. */
static void vq_01(void)
{
	const uint64_t top = FAKE_HIGH_GPA + FAKE_REGION_LEN;
	fd_begin();
	fg_negotiate(&fg, 0);
	fg_msix_on(&fg);
	/* used, available and descriptors each end where a guard page begins: three queues, one ring each. */
	fg_queue_on_at(&fg, INFLATE, 128, FG_RING(0), FG_RING(0) + 0x6000, top - 4 - 8 * 128);
	fg_queue_on_at(&fg, DEFLATE, 128, FG_RING(1), FAKE_REGION_LEN - 4 - 2 * 128, FG_RING(1) + 0x8000);
	fg_status_write(&fg, 0xF);
	for (unsigned i = 0; i < 300; i++) {
		fd_inflate(i, 2);
		fd_deflate(i, 2);
	}
	CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), 300);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, DEFLATE), 300);
	/* A canary behind the used ring. */
	fg_negotiate(&fg, 0);
	fg_queue_on(&fg, INFLATE, 128);
	store_le32(fakehost_ram(fg.fh, fg.q[0].used + 4 + 8 * 128, 4), 0xC0FFEE);
	fg_status_write(&fg, 0xF);
	for (unsigned i = 0; i < 300; i++)
		fd_inflate(i, 2);
	CU_ASSERT_EQUAL(load_le32(fakehost_ram(fg.fh, fg.q[0].used + 4 + 8 * 128, 4)), 0xC0FFEE);
	/* The descriptor table last. */
	fg_negotiate(&fg, 0);
	fg_queue_on_at(&fg, INFLATE, 128, top - 16 * 128, FG_RING(0) + 0x6000, FG_RING(0) + 0x8000);
	fg_set_avail_idx(&fg, INFLATE, 0);
	fg_status_write(&fg, 0xF);
	for (uint16_t i = 0; i < 128; i++)
		fd_post(INFLATE, i, i);
	fg_kick(&fg, INFLATE);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), 128);
	fd_end();
}

static void chain_of(const uint32_t *lens, uint16_t n)
{
	uint64_t at = FG_DATA(INFLATE);
	for (uint16_t i = 0; i < n; at += lens[i++])
		fg_desc(&fg, INFLATE, i, at, lens[i], i + 1 < n ? D_NEXT : 0, i + 1);
	fakehost_forget_discards(fg.fh);
	fg_publish(&fg, INFLATE, 0);
	fg_kick(&fg, INFLATE);
	CU_ASSERT_EQUAL(fg.fh->n_discards, 3);
	for (unsigned i = 0; i < 3; i++)
		CU_ASSERT_TRUE(fakehost_was_discarded(fg.fh, FG_PAGES + i * 8192));
}

static void vq_02(void)
{
	fd_init(0);
	for (unsigned i = 0; i < 3; i++)
		store_le32(fakehost_ram(fg.fh, FG_DATA(INFLATE) + 4 * i, 4), PFN(FG_PAGES) + 2 * i);
	chain_of((const uint32_t[]){12}, 1);
	chain_of((const uint32_t[]){4, 4, 4}, 3);
	chain_of((const uint32_t[]){1, 2, 5, 4}, 4);
	chain_of((const uint32_t[]){1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, 12);
	chain_of((const uint32_t[]){0, 7, 0, 5, 0}, 5);
	fd_end();
}

/* The bytes at FG_DATA(queue) in pieces of `piece`. */
static void send_cut(unsigned queue, uint32_t len, uint32_t piece)
{
	uint16_t n = (uint16_t)((len + piece - 1) / piece);
	for (uint16_t i = 0; i < n; i++)
		fg_desc(&fg, queue, i, FG_DATA(queue) + i * piece, i + 1 < n ? piece : len - i * piece, i + 1 < n ? D_NEXT : 0, i + 1);
	fg_publish(&fg, queue, 0);
	fg_kick(&fg, queue);
	fakehost_settle(fg.fh, 100);
}

/* Entries of statistics and ids of hints are cut as well. */
static void vq_02_stats_hints(void)
{
	fd_init(ALL_TYPE);
	for (uint32_t piece = 1; piece <= 30; piece++) {
		for (unsigned i = 0; i < 3; i++) {
			store_le16(fakehost_ram(fg.fh, FG_DATA(STATS) + 10 * i, 2), (uint16_t)(i + 4));
			store_le64(fakehost_ram(fg.fh, FG_DATA(STATS) + 10 * i + 2, 8), 0x1122334455667788ULL * piece + i);
		}
		send_cut(STATS, 30, piece);
		for (unsigned i = 0; i < 3; i++)
			CU_ASSERT_EQUAL(fd_state()->stats[i + 4], 0x1122334455667788ULL * piece + i);
		CU_ASSERT_EQUAL(balloon_request_stats(fg.dev), 0);
	}
	for (uint32_t piece = 1; piece <= 4; piece++) {
		fg_fill(&fg, FG_PAGES, 4096, 0x77);
		CU_ASSERT_EQUAL(balloon_hint_start(fg.dev), 0);
		store_le32(fakehost_ram(fg.fh, FG_DATA(HINT), 4), fg_dc(&fg, DC_CMD_ID));
		send_cut(HINT, 4, piece);
		fd_hint(HINT, FG_PAGES, 4096);
		store_le32(fakehost_ram(fg.fh, FG_DATA(HINT), 4), 0);
		send_cut(HINT, 4, piece);
		CU_ASSERT_EQUAL(fg_dc(&fg, DC_CMD_ID), 1);
		CU_ASSERT_TRUE(fg_holds(&fg, FG_PAGES, 4096, 0));
	}
	fd_end();
}

static void chain_of_n(uint16_t n)
{
	for (uint16_t i = 0; i < n; i++) {
		store_le32(fakehost_ram(fg.fh, FG_DATA(INFLATE) + 4ULL * i, 4), PFN(FG_PAGES) + i);
		fg_desc(&fg, INFLATE, i, FG_DATA(INFLATE) + 4ULL * i, 4, i + 1 < n ? D_NEXT : 0, i + 1);
	}
	fg_publish(&fg, INFLATE, 0);
	fg_kick(&fg, INFLATE);
}

static void vq_03_26(void)
{
	fd_init(0);
	chain_of_n(128);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), 1);
	CU_ASSERT_EQUAL(fd_counters(BALLOON_Q_INFLATE).pages, 128);
	fd_end();
}

static uint64_t sum(uint64_t gpa, uint64_t len)
{
	uint64_t s = 14695981039346656037ULL;
	const uint8_t *p = fakehost_ram(fg.fh, gpa, len);
	for (uint64_t i = 0; i < len; i++)
		s = (s ^ p[i]) * 1099511628211ULL;
	return s;
}

/* Readable buffers and descriptor tables, direct and indirect, are never written. */
static void vq_04_06(void)
{
	const uint64_t table = 0x900000;
	fd_init(ALL_TYPE | F_INDIRECT | F_EVENT_IDX);
	uint32_t *pfns = fakehost_ram(fg.fh, FG_DATA(INFLATE), 1024);
	for (uint32_t i = 0; i < 256; i++)
		pfns[i] = PFN(FG_PAGES) + 3 * i;
	fg_desc(&fg, INFLATE, 0, FG_DATA(INFLATE), 1024, 0, 0);
	fg_desc(&fg, INFLATE, 1, table, 32, D_INDIRECT, 0);
	fg_desc_at(&fg, table, 0, FG_DATA(INFLATE), 512, D_NEXT, 1);
	fg_desc_at(&fg, table, 1, FG_DATA(INFLATE) + 512, 512, 0, 0);
	fd_post_stats(7);
	uint64_t before[] = {sum(FG_RING(INFLATE), 128 * 16), sum(table, 32), sum(FG_DATA(INFLATE), 4096), sum(FG_DATA(STATS), 4096),
			     sum(FG_RING(STATS), 128 * 16)};
	for (unsigned i = 0; i < 100000 / 4; i++) {
		fg_publish(&fg, INFLATE, i % 2);
		fg_kick(&fg, INFLATE);
		balloon_request_stats(fg.dev);
		fg_publish(&fg, STATS, 0);
		fg_kick(&fg, STATS);
		fg.fh->n_discards = 0;
	}
	uint64_t after[] = {sum(FG_RING(INFLATE), 128 * 16), sum(table, 32), sum(FG_DATA(INFLATE), 4096), sum(FG_DATA(STATS), 4096),
			    sum(FG_RING(STATS), 128 * 16)};
	CU_ASSERT_EQUAL(memcmp(before, after, sizeof before), 0);
	fd_end();
}

static void protect(uint64_t gpa, uint64_t len, int how)
{
	int err = mprotect(fakehost_ram(fg.fh, gpa, len), len, how);
	CU_ASSERT_EQUAL_FATAL(err, 0);
}

/* The same with memory that can only be read: a write would be the end of this program. */
static void vq_04_06_protected(void)
{
	const uint64_t table = 0x900000;
	fd_init(ALL_TYPE | F_INDIRECT);
	for (unsigned i = 0; i < FG_N_QUEUES; i++) {
		uint64_t gpa = i < HINT ? FG_DATA(i) : FG_PAGES + i * 4096ULL;
		uint32_t len = i < STATS ? 4 : i == STATS ? 10 : 4096;
		store_le32(fakehost_ram(fg.fh, FG_DATA(i), 4), i < STATS ? PFN(FG_PAGES) + i : 4);
		fg_desc_at(&fg, table, (uint16_t)i, gpa, len, i < HINT ? 0 : D_WRITE, 0);
		fg_desc(&fg, i, 0, table + 16ULL * i, 16, D_INDIRECT, 0);
		fg_desc(&fg, i, 1, gpa, len, i < HINT ? 0 : D_WRITE, 0);
		protect(FG_DATA(i), 4096, PROT_READ);
		protect(FG_RING(i), 4096, PROT_READ); /* descriptors alone: the rings are further up */
	}
	protect(table, 4096, PROT_READ);
	for (uint16_t head = 0; head < 2; head++)
		for (unsigned i = 0; i < FG_N_QUEUES; i++) {
			fg_publish(&fg, i, head);
			fg_kick(&fg, i);
			if (i == STATS)
				CU_ASSERT_EQUAL(balloon_request_stats(fg.dev), 0);
			CU_ASSERT_EQUAL(fg_used_idx(&fg, i), head + 1);
		}
	for (unsigned i = 0; i < FG_N_QUEUES; i++) {
		protect(FG_DATA(i), 4096, PROT_READ | PROT_WRITE);
		protect(FG_RING(i), 4096, PROT_READ | PROT_WRITE);
	}
	protect(table, 4096, PROT_READ | PROT_WRITE);
	fd_end();
}

/* What the device may write it does not read, poisoned or not: reported and hinted memory, and writable parts of other requests, cannot be touched at all. */
static void vq_05(void)
{
	for (uint32_t poison = 0; poison < 2; poison++) {
		fd_begin();
		fg_negotiate(&fg, ALL_TYPE);
		fg_msix_on(&fg);
		fg_dc_write(&fg, DC_POISON, poison);
		for (unsigned i = 0; i < FG_N_QUEUES; i++)
			fg_queue_on(&fg, i, 128);
		fg_status_write(&fg, 0xF);
		CU_ASSERT_EQUAL(balloon_hint_start(fg.dev), 0);
		fd_hint_cmd(HINT, fg_dc(&fg, DC_CMD_ID));
		protect(FG_PAGES, MIB, PROT_NONE);
		for (unsigned i = 0; i < FG_N_QUEUES; i++) {
			fg_send(&fg, i, FG_PAGES, MIB, D_WRITE);
			fakehost_settle(fg.fh, 1000);
			if (i == STATS)
				CU_ASSERT_EQUAL(balloon_request_stats(fg.dev), 0);
			CU_ASSERT_EQUAL(fg_used_idx(&fg, i), i == HINT ? 2 : 1);
		}
		fd_hint_cmd(HINT, 0);
		CU_ASSERT_EQUAL(fg_dc(&fg, DC_CMD_ID), 1);
		CU_ASSERT_EQUAL(fg.fh->discarded_bytes, poison ? MIB : 2 * MIB);
		/* The fake host's handler of faults lets the access through, and notes it. */
		for (unsigned i = 0; i < MIB / 4096; i++)
			CU_ASSERT_EQUAL(fg.fh->written[0][FG_PAGES / 4096 + i], 0);
		fd_end();
	}
}

static void vq_07(void)
{
	const uint64_t table = 0x900000;
	fd_init(F_INDIRECT);
	store_le32(fakehost_ram(fg.fh, FG_DATA(INFLATE), 4), PFN(FG_PAGES));
	fg_desc_at(&fg, table, 0, FG_DATA(INFLATE), 4, 0, 0);
	fg_desc(&fg, INFLATE, 0, table, 16, D_INDIRECT, 0);
	fg_desc(&fg, INFLATE, 1, table, 16, D_INDIRECT | D_WRITE, 0);
	for (uint16_t head = 0; head < 2; head++) {
		fg_publish(&fg, INFLATE, head);
		fg_kick(&fg, INFLATE);
		CU_ASSERT_EQUAL(fd_counters(BALLOON_Q_INFLATE).pages, head + 1);
	}
	CU_ASSERT_EQUAL(fd_counters(BALLOON_Q_INFLATE).bad_buffers, 0);
	fd_end();
}

static void vq_08_09(void)
{
	const uint64_t table = 0x900000;
	fd_init(F_INDIRECT);
	for (unsigned i = 0; i < 7; i++)
		store_le32(fakehost_ram(fg.fh, FG_DATA(INFLATE) + 4 * i, 4), PFN(FG_PAGES) + 2 * i);
	fg_desc(&fg, INFLATE, 7, FG_DATA(INFLATE), 4, D_NEXT, 8);
	fg_desc(&fg, INFLATE, 8, FG_DATA(INFLATE) + 4, 8, D_NEXT, 9);
	fg_desc(&fg, INFLATE, 9, table, 4 * 16, D_INDIRECT, 0);
	fg_desc_at(&fg, table, 0, FG_DATA(INFLATE) + 12, 4, D_NEXT, 3);
	fg_desc_at(&fg, table, 3, FG_DATA(INFLATE) + 16, 4, D_NEXT, 1);
	fg_desc_at(&fg, table, 1, FG_DATA(INFLATE) + 20, 4, 0, 0);
	fg_desc_at(&fg, table, 2, FG_DATA(INFLATE) + 24, 4, 0, 0);
	fg_publish(&fg, INFLATE, 7);
	fg_kick(&fg, INFLATE);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), 1);
	CU_ASSERT_EQUAL(fg_used_id(&fg, INFLATE, 0), 7);
	for (unsigned i = 0; i < 7; i++)
		CU_ASSERT_EQUAL(fakehost_was_discarded(fg.fh, FG_PAGES + i * 8192), i < 6);
	fd_end();
}

/* This device writes into no buffer, so every length is 0; a discarded block is not "written". */
static void vq_17(void)
{
	fd_init(ALL_TYPE);
	fd_inflate(0, 1);
	fd_deflate(0, 1);
	fd_post_stats(1);
	balloon_request_stats(fg.dev);
	fg_send(&fg, REPORT, FG_PAGES, 8192, D_WRITE);
	CU_ASSERT_EQUAL(fd_hint_run(HINT, FG_PAGES, 8192), 1);
	/* Refused by the host: no byte was written then either. */
	fg.fh->discard_error = EPERM;
	fg_send(&fg, REPORT, FG_PAGES, 8192, D_WRITE);
	const uint16_t used[FG_N_QUEUES] = {1, 1, 1, 3, 2};
	for (unsigned i = 0; i < FG_N_QUEUES; i++) {
		CU_ASSERT_EQUAL(fg_used_idx(&fg, i), used[i]);
		for (uint16_t slot = 0; slot < used[i]; slot++)
			CU_ASSERT_EQUAL(fg_used_len(&fg, i, slot), 0);
	}
	fd_end();
}

static const struct test_case cases[] = {
	{"VQ-01", vq_01},	   {"VQ-02 NEW-09", vq_02},   {"VQ-02 BAL-HNT-08", vq_02_stats_hints},
	{"VQ-03 VQ-26", vq_03_26}, {"VQ-04 VQ-06", vq_04_06}, {"VQ-04 VQ-06", vq_04_06_protected},
	{"VQ-05", vq_05},	   {"VQ-07", vq_07},	      {"VQ-08 VQ-09", vq_08_09},
	{"VQ-17 NEW-09", vq_17},
};

TEST_SUITE(vq, cases);
