/* Rows BAL-HNT and NEW-08: free page hinting. */
#include <errno.h>

#include "device/balloon_impl.h"
#include "tests/conformance/fd.h"
#include "util/bytes.h"

static void begin_run(uint32_t *id)
{
	fd_init(ALL_TYPE);
	fg_fill(&fg, FG_PAGES, 64 * 4096, 0x77);
	*id = fd_hint_start();
}

/* STOP before anything, after resets, and for ever without the feature or the option. Runs are not paused: after one it is DONE. */
static void hnt_01(void)
{
	fd_begin();
	CU_ASSERT_EQUAL(fd_hint_word(), HINT_STOP);
	CU_ASSERT_EQUAL(fd_state()->hint.phase, BALLOON_HINT_NONE);
	CU_ASSERT_EQUAL(balloon_hint_start(fg.dev), -ENOTSUP);
	fg_init(&fg, ALL_TYPE & ~F_HINT);
	CU_ASSERT_EQUAL(balloon_hint_start(fg.dev), -ENOTSUP);
	CU_ASSERT_EQUAL(fd_hint_word(), HINT_STOP);
	fg_init(&fg, ALL_TYPE);
	CU_ASSERT_EQUAL(fd_hint_word(), HINT_STOP);
	fd_hint_start();
	fg_status_write(&fg, 0);
	CU_ASSERT_EQUAL(fd_hint_word(), HINT_STOP);
	fg_init(&fg, ALL_TYPE);
	CU_ASSERT_EQUAL(fd_hint_word(), HINT_STOP);
	CU_ASSERT_EQUAL(fd_hint_run(HINT, FG_PAGES, 4096), HINT_DONE);
	device_reset(fg.dev);
	fg_probe(&fg);
	CU_ASSERT_EQUAL(fd_hint_word(), HINT_STOP);
	fd_end();
	const struct balloon_config without = {.free_page_reporting = true};
	fd_begin_with(&without, 4096);
	fg_init(&fg, F_REPORT);
	CU_ASSERT_EQUAL(balloon_hint_start(fg.dev), -ENOTSUP);
	CU_ASSERT_EQUAL(fd_hint_word(), HINT_STOP);
	fd_end();
}

/* Ids of runs whose STOP never came, over resets as well. */
static void hnt_02_07(void)
{
	uint32_t ids[100];
	fd_init(ALL_TYPE);
	for (unsigned i = 0; i < 100; i++) {
		ids[i] = fd_hint_start();
		CU_ASSERT_EQUAL(balloon_hint_start(fg.dev), -EBUSY);
		if (i % 3 == 0)
			fd_hint_cmd(HINT, ids[i]);
		if (i % 10 == 9)
			fg_init(&fg, ALL_TYPE);
		else
			fakehost_advance(fg.fh, HINT_QUIET_MS);
		fakehost_settle(fg.fh, 100);
		CU_ASSERT_EQUAL(fd_hint_word(), i % 10 == 9 ? HINT_STOP : HINT_DONE);
		for (unsigned k = 0; k < i; k++)
			CU_ASSERT_NOT_EQUAL(ids[k], ids[i]);
	}
	fd_end();
}

/* The last id is followed by 2: the counter is set in the device, as so many runs would take years. */
static void hnt_02_07_wrap(void)
{
	fd_init(ALL_TYPE);
	container_of(fg.dev, struct balloon, dev)->hint.id = 0xFFFFFFFE;
	const uint32_t want[] = {0xFFFFFFFF, 2, 3};
	for (unsigned i = 0; i < 3; i++) {
		CU_ASSERT_EQUAL(fd_hint_start(), want[i]);
		fakehost_advance(fg.fh, HINT_QUIET_MS);
		fakehost_settle(fg.fh, 100);
		CU_ASSERT_EQUAL(fd_hint_word(), HINT_DONE);
	}
	fd_end();
}

