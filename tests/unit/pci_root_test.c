#include "device/pci_root.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <string.h>

#include "tests/unit/fakehost.h"
#include "tests/unit/suite.h"

#define WINDOW 0xC0000000ULL
#define ECAM 0xE0000000ULL
#define BAR0 PCI_BASE_ADDRESS_0

static struct fakehost *fh;
static struct pci_root *root;
static struct pci_function fns[3];
static uint32_t regs[3];
static pthread_mutex_t locks[3] = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER};

static uint64_t reg_read(void *opaque, uint64_t offset, unsigned size)
{
	(void)size;
	return offset ? 0 : *(uint32_t *)opaque & (size == 4 ? 0xFFFFFFFF : 0xFF);
}

static void reg_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
	(void)size;
	if (!offset)
		*(uint32_t *)opaque = (uint32_t)value;
}

static const struct io_ops reg_ops = {reg_read, reg_write};

static const struct pci_root_params good = {
	.port = 0xCF8, .ecam_base = ECAM, .ecam_len = 1 << 20, .mmio_base = WINDOW, .mmio_len = 0x10000000, .gsi_base = 16, .n_gsi = 8};

static void make_function(unsigned i, uint32_t bar_len)
{
	const struct pci_ids ids = {.vendor = 0x1111, .device = (uint16_t)(0x2220 + i), .class_code = 0xFF0000, .revision = 1, .intx = true};
	pci_function_init(&fns[i], NULL, &locks[i], &ids);
	pci_function_add_bar(&fns[i], 0, bar_len, &reg_ops, &regs[i]);
	regs[i] = 0x5A5A0000 + i;
}

/* fns[0] is in slot 5. */
static void begin(void)
{
	struct pci_root_params params = good;
	fh = fakehost_create(4096);
	params.host = &fh->host;
	CU_ASSERT_EQUAL_FATAL(pci_root_create(&params, &root), 0);
	make_function(0, 0x2000);
	CU_ASSERT_EQUAL_FATAL(pci_root_add(root, &fns[0], 5), 0);
}

static void end(void)
{
	for (unsigned i = 0; i < 3; i++)
		pci_root_remove(root, &fns[i]);
	pci_root_destroy(root);
	CU_ASSERT_EQUAL(fh->n_regions, 0);
	CU_ASSERT_EQUAL(fh->contract_errors, 0);
	fakehost_destroy(fh);
}

static void select_reg(unsigned bus, unsigned devfn, unsigned reg)
{
	fakehost_write(fh, IO_PIO, 0xCF8, 4, 0x80000000 | bus << 16 | devfn << 8 | reg);
}

static uint32_t port_read(unsigned devfn, unsigned reg, unsigned size)
{
	select_reg(0, devfn, reg & 0xFC);
	return (uint32_t)fakehost_read(fh, IO_PIO, 0xCFC + (reg & 3), size);
}

static uint32_t ecam_read(unsigned devfn, unsigned reg, unsigned size)
{
	return (uint32_t)fakehost_read(fh, IO_MMIO, ECAM + (devfn << 12) + reg, size);
}

static void ecam_write(unsigned devfn, unsigned reg, unsigned size, uint32_t value)
{
	fakehost_write(fh, IO_MMIO, ECAM + (devfn << 12) + reg, size, value);
}

static void test_bridge(void)
{
	begin();
	CU_ASSERT_EQUAL(port_read(0, 0, 4), 0x00081B36);
	CU_ASSERT_EQUAL(ecam_read(0, 0, 4), 0x00081B36);
	CU_ASSERT_EQUAL(ecam_read(0, PCI_CLASS_DEVICE, 2), 0x0600);
	CU_ASSERT_EQUAL(ecam_read(0, PCI_HEADER_TYPE, 1), 0);
	CU_ASSERT_EQUAL(ecam_read(0, PCI_CAPABILITY_LIST, 1), 0);
	end();
}

static void test_absent(void)
{
	begin();
	for (unsigned devfn = 1; devfn < 256; devfn++) {
		uint32_t want = devfn == 5 << 3 ? 0x22201111 : 0xFFFFFFFF;
		CU_ASSERT_EQUAL(port_read(devfn, 0, 4), want);
		CU_ASSERT_EQUAL(ecam_read(devfn, 0, 4), want);
		if (want == 0xFFFFFFFF)
			ecam_write(devfn, PCI_COMMAND, 2, 0xFFFF);
	}
	select_reg(1, 0, 0);
	CU_ASSERT_EQUAL(fakehost_read(fh, IO_PIO, 0xCFC, 4), 0xFFFFFFFF);
	CU_ASSERT_EQUAL(ecam_read(5 << 3, 0x100, 4), 0xFFFFFFFF);
	CU_ASSERT_EQUAL(ecam_read(5 << 3, 0xFFC, 4), 0xFFFFFFFF);
	end();
}

