/*
 * Rows that need several threads: vCPUs that run against each other, against
 * the event loop and against the host's calls. Meant for the thread sanitizer
 * too. A deadlock ends with SIGALRM.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/conformance/fd.h"
#include "util/bytes.h"

#define DEADLOCK_S 120

static bool stopping;

static bool is_stopping(void)
{
	return __atomic_load_n(&stopping, __ATOMIC_ACQUIRE);
}

static uint64_t clock_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void nap_ms(unsigned ms)
{
	usleep(ms * 1000);
}

static int init(void)
{
	alarm(DEADLOCK_S);
	return 0;
}

static int clean(void)
{
	alarm(0);
	return 0;
}

/* The event loop: deferred work until told to stop. */
static void *loop_thread(void *arg)
{
	(void)arg;
	while (!is_stopping())
		if (!fakehost_run_work(fg.fh))
			usleep(50);
	return NULL;
}

static pthread_t start(void *(*fn)(void *), void *arg)
{
	pthread_t thread;
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, fn, arg), 0);
	return thread;
}

static void begin(void)
{
	__atomic_store_n(&stopping, false, __ATOMIC_RELEASE);
}

static void stop(pthread_t *threads, unsigned n)
{
	__atomic_store_n(&stopping, true, __ATOMIC_RELEASE);
	for (unsigned i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
}

/* ---- Used ring as another CPU sees it -------------------------------- */

static uint32_t bad_entries;

static void *watch_used(void *arg)
{
	uint16_t seen = 0;
	(void)arg;
	while (!is_stopping() || seen != fg_used_idx(&fg, INFLATE)) {
		uint16_t idx = fg_used_idx(&fg, INFLATE);
		for (; seen != idx; seen++) {
			uint32_t *elem = fakehost_ram(fg.fh, fg.q[0].used + 4 + 8 * (seen % 128), 8);
			/* Relaxed: an entry may be overwritten when this thread falls a whole ring behind. */
			uint32_t id = __atomic_load_n(&elem[0], __ATOMIC_RELAXED), len = __atomic_load_n(&elem[1], __ATOMIC_RELAXED);
			uint16_t now = fg_used_idx(&fg, INFLATE);
			if ((uint16_t)(now - seen) <= 64 && (id != seen % 128u || len != 0))
				bad_entries++;
		}
	}
	return NULL;
}

static void vq_16(void)
{
	fd_init(0);
	begin();
	fg.fh->discards_unrecorded = true;
	bad_entries = 0;
	pthread_t watcher = start(watch_used, NULL);
	for (unsigned i = 0; i < 50000; i++) {
		fd_post_inflate(i % 128, i % 64);
		fg_kick(&fg, INFLATE);
	}
	stop(&watcher, 1);
	CU_ASSERT_EQUAL(bad_entries, 0);
	fd_end();
}

/* ---- Kicks only when they are asked for ------------------------------ */

#define DRIVERS 3
#define ROUNDS 6000

static pthread_mutex_t ring_lock = PTHREAD_MUTEX_INITIALIZER;
static bool with_event_idx;
static uint64_t kicks;
static unsigned stranded;

/* What Linux does after publishing: the barrier is in fg_publish(). */
static bool kick_is_wanted(uint16_t before, uint16_t now)
{
	if (!with_event_idx)
		return !(fg_used_flags(&fg, INFLATE) & 1);
	return (uint16_t)(now - fg_avail_event(&fg, INFLATE) - 1) < (uint16_t)(now - before);
}

static bool wait_for_use(uint16_t my_idx)
{
	uint64_t deadline = clock_ms() + 5000;
	while ((int16_t)(fg_used_idx(&fg, INFLATE) - my_idx) <= 0)
		if (clock_ms() > deadline)
			return false;
	return true;
}

static void *driver_thread(void *arg)
{
	unsigned me = (unsigned)(uintptr_t)arg, seed = me;
	for (unsigned i = 0; i < ROUNDS; i++) {
		pthread_mutex_lock(&ring_lock);
		uint16_t before = fg.q[INFLATE].avail_idx;
		fd_post_inflate((uint16_t)me, me);
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		bool kick = kick_is_wanted(before, fg.q[INFLATE].avail_idx);
		pthread_mutex_unlock(&ring_lock);
		if (kick) {
			__atomic_fetch_add(&kicks, 1, __ATOMIC_RELAXED);
			fg_kick(&fg, INFLATE);
		}
		if (!wait_for_use(before)) {
			__atomic_fetch_add(&stranded, 1, __ATOMIC_RELAXED);
			return NULL;
		}
		if (rand_r(&seed) % 64 == 0)
			usleep((unsigned)rand_r(&seed) % 50);
	}
	return NULL;
}

static void vq_21_22(void)
{
	for (unsigned event_idx = 0; event_idx < 2; event_idx++) {
		pthread_t drivers[DRIVERS];
		fd_init(event_idx ? F_EVENT_IDX : 0);
		begin();
		with_event_idx = event_idx;
		stranded = 0;
		fg.fh->discards_unrecorded = true;
		pthread_t loop = start(loop_thread, NULL);
		for (uintptr_t i = 0; i < DRIVERS; i++)
			drivers[i] = start(driver_thread, (void *)i);
		for (unsigned i = 0; i < DRIVERS; i++)
			pthread_join(drivers[i], NULL);
		stop(&loop, 1);
		CU_ASSERT_EQUAL(stranded, 0);
		CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), (uint16_t)(DRIVERS * ROUNDS));
		fd_end();
	}
}

