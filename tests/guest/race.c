#include <linux/virtio_pci.h>

#include "tests/guest/clock.h"
#include "tests/guest/memory.h"
#include "tests/guest/modes.h"
#include "tests/guest/report.h"
#include "tests/guest/smp.h"
#include "tests/guest/x86.h"

#define RACE_MS 1000
#define N_QUEUES 5
#define N_PFNS 32 /* in a buffer */

static struct balloon *balloon;
static struct virtq *queues[N_QUEUES];
static uint64_t doorbells[N_QUEUES];
static volatile bool is_over;
static volatile uint32_t n_racing;

static unsigned any(unsigned *seed, unsigned n)
{
	*seed = *seed * 1103515245 + 12345;
	return (*seed >> 16) % n;
}

/* More chains each time, whatever is in them. */
static void notify(unsigned *seed)
{
	unsigned q = any(seed, N_QUEUES);
	queues[q]->avail.idx++;
	mmio_write16(doorbells[q], (uint16_t)q);
}

/* The selected queue is common to all CPUs: it may be another one a moment later. */
static void reset_queue(unsigned *seed)
{
	uint64_t common = balloon->dev.common;
	mmio_write16(common + VIRTIO_PCI_COMMON_Q_SELECT, (uint16_t)any(seed, N_QUEUES));
	mmio_write16(common + VIRTIO_PCI_COMMON_Q_RESET, 1);
	mmio_write16(common + VIRTIO_PCI_COMMON_Q_MSIX, (uint16_t)any(seed, 3));
	mmio_write16(common + VIRTIO_PCI_COMMON_Q_ENABLE, 1);
}

static void configure(unsigned *seed)
{
	uint64_t common = balloon->dev.common;
	mmio_write16(common + VIRTIO_PCI_COMMON_MSIX, (uint16_t)any(seed, 3));
	mmio_write32(balloon->dev.config + 4 * any(seed, 4), *seed);
	mmio_read32(balloon->dev.config + 4 * any(seed, 4));
	mmio_read8(common + VIRTIO_PCI_COMMON_STATUS);
}

static void race(unsigned cpu)
{
	static void (*const roles[])(unsigned *seed) = {notify, reset_queue, configure};
	unsigned seed = cpu;
	while (!is_over)
		roles[cpu % 3](&seed);
	__atomic_fetch_sub(&n_racing, 1, __ATOMIC_SEQ_CST);
	for (;;)
		pause();
}

/* Each descriptor is a request of its own: page numbers, or for the last two queues a block, of pages that nobody uses yet. */
static void fill_ring(struct virtq *q, const uint32_t *pfns)
{
	for (uint16_t i = 0; i < VIRTQ_MAX_SIZE; i++) {
		bool is_block = q == queues[3] || q == queues[4];
		uint64_t gpa = is_block ? pfns[i] * PAGE_LEN : (uintptr_t)&pfns[i];
		q->desc[i] = (struct vring_desc){.addr = gpa, .len = is_block ? PAGE_LEN : N_PFNS * sizeof pfns[0], .flags = is_block ? VRING_DESC_F_WRITE : 0};
		q->avail.ring[i] = i;
	}
}

/* With all that is offered, resets of queues too, and without a word: the console is slow. */
static void bring_up(struct balloon *b, const uint32_t *pfns)
{
	virtio_negotiate(&b->dev, b->dev.features);
	for (uint16_t i = 0; i < N_QUEUES; i++) {
		virtio_enable_queue(&b->dev, queues[i], i);
		fill_ring(queues[i], pfns);
	}
	virtio_start(&b->dev);
}

static const uint32_t *make_pfns(void)
{
	uint32_t *pfns = mem_alloc((VIRTQ_MAX_SIZE + N_PFNS) * sizeof *pfns);
	const struct mem_range *last = &mem_free[mem_n_free - 1];
	for (uint32_t i = 0; i < VIRTQ_MAX_SIZE + N_PFNS; i++)
		pfns[i] = (uint32_t)((last->gpa + last->len) / PAGE_LEN) - 1 - i;
	return pfns;
}

static void note_queues(struct balloon *b)
{
	queues[0] = &b->inflate, queues[1] = &b->deflate, queues[2] = &b->stats, queues[3] = &b->hint, queues[4] = &b->report;
	for (uint16_t i = 0; i < N_QUEUES; i++) {
		virtio_enable_queue(&b->dev, queues[i], i);
		doorbells[i] = queues[i]->notify;
	}
}

/* This CPU resets the device and brings it up again while the others do what they do; afterwards it serves a proper driver. */
void race_run(struct balloon *b, const struct options *options)
{
	uint32_t ms = options->hold_ms ? options->hold_ms : RACE_MS;
	unsigned rounds = 0;
	const uint32_t *pfns = make_pfns();
	balloon = b;
	note_queues(b);
	unsigned n = smp_start(race);
	n_racing = n;
	uint64_t start = read_tsc();
	for (; clock_ms_since(start) < ms; rounds++) {
		virtio_reset(&b->dev);
		bring_up(b, pfns);
	}
	is_over = true;
	while (n_racing)
		if (clock_ms_since(start) > ms + 10000)
			fail("%u CPUs do not come back", n_racing);
	virtio_reset(&b->dev);
	say("raced with %u other CPUs: %u resets", n, rounds);
	selftest_run(b, &(struct options){.numbering_spec = true, .numbering_linux = true});
}
