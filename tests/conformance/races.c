/* Rows about what other CPUs see: the rings, slow discards, registers that are read while they change. */
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/conformance/fd.h"
#include "tests/conformance/threads.h"

#define RACE_MS 700

/* The ring word that the other thread has come to. */
static uint16_t looked_at;
static unsigned bad_entries;

#define HEAD_OF(i) (((i) + (i) / 128) % 128) /* of round i: another one in each lap of the ring */

/* A driver on another CPU: looks at an entry as soon as the index shows it, and spoils it for the next lap. */
static void *watch_used(void *arg)
{
	(void)arg;
	for (unsigned seen = 0; !threads_are_stopping() || (uint16_t)seen != fg_used_idx(&fg, DEFLATE);) {
		for (uint16_t idx = fg_used_idx(&fg, DEFLATE); (uint16_t)seen != idx; seen++) {
			uint32_t *elem = fakehost_ram(fg.fh, fg.q[DEFLATE].used + 4 + 8 * (seen % 128), 8);
			uint32_t id = __atomic_load_n(&elem[0], __ATOMIC_RELAXED), len = __atomic_load_n(&elem[1], __ATOMIC_RELAXED);
			bad_entries += id != HEAD_OF(seen) || len != 0;
			__atomic_store_n(&elem[0], 0xFFFFFFFF, __ATOMIC_RELAXED);
			__atomic_store_n(&elem[1], 0xFFFFFFFF, __ATOMIC_RELAXED);
		}
		__atomic_store_n(&looked_at, (uint16_t)seen, __ATOMIC_RELEASE);
	}
	return NULL;
}

static void vq_16(void)
{
	fd_init(0);
	threads_begin();
	looked_at = 0;
	bad_entries = 0;
	pthread_t watcher = threads_start(watch_used, NULL);
	uint64_t end = threads_clock_ms() + threads_soak_ms(RACE_MS);
	for (unsigned i = 0; threads_go_on(i, end); i++) {
		fd_post(DEFLATE, HEAD_OF(i), i % 64);
		fg_kick(&fg, DEFLATE);
		while ((uint16_t)(i + 1 - __atomic_load_n(&looked_at, __ATOMIC_ACQUIRE)) > 100)
			threads_spin();
	}
	threads_stop(&watcher, 1);
	CU_ASSERT_EQUAL(bad_entries, 0);
	fd_end();
}

#define DRIVERS 3

static pthread_mutex_t ring_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t round_begin;
static uint64_t round_end_ms;
static bool with_event_idx;
static unsigned end_round; /* the first one that is not done */
static unsigned kicks, stranded;

/* What Linux does after publishing, and a barrier, which fg_publish() is. */
static bool kick_is_wanted(uint16_t before, uint16_t now)
{
	if (!with_event_idx)
		return !(fg_used_flags(&fg, DEFLATE) & 1);
	return (uint16_t)(now - fg_avail_event(&fg, DEFLATE) - 1) < (uint16_t)(now - before);
}

static bool wait_for_use(uint16_t my_idx)
{
	uint64_t deadline = threads_clock_ms() + 30000;
	while ((int16_t)(fg_used_idx(&fg, DEFLATE) - my_idx) <= 0) {
		if (threads_clock_ms() > deadline)
			return false;
		threads_spin();
	}
	return true;
}

static void publish_and_kick(unsigned me)
{
	pthread_mutex_lock(&ring_lock);
	uint16_t before = fg.q[DEFLATE].avail_idx;
	fd_post(DEFLATE, (uint16_t)me, me);
	bool kick = kick_is_wanted(before, fg.q[DEFLATE].avail_idx);
	pthread_mutex_unlock(&ring_lock);
	if (kick) {
		__atomic_fetch_add(&kicks, 1, __ATOMIC_RELAXED);
		fg_kick(&fg, DEFLATE);
	}
	if (!wait_for_use(before))
		__atomic_fetch_add(&stranded, 1, __ATOMIC_RELAXED);
}

/* All begin a round together, and none begins the next before all chains of this one are used: a kick of the next cannot help one that was lost. */
static void *driver_thread(void *arg)
{
	unsigned me = (unsigned)(uintptr_t)arg, seed = me;
	for (unsigned i = 0;; i++) {
		if (me == 0 && (__atomic_load_n(&stranded, __ATOMIC_RELAXED) || !threads_go_on(i, round_end_ms)))
			__atomic_store_n(&end_round, i, __ATOMIC_RELAXED);
		pthread_barrier_wait(&round_begin);
		if (i >= __atomic_load_n(&end_round, __ATOMIC_RELAXED))
			break;
		for (volatile unsigned pause = (unsigned)rand_r(&seed) % 512; pause; pause--)
			;
		publish_and_kick(me);
	}
	return NULL;
}