/* ---- Reset while a request is in work -------------------------------- */

static bool discarding;

static void slow(struct fakehost *fh)
{
	(void)fh;
	__atomic_store_n(&discarding, true, __ATOMIC_RELEASE);
	nap_ms(200);
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
	fd_post_inflate(0, 0);
	pthread_t vcpu = start(kick_once, NULL);
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
	nap_ms(300);
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
	nap_ms(300);
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
		;
	CU_ASSERT_TRUE(fg_holds(&fg, FG_PAGES, 4096, 0));
	pthread_join(vcpu, NULL);
	fd_end();
}

static void *kick_on(void *arg)
{
	unsigned queue = (unsigned)(uintptr_t)arg;
	while (!is_stopping())
		fg_kick(&fg, queue);
	return NULL;
}

/* HOS-14 as well: four vCPUs kick without end while one resets and the host asks. */
static void hos_14_19(void)
{
	pthread_t threads[5];
	struct balloon_state state;
	fd_init(ALL_TYPE);
	begin();
	fg.fh->discards_unrecorded = true;
	for (uintptr_t i = 0; i < 4; i++)
		threads[i] = start(kick_on, (void *)(i < 2 ? INFLATE : i));
	threads[4] = start(loop_thread, NULL);
	uint64_t longest = 0;
	for (unsigned i = 0; i < 200; i++) {
		fg_init(&fg, ALL_TYPE);
		for (uint16_t k = 0; k < 64; k++)
			fd_post_inflate(k, k);
		uint64_t before = clock_ms();
		balloon_get_state(fg.dev, &state);
		uint64_t took = clock_ms() - before;
		longest = took > longest ? took : longest;
		fg_status_write(&fg, 0);
		CU_ASSERT_EQUAL(fg_status(&fg), 0);
		uint16_t used = fg_used_idx(&fg, INFLATE);
		usleep(100);
		CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), used);
	}
	stop(threads, 5);
	CU_ASSERT_TRUE(longest < 1000); /* 100 ms on a machine of one's own */
	fd_end();
}

/* ---- Registers ------------------------------------------------------- */

static void *write_registers(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg;
	while (!is_stopping()) {
		unsigned offset = (unsigned)rand_r(&seed) % CC_LEN;
		fg_cc_write(&fg, offset, 1u << rand_r(&seed) % 4, (uint64_t)rand_r(&seed));
		fg_cc(&fg, (unsigned)rand_r(&seed) % (CC_LEN - 8), 1u << rand_r(&seed) % 4);
	}
	return NULL;
}

static void hos_22(void)
{
	pthread_t threads[3];
	fd_begin_hostile();
	begin();
	for (uintptr_t i = 0; i < 3; i++)
		threads[i] = start(write_registers, (void *)(i + 1));
	nap_ms(500);
	stop(threads, 3);
	fd_end_hostile();
}

static void *set_targets(void *arg)
{
	(void)arg;
	for (uint64_t i = 0; !is_stopping(); i = (i + 1) % 0x7F)
		balloon_set_target(fg.dev, (i << 8 | i) << 12);
	return NULL;
}

/* Reads of num_pages byte by byte inside one generation never mix two targets. */
static void pci_cc_07(void)
{
	unsigned mixed = 0, whole = 0;
	fd_init(0);
	begin();
	pthread_t setter = start(set_targets, NULL);
	for (unsigned i = 0; i < 100000; i++) {
		uint64_t before = fg_cc(&fg, CC_GENERATION, 1);
		uint64_t low = fg_bar(&fg, fg.device, 1), high = fg_bar(&fg, fg.device + 1, 1);
		if (fg_cc(&fg, CC_GENERATION, 1) != before)
			continue;
		whole++;
		mixed += low != high;
	}
	stop(&setter, 1);
	CU_ASSERT_EQUAL(mixed, 0);
	CU_ASSERT_TRUE(whole > 0);
	fd_end();
}

/* ---- Everything changes under the device ----------------------------- */

/* By design a race on guest memory, as in a real VM: nothing for the thread sanitizer. */
#if defined(__SANITIZE_THREAD__)
#define IS_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define IS_TSAN 1
#endif
#endif

