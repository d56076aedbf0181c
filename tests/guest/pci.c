#include "tests/guest/pci.h"

#include <linux/pci_regs.h>

#include "kvm/board.h"
#include "tests/guest/memory.h"
#include "tests/guest/report.h"
#include "tests/guest/x86.h"

/* PCI Local Bus 3.0, section 3.2.2.3.2: enable in bit 31, device in bits 11 to 15, register in bits 2 to 7. */
#define CONFIG_ENABLE 0x80000000u
#define CONFIG_DATA (BOARD_PORT_PCI + 4)
#define N_SLOTS 32

static void select_register(unsigned slot, unsigned offset)
{
	out32(BOARD_PORT_PCI, CONFIG_ENABLE | slot << 11 | offset);
}

uint32_t pci_read(unsigned slot, unsigned offset)
{
	select_register(slot, offset);
	return in32(CONFIG_DATA);
}

void pci_write(unsigned slot, unsigned offset, uint32_t value)
{
	select_register(slot, offset);
	out32(CONFIG_DATA, value);
}

bool pci_find(uint16_t vendor, uint16_t device, unsigned *slot)
{
	for (*slot = 0; *slot < N_SLOTS; ++*slot)
		if (pci_read(*slot, PCI_VENDOR_ID) == ((uint32_t)device << 16 | vendor))
			return true;
	return false;
}

struct bar {
	uint64_t gpa;
	uint64_t len;
};

static uint64_t read_bar(unsigned slot, unsigned reg, bool is_64bit)
{
	uint64_t value = pci_read(slot, reg) & (uint32_t)PCI_BASE_ADDRESS_MEM_MASK;
	if (is_64bit)
		value |= (uint64_t)pci_read(slot, reg + 4) << 32;
	return value;
}

static void write_bar(unsigned slot, unsigned reg, bool is_64bit, uint64_t value)
{
	pci_write(slot, reg, (uint32_t)value);
	if (is_64bit)
		pci_write(slot, reg + 4, (uint32_t)(value >> 32));
}

/* The length is what the bits that can be written leave out. Decoding is off meanwhile. */
static struct bar size_bar(unsigned slot, unsigned reg, bool is_64bit)
{
	struct bar bar = {.gpa = read_bar(slot, reg, is_64bit)};
	write_bar(slot, reg, is_64bit, UINT64_MAX);
	uint64_t mask = read_bar(slot, reg, is_64bit) | (is_64bit ? 0 : 0xFFFFFFFF00000000ULL);
	write_bar(slot, reg, is_64bit, bar.gpa);
	bar.len = mask << 32 ? -mask : 0;
	return bar;
}

static uint64_t place_bar(uint64_t *window, const struct bar *bar)
{
	uint64_t gpa = (*window + bar->len - 1) & -bar->len;
	*window = gpa + bar->len;
	if (*window > BOARD_PCI_WINDOW_BASE + BOARD_PCI_WINDOW_LEN)
		fail("a PCI BAR of %#lx bytes does not fit the window at %#lx", bar->len, (uint64_t)BOARD_PCI_WINDOW_BASE);
	return gpa;
}

void pci_enable(unsigned slot, uint64_t bars[6])
{
	uint64_t window = BOARD_PCI_WINDOW_BASE;
	uint32_t command = pci_read(slot, PCI_COMMAND) & 0xFFFF; /* the upper half is the status register, where a one clears a bit */
	pci_write(slot, PCI_COMMAND, command & ~(uint32_t)(PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER));
	for (unsigned i = 0; i < 6; i++) {
		unsigned reg = PCI_BASE_ADDRESS_0 + 4 * i;
		uint32_t type = pci_read(slot, reg);
		bool is_64bit = (type & PCI_BASE_ADDRESS_MEM_TYPE_MASK) == PCI_BASE_ADDRESS_MEM_TYPE_64 && !(type & PCI_BASE_ADDRESS_SPACE_IO);
		struct bar bar = {0};
		if (!(type & PCI_BASE_ADDRESS_SPACE_IO))
			bar = size_bar(slot, reg, is_64bit);
		if (bar.len && !bar.gpa) {
			bar.gpa = place_bar(&window, &bar);
			write_bar(slot, reg, is_64bit, bar.gpa);
		}
		bars[i] = bar.gpa;
		if (bar.len)
			mem_map(bar.gpa, bar.len);
		if (is_64bit)
			bars[++i] = 0;
	}
	pci_write(slot, PCI_COMMAND, command | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}
