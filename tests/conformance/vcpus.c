/*
 * Rows HOS-14, HOS-19 and HOS-82 for the thread sanitizer: vCPUs that notify, reset
 * and reconfigure at once, beside the event loop, timers and the host's calls. The
 * guest's own memory is written before they begin, but for indices, which it stores
 * as a driver does: whatever the sanitizer sees is the device's.
 */
#include <stdlib.h>
#include <unistd.h>

#include "tests/conformance/fd.h"
#include "tests/conformance/threads.h"
#include "util/bytes.h"

#define QUEUE_SIZE 128
#define FEATURES (ALL_TYPE | F_INDIRECT | F_RING_RESET | F_SUSPEND)

/* Each descriptor is a request of its own, each slot of a ring shows another one. */
static void fill_rings(void)
{
	for (unsigned q = 0; q < FG_N_QUEUES; q++)
		for (uint16_t i = 0; i < QUEUE_SIZE; i++) {
			uint64_t data = FG_DATA(q) + i * 160ULL;
			for (unsigned k = 0; k < 40; k++)
				store_le32(fakehost_ram(fg.fh, data + 4 * k, 4), PFN(FG_PAGES) + i * 40 + k);
			if (q == REPORT || (q == HINT && i % 8))
				fg_desc(&fg, q, i, FG_PAGES + i * 8192ULL, 8192, D_WRITE, 0);
			else
				fg_desc(&fg, q, i, data, q == HINT ? 4 : 160, 0, 0);
			store_le16(fakehost_ram(fg.fh, fg.q[q].avail + 4 + 2 * i, 2), i);
		}
}

/* More and more of the ring, then from its begin on: broken until the next reset, which comes soon. */
static void *notify(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg;
	for (unsigned i = 0; !threads_are_stopping(); i++) {
		unsigned q = (unsigned)rand_r(&seed) % FG_N_QUEUES;
		uint64_t avail = FG_RING(q) + 0x6000;
		uint16_t idx = (uint16_t)(i / 8 % (QUEUE_SIZE + 1));
		__atomic_store_n((uint16_t *)fakehost_ram(fg.fh, avail + 2, 2), idx, __ATOMIC_SEQ_CST);
		fg_kick(&fg, q);
		fg_bar(&fg, fg.isr, 1);
	}
	return NULL;
}

static void switch_on(unsigned q, unsigned seed)
{
	uint64_t desc = FG_RING(q);
	fg_q_write(&fg, q, CC_Q_SIZE, 2, QUEUE_SIZE);
	fg_q_write(&fg, q, CC_Q_VEC, 2, (unsigned)rand_r(&seed) % (FG_N_QUEUES + 1));
	fg_q_write(&fg, q, CC_Q_DESC, 8, desc);
	fg_q_write(&fg, q, CC_Q_DRIVER, 8, desc + 0x6000);
	fg_q_write(&fg, q, CC_Q_DEVICE, 8, desc + 0x8000);
	fg_q_write(&fg, q, CC_Q_ENABLE, 2, 1);
}

/* One queue after the other goes and comes back. */
static void *reset_queues(void *arg)
{
	(void)arg;
	for (unsigned i = 0; !threads_are_stopping(); i++) {
		fg_q_write(&fg, i % FG_N_QUEUES, CC_Q_RESET, 2, 1);
		switch_on(i % FG_N_QUEUES, i);
	}
	return NULL;
}

/* Vectors, masks, memory decoding, the driver's half of the configuration. */
static void *reconfigure(void *arg)
{
	unsigned seed = 5;
	(void)arg;
	while (!threads_are_stopping()) {
		unsigned r = (unsigned)rand_r(&seed);
		fg_bar_write(&fg, fg.msix_table + 16 * (r % fg.n_vectors) + 12, 4, r >> 8 & 1);
		fg_pcicfg_write(&fg, fg.msix_cap + PCI_MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE | (r & 64 ? PCI_MSIX_FLAGS_MASKALL : 0));
		if (r % 16 == 0)
			fg_pcicfg_write(&fg, PCI_COMMAND, 2, PCI_COMMAND_MASTER | (r & 32 ? PCI_COMMAND_MEMORY : 0));
		fg_pcicfg_write(&fg, PCI_COMMAND, 2, PCI_COMMAND_MASTER | PCI_COMMAND_MEMORY);
		fg_dc_write(&fg, DC_ACTUAL, r);
		fg_dc(&fg, 0);
	}
	return NULL;
}

/* Pieces of huge pages wait 10 ms, statistics a second or two, a stall 10 s. */
static void *pass_time(void *arg)
{
	(void)arg;
	for (unsigned i = 0; !threads_are_stopping(); i++) {
		fakehost_advance(fg.fh, i % 4 ? 10 : 12000);
		usleep(100);
	}
	return NULL;
}

/* A device that works again; no vCPU is left to hinder it. */
static void serves_a_new_driver(void)
{
	fg_pcicfg_write(&fg, PCI_COMMAND, 2, PCI_COMMAND_MASTER | PCI_COMMAND_MEMORY);
	fg_init(&fg, 0);
	fd_inflate(0, 1);
	fd_deflate(0, 1);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), 1);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, DEFLATE), 1);
}

static void hos_14_19_82(void)
{
	void *(*const roles[])(void *) = {notify, notify, notify, reset_queues, reconfigure, pass_time, threads_host, threads_loop};
	enum { N = sizeof roles / sizeof roles[0] };
	pthread_t threads[N];
	fd_init(FEATURES);
	fg.fh->discards_unrecorded = true;
	fill_rings();
	threads_begin();
	for (uintptr_t i = 0; i < N; i++)
		threads[i] = threads_start(roles[i], (void *)(i + 1));
	uint64_t end = threads_clock_ms() + threads_soak_ms(1500);
	uint64_t pages = 0;
	for (unsigned i = 0; pages == 0 || threads_go_on(i, end); i++) {
		fg_negotiate(&fg, FEATURES);
		for (unsigned q = 0; q < FG_N_QUEUES; q++)
			switch_on(q, i);
		fg_status_write(&fg, S_ACK | S_DRIVER | S_FEATURES_OK | S_DRIVER_OK | (i % 32 == 31 ? S_SUSPEND : 0));
		usleep(500);
		pages = fd_counters(BALLOON_Q_INFLATE).pages;
	}
	threads_stop(threads, N);
	serves_a_new_driver();
	fd_end();
}

static const struct test_case cases[] = {
	{"HOS-14 HOS-19 HOS-82", hos_14_19_82},
};

THREADS_SUITE(vcpus, cases);