#ifndef IS_TSAN
static void *flip_bytes(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg;
	while (!is_stopping()) {
		uint64_t gpa = FG_RING(0) + (uint64_t)rand_r(&seed) % 0x50000;
		if (rand_r(&seed) % 2)
			gpa = FG_DATA(0) + (uint64_t)rand_r(&seed) % 0x2000;
		volatile uint8_t *at = fakehost_ram(fg.fh, gpa, 1);
		*at ^= (uint8_t)(1u << rand_r(&seed) % 8);
	}
	return NULL;
}

static void hos_28(void)
{
	pthread_t threads[2];
	fd_begin_hostile();
	begin();
	fg.fh->discards_unrecorded = true;
	threads[0] = start(flip_bytes, (void *)1);
	threads[1] = start(loop_thread, NULL);
	uint64_t end = clock_ms() + 1500;
	for (unsigned i = 0; clock_ms() < end; i++) {
		if (i % 64 == 0)
			fg_init(&fg, ALL_TYPE | F_INDIRECT | (i & 64 ? F_EVENT_IDX : 0));
		fd_inflate(i % 512, 256);
		fg_send(&fg, i % 3, FG_DATA(0), 1024, i % 4 ? 0 : D_INDIRECT);
		fg_send(&fg, REPORT, FG_PAGES, MIB, D_WRITE);
	}
	stop(threads, 2);
	fd_end_hostile();
}

/* A vCPU that does anything: registers, configuration space, the window, rings, payloads, kicks. */
static void *anything(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg;
	while (!is_stopping()) {
		uint64_t r = (uint64_t)rand_r(&seed) << 31 ^ (uint64_t)rand_r(&seed);
		unsigned size = 1u << rand_r(&seed) % 4;
		switch (rand_r(&seed) % 8) {
		case 0:
			fg_bar_write(&fg, r % 0x2000, size, r >> 7);
			break;
		case 1:
			fg_bar(&fg, r % 0x2000, size);
			break;
		case 2: /* not the BAR: fg.bar would be wrong for the others */
			fg_pcicfg_write(&fg, PCI_COMMAND + (r % 2 ? fg.msix_cap - 2 : 0), 2, r % 4 ? 6 : (uint32_t)(r >> 9));
			break;
		case 3:
			fg_pcicfg_write(&fg, fg.window_cap + 4 + r % 16 / 4 * 4, 4, r % 3 ? (uint32_t)(r >> 9) % 0x400 : 4);
			break;
		case 4:
			*(volatile uint8_t *)fakehost_ram(fg.fh, FG_RING(0) + r % 0x50000, 1) = (uint8_t)(r >> 40);
			break;
		case 5:
			fg_cc_write(&fg, CC_STATUS, 1, r % 8 ? 0xF : r >> 40 & 0xFF);
			break;
		case 6:
			fg_dc_write(&fg, DC_ACTUAL, (uint32_t)(r >> 3));
			break;
		default:
			fg_kick(&fg, r % 5);
		}
	}
	return NULL;
}

static void *host_calls(void *arg)
{
	struct balloon_state state;
	unsigned seed = 77;
	(void)arg;
	while (!is_stopping()) {
		balloon_set_target(fg.dev, (uint64_t)rand_r(&seed) % (128 * MIB));
		balloon_get_state(fg.dev, &state);
		balloon_request_stats(fg.dev);
		balloon_set_stats_interval(fg.dev, (uint64_t)rand_r(&seed) % 3);
	}
	return NULL;
}

static void hos_82(void)
{
	pthread_t threads[6];
	fd_begin_hostile();
	begin();
	fg.fh->discards_unrecorded = true;
	for (uintptr_t i = 0; i < 4; i++)
		threads[i] = start(anything, (void *)(i + 1));
	threads[4] = start(loop_thread, NULL);
	threads[5] = start(host_calls, NULL);
	uint64_t end = clock_ms() + 2500;
	while (clock_ms() < end) {
		fakehost_advance(fg.fh, 10);
		fg_pcicfg_write(&fg, PCI_COMMAND, 2, 6);
		fg_init(&fg, ALL_TYPE | F_INDIRECT | F_RING_RESET);
		fd_inflate(0, 256);
		nap_ms(1);
	}
	stop(threads, 6);
	fd_end_hostile();
}
#endif

static const struct test_case cases[] = {
	{"VQ-16", vq_16},
	{"VQ-21 VQ-22", vq_21_22},
	{"PCI-CC-04 GEN-15", pci_cc_04},
	{"PCI-CC-13 GEN-19", pci_cc_13},
	{"BAL-INF-03", inf_03},
	{"HOS-14 HOS-19", hos_14_19},
	{"HOS-22", hos_22},
	{"PCI-CC-07", pci_cc_07},
#ifndef IS_TSAN
	{"HOS-28", hos_28},
	{"HOS-82", hos_82},
#endif
};

const struct test_suite races_suite = {.name = "races", .cases = cases, .n_cases = sizeof cases / sizeof cases[0], .init = init, .clean = clean};