/* Pages without an id, and those of another one. */
static void hnt_03(void)
{
	uint32_t id;
	begin_run(&id);
	fd_hint_page(0);
	const uint32_t others[] = {id - 1, id + 1, HINT_STOP, HINT_DONE, id | 0x80000000, id << 8};
	for (unsigned i = 0; i < 6; i++) {
		fd_hint_cmd(HINT, others[i]);
		fd_hint_page(0);
	}
	CU_ASSERT_EQUAL(fg_used_idx(&fg, HINT), 13);
	CU_ASSERT_EQUAL(fg.fh->n_discards, 0);
	CU_ASSERT_EQUAL(fd_hint_word(), id);
	fd_page_is(0, 0x77);
	/* It goes on with its own id, and another id ends that again. */
	fd_hint_cmd(HINT, id);
	fd_hint_page(1);
	fd_hint_cmd(HINT, id + 1);
	fd_hint_page(2);
	fd_hint_cmd(HINT, id);
	fd_hint_cmd(HINT, HINT_STOP);
	CU_ASSERT_EQUAL(fd_hint_word(), HINT_DONE);
	fd_page_is(0, 0x77);
	fd_page_is(1, 0);
	fd_page_is(2, 0x77);
	fd_end();
}

/* A page that was written since the id was issued stays, whenever that was: before its hint, before the kick, before the end of the run. */
static void hnt_04(void)
{
	uint32_t id;
	begin_run(&id);
	fg_fill(&fg, FG_PAGES, 4096, 1);
	fd_hint_cmd(HINT, id);
	fg_fill(&fg, FG_PAGES + 4096, 4096, 1);
	for (uint16_t i = 0; i < 6; i++) {
		fg_desc(&fg, HINT, i + 1, FG_PAGES + i * 4096ULL, 4096, D_WRITE, 0);
		fg_publish(&fg, HINT, i + 1);
	}
	fg_fill(&fg, FG_PAGES + 2 * 4096, 4096, 1);
	fg_kick(&fg, HINT);
	fg_fill(&fg, FG_PAGES + 3 * 4096, 4096, 1);
	/* The same byte again is a write, too, and so is a single one. */
	fg_fill(&fg, FG_PAGES + 4 * 4096 + 4095, 1, 0x77);
	fakehost_settle(fg.fh, 100);
	fd_hint_cmd(HINT, HINT_STOP);
	CU_ASSERT_EQUAL(fd_hint_word(), HINT_DONE);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, HINT), 8);
	for (unsigned i = 0; i < 4; i++)
		fd_page_is(i, 1);
	fd_page_is(4, 0x77);
	fd_page_is(5, 0);
	fd_page_is(6, 0x77);
	CU_ASSERT_EQUAL(fg.fh->discarded_bytes, 4096);
	CU_ASSERT_EQUAL(fd_state()->hint.written_bytes, 5 * 4096);
	/* The next run begins anew: what was written in this one counts no more. */
	CU_ASSERT_EQUAL(fd_hint_run(HINT, FG_PAGES, 4096), HINT_DONE);
	fd_page_is(0, 0);
	fd_end();
}

static uint64_t discards_seen;

static void slow_discard(struct fakehost *fh)
{
	fh->now_ms += 50;
	discards_seen++;
}

/* Once DONE shows, pages are the guest's: nothing comes late. */
static void hnt_05(void)
{
	uint32_t id;
	begin_run(&id);
	fg.fh->before_discard = slow_discard;
	fd_hint_cmd(HINT, id);
	for (unsigned i = 0; i < 1000; i++) {
		fg_desc(&fg, HINT, i % 128, FG_PAGES + i * 8192ULL, 4096, D_WRITE, 0);
		fg_publish(&fg, HINT, i % 128);
		if (i % 100 == 99) {
			fg_kick(&fg, HINT);
			fakehost_settle(fg.fh, 1000);
		}
	}
	store_le32(fakehost_ram(fg.fh, FG_DATA(HINT), 4), HINT_STOP);
	fg_send(&fg, HINT, FG_DATA(HINT), 4, 0);
	while (fd_hint_word() != HINT_DONE && fakehost_run_work(fg.fh))
		;
	CU_ASSERT_EQUAL(fd_hint_word(), HINT_DONE);
	CU_ASSERT_EQUAL(fg.fh->discarded_bytes, 1000 * 4096);
	uint64_t seen = discards_seen;
	fg_fill(&fg, FG_PAGES, 2000 * 4096, 0x3C);
	fakehost_settle(fg.fh, 1000);
	fakehost_advance(fg.fh, HINT_QUIET_MS);
	fakehost_settle(fg.fh, 1000);
	CU_ASSERT_EQUAL(discards_seen, seen);
	CU_ASSERT_TRUE(fg_holds(&fg, FG_PAGES, 2000 * 4096, 0x3C));
	fd_end();
}

