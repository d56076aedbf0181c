/* Rows HOS-14, HOS-19, HOS-22, HOS-28 and HOS-82: hostile vCPUs, several at a time. */
#include <stdlib.h>
#include <unistd.h>

#include "tests/conformance/fd.h"
#include "tests/conformance/threads.h"

static void *kick_on(void *arg)
{
	unsigned queue = (unsigned)(uintptr_t)arg;
	while (!threads_are_stopping())
		fg_kick(&fg, queue);
	return NULL;
}

/* HOS-14 as well: four vCPUs kick without end while one resets and the host asks. */
static void hos_14_19(void)
{
	pthread_t threads[5];
	struct balloon_state state;
	fd_init(ALL_TYPE);
	threads_begin();
	fg.fh->discards_unrecorded = true;
	for (uintptr_t i = 0; i < 4; i++)
		threads[i] = threads_start(kick_on, (void *)(i < 2 ? INFLATE : i));
	threads[4] = threads_start(threads_loop, NULL);
	uint64_t longest = 0;
	uint64_t end = threads_clock_ms() + threads_soak_ms(1000);
	for (unsigned i = 0; threads_go_on(i, end); i++) {
		fg_init(&fg, ALL_TYPE);
		for (uint16_t k = 0; k < 64; k++)
			fd_post(INFLATE, k, k);
		uint64_t before = threads_clock_ms();
		balloon_get_state(fg.dev, &state);
		uint64_t took = threads_clock_ms() - before;
		longest = took > longest ? took : longest;
		fg_status_write(&fg, 0);
		CU_ASSERT_EQUAL(fg_status(&fg), 0);
		uint16_t used = fg_used_idx(&fg, INFLATE);
		usleep(100);
		CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), used);
	}
	threads_stop(threads, 5);
	CU_ASSERT_TRUE(longest < 5000); /* 100 ms on a machine of one's own */
	fd_end();
}

static uint32_t many_pfns[8192];
static bool deflates_are_over;

static void *deflate_all(void *arg)
{
	(void)arg;
	while (!__atomic_load_n(&deflates_are_over, __ATOMIC_ACQUIRE)) {
		uint16_t used = fg_used_idx(&fg, DEFLATE);
		fg_send_pfns(&fg, DEFLATE, many_pfns, 8192);
		while (fg_used_idx(&fg, DEFLATE) == used)
			threads_spin();
	}
	return NULL;
}

/* Inflates and deflates of the same pages at once: after both were acknowledged nothing happens to them. The last acknowledgement rules. */
static void hos_49(void)
{
	fd_begin_hostile();
	threads_begin();
	fg.fh->discards_unrecorded = true;
	for (unsigned i = 0; i < 8192; i++)
		many_pfns[i] = PFN(FAKE_HIGH_GPA) + i;
	pthread_t loop = threads_start(threads_loop, NULL);
	deflates_are_over = false;
	pthread_t other = threads_start(deflate_all, NULL);
	uint64_t end = threads_clock_ms() + threads_soak_ms(700);
	for (unsigned i = 0; threads_go_on(i, end); i++) {
		uint16_t used = fg_used_idx(&fg, INFLATE);
		fg_send_pfns(&fg, INFLATE, many_pfns, 8192);
		while (fg_used_idx(&fg, INFLATE) == used)
			threads_spin();
	}
	__atomic_store_n(&deflates_are_over, true, __ATOMIC_RELEASE);
	pthread_join(other, NULL);
	fg_fill(&fg, FAKE_HIGH_GPA, 8192 * 4096, 8);
	usleep(20000);
	CU_ASSERT_TRUE(fg_holds(&fg, FAKE_HIGH_GPA, 8192 * 4096, 8));
	threads_stop(&loop, 1);
	fd_end_hostile();
}

/* Masks vector 1 and all of MSI-X, and unmasks them. */
static void *toggle_masks(void *arg)
{
	unsigned seed = 73;
	(void)arg;
	while (!threads_are_stopping()) {
		fg_bar_write(&fg, fg.msix_table + 16 + 12, 4, (unsigned)rand_r(&seed) & 1);
		fg_pcicfg_write(&fg, fg.msix_cap + 2, 2, PCI_MSIX_FLAGS_ENABLE | (rand_r(&seed) & 1 ? PCI_MSIX_FLAGS_MASKALL : 0));
	}
	return NULL;
}