static void vq_21_22(void)
{
	for (unsigned event_idx = 0; event_idx < 2; event_idx++) {
		pthread_t drivers[DRIVERS];
		fd_init(event_idx ? F_EVENT_IDX : 0);
		threads_begin();
		pthread_barrier_init(&round_begin, NULL, DRIVERS);
		with_event_idx = event_idx;
		end_round = UINT_MAX;
		round_end_ms = threads_clock_ms() + threads_soak_ms(RACE_MS);
		kicks = stranded = 0;
		pthread_t loop = threads_start(threads_loop, NULL);
		for (uintptr_t i = 0; i < DRIVERS; i++)
			drivers[i] = threads_start(driver_thread, (void *)i);
		for (unsigned i = 0; i < DRIVERS; i++)
			pthread_join(drivers[i], NULL);
		threads_stop(&loop, 1);
		CU_ASSERT_EQUAL(stranded, 0);
		CU_ASSERT_TRUE(kicks > 0);
		CU_ASSERT_EQUAL(fg_used_idx(&fg, DEFLATE), fg.q[DEFLATE].avail_idx);
		pthread_barrier_destroy(&round_begin);
		fd_end();
	}
}

/*
 * A guest that uses a page again the moment its request is acknowledged, while
 * the device may still be busy with other things: what it wrote stays.
 */
static uint32_t answered, lost, cycles;

static void *reuse_at_once(void *arg)
{
	unsigned queue = (unsigned)(uintptr_t)arg;
	volatile uint32_t *word = fakehost_ram(fg.fh, FG_PAGES, 4);
	for (uint32_t i = 1;; i++) {
		while (fg_used_idx(&fg, queue) != (uint16_t)i) {
			if (threads_are_stopping())
				return NULL;
			threads_spin();
		}
		*word = i;
		for (unsigned k = 0; k < 200; k++)
			lost += *word != i;
		__atomic_store_n(&answered, i, __ATOMIC_RELEASE);
	}
}

static void inf_03_rep_02(void)
{
	static const struct {
		unsigned queue;
		uint64_t features;
	} ways[] = {{INFLATE, 0}, {INFLATE, F_MUST_TELL_HOST}, {REPORT, F_REPORT}, {REPORT, F_REPORT | F_POISON}};
	for (unsigned way = 0; way < 4; way++) {
		unsigned queue = ways[way].queue;
		fd_init(ways[way].features);
		fg.fh->discards_unrecorded = true;
		answered = lost = 0;
		volatile uint32_t *word = fakehost_ram(fg.fh, FG_PAGES, 4);
		threads_begin();
		pthread_t guest = threads_start(reuse_at_once, (void *)(uintptr_t)queue);
		uint64_t end = threads_clock_ms() + threads_soak_ms(RACE_MS);
		for (uint32_t i = 1; threads_go_on(i, end); i++) {
			if (queue == INFLATE)
				fd_inflate(0, 1);
			else
				fg_send(&fg, REPORT, FG_PAGES, 4096, D_WRITE);
			while (__atomic_load_n(&answered, __ATOMIC_ACQUIRE) != i)
				threads_spin();
			fakehost_run_work(fg.fh);
			fakehost_advance(fg.fh, 1);
			lost += *word != i;
		}
		threads_stop(&guest, 1);
		CU_ASSERT_EQUAL(lost, 0);
		fd_end();
	}
}