/* Every run ends with DONE, told to the driver: by its STOP, by its silence, whether or not the host takes the pages. */
static void hnt_06(void)
{
	for (unsigned way = 0; way < 5; way++) {
		uint32_t id;
		begin_run(&id);
		uint64_t irqs = fg_irqs(&fg, 0);
		if (way > 0)
			fd_hint_cmd(HINT, id);
		fg.fh->discard_error = way == 3 ? EPERM : 0;
		if (way > 1)
			fd_hint_page(0);
		if (way == 4) /* another change meanwhile */
			balloon_set_target(fg.dev, MIB);
		if (way == 3 || way == 4)
			fd_hint_cmd(HINT, HINT_STOP);
		fakehost_advance(fg.fh, HINT_QUIET_MS);
		fakehost_settle(fg.fh, 100);
		CU_ASSERT_EQUAL(fd_hint_word(), HINT_DONE);
		CU_ASSERT_EQUAL(fg_irqs(&fg, 0), irqs + 1 + (way == 4));
		CU_ASSERT_EQUAL(fg.fh->event_count[HOST_EVENT_BALLOON_HINTED], 1);
		CU_ASSERT_EQUAL(fd_state()->hint.phase, way < 3 ? BALLOON_HINT_TIMED_OUT : BALLOON_HINT_DONE);
		CU_ASSERT_EQUAL(fd_state()->hint.id, id);
		CU_ASSERT_EQUAL(fd_state()->hint.hinted_bytes, way > 1 ? 4096 : 0);
		fd_page_is(0, way == 2 || way == 4 ? 0 : 0x77);
		CU_ASSERT_FALSE(fg.fh->watching);
		fg.fh->discard_error = 0;
		CU_ASSERT_EQUAL(fd_hint_run(HINT, FG_PAGES, 4096), HINT_DONE);
		fd_end();
	}
}

/* A host that cannot watch writes: no run at all, the command stays. A queue that the driver resets in mid-run: the run ends. */
static void hnt_06_failures(void)
{
	fd_init(ALL_TYPE | F_RING_RESET);
	fg.fh->watch_error = -ENOSYS;
	CU_ASSERT_EQUAL(balloon_hint_start(fg.dev), -ENOSYS);
	CU_ASSERT_EQUAL(fd_hint_word(), HINT_STOP);
	CU_ASSERT_EQUAL(fg_irqs(&fg, 0), 0);
	fg.fh->watch_error = 0;
	fd_hint_cmd(HINT, fd_hint_start());
	fd_hint_page(0);
	fg_q_write(&fg, HINT, CC_Q_RESET, 2, 1);
	fakehost_settle(fg.fh, 100);
	fakehost_advance(fg.fh, HINT_QUIET_MS);
	fakehost_settle(fg.fh, 100);
	CU_ASSERT_EQUAL(fd_hint_word(), HINT_DONE);
	CU_ASSERT_FALSE(fg.fh->watching);
	fg_queue_on(&fg, HINT, 64);
	CU_ASSERT_EQUAL(fd_hint_run(HINT, FG_PAGES, 4096), HINT_DONE);
	/* A driver, or a VM, that is reset in mid-run, on a vCPU: the watch is the event loop's to end. A device that needs a reset. */
	fd_hint_start();
	fg_init(&fg, ALL_TYPE);
	CU_ASSERT_EQUAL(fd_state()->hint.phase, BALLOON_HINT_ABORTED);
	CU_ASSERT_TRUE(fg.fh->watching);
	fakehost_run_work(fg.fh);
	CU_ASSERT_FALSE(fg.fh->watching);
	fd_hint_start();
	fg_init(&fg, ALL_TYPE);
	fd_hint_cmd(HINT, fd_hint_start()); /* before the loop has come to it: the watch is this run's now */
	fakehost_run_work(fg.fh);
	CU_ASSERT_TRUE(fg.fh->watching);
	fd_hint_page(0);
	device_reset(fg.dev);
	fakehost_run_work(fg.fh);
	CU_ASSERT_FALSE(fg.fh->watching);
	fg_probe(&fg);
	fg_init(&fg, ALL_TYPE);
	fd_hint_start();
	fakehost_capture_log();
	fg_set_avail_idx(&fg, HINT, 5000);
	fg_kick(&fg, HINT);
	fakehost_end_log();
	CU_ASSERT_EQUAL(fg_status(&fg), 0x4F);
	fakehost_advance(fg.fh, HINT_QUIET_MS);
	fakehost_settle(fg.fh, 100);
	CU_ASSERT_FALSE(fg.fh->watching);
	CU_ASSERT_EQUAL(fd_hint_word(), HINT_DONE);
	CU_ASSERT_EQUAL(fd_state()->hint.runs, 6);
	fd_end();
}

