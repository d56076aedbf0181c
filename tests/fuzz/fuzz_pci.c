/*
 * The input is a list of accesses to configuration space, by ports, by ECAM
 * and through the window, to the BAR and to places around it.
 */
#include <linux/pci_regs.h>

#include "tests/fuzz/driver.h"
#include "util/bytes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define MAX_STEPS 64

static void access_at(struct fuzz_machine *m, enum io_space space, uint64_t address, unsigned size, bool write, uint64_t value)
{
	uint8_t bytes[8];
	store_le64(bytes, value);
	if (!write)
		fakehost_read(m->fg.fh, space, address, size);
	else if (space == IO_MMIO && gmem_at(&m->fg.fh->host.gmem, address, size))
		fuzz_ram_write(address, bytes, size);
	else
		fakehost_write(m->fg.fh, space, address, size, value);
}

static uint64_t ecam_address(uint16_t where)
{
	/* Mostly the device, sometimes the bridge and what is not there. */
	unsigned devfn = where >> 12 < 12 ? FG_SLOT << 3 : (where >> 12) * 7 % 256 + (where >> 12 == 12 ? 0U : 1U);
	return FG_ECAM_BASE + ((uint64_t)devfn << 12) + (where & 0xE00 ? where & 0xFFF : where & 0x1FF);
}

static void use_window(struct fuzz_machine *m, uint8_t how, uint16_t where, unsigned size, uint32_t value)
{
	unsigned cap = m->fg.window_cap;
	fg_pcicfg_write(&m->fg, cap + 4, 1, how & 0x10 ? value & 0xFF : 0);
	fg_pcicfg_write(&m->fg, cap + 8, 4, where);
	fg_pcicfg_write(&m->fg, cap + 12, 4, how & 0x08 ? value : size);
	access_at(m, IO_MMIO, FG_ECAM_BASE + (FG_SLOT << 15) + cap + 16, 4, how & 0x80, value);
}

static void use_machine(struct fuzz_machine *m, struct fuzz_input *in, uint16_t where)
{
	switch (where % 8) {
	case 0:
		driver_bring_up(m, in);
		break;
	case 1:
		balloon_set_target(m->fg.dev, (uint64_t)(where >> 8) << 16);
		break;
	case 2:
		fg_kick(&m->fg, (where >> 8) % FG_N_QUEUES);
		break;
	case 3:
		device_reset(m->fg.dev);
		break;
	case 4:
		pci_root_reset(m->fg.root);
		break;
	case 5:
		driver_publish(m, (where >> 8) % FG_N_QUEUES, where >> 12);
		break;
	case 6:
		driver_host_call(m, in);
		break;
	default:
		fakehost_run_work(m->fg.fh);
	}
}

static void step(struct fuzz_machine *m, struct fuzz_input *in)
{
	uint8_t how = fuzz_u8(in);
	uint16_t where = fuzz_u16(in);
	bool write = how & 0x80;
	unsigned size = 1U << (how >> 5 & 3);
	uint64_t value = write ? fuzz_u32(in) : 0;

	switch (how % 8) {
	case 0:
		access_at(m, IO_MMIO, ecam_address(where), size, write, value);
		break;
	case 1: /* select the device's register, then the data port */
		access_at(m, IO_PIO, 0xCF8, 4, true, 0x80000000 | FG_SLOT << 11 | (where & 0xFC));
		access_at(m, IO_PIO, 0xCFC + (where & 3), size > 4 ? 4 : size, write, value);
		break;
	case 2:
		access_at(m, IO_PIO, 0xCF0 + where % 0x20, size > 4 ? 4 : size, write, value);
		break;
	case 3:
		access_at(m, IO_MMIO, FG_MMIO_BASE + where % 0x2100, size, write, value | value << 32);
		break;
	case 4: /* wherever the BAR is now */
		access_at(m, IO_MMIO, (fg_pcicfg(&m->fg, PCI_BASE_ADDRESS_0, 4) & ~0xFULL) + where % 0x2000, size, write, value | value << 32);
		break;
	case 5: /* aim the window and use it */
		use_window(m, how, where, size, (uint32_t)value);
		break;
	case 6:
		fg_bar_write(&m->fg, m->fg.msix_table + where % 0x60, size, value);
		fg_pcicfg_write(&m->fg, m->fg.msix_cap + 2, 2, (uint32_t)value);
		break;
	default:
		use_machine(m, in, where);
	}
}

/* What no guest can change, and what follows from what it did. */
static void check(struct fuzz_machine *m)
{
	struct fakeguest *fg = &m->fg;
	uint32_t command = fg_pcicfg(fg, PCI_COMMAND, 2), status = fg_pcicfg(fg, PCI_STATUS, 2), bar = fg_pcicfg(fg, PCI_BASE_ADDRESS_0, 4);
	bool in_window = bar >= FG_MMIO_BASE && bar < FG_MMIO_BASE + FG_MMIO_LEN;
	fuzz_expect(fg_pcicfg(fg, 0, 4) == 0x10451AF4 && fg_pcicfg(fg, PCI_CLASS_REVISION, 4) == 0x00FF0001, "IDs changed");
	fuzz_expect(fg_pcicfg(fg, 0x2C, 4) == 0x10451AF4 && fg_pcicfg(fg, PCI_HEADER_TYPE, 1) == 0, "header changed");
	fuzz_expect((bar & 0x1FFF) == 0, "BAR's low bits changed");
	for (unsigned i = 1; i < 6; i++)
		fuzz_expect(fg_pcicfg(fg, PCI_BASE_ADDRESS_0 + 4 * i, 4) == 0, "a BAR that is not there has a value");
	fuzz_expect(fg->fh->n_regions == 2U + ((command & PCI_COMMAND_MEMORY) && in_window), "decoding does not follow the registers");
	fuzz_expect(fg->fh->irq_level[FG_GSI] == ((status & PCI_STATUS_INTERRUPT) && !(command & PCI_COMMAND_INTX_DISABLE)),
		    "INTx does not follow the registers");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct fuzz_input in = {data, len};
	struct fuzz_machine *m = fuzz_machine_begin(&in);
	for (unsigned left = MAX_STEPS; in.left && left; left--) {
		step(m, &in);
		fuzz_machine_step(m);
	}
	check(m); /* once is enough: an input that ends earlier is an input, too */
	fuzz_machine_end(m);
	return 0;
}