/* However the masks stood when it happened: the last event is told once they are open, and none is told twice. */
static void hos_73(void)
{
	fd_begin_hostile();
	fg.fh->discards_unrecorded = true;
	uint64_t end = threads_clock_ms() + threads_soak_ms(700);
	for (unsigned round = 0; threads_go_on(round, end); round++) {
		threads_begin();
		pthread_t toggler = threads_start(toggle_masks, NULL);
		uint64_t first = fg_irqs(&fg, 1), before = first;
		for (unsigned i = 0; i < 200; i++) {
			before = fg_irqs(&fg, 1);
			fd_inflate(i, 1);
			/* The kick may have met the other vCPU in the device: then the event loop serves it. */
			while (fg_used_idx(&fg, INFLATE) != fg.q[INFLATE].avail_idx)
				fakehost_run_work(fg.fh);
		}
		threads_stop(&toggler, 1);
		fg_bar_write(&fg, fg.msix_table + 16 + 12, 4, 0);
		fg_pcicfg_write(&fg, fg.msix_cap + 2, 2, PCI_MSIX_FLAGS_ENABLE);
		CU_ASSERT_TRUE(fg_irqs(&fg, 1) > before);
		CU_ASSERT_TRUE(fg_irqs(&fg, 1) <= first + 200);
		CU_ASSERT_EQUAL(fg_bar(&fg, fg.msix_pba, 8), 0);
	}
	fd_end_hostile();
}

static void *write_registers(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg;
	while (!threads_are_stopping()) {
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
	threads_begin();
	for (uintptr_t i = 0; i < 3; i++)
		threads[i] = threads_start(write_registers, (void *)(i + 1));
	usleep(500000);
	threads_stop(threads, 3);
	fd_end_hostile();
}

#ifndef IS_TSAN
static void *flip_bytes(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg;
	while (!threads_are_stopping()) {
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
	fd_canary_is_named();
	threads_begin();
	fg.fh->discards_unrecorded = true;
	threads[0] = threads_start(flip_bytes, (void *)1);
	threads[1] = threads_start(threads_loop, NULL);
	uint64_t end = threads_clock_ms() + threads_soak_ms(1500);
	for (unsigned i = 0; threads_clock_ms() < end; i++) {
		if (i % 64 == 0)
			fg_init(&fg, ALL_TYPE | F_INDIRECT | (i & 64 ? F_EVENT_IDX : 0));
		fd_inflate(i % 512, 256);
		fg_send(&fg, i % 3, FG_DATA(0), 1024, i % 4 ? 0 : D_INDIRECT);
		fg_send(&fg, REPORT, FG_PAGES, MIB, D_WRITE);
		fg_send(&fg, HINT, FG_PAGES, MIB, D_WRITE);
		fg_send(&fg, STATS, FG_DATA(STATS), 160, 0);
	}
	threads_stop(threads, 2);
	fd_end_hostile();
}

/* A vCPU that does anything: registers, configuration space, the window, rings, payloads, kicks. */
static void *anything(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg;
	while (!threads_are_stopping()) {
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
			fg_cc_write(&fg, CC_STATUS, 1, r % 8 ? (r & 0x100 ? 0x1F : 0xF) : r >> 40 & 0xFF);
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

static void hos_82(void)
{
	pthread_t threads[6];
	fd_begin_hostile();
	fd_canary_is_named();
	threads_begin();
	fg.fh->discards_unrecorded = true;
	for (uintptr_t i = 0; i < 4; i++)
		threads[i] = threads_start(anything, (void *)(i + 1));
	threads[4] = threads_start(threads_loop, NULL);
	threads[5] = threads_start(threads_host, NULL);
	uint64_t end = threads_clock_ms() + threads_soak_ms(2500);
	while (threads_clock_ms() < end) {
		fakehost_advance(fg.fh, 10);
		fg_pcicfg_write(&fg, PCI_COMMAND, 2, 6);
		fg_init(&fg, ALL_TYPE | F_INDIRECT | F_RING_RESET | F_SUSPEND);
		fd_inflate(0, 256);
		fg_send(&fg, HINT, FG_DATA(HINT), 4, 0);
		fg_send(&fg, HINT, FG_PAGES, 4 * MIB, D_WRITE);
		usleep(1000);
	}
	threads_stop(threads, 6);
	fd_end_hostile();
}
#endif

static const struct test_case cases[] = {
	{"HOS-14 HOS-19", hos_14_19}, {"HOS-22", hos_22}, {"HOS-49", hos_49}, {"HOS-73", hos_73},
#ifndef IS_TSAN
	{"HOS-28", hos_28},	      {"HOS-82", hos_82},
#endif
};

THREADS_SUITE(hos_races, cases);
