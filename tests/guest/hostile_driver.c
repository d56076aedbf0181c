#include "tests/guest/hostile.h"

#include <linux/pci_regs.h>

#include "tests/guest/clock.h"
#include "tests/guest/pci.h"
#include "tests/guest/report.h"
#include "tests/guest/x86.h"

#define BALLOON_PCI_ID 0x10451AF4
#define RING_LEN 0x10000 /* descriptors, avail and used ring of one queue: the latter two at these offsets */
#define RING_AVAIL 0x4000
#define RING_USED 0x8000
#define WAIT_MS 20000
#define F_WANTED                                                                                                                                       \
	(BIT(VIRTIO_BALLOON_F_STATS_VQ) | BIT(VIRTIO_BALLOON_F_FREE_PAGE_HINT) | BIT(VIRTIO_BALLOON_F_PAGE_POISON) | BIT(VIRTIO_BALLOON_F_REPORTING) | \
	 F_INDIRECT | F_EVENT_IDX | F_RING_RESET)

static void find_capabilities(struct hostile *h)
{
	unsigned at = pci_read(h->slot, PCI_CAPABILITY_LIST) & 0xFC;
	for (; at; at = pci_read(h->slot, at) >> 8 & 0xFC) {
		uint32_t head = pci_read(h->slot, at);
		if ((head & 0xFF) == PCI_CAP_ID_VNDR && head >> 24 == VIRTIO_PCI_CAP_PCI_CFG)
			h->window_cap = at;
		if ((head & 0xFF) == PCI_CAP_ID_MSIX) {
			h->msix_cap = at;
			h->msix_table = h->bar + (pci_read(h->slot, at + PCI_MSIX_TABLE) & (uint32_t)PCI_MSIX_TABLE_OFFSET);
		}
	}
}

void hostile_init(struct hostile *h, struct balloon *b, uint32_t seed)
{
	*h = (struct hostile){.balloon = b, .seed = seed, .random = 0x9E3779B97F4A7C15 ^ seed, .row = "none"};
	while (pci_read(h->slot, PCI_VENDOR_ID) != BALLOON_PCI_ID)
		h->slot++;
	h->bar = pci_read(h->slot, PCI_BASE_ADDRESS_0) & (uint32_t)PCI_BASE_ADDRESS_MEM_MASK;
	find_capabilities(h);
	if (!h->window_cap || !h->msix_cap || (b->dev.features & F_WANTED) != F_WANTED)
		fail("mode=hostile wants MSI-X, a window in configuration space, and features %#lx", F_WANTED);
	mem_seal();
	uint64_t at = mem_free[0].gpa;
	h->arena = at;
	h->arena_end = at + mem_free[0].len;
	for (unsigned i = 0; i < HOSTILE_N_QUEUES; i++, at += RING_LEN + HOSTILE_DATA_LEN)
		h->q[i] = (struct hostile_ring){(void *)at, (void *)(at + RING_AVAIL), (void *)(at + RING_USED), at + RING_LEN, 0};
	h->pages = at;
	if (h->arena_end < at + (32 << 20))
		fail("mode=hostile wants more RAM");
	h->noise = h->arena_end - HOSTILE_NOISE_LEN;
	hostile_noise(h, h->noise, HOSTILE_NOISE_LEN);
}

void hostile_expect(const struct hostile *h, bool is_true, const char *what)
{
	if (!is_true)
		fail("%s, act %u, seed %u: not so: %s", h->row, h->n_acts, h->seed, what);
}

/* xorshift64* */
uint64_t hostile_random64(struct hostile *h)
{
	h->random ^= h->random >> 12;
	h->random ^= h->random << 25;
	h->random ^= h->random >> 27;
	return h->random * 0x2545F4914F6CDD1D;
}

uint32_t hostile_random(struct hostile *h, uint32_t n)
{
	return (uint32_t)(hostile_random64(h) >> 32) % n;
}

uint64_t hostile_random_page(struct hostile *h)
{
	return h->pages + hostile_random(h, PFN(h->arena_end - h->pages)) * PAGE_LEN;
}

void hostile_some_pages(struct hostile *h, uint32_t pfns[], unsigned n)
{
	uint32_t first = PFN(h->pages) + hostile_random(h, PFN(h->arena_end - h->pages) - n);
	for (unsigned i = 0; i < n; i++)
		pfns[i] = first + i;
}

void hostile_noise(struct hostile *h, uint64_t gpa, uint64_t len)
{
	for (volatile uint64_t *word = (uint64_t *)gpa; len; len -= sizeof *word)
		*word++ = hostile_random64(h) | 0x8080808080808080;
}

/* ---- Registers ------------------------------------------------------- */

uint64_t hostile_read(uint64_t gpa, unsigned size)
{
	uint64_t value;
	switch (size) {
	case 1:
		return mmio_read8(gpa);
	case 2:
		return mmio_read16(gpa);
	case 4:
		return mmio_read32(gpa);
	default:
		__asm__ volatile("movq (%1), %0" : "=r"(value) : "r"(gpa) : "memory");
		return value;
	}
}

void hostile_write(uint64_t gpa, unsigned size, uint64_t value)
{
	switch (size) {
	case 1:
		mmio_write8(gpa, (uint8_t)value);
		break;
	case 2:
		mmio_write16(gpa, (uint16_t)value);
		break;
	case 4:
		mmio_write32(gpa, (uint32_t)value);
		break;
	default:
		__asm__ volatile("movq %0, (%1)" : : "r"(value), "r"(gpa) : "memory");
		break;
	}
}

uint64_t hostile_cc(struct hostile *h, unsigned offset, unsigned size)
{
	return hostile_read(h->balloon->dev.common + offset, size);
}

