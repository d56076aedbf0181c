/* Rows HOS-72 to HOS-79: PCI and MSI-X misused. */
#include "tests/guest/hostile.h"

#include <linux/pci_regs.h>

#include "kvm/board.h"
#include "tests/guest/pci.h"
#include "tests/guest/segments.h"
#include "tests/guest/x86.h"

#define PORT_DATA (BOARD_PORT_PCI + 4)
#define MSIX_ENTRY_LEN 16
#define N_VECTORS_OF_DEVICE 6
#define MSIX_ON 0x8000
#define MSIX_MASK_ALL 0x4000

static void config_write(struct hostile *h, unsigned offset, unsigned size, uint32_t value)
{
	pci_read(h->slot, offset & 0xFC); /* selects it */
	if (size == 4)
		out32(PORT_DATA, value);
	else if (size == 2)
		out16((uint16_t)(PORT_DATA + (offset & 3)), (uint16_t)value);
	else
		out8((uint16_t)(PORT_DATA + (offset & 3)), (uint8_t)value);
}

static void message_control(struct hostile *h, uint16_t value)
{
	config_write(h, h->msix_cap + PCI_MSIX_FLAGS, 2, value);
}

/* One that this guest takes without a word. */
static uint32_t any_vector(struct hostile *h)
{
	return VECTOR_TIMER + 1 + hostile_random(h, N_VECTORS - VECTOR_TIMER - 1);
}

/* A message to a processor that is not there, or to us. */
static void set_vector(struct hostile *h, unsigned vector, bool to_us)
{
	uint64_t at = h->msix_table + vector * MSIX_ENTRY_LEN;
	hostile_write(at, 4, BOARD_LAPIC_BASE | (to_us ? 0 : 0x0F000));
	hostile_write(at + 4, 4, 0);
	hostile_write(at + 8, 4, any_vector(h));
	hostile_write(at + 12, 4, 0);
}

static void empty_request(struct hostile *h)
{
	hostile_send(h, INFLATE, h->q[INFLATE].data, 0, 0);
	hostile_wait_used(h, INFLATE);
}

static void no_vectors(struct hostile *h)
{
	for (unsigned i = 0; i < HOS_COUNT(hos_72_vectors); i++) {
		hostile_cc_write(h, VIRTIO_PCI_COMMON_MSIX, 2, hos_72_vectors[i]);
		hostile_q_write(h, INFLATE, VIRTIO_PCI_COMMON_Q_MSIX, 2, hos_72_vectors[i]);
		hostile_expect(h, hostile_cc(h, VIRTIO_PCI_COMMON_MSIX, 2) == 0xFFFF, "a vector out of range is none");
		hostile_expect(h, hostile_q(h, INFLATE, VIRTIO_PCI_COMMON_Q_MSIX, 2) == 0xFFFF, "a vector out of range is none");
	}
	message_control(h, MSIX_ON);
	empty_request(h);
}

static void masks(struct hostile *h)
{
	static const uint16_t controls[] = {0, MSIX_ON, MSIX_ON | MSIX_MASK_ALL, MSIX_MASK_ALL};
	hostile_q_write(h, INFLATE, VIRTIO_PCI_COMMON_Q_MSIX, 2, 1);
	set_vector(h, 1, hostile_random(h, 2));
	for (unsigned i = 0; i < 16; i++) {
		message_control(h, controls[hostile_random(h, 4)]);
		hostile_write(h->msix_table + MSIX_ENTRY_LEN + 12, 4, hostile_random(h, 2));
		empty_request(h);
	}
}

/* KVM looks at few bits of the address, so each may reach this guest's own local APIC: it must not stop the processor. */
static void wild_messages(struct hostile *h)
{
	static const uint64_t wild[] = {0, 0xC0000000, 0xFEC00000, 0xFEDFFFFC, 0xFFFFFFFFFFFFFFF0, 0x123456789ABCDEF1};
	uint64_t address = hostile_random(h, 2) ? wild[hostile_random(h, HOS_COUNT(wild))] : hostile_random_page(h);
	volatile uint64_t *word = (uint64_t *)hostile_random_page(h);
	uint64_t before = *word;
	hostile_q_write(h, INFLATE, VIRTIO_PCI_COMMON_Q_MSIX, 2, 1);
	hostile_write(h->msix_table + MSIX_ENTRY_LEN, 8, hostile_random(h, 4) ? address : (uintptr_t)word);
	hostile_write(h->msix_table + MSIX_ENTRY_LEN + 8, 4, (hostile_random64(h) & ~0x7FFULL) | any_vector(h));
	hostile_write(h->msix_table + MSIX_ENTRY_LEN + 12, 4, 0);
	message_control(h, MSIX_ON);
	for (unsigned i = 0; i < 4; i++)
		empty_request(h);
	hostile_expect(h, *word == before, "a message is never written to RAM");
}

/* MSI-X stays off: what lies in the table afterwards may be anything. */
static void table_access(struct hostile *h)
{
	message_control(h, 0);
	for (unsigned i = 0; i < 256; i++) {
		uint64_t at = h->bar + 0x1000 + hostile_random(h, 0xFF9);
		hostile_write(at, 1u << hostile_random(h, 4), hostile_random64(h));
		hostile_read(at, 1u << hostile_random(h, 4));
	}
	for (unsigned i = 0; i < N_VECTORS_OF_DEVICE; i++)
		set_vector(h, i, false);
}

