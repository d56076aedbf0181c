/* Rows BAL-HNT-04, BAL-HNT-05 and NEW-08 with a guest that goes on while its hints are looked at. */
#include <stdlib.h>
#include <string.h>

#include "tests/conformance/fd.h"
#include "tests/conformance/threads.h"

#define N_PAGES 256
#define N_GUESTS 2

/*
 * A page is free, or it is in use and holds nothing but `pattern`. Each guest
 * thread has every N_GUESTS-th page.
 */
static struct {
	bool in_use;
	uint8_t pattern;
} pages[N_PAGES];

static unsigned lost;

static void allocate(unsigned i, uint8_t pattern)
{
	/* Not a word to the device: it takes the page that it may have hinted a moment ago. */
	__atomic_store_n(&pages[i].in_use, true, __ATOMIC_SEQ_CST);
	fakehost_enter_guest(fg.fh);
	fg_fill(&fg, FG_PAGES + i * 4096ULL, 4096, pattern);
	fakehost_leave_guest(fg.fh);
	pages[i].pattern = pattern;
}

static void check(unsigned i)
{
	if (!fg_holds(&fg, FG_PAGES + i * 4096ULL, 4096, pages[i].pattern))
		__atomic_fetch_add(&lost, 1, __ATOMIC_RELAXED);
}

static void *guest(void *arg)
{
	unsigned me = (unsigned)(uintptr_t)arg, seed = me;
	while (!threads_are_stopping()) {
		unsigned i = (unsigned)rand_r(&seed) % (N_PAGES / N_GUESTS) * N_GUESTS + me;
		if (!pages[i].in_use) {
			allocate(i, (uint8_t)(1 + rand_r(&seed) % 255));
			continue;
		}
		check(i);
		if (rand_r(&seed) % 2)
			__atomic_store_n(&pages[i].in_use, false, __ATOMIC_RELEASE);
	}
	return NULL;
}

/* Hints at what is free right now; by the time that it is read it may be in use. */
static void hint_free_pages(void)
{
	uint16_t head = 0;
	for (unsigned i = 0; i < N_PAGES; i++)
		if (!__atomic_load_n(&pages[i].in_use, __ATOMIC_ACQUIRE)) {
			fg_desc(&fg, HINT, head % 128, FG_PAGES + i * 4096ULL, 4096, D_WRITE, 0);
			fg_publish(&fg, HINT, head % 128);
			fg_kick(&fg, HINT);
			head++;
		}
}

/* Waits until all that was published is used: no descriptor is written twice before. */
static void drain(void)
{
	while (fg_used_idx(&fg, HINT) != fg.q[HINT].avail_idx)
		threads_spin();
}

static void send_cmd(uint32_t cmd)
{
	drain();
	memcpy(fakehost_ram(fg.fh, FG_DATA(HINT), 4), &cmd, 4);
	fg_send(&fg, HINT, FG_DATA(HINT), 4, 0);
	drain();
}

static void hnt_04(void)
{
	pthread_t threads[N_GUESTS + 1];
	uint64_t discarded = 0, written = 0, end = threads_clock_ms() + threads_soak_ms(1500);
	fd_init(ALL_TYPE);
	fg.fh->discards_unrecorded = true;
	memset(pages, 0, sizeof pages);
	lost = 0;
	threads_begin();
	threads[N_GUESTS] = threads_start(threads_loop, NULL);
	for (uintptr_t i = 0; i < N_GUESTS; i++)
		threads[i] = threads_start(guest, (void *)i);
	unsigned runs = 0;
	for (; threads_clock_ms() < end || (threads_clock_ms() < end + 60000 && (runs < 3 || !discarded || !written)); runs++) {
		CU_ASSERT_EQUAL_FATAL(balloon_hint_start(fg.dev), 0);
		send_cmd(fg_dc(&fg, DC_CMD_ID));
		hint_free_pages();
		send_cmd(0);
		while (fg_dc(&fg, DC_CMD_ID) != 1)
			threads_spin();
		discarded += fd_state()->hint.discarded_bytes;
		written += fd_state()->hint.written_bytes;
	}
	threads_stop(threads, N_GUESTS + 1);
	for (unsigned i = 0; i < N_PAGES; i++)
		if (pages[i].in_use)
			check(i);
	CU_ASSERT_EQUAL(lost, 0);
	/* Both were tried: pages that went, and pages that were in use again when it was their turn. */
	CU_ASSERT_TRUE(discarded > 0 && written > 0);
	fd_end();
}

static const struct test_case cases[] = {
	{"BAL-HNT-04 BAL-HNT-05 NEW-08", hnt_04},
};

THREADS_SUITE(hint_races, cases);