void hostile_cc_write(struct hostile *h, unsigned offset, unsigned size, uint64_t value)
{
	hostile_write(h->balloon->dev.common + offset, size, value);
}

uint64_t hostile_q(struct hostile *h, unsigned queue, unsigned offset, unsigned size)
{
	hostile_cc_write(h, VIRTIO_PCI_COMMON_Q_SELECT, 2, queue);
	return hostile_cc(h, offset, size);
}

void hostile_q_write(struct hostile *h, unsigned queue, unsigned offset, unsigned size, uint64_t value)
{
	hostile_cc_write(h, VIRTIO_PCI_COMMON_Q_SELECT, 2, queue);
	hostile_cc_write(h, offset, size, value);
}

uint8_t hostile_status(struct hostile *h)
{
	return (uint8_t)hostile_cc(h, VIRTIO_PCI_COMMON_STATUS, 1);
}

void hostile_set_status(struct hostile *h, uint8_t status)
{
	hostile_cc_write(h, VIRTIO_PCI_COMMON_STATUS, 1, status);
}

/* ---- Bring-up -------------------------------------------------------- */

void hostile_restore_bar(struct hostile *h)
{
	pci_write(h->slot, PCI_COMMAND, 0);
	pci_write(h->slot, PCI_BASE_ADDRESS_0, (uint32_t)h->bar);
	pci_write(h->slot, h->msix_cap, 0); /* MSI-X off */
	pci_write(h->slot, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE);
}

void hostile_accept(struct hostile *h, uint64_t features)
{
	for (unsigned word = 0; word < 2; word++) {
		hostile_cc_write(h, VIRTIO_PCI_COMMON_GFSELECT, 4, word);
		hostile_cc_write(h, VIRTIO_PCI_COMMON_GF, 4, features >> 32 * word);
	}
}

void hostile_negotiate(struct hostile *h, uint64_t features)
{
	hostile_restore_bar(h);
	virtio_reset(&h->balloon->dev);
	h->features = (features & h->balloon->dev.features) | F_VERSION_1;
	hostile_set_status(h, 3);
	hostile_accept(h, h->features);
	hostile_set_status(h, 0xB);
	hostile_expect(h, hostile_status(h) == 0xB, "FEATURES_OK sticks");
}

void hostile_queue_on_at(struct hostile *h, unsigned queue, uint16_t size, uint64_t desc, uint64_t avail, uint64_t used)
{
	hostile_q_write(h, queue, VIRTIO_PCI_COMMON_Q_SIZE, 2, size);
	hostile_cc_write(h, VIRTIO_PCI_COMMON_Q_DESCLO, 8, desc);
	hostile_cc_write(h, VIRTIO_PCI_COMMON_Q_AVAILLO, 8, avail);
	hostile_cc_write(h, VIRTIO_PCI_COMMON_Q_USEDLO, 8, used);
	hostile_cc_write(h, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
}

void hostile_queue_on(struct hostile *h, unsigned queue, uint16_t size)
{
	struct hostile_ring *q = &h->q[queue];
	memset(q->desc, 0, RING_LEN);
	q->avail_idx = 0;
	hostile_queue_on_at(h, queue, size, (uintptr_t)q->desc, (uintptr_t)q->avail, (uintptr_t)q->used);
}

void hostile_up(struct hostile *h, uint64_t features)
{
	hostile_negotiate(h, features);
	for (unsigned i = 0; i < HOSTILE_N_QUEUES; i++)
		hostile_queue_on(h, i, HOSTILE_QUEUE_SIZE);
	hostile_set_status(h, STATUS_UP);
}

/* ---- Rings ----------------------------------------------------------- */

void hostile_desc(struct hostile *h, unsigned queue, uint16_t index, uint64_t gpa, uint32_t len, uint16_t flags, uint16_t next)
{
	h->q[queue].desc[index] = (struct vring_desc){gpa, len, flags, next};
}

void hostile_publish(struct hostile *h, unsigned queue, uint16_t head)
{
	struct hostile_ring *q = &h->q[queue];
	q->avail[2 + q->avail_idx % HOSTILE_QUEUE_SIZE] = head;
	q->avail_idx++;
	compiler_barrier();
	q->avail[1] = q->avail_idx;
}

void hostile_kick(struct hostile *h, unsigned queue)
{
	mmio_write16(h->balloon->dev.notify + queue * h->balloon->dev.notify_multiplier, (uint16_t)queue);
}

void hostile_send(struct hostile *h, unsigned queue, uint64_t gpa, uint32_t len, uint16_t flags)
{
	hostile_desc(h, queue, 0, gpa, len, flags, 0);
	hostile_publish(h, queue, 0);
	hostile_kick(h, queue);
}

void hostile_send_pfns(struct hostile *h, unsigned queue, const uint32_t *pfns, size_t n)
{
	memcpy((void *)h->q[queue].data, pfns, n * sizeof *pfns);
	hostile_send(h, queue, h->q[queue].data, (uint32_t)(n * sizeof *pfns), 0);
}

void hostile_wait_used(struct hostile *h, unsigned queue)
{
	uint64_t start = read_tsc();
	while (h->q[queue].used[1] != h->q[queue].avail_idx) {
		hostile_expect(h, clock_ms_since(start) < WAIT_MS, "requests are used in the end");
		pause();
	}
}

void hostile_wait_broken(struct hostile *h)
{
	uint64_t start = read_tsc();
	while (!(hostile_status(h) & VIRTIO_CONFIG_S_NEEDS_RESET))
		hostile_expect(h, clock_ms_since(start) < WAIT_MS, "a broken queue has the device ask for a reset");
}
