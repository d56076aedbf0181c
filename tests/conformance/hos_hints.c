/* Rows HOS-63 to HOS-65: hints that lie. */
#include "tests/conformance/fd.h"
#include "tests/conformance/hos_values.h"
#include "util/bytes.h"

static void hos_63(void)
{
	fd_begin_hostile();
	fg_fill(&fg, FG_PAGES, 64 * 4096, 0x77);
	uint32_t id = fd_hint_start();
	/* STOP ends only what was begun. */
	fd_hint_cmd(HINT, HINT_STOP);
	CU_ASSERT_EQUAL(fd_hint_word(), id);
	for (unsigned i = 0; i < HOS_COUNT(hos_63_lens); i++) {
		store_le32(fakehost_ram(fg.fh, FG_DATA(HINT), 4), id);
		fg_send(&fg, HINT, FG_DATA(HINT), hos_63_lens[i], 0);
		fd_hint_page(0);
	}
	fg_send(&fg, HINT, 0xC0000000, 4, 0);
	fd_hint_page(0);
	/* A stale id and pages in one chain; pages before the id. */
	store_le32(fakehost_ram(fg.fh, FG_DATA(HINT), 4), id - 1);
	fg_desc(&fg, HINT, 0, FG_DATA(HINT), 4, D_NEXT, 1);
	fg_desc(&fg, HINT, 1, FG_PAGES, 4096, D_WRITE, 0);
	fg_publish(&fg, HINT, 0);
	fg_kick(&fg, HINT);
	fakehost_settle(fg.fh, 100);
	CU_ASSERT_EQUAL(fg.fh->n_discards, 0);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, HINT), 14);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, HINT), fg.q[HINT].avail_idx);
	CU_ASSERT_TRUE(fg_holds(&fg, FG_PAGES, 64 * 4096, 0x77));
	/* An id of a wrong length is no id, and takes the one before it away. */
	store_le32(fakehost_ram(fg.fh, FG_DATA(HINT), 4), id);
	for (unsigned i = 0; i < HOS_COUNT(hos_63_lens); i++) {
		fg_send(&fg, HINT, FG_DATA(HINT), 4, 0);
		fg_send(&fg, HINT, FG_DATA(HINT), hos_63_lens[i], 0);
		fd_hint_page(1);
	}
	CU_ASSERT_EQUAL(fg.fh->n_discards, 0);
	CU_ASSERT_EQUAL(fd_hint_word(), id);
	/* The current id and pages in one chain count, and a STOP right behind ends the run. */
	fg_desc(&fg, HINT, 0, FG_DATA(HINT), 4, D_NEXT, 1);
	fg_desc(&fg, HINT, 1, FG_PAGES + 9 * 4096, 4096, D_WRITE, 0);
	fg_publish(&fg, HINT, 0);
	fg_kick(&fg, HINT);
	fakehost_settle(fg.fh, 100);
	fd_hint_cmd(HINT, HINT_STOP);
	CU_ASSERT_EQUAL(fd_hint_word(), HINT_DONE);
	for (unsigned i = 0; i < 64; i++)
		fd_page_is(i, i == 9 ? 0 : 0x77);
	fd_end_hostile();
}

/* Hints that nobody asked for, before, between and after runs. */
static void hos_64(void)
{
	fd_begin_hostile();
	fg_fill(&fg, FG_PAGES, 64 * 4096, 0x77);
	for (uint32_t k = 0; k < 8; k++) {
		fd_hint_cmd(HINT, k);
		fd_hint_page(k);
	}
	CU_ASSERT_EQUAL(fd_hint_word(), HINT_STOP);
	uint32_t id = fd_hint_start();
	fd_hint_cmd(HINT, id);
	fd_hint_cmd(HINT, HINT_STOP);
	CU_ASSERT_EQUAL(fd_hint_word(), HINT_DONE);
	for (unsigned k = 0; k < 1000; k++) {
		if (k % 100 == 0)
			fd_hint_cmd(HINT, k % 200 ? id : HINT_DONE);
		fd_hint_page(k % 64);
	}
	CU_ASSERT_EQUAL(fg_used_idx(&fg, HINT), fg.q[HINT].avail_idx);
	CU_ASSERT_EQUAL(fg.fh->n_discards, 0);
	CU_ASSERT_TRUE(fg_holds(&fg, FG_PAGES, 64 * 4096, 0x77));
	/* A run whose STOP never comes, while its driver goes on and on hinting. */
	uint32_t next = fd_hint_start();
	CU_ASSERT_NOT_EQUAL(next, id);
	fd_hint_cmd(HINT, next);
	fakehost_advance(fg.fh, HINT_QUIET_MS);
	fakehost_settle(fg.fh, 100);
	CU_ASSERT_EQUAL(fd_hint_word(), HINT_DONE);
	size_t discards = fg.fh->n_discards;
	fd_hint_page(3);
	CU_ASSERT_EQUAL(fg.fh->n_discards, discards);
	fd_page_is(3, 0x77);
	CU_ASSERT_TRUE(fg_holds(&fg, FG_PAGES, 64 * 4096, 0x77));
	CU_ASSERT_NOT_EQUAL(fd_hint_start(), next);
	fd_end_hostile();
}

/* A driver that says something now and then, but never STOP, does not keep the host's watch over its memory for ever. */
static void hos_64_slow(void)
{
	for (unsigned way = 0; way < 3; way++) {
		fd_begin_hostile();
		fd_hint_cmd(HINT, fd_hint_start());
		unsigned seconds = 0;
		for (; fd_hint_word() != HINT_DONE && seconds < 3600; seconds += 5) {
			fakehost_advance(fg.fh, 5000);
			if (way == 0)
				fd_hint(HINT, FG_PAGES, 0);
			else if (way == 1)
				fd_hint_page(seconds);
			else
				fd_hint_cmd(HINT, fd_state()->hint.id);
		}
		CU_ASSERT_TRUE(seconds < 3600);
		CU_ASSERT_FALSE(fg.fh->watching);
		fd_end_hostile();
	}
}

static void hos_65(void)
{
	fd_begin_hostile();
	for (unsigned i = 0; i < FD_N_ODD_BLOCKS; i++) {
		const struct fd_block *block = &fd_odd_blocks[i];
		fakehost_forget_discards(fg.fh);
		fg_fill(&fg, FG_PAGES, 64 * 4096, 0x77);
		CU_ASSERT_EQUAL(fd_hint_run(HINT, block->gpa, block->len), HINT_DONE);
		CU_ASSERT_EQUAL(fg.fh->discarded_bytes, block->bytes);
		CU_ASSERT_TRUE(fg_holds(&fg, FG_PAGES + 2 * 4096, 62 * 4096, 0x77));
	}
	/* The rings themselves: written since, by the device if by nobody else. */
	uint32_t id = fd_hint_start();
	fd_hint_cmd(HINT, id);
	fg_send(&fg, HINT, FG_RING(HINT), 0x10000, D_WRITE);
	fg_fill(&fg, FG_PAGES, 4096, 0x11);
	fd_hint(HINT, FG_PAGES, 4096);
	fg_fill(&fg, FG_PAGES, 4096, 0x12);
	fd_hint_cmd(HINT, HINT_STOP);
	CU_ASSERT_EQUAL(fd_hint_word(), HINT_DONE);
	fd_page_is(0, 0x12);
	fd_end_hostile();
}

static const struct test_case cases[] = {
	{"HOS-63", hos_63},
	{"HOS-64", hos_64},
	{"HOS-64", hos_64_slow},
	{"HOS-65", hos_65},
};

TEST_SUITE(hos_hints, cases);