/* Told apart by direction: four writable bytes are no id, an id may be cut. */
static void hnt_08(void)
{
	uint32_t id;
	begin_run(&id);
	store_le32(fakehost_ram(fg.fh, FG_DATA(HINT), 4), id);
	fd_hint(HINT, FG_DATA(HINT), 4);
	fd_hint_page(0);
	CU_ASSERT_EQUAL(fg.fh->n_discards, 0);
	store_le32(fakehost_ram(fg.fh, FG_DATA(HINT), 4), id);
	fg_desc(&fg, HINT, 0, FG_DATA(HINT), 1, D_NEXT, 1);
	fg_desc(&fg, HINT, 1, FG_DATA(HINT) + 1, 3, 0, 0);
	fg_publish(&fg, HINT, 0);
	fg_kick(&fg, HINT);
	/* Many blocks in one chain (an id in front of them in the same chain counts, too, HOS-63), also through a page that looks like a STOP. */
	fg_fill(&fg, FG_PAGES + 8 * 4096, 4096, 0);
	for (uint16_t i = 0; i < 4; i++)
		fg_desc(&fg, HINT, i + 2, FG_PAGES + (i + 1) * 8192ULL, 4096, D_WRITE | (i < 3 ? D_NEXT : 0), i + 3);
	fg_publish(&fg, HINT, 2);
	fg_kick(&fg, HINT);
	fakehost_settle(fg.fh, 100);
	CU_ASSERT_EQUAL(fd_hint_word(), id);
	fd_hint_cmd(HINT, HINT_STOP);
	CU_ASSERT_EQUAL(fd_hint_word(), HINT_DONE);
	for (unsigned i = 0; i < 10; i++)
		fd_page_is(i, i >= 2 && i % 2 == 0 ? 0 : 0x77);
	for (uint16_t i = 0; i < fg_used_idx(&fg, HINT); i++)
		CU_ASSERT_EQUAL(fg_used_len(&fg, HINT, i), 0);
	fd_end();
}

static const struct test_case cases[] = {
	{"BAL-HNT-01", hnt_01}, {"BAL-HNT-02 BAL-HNT-07", hnt_02_07}, {"BAL-HNT-02 BAL-HNT-07", hnt_02_07_wrap},
	{"BAL-HNT-03", hnt_03}, {"BAL-HNT-04 NEW-08", hnt_04},	      {"BAL-HNT-05", hnt_05},
	{"BAL-HNT-06", hnt_06}, {"BAL-HNT-06", hnt_06_failures},      {"BAL-HNT-08", hnt_08},
};

TEST_SUITE(hints, cases);