static void test_ports_by_piece(void)
{
	begin();
	CU_ASSERT_EQUAL(port_read(5 << 3, 0, 1), 0x11);
	CU_ASSERT_EQUAL(port_read(5 << 3, 2, 1), 0x20);
	CU_ASSERT_EQUAL(port_read(5 << 3, 3, 1), 0x22);
	CU_ASSERT_EQUAL(port_read(5 << 3, 2, 2), 0x2220);
	CU_ASSERT_EQUAL(port_read(5 << 3, 1, 2), 0x2011);
	select_reg(0, 5 << 3, PCI_INTERRUPT_LINE);
	fakehost_write(fh, IO_PIO, 0xCFC, 1, 0x77);
	CU_ASSERT_EQUAL(ecam_read(5 << 3, PCI_INTERRUPT_LINE, 2), 0x0177);
	end();
}

static void test_address_register(void)
{
	begin();
	fakehost_write(fh, IO_PIO, 0xCF8, 4, 0xFFFFFFFF);
	CU_ASSERT_EQUAL(fakehost_read(fh, IO_PIO, 0xCF8, 4), 0x80FFFFFC);
	/* Smaller writes are not to this register: Linux probes for just that. */
	fakehost_write(fh, IO_PIO, 0xCFB, 1, 1);
	CU_ASSERT_EQUAL(fakehost_read(fh, IO_PIO, 0xCF8, 4), 0x80FFFFFC);
	CU_ASSERT_EQUAL(fakehost_read(fh, IO_PIO, 0xCF8, 2), 0xFFFF);
	fakehost_write(fh, IO_PIO, 0xCF8, 4, 5 << 11);
	CU_ASSERT_EQUAL(fakehost_read(fh, IO_PIO, 0xCFC, 4), 0xFFFFFFFF); /* not enabled */
	end();
}

static void test_odd_accesses(void)
{
	begin();
	CU_ASSERT_EQUAL(fakehost_read(fh, IO_MMIO, ECAM + (5 << 15), 8), UINT64_MAX);
	CU_ASSERT_EQUAL(ecam_read(5 << 3, 2, 4), 0xFFFFFFFF);
	fakehost_write(fh, IO_MMIO, ECAM + (5 << 15) + PCI_COMMAND, 8, UINT64_MAX);
	ecam_write(5 << 3, PCI_COMMAND + 1, 4, 0xFFFFFFFF);
	CU_ASSERT_EQUAL(ecam_read(5 << 3, PCI_COMMAND, 2), 0);
	CU_ASSERT_EQUAL(fakehost_read(fh, IO_PIO, 0xCFB, 4), 0xFFFFFFFF);
	end();
}

static void test_read_only_bits(void)
{
	begin();
	for (unsigned reg = 0; reg < 256; reg += 4) {
		uint32_t before = ecam_read(5 << 3, reg, 4), may = 0;
		if (reg == PCI_COMMAND)
			may = PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE; /* Memory is tried elsewhere */
		if (reg == PCI_CACHE_LINE_SIZE)
			may = 0xFF;
		if (reg == BAR0)
			may = 0xFFFFE000;
		if (reg == PCI_INTERRUPT_LINE)
			may = 0xFF;
		ecam_write(5 << 3, reg, 4, reg == PCI_COMMAND ? ~(uint32_t)PCI_COMMAND_MEMORY : 0xFFFFFFFF);
		CU_ASSERT_EQUAL(ecam_read(5 << 3, reg, 4), before | may);
		ecam_write(5 << 3, reg, 4, 0);
		CU_ASSERT_EQUAL(ecam_read(5 << 3, reg, 4), before & ~may);
	}
	end();
}