static uint32_t aim(struct hostile *h, uint32_t bar, uint32_t offset, uint32_t len)
{
	config_write(h, h->window_cap + 4, 1, bar);
	config_write(h, h->window_cap + 8, 4, offset);
	config_write(h, h->window_cap + 12, 4, len);
	return pci_read(h->slot, h->window_cap + 16);
}

static void window(struct hostile *h)
{
	uint32_t status = (uint32_t)(h->balloon->dev.common - h->bar + VIRTIO_PCI_COMMON_STATUS);
	hostile_expect(h, aim(h, 1 + hostile_random(h, 255), 0, 4) == 0, "a window to no BAR reads 0");
	pci_write(h->slot, h->window_cap + 16, 0);
	hostile_expect(h, aim(h, 0, status, hos_76_lens[hostile_random(h, HOS_COUNT(hos_76_lens))]) == 0, "a window of a bad length reads 0");
	pci_write(h->slot, h->window_cap + 16, 0);
	hostile_expect(h, aim(h, 0, hos_76_offsets[hostile_random(h, HOS_COUNT(hos_76_offsets))], 4) == 0, "a window at a bad offset reads 0");
	pci_write(h->slot, h->window_cap + 16, 0);
	hostile_expect(h, aim(h, 0, status, 1) == STATUS_UP, "a good window reads the status");
	aim(h, 0, (uint32_t)(h->msix_table - h->bar) + 8, 4);
	pci_write(h->slot, h->window_cap + 16, 0x41);
}

/* Sizing with decoding on is among the places. RAM keeps what it holds. */
static void moved_bar(struct hostile *h)
{
	const uint32_t places[] = {0,	       0x10000,	   (uint32_t)h->arena, (uint32_t)h->arena_end,
				   0xBFFFF000, 0xC0100000, 0xDFFFE000,	       0xE0000000,
				   0xFEE00000, 0xFEC00000, 0xFFFFFFFF,	       0xFFFFE000};
	volatile uint64_t *word = (uint64_t *)h->arena;
	uint64_t before = *word;
	for (unsigned i = 0; i < 8; i++) {
		pci_write(h->slot, PCI_BASE_ADDRESS_0, places[hostile_random(h, HOS_COUNT(places))]);
		uint64_t bar = pci_read(h->slot, PCI_BASE_ADDRESS_0) & (uint32_t)PCI_BASE_ADDRESS_MEM_MASK;
		bool in_window = bar >= BOARD_PCI_WINDOW_BASE && bar < BOARD_PCI_WINDOW_BASE + BOARD_PCI_WINDOW_LEN;
		if (in_window)
			hostile_expect(h, hostile_read(bar + (h->balloon->dev.common - h->bar) + VIRTIO_PCI_COMMON_STATUS, 1) == STATUS_UP,
				       "registers are where the BAR says");
		hostile_expect(h, *word == before, "RAM is before a BAR over it");
	}
	for (unsigned i = 0; i < 16; i++)
		config_write(h, PCI_BASE_ADDRESS_0 + i % 4, 1, hostile_random(h, 256));
	hostile_kick(h, INFLATE); /* where nobody may be */
}

static void decode_off(struct hostile *h)
{
	hostile_send(h, INFLATE, h->noise, HOSTILE_NOISE_LEN, 0);
	pci_write(h->slot, PCI_COMMAND, hostile_random(h, 2) ? 0 : PCI_COMMAND_MEMORY);
	if (!(pci_read(h->slot, PCI_COMMAND) & PCI_COMMAND_MEMORY))
		hostile_expect(h, hostile_status(h) == 0xFF, "registers that are not decoded read all ones");
	if (hostile_random(h, 2))
		return;
	pci_write(h->slot, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	hostile_wait_used(h, INFLATE);
}

/* MSI-X and its mask are left to the other rows: the table may have any message. */
static void config_space(struct hostile *h)
{
	for (unsigned i = 0; i < 64; i++) {
		unsigned size = 1u << hostile_random(h, 3), offset = hostile_random(h, 256 / size) * size;
		if (offset < h->msix_cap || offset >= h->msix_cap + 4)
			config_write(h, offset, size, hostile_random(h, 2) ? 0xFFFFFFFF : (uint32_t)hostile_random64(h));
		uint64_t ecam = BOARD_ECAM_BASE + ((uint64_t)h->slot << 15) + hostile_random(h, 4089);
		hostile_read(ecam, 1u << hostile_random(h, 4));
	}
	hostile_expect(h, pci_read(h->slot, PCI_VENDOR_ID) == 0x10451AF4, "the identity cannot be written");
	hostile_expect(h, hostile_read(BOARD_ECAM_BASE + ((uint64_t)h->slot << 15) + 0x100, 4) == 0xFFFFFFFF, "there is no extended space");
}

const struct hostile_act hostile_pci[] = {
	{"HOS-72", no_vectors, true},	 {"HOS-73", masks, true},	  {"HOS-74", wild_messages, true},
	{"HOS-75", table_access, false}, {"HOS-76", window, true},	  {"HOS-77", moved_bar, true},
	{"HOS-78", decode_off, true},	 {"HOS-79", config_space, false}, {NULL, NULL, false},
};