/* Four vCPUs, a page each: inflate, deflate, write; the pattern is there until the next inflate. */
static void *inflate_and_deflate(void *arg)
{
	unsigned me = (unsigned)(uintptr_t)arg;
	volatile uint32_t *word = fakehost_ram(fg.fh, FG_PAGES + me * 4096ULL, 4);
	for (uint32_t i = 1; threads_go_on(i, round_end_ms); i++) {
		__atomic_fetch_add(&cycles, 1, __ATOMIC_RELAXED);
		pthread_mutex_lock(&ring_lock);
		fd_inflate(me, 1);
		fd_deflate(me, 1);
		pthread_mutex_unlock(&ring_lock);
		*word = i;
		for (unsigned k = 0; k < 100; k++)
			if (*word != i)
				__atomic_fetch_add(&lost, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

static void def_02(void)
{
	pthread_t vcpus[4];
	fd_init(F_MUST_TELL_HOST);
	threads_begin();
	fg.fh->discards_unrecorded = true;
	lost = cycles = 0;
	round_end_ms = threads_clock_ms() + threads_soak_ms(RACE_MS);
	pthread_t loop = threads_start(threads_loop, NULL);
	for (uintptr_t i = 0; i < 4; i++)
		vcpus[i] = threads_start(inflate_and_deflate, (void *)i);
	for (unsigned i = 0; i < 4; i++)
		pthread_join(vcpus[i], NULL);
	threads_stop(&loop, 1);
	CU_ASSERT_EQUAL(lost, 0);
	CU_ASSERT_EQUAL(fd_counters(BALLOON_Q_DEFLATE).pages, cycles);
	fd_end();
}

static bool discarding;

static void slow(struct fakehost *fh)
{
	(void)fh;
	__atomic_store_n(&discarding, true, __ATOMIC_RELEASE);
	usleep(200000);
}

static void *kick_once(void *arg)
{
	(void)arg;
	fg_kick(&fg, INFLATE);
	return NULL;
}

/* Another vCPU is in a discard that takes its time; returns when it is in it. */
static pthread_t begin_slow_inflate(void)
{
	fg.fh->before_discard = slow;
	__atomic_store_n(&discarding, false, __ATOMIC_RELEASE);
	fd_post(INFLATE, 0, 0);
	pthread_t vcpu = threads_start(kick_once, NULL);
	while (!__atomic_load_n(&discarding, __ATOMIC_ACQUIRE))
		usleep(100);
	return vcpu;
}

static void pci_cc_04(void)
{
	fd_init(0);
	pthread_t vcpu = begin_slow_inflate();
	fg_status_write(&fg, 0);
	while (fg_status(&fg) != 0)
		usleep(100);
	uint16_t used = fg_used_idx(&fg, INFLATE);
	size_t discards = fg.fh->n_discards;
	uint64_t messages = fg.fh->n_msis;
	fg_fill(&fg, FG_PAGES, 4096, 3);
	usleep(300000);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), used);
	CU_ASSERT_EQUAL(fg.fh->n_discards, discards);
	CU_ASSERT_EQUAL(fg.fh->n_msis, messages);
	CU_ASSERT_TRUE(fg_holds(&fg, FG_PAGES, 4096, 3));
	pthread_join(vcpu, NULL);
	fd_end();
}

static void pci_cc_13(void)
{
	fd_init(F_RING_RESET);
	pthread_t vcpu = begin_slow_inflate();
	fg_q_write(&fg, INFLATE, CC_Q_RESET, 2, 1);
	while (fg_q(&fg, INFLATE, CC_Q_RESET, 2) != 0)
		usleep(100);
	CU_ASSERT_EQUAL(fg_q(&fg, INFLATE, CC_Q_ENABLE, 2), 0);
	uint16_t used = fg_used_idx(&fg, INFLATE);
	fg_fill(&fg, FG_PAGES, 4096, 3);
	fd_deflate(0, 1);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, DEFLATE), 1);
	usleep(300000);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), used);
	CU_ASSERT_TRUE(fg_holds(&fg, FG_PAGES, 4096, 3));
	pthread_join(vcpu, NULL);
	fd_end();
}

/* The acknowledgement waits for a slow discard (BAL-INF-03). */
static void inf_03(void)
{
	fd_init(0);
	fg_fill(&fg, FG_PAGES, 4096, 3);
	pthread_t vcpu = begin_slow_inflate();
	CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), 0);
	while (fg_used_idx(&fg, INFLATE) == 0)
		threads_spin();
	CU_ASSERT_TRUE(fg_holds(&fg, FG_PAGES, 4096, 0));
	pthread_join(vcpu, NULL);
	fd_end();
}

static void *set_targets(void *arg)
{
	(void)arg;
	for (uint64_t i = 0; !threads_are_stopping(); i = (i + 1) % 0x7F)
		balloon_set_target(fg.dev, (i << 8 | i) << 12);
	return NULL;
}

/* Reads of num_pages byte by byte inside one generation never mix two targets. */
static void pci_cc_07(void)
{
	unsigned mixed = 0, whole = 0;
	fd_init(0);
	threads_begin();
	pthread_t setter = threads_start(set_targets, NULL);
	uint64_t end = threads_clock_ms() + threads_soak_ms(RACE_MS);
	for (unsigned i = 0; whole == 0 || threads_go_on(i, end); i++) {
		uint64_t before = fg_cc(&fg, CC_GENERATION, 1);
		uint64_t low = fg_bar(&fg, fg.device, 1), high = fg_bar(&fg, fg.device + 1, 1);
		if (fg_cc(&fg, CC_GENERATION, 1) != before)
			continue;
		whole++;
		mixed += low != high;
	}
	threads_stop(&setter, 1);
	CU_ASSERT_EQUAL(mixed, 0);
	CU_ASSERT_TRUE(whole > 0);
	fd_end();
}

static const struct test_case cases[] = {
	{"VQ-16", vq_16},
	{"VQ-21 VQ-22", vq_21_22},
	{"PCI-CC-04 GEN-15", pci_cc_04},
	{"PCI-CC-13 GEN-19", pci_cc_13},
	{"BAL-INF-03", inf_03},
	{"BAL-INF-03 BAL-REP-02", inf_03_rep_02},
	{"BAL-DEF-02", def_02},
	{"PCI-CC-07", pci_cc_07},
};

THREADS_SUITE(races, cases);
