/* Rows BAL that give a device time to discard: on a host with huge pages, with MUST_TELL_HOST. */
#include <unistd.h>

#include "tests/conformance/fd.h"
#include "util/bytes.h"

#define DRIVERS 4u
#define PAGES_EACH 128u /* of one 2 MiB block together: it is whole whenever all have theirs in the balloon */
#define ROUNDS 10000u

static void begin(uint64_t features)
{
	struct fakehost *fh = fakehost_create(4096);
	fh->host.gmem.block_size = 2 * MIB;
	fg_create_on(&fg, NULL, fh);
	fg_init(&fg, features);
	fh->discards_unrecorded = true;
}

/* Without the feature a page is the driver's as soon as its request is returned; with it, once its deflate is. */
static void inf_04(void)
{
	for (unsigned lazy = 0; lazy < 2; lazy++) {
		begin(lazy ? F_MUST_TELL_HOST : 0);
		uint32_t *word = fakehost_ram(fg.fh, FG_PAGES, 4096);
		for (uint32_t i = 1; i < 5000; i++) {
			fd_inflate(0, 1);
			if (lazy)
				fd_deflate(0, 1);
			*word = i;
			fakehost_run_work(fg.fh);
			fakehost_advance(fg.fh, i % 20);
			CU_ASSERT_EQUAL_FATAL(*word, i);
		}
		fakehost_advance(fg.fh, 20);
		fd_end();
	}
}

/* ---- Several drivers' threads on one block ---------------------------- */

static pthread_mutex_t queue_locks[2] = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER};
static bool stopping;
static unsigned lost;

/* As Linux does: one request at a time, and a wait for its return. */
static void send_and_wait(unsigned queue, unsigned first)
{
	pthread_mutex_lock(&queue_locks[queue]);
	uint32_t pfns[PAGES_EACH];
	for (uint32_t i = 0; i < PAGES_EACH; i++)
		pfns[i] = PFN(FG_PAGES) + first + i;
	fg_send_pfns(&fg, queue, pfns, PAGES_EACH);
	while (fg_used_idx(&fg, queue) != fg.q[queue].avail_idx)
		usleep(10);
	pthread_mutex_unlock(&queue_locks[queue]);
}

static uint32_t *word_of(unsigned page)
{
	return fakehost_ram(fg.fh, FG_PAGES + page * 4096ULL, 4096);
}

static void *driver_thread(void *arg)
{
	unsigned first = *(unsigned *)arg * PAGES_EACH;
	for (uint32_t round = 1; round <= ROUNDS; round++) {
		send_and_wait(INFLATE, first);
		if (round % 64 == first / PAGES_EACH)
			usleep(5000); /* a pause: what waits goes */
		send_and_wait(DEFLATE, first);
		for (unsigned i = 0; i < PAGES_EACH; i++)
			*word_of(first + i) = round;
		sched_yield();
		for (unsigned i = 0; i < PAGES_EACH; i++)
			if (*word_of(first + i) != round)
				__atomic_fetch_add(&lost, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

/* The event loop. */
static void *loop_thread(void *arg)
{
	(void)arg;
	while (!__atomic_load_n(&stopping, __ATOMIC_ACQUIRE)) {
		fakehost_run_work(fg.fh);
		fakehost_advance(fg.fh, 1);
		usleep(50);
	}
	return NULL;
}

static void def_02(void)
{
	pthread_t loop, drivers[DRIVERS];
	unsigned numbers[DRIVERS];
	begin(F_MUST_TELL_HOST);
	stopping = false;
	lost = 0;
	CU_ASSERT_EQUAL_FATAL(pthread_create(&loop, NULL, loop_thread, NULL), 0);
	for (unsigned i = 0; i < DRIVERS; i++) {
		numbers[i] = i;
		CU_ASSERT_EQUAL_FATAL(pthread_create(&drivers[i], NULL, driver_thread, &numbers[i]), 0);
	}
	for (unsigned i = 0; i < DRIVERS; i++)
		pthread_join(drivers[i], NULL);
	__atomic_store_n(&stopping, true, __ATOMIC_RELEASE);
	pthread_join(loop, NULL);
	CU_ASSERT_EQUAL(lost, 0);
	CU_ASSERT_TRUE(fg.fh->discarded_bytes > 0);
	fakehost_advance(fg.fh, 20);
	fd_end();
}

static const struct test_case cases[] = {
	{"BAL-INF-04", inf_04},
	{"BAL-DEF-02", def_02},
};

TEST_SUITE(lazy, cases);