static void test_decoding(void)
{
	begin();
	CU_ASSERT_EQUAL(ecam_read(5 << 3, BAR0, 4), WINDOW);
	CU_ASSERT_EQUAL(fakehost_read(fh, IO_MMIO, WINDOW, 4), 0xFFFFFFFF);
	ecam_write(5 << 3, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	CU_ASSERT_EQUAL(fakehost_read(fh, IO_MMIO, WINDOW, 4), 0x5A5A0000);
	fakehost_write(fh, IO_MMIO, WINDOW, 4, 9);
	ecam_write(5 << 3, PCI_COMMAND, 2, 0);
	CU_ASSERT_EQUAL(fakehost_read(fh, IO_MMIO, WINDOW, 4), 0xFFFFFFFF);
	fakehost_write(fh, IO_MMIO, WINDOW, 4, 10);
	ecam_write(5 << 3, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	CU_ASSERT_EQUAL(fakehost_read(fh, IO_MMIO, WINDOW, 4), 9);
	end();
}

static void test_bar_moves(void)
{
	begin();
	ecam_write(5 << 3, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	ecam_write(5 << 3, BAR0, 4, WINDOW + 0x100000);
	CU_ASSERT_EQUAL(fakehost_read(fh, IO_MMIO, WINDOW, 4), 0xFFFFFFFF);
	CU_ASSERT_EQUAL(fakehost_read(fh, IO_MMIO, WINDOW + 0x100000, 4), 0x5A5A0000);
	/* Sizing with decoding on: at all-ones nothing is decoded, and nothing is lost. */
	ecam_write(5 << 3, BAR0, 4, 0xFFFFFFFF);
	CU_ASSERT_EQUAL(ecam_read(5 << 3, BAR0, 4), 0xFFFFE000);
	CU_ASSERT_EQUAL(fakehost_read(fh, IO_MMIO, 0xFFFFE000, 4), 0xFFFFFFFF);
	ecam_write(5 << 3, BAR0, 4, (uint32_t)WINDOW);
	CU_ASSERT_EQUAL(fakehost_read(fh, IO_MMIO, WINDOW, 4), 0x5A5A0000);
	end();
}

/* Anywhere but in the window a BAR answers nobody. */
static void test_bar_outside_the_window(void)
{
	begin();
	ecam_write(5 << 3, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	const uint32_t places[] = {0, 0x10000, 0x08000000, 0xBFFFE000, 0xD0000000, (uint32_t)ECAM, 0xFEC00000, 0xFEE00000};
	for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
		ecam_write(5 << 3, BAR0, 4, places[i]);
		CU_ASSERT_EQUAL(fh->n_regions, 2); /* ports and ECAM */
	}
	ecam_write(5 << 3, BAR0, 4, 0xCFFFE000);
	CU_ASSERT_EQUAL(fh->n_regions, 3);
	end();
}

static void test_overlapping_bars(void)
{
	begin();
	make_function(1, 0x2000);
	CU_ASSERT_EQUAL(pci_root_add(root, &fns[1], 6), 0);
	ecam_write(5 << 3, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	ecam_write(6 << 3, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	ecam_write(6 << 3, BAR0, 4, (uint32_t)WINDOW);
	CU_ASSERT_EQUAL(fakehost_read(fh, IO_MMIO, WINDOW, 4), 0x5A5A0000);
	ecam_write(5 << 3, PCI_COMMAND, 2, 0);
	CU_ASSERT_EQUAL(fakehost_read(fh, IO_MMIO, WINDOW, 4), 0x5A5A0001);
	end();
}

static void test_host_refuses_to_map(void)
{
	begin();
	fh->io_map_error = -ENOSPC;
	ecam_write(5 << 3, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	CU_ASSERT_EQUAL(fakehost_read(fh, IO_MMIO, WINDOW, 4), 0xFFFFFFFF);
	fh->io_map_error = 0;
	ecam_write(5 << 3, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	CU_ASSERT_EQUAL(fakehost_read(fh, IO_MMIO, WINDOW, 4), 0x5A5A0000);
	end();
}

static void test_slots(void)
{
	begin();
	make_function(1, 0x4000);
	CU_ASSERT_EQUAL(pci_root_add(root, &fns[1], 5), -EEXIST);
	CU_ASSERT_EQUAL(pci_root_add(root, &fns[1], 32), -EINVAL);
	CU_ASSERT_EQUAL(pci_root_add(root, &fns[1], 0), 0);
	CU_ASSERT_EQUAL(fns[1].slot, 1);
	CU_ASSERT_EQUAL(ecam_read(1 << 3, 0, 4), 0x22211111);
	CU_ASSERT_EQUAL(ecam_read(1 << 3, BAR0, 4), WINDOW + 0x4000); /* aligned to its length */
	make_function(2, 0x20000000);
	CU_ASSERT_EQUAL(pci_root_add(root, &fns[2], 0), -ENOSPC); /* larger than the window */
	pci_root_remove(root, &fns[1]);
	CU_ASSERT_EQUAL(ecam_read(1 << 3, 0, 4), 0xFFFFFFFF);
	end();
}

static void intx(unsigned i, bool pending)
{
	pthread_mutex_lock(&locks[i]);
	pci_function_set_intx(&fns[i], pending);
	pthread_mutex_unlock(&locks[i]);
}

static void test_shared_line(void)
{
	begin();
	make_function(1, 0x2000);
	make_function(2, 0x2000);
	CU_ASSERT_EQUAL(pci_root_add(root, &fns[1], 13), 0); /* 13 % 8 == 5 */
	CU_ASSERT_EQUAL(pci_root_add(root, &fns[2], 6), 0);
	intx(0, true);
	intx(1, true);
	intx(1, true);
	CU_ASSERT_TRUE(fh->irq_level[21]);
	CU_ASSERT_FALSE(fh->irq_level[22]);
	CU_ASSERT_EQUAL(fh->irq_raised[21], 1);
	intx(0, false);
	CU_ASSERT_TRUE(fh->irq_level[21]);
	intx(1, false);
	CU_ASSERT_FALSE(fh->irq_level[21]);
	intx(2, true);
	CU_ASSERT_TRUE(fh->irq_level[22]);
	pci_root_remove(root, &fns[2]);
	CU_ASSERT_FALSE(fh->irq_level[22]);
	end();
}

static void test_intx_disable(void)
{
	begin();
	ecam_write(5 << 3, PCI_COMMAND, 2, PCI_COMMAND_INTX_DISABLE);
	intx(0, true);
	CU_ASSERT_FALSE(fh->irq_level[21]);
	CU_ASSERT_TRUE(ecam_read(5 << 3, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT);
	ecam_write(5 << 3, PCI_COMMAND + 1, 1, 0);
	CU_ASSERT_TRUE(fh->irq_level[21]);
	intx(0, false);
	CU_ASSERT_FALSE(ecam_read(5 << 3, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT);
	end();
}

static void test_reset(void)
{
	begin();
	ecam_write(5 << 3, BAR0, 4, WINDOW + 0x100000);
	ecam_write(5 << 3, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	ecam_write(5 << 3, PCI_INTERRUPT_LINE, 1, 0x55);
	select_reg(0, 5 << 3, 4);
	intx(0, true);
	pci_root_reset_function(root, &fns[0]);
	pci_root_reset(root);
	CU_ASSERT_EQUAL(ecam_read(5 << 3, BAR0, 4), WINDOW);
	CU_ASSERT_EQUAL(ecam_read(5 << 3, PCI_COMMAND, 4), 0);
	CU_ASSERT_EQUAL(ecam_read(5 << 3, PCI_INTERRUPT_LINE, 1), 21);
	CU_ASSERT_EQUAL(fh->n_regions, 2);
	CU_ASSERT_FALSE(fh->irq_level[21]);
	CU_ASSERT_EQUAL(fakehost_read(fh, IO_PIO, 0xCF8, 4), 0);
	end();
}

static void test_bad_parameters(void)
{
	struct pci_root_params params = good;
	struct pci_root *r;
	fh = fakehost_create(4096);
	params.host = &fh->host;
	params.n_gsi = 0;
	CU_ASSERT_EQUAL(pci_root_create(&params, &r), -EINVAL);
	params.n_gsi = PCI_MAX_GSI + 1;
	CU_ASSERT_EQUAL(pci_root_create(&params, &r), -EINVAL);
	params = good;
	params.host = &fh->host;
	params.mmio_len = 0x40000001;
	CU_ASSERT_EQUAL(pci_root_create(&params, &r), -EINVAL);
	params = good;
	params.host = &fh->host;
	params.ecam_len = 4096;
	CU_ASSERT_EQUAL(pci_root_create(&params, &r), -EINVAL);
	params = good;
	params.host = &fh->host;
	fh->io_map_error = -ENOSPC;
	CU_ASSERT_EQUAL(pci_root_create(&params, &r), -ENOSPC);
	CU_ASSERT_EQUAL(fh->n_regions, 0);
	fakehost_destroy(fh);
	pci_root_destroy(NULL);
}

static const struct test_case cases[] = {
	{"bridge", test_bridge},
	{"absent", test_absent},
	{"ports by piece", test_ports_by_piece},
	{"address register", test_address_register},
	{"odd accesses", test_odd_accesses},
	{"read-only bits", test_read_only_bits},
	{"decoding", test_decoding},
	{"BAR moves", test_bar_moves},
	{"BAR outside the window", test_bar_outside_the_window},
	{"overlapping BARs", test_overlapping_bars},
	{"host refuses to map", test_host_refuses_to_map},
	{"slots", test_slots},
	{"shared line", test_shared_line},
	{"INTx disable", test_intx_disable},
	{"reset", test_reset},
	{"bad parameters", test_bad_parameters},
};

TEST_SUITE(pci_root, cases);
