/*
 * The input is a list of accesses to configuration space, by ports, by ECAM
 * and through the window, to the BAR and to places around it.
 */
#include <linux/pci_regs.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/fuzz/machine.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct fakeguest fg;

static void access_at(enum io_space space, uint64_t address, unsigned size, bool write, uint64_t value)
{
	if (write)
		fakehost_write(fg.fh, space, address, size, value);
	else
		fakehost_read(fg.fh, space, address, size);
}

static uint64_t ecam_address(uint16_t where)
{
	/* Mostly the device, sometimes the bridge and what is not there. */
	unsigned devfn = where >> 12 < 12 ? FG_SLOT << 3 : (where >> 12) * 7 % 256 + (where >> 12 == 12 ? 0U : 1U);
	return FG_ECAM_BASE + ((uint64_t)devfn << 12) + (where & 0xFFF ? where & 0x1FF : where & 0xFFF);
}

static void step(struct fuzz_input *in)
{
	uint8_t how = fuzz_u8(in);
	uint16_t where = fuzz_u16(in);
	bool write = how & 0x80;
	unsigned size = 1u << (how >> 5 & 3);
	uint64_t value = write ? fuzz_u32(in) : 0;

	switch (how % 8) {
	case 0:
		access_at(IO_MMIO, ecam_address(where), size, write, value);
		break;
	case 1: /* select the device's register, then the data port */
		access_at(IO_PIO, 0xCF8, 4, true, 0x80000000 | FG_SLOT << 11 | (where & 0xFC));
		access_at(IO_PIO, 0xCFC + (where & 3), size > 4 ? 4 : size, write, value);
		break;
	case 2:
		access_at(IO_PIO, 0xCF0 + where % 0x20, size > 4 ? 4 : size, write, value);
		break;
	case 3:
		access_at(IO_MMIO, FG_MMIO_BASE + where % 0x2100, size, write, value | value << 32);
		break;
	case 4: /* wherever the BAR is now */
		access_at(IO_MMIO, (fg_pcicfg(&fg, PCI_BASE_ADDRESS_0, 4) & ~0xFULL) + where % 0x2000, size, write, value | value << 32);
		break;
	case 5: /* aim the window and use it */
		fg_pcicfg_write(&fg, fg.window_cap + 4, 1, how & 0x10 ? value & 0xFF : 0);
		fg_pcicfg_write(&fg, fg.window_cap + 8, 4, where);
		fg_pcicfg_write(&fg, fg.window_cap + 12, 4, how & 0x08 ? (uint32_t)value : size);
		access_at(IO_MMIO, FG_ECAM_BASE + (FG_SLOT << 15) + fg.window_cap + 16, 4, write, value);
		break;
	case 6:
		fg_bar_write(&fg, fg.msix_table + where % 0x60, size, value);
		fg_pcicfg_write(&fg, fg.msix_cap + 2, 2, (uint32_t)value);
		break;
	default:
		if (where & 1)
			fg_init(&fg, fg_offered(&fg) & ~F_VERSION_1);
		else if (where & 2)
			balloon_set_target(fg.dev, (where >> 2) * 4096ULL);
		else if (where & 4)
			fg_kick(&fg, where % 5);
		else if (where & 8)
			device_reset(fg.dev);
		else
			fakehost_run_work(fg.fh);
	}
}

static void expect(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "fuzz_pci: %s\n", what);
	abort();
}

/* What no guest can change, and what follows from what it did. */
static void check(void)
{
	uint32_t command = fg_pcicfg(&fg, PCI_COMMAND, 2), status = fg_pcicfg(&fg, PCI_STATUS, 2), bar = fg_pcicfg(&fg, PCI_BASE_ADDRESS_0, 4);
	bool in_window = bar >= FG_MMIO_BASE && bar < FG_MMIO_BASE + FG_MMIO_LEN;
	expect(fg_pcicfg(&fg, 0, 4) == 0x10451AF4 && fg_pcicfg(&fg, PCI_CLASS_REVISION, 4) == 0x00FF0001, "IDs changed");
	expect(fg_pcicfg(&fg, 0x2C, 4) == 0x10451AF4 && fg_pcicfg(&fg, PCI_HEADER_TYPE, 1) == 0, "header changed");
	expect((bar & 0x1FFF) == 0, "BAR's low bits changed");
	for (unsigned i = 1; i < 6; i++)
		expect(fg_pcicfg(&fg, PCI_BASE_ADDRESS_0 + 4 * i, 4) == 0, "a BAR that is not there has a value");
	expect(fg.fh->n_regions == 2U + ((command & PCI_COMMAND_MEMORY) && in_window), "decoding does not follow the registers");
	expect(fg.fh->irq_level[FG_GSI] == ((status & PCI_STATUS_INTERRUPT) && !(command & PCI_COMMAND_INTX_DISABLE)), "INTx does not follow the registers");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct fuzz_input in = {data, len};
	fuzz_machine_begin(&fg, &in);
	while (in.left) {
		step(&in);
		check();
	}
	fuzz_machine_end(&fg);
	return 0;
}
