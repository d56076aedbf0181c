/* Rows PCI-ID, PCI-BUS, PCI-CAP, PCI-CFG and PCI-DEV: configuration space and what it points to. */
#include "tests/conformance/fd.h"

static unsigned virtio_cap(uint8_t type)
{
	for (unsigned at = fg_pcicfg(&fg, PCI_CAPABILITY_LIST, 1); at; at = fg_pcicfg(&fg, at + 1, 1))
		if (fg_pcicfg(&fg, at, 1) == PCI_CAP_ID_VNDR && fg_pcicfg(&fg, at + 3, 1) == type)
			return at;
	return 0;
}

static void pci_id(void)
{
	fd_begin();
	CU_ASSERT_EQUAL(fg_pcicfg(&fg, 0, 2), 0x1AF4);
	CU_ASSERT_EQUAL(fg_pcicfg(&fg, 2, 2), 0x1045);
	CU_ASSERT_TRUE(fg_pcicfg(&fg, PCI_REVISION_ID, 1) >= 1);
	CU_ASSERT_TRUE(fg_pcicfg(&fg, 0x2E, 2) >= 0x40);
	CU_ASSERT_EQUAL(fg_pcicfg(&fg, PCI_HEADER_TYPE, 1), 0);
	fd_end();
}

static void pci_bus_01(void)
{
	fd_begin();
	for (unsigned i = 0; i < 6; i++) {
		unsigned reg = PCI_BASE_ADDRESS_0 + 4 * i;
		uint32_t before = fg_pcicfg(&fg, reg, 4);
		fg_pcicfg_write(&fg, reg, 4, 0xFFFFFFFF);
		uint32_t mask = fg_pcicfg(&fg, reg, 4);
		fg_pcicfg_write(&fg, reg, 4, before);
		CU_ASSERT_EQUAL(fg_pcicfg(&fg, reg, 4), before);
		CU_ASSERT_EQUAL(mask & 0xF, 0); /* memory, 32 bits */
		CU_ASSERT_EQUAL(mask != 0, i == 0);
		if (mask) {
			uint32_t len = ~mask + 1;
			CU_ASSERT_TRUE(len >= 4096 && (len & (len - 1)) == 0 && before % len == 0);
		}
	}
	fg_status_write(&fg, 3);
	fg_pcicfg_write(&fg, PCI_COMMAND, 2, PCI_COMMAND_MASTER);
	CU_ASSERT_EQUAL(fg_status(&fg), 0xFF);
	fg_status_write(&fg, 0);
	fg_pcicfg_write(&fg, PCI_COMMAND, 2, PCI_COMMAND_MASTER | PCI_COMMAND_MEMORY);
	CU_ASSERT_EQUAL(fg_status(&fg), 3);
	fd_end();
}

static void pci_bus_02(void)
{
	fd_init(0);
	fg_pcicfg_write(&fg, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	fd_inflate(0, 1);
	balloon_set_target(fg.dev, MIB);
	fakehost_settle(fg.fh, 10);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), 0);
	CU_ASSERT_EQUAL(fd_messages(), 0);
	CU_ASSERT_EQUAL(fg.fh->n_discards, 0);
	fg_pcicfg_write(&fg, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	fakehost_settle(fg.fh, 10);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), 1);
	CU_ASSERT_EQUAL(fg_irqs(&fg, 1), 1);
	CU_ASSERT_EQUAL(fg_irqs(&fg, 0), 1);
	fd_end();
}

static void pci_bus_03(void)
{
	fd_begin();
	CU_ASSERT_TRUE(fg_pcicfg(&fg, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST);
	unsigned steps = 0, at = fg_pcicfg(&fg, PCI_CAPABILITY_LIST, 1);
	for (; at && steps < 48; steps++, at = fg_pcicfg(&fg, at + 1, 1))
		CU_ASSERT_TRUE(at >= 0x40 && at % 4 == 0);
	CU_ASSERT_EQUAL(at, 0);
	CU_ASSERT_EQUAL(steps, 6);
	/* Of the window's capability offset, length, BAR and data may be written; of MSI-X two flags. */
	for (unsigned reg = 0; reg < 256; reg++) {
		bool window = reg == fg.window_cap + 4 || (reg >= fg.window_cap + 8 && reg < fg.window_cap + 20);
		bool header = (reg >= PCI_COMMAND && reg < PCI_STATUS) || reg == PCI_CACHE_LINE_SIZE || reg == PCI_INTERRUPT_LINE ||
			      (reg >= PCI_BASE_ADDRESS_0 && reg < PCI_BASE_ADDRESS_1);
		if (window || header || reg == fg.msix_cap + 3)
			continue;
		uint32_t before = fg_pcicfg(&fg, reg, 1);
		fg_pcicfg_write(&fg, reg, 1, 0xFF);
		fg_pcicfg_write(&fg, reg, 1, ~before & 0xFF);
		CU_ASSERT_EQUAL(fg_pcicfg(&fg, reg, 1), before);
	}
	fd_end();
}

static void pci_cap(void)
{
	struct {
		uint64_t begin, end;
	} used[8];
	size_t n = 0;
	fd_begin();
	uint32_t before = fg_pcicfg(&fg, PCI_BASE_ADDRESS_0, 4);
	fg_pcicfg_write(&fg, PCI_BASE_ADDRESS_0, 4, 0xFFFFFFFF);
	uint32_t bar_len = ~fg_pcicfg(&fg, PCI_BASE_ADDRESS_0, 4) + 1;
	fg_pcicfg_write(&fg, PCI_BASE_ADDRESS_0, 4, before);
	for (uint8_t type = 1; type <= 5; type++) {
		unsigned at = virtio_cap(type), count = 0;
		CU_ASSERT_NOT_EQUAL_FATAL(at, 0);
		for (unsigned i = fg_pcicfg(&fg, PCI_CAPABILITY_LIST, 1); i; i = fg_pcicfg(&fg, i + 1, 1))
			count += fg_pcicfg(&fg, i, 1) == PCI_CAP_ID_VNDR && fg_pcicfg(&fg, i + 3, 1) == type;
		CU_ASSERT_EQUAL(count, 1);
		CU_ASSERT_TRUE(fg_pcicfg(&fg, at + 2, 1) >= (type == 2 || type == 5 ? 20 : 16));
		if (type == 5)
			continue;
		uint32_t offset = fg_pcicfg(&fg, at + 8, 4), len = fg_pcicfg(&fg, at + 12, 4);
		CU_ASSERT_EQUAL(fg_pcicfg(&fg, at + 4, 1), 0);
		CU_ASSERT_TRUE(len && (uint64_t)offset + len <= bar_len);
		used[n].begin = offset;
		used[n++].end = offset + len;
	}
	used[n].begin = fg.msix_table;
	used[n++].end = fg.msix_table + 16 * fg.n_vectors;
	used[n].begin = fg.msix_pba;
	used[n++].end = fg.msix_pba + 8;
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < i; j++)
			CU_ASSERT_TRUE(used[i].end <= used[j].begin || used[j].end <= used[i].begin);
	CU_ASSERT_TRUE(fg.msix_table + 16 * fg.n_vectors <= bar_len && fg.msix_pba + 8 <= bar_len);
	fd_end();
}

static void pci_cc_01(void)
{
	fd_begin();
	unsigned at = virtio_cap(1);
	CU_ASSERT_EQUAL(fg_pcicfg(&fg, at + 8, 4) % 4, 0);
	CU_ASSERT_TRUE(fg_pcicfg(&fg, at + 12, 4) >= 60);
	fd_end();
}

static void pci_dev_01(void)
{
	fd_begin();
	unsigned at = virtio_cap(4);
	CU_ASSERT_EQUAL(fg_pcicfg(&fg, at + 8, 4) % 4, 0);
	CU_ASSERT_TRUE(fg_pcicfg(&fg, at + 12, 4) >= 16);
	fd_end();
}

static void pci_cfg_01(void)
{
	const unsigned fields[][2] = {{4, 1}, {8, 4}, {12, 4}};
	fd_begin();
	for (unsigned i = 0; i < 3; i++)
		for (uint32_t value = 1; value; value <<= 1) {
			uint32_t want = fields[i][1] == 1 ? value & 0xFF : value;
			fg_pcicfg_write(&fg, fg.window_cap + fields[i][0], fields[i][1], want);
			CU_ASSERT_EQUAL(fg_pcicfg(&fg, fg.window_cap + fields[i][0], fields[i][1]), want);
		}
	fd_end();
}

/* A bring-up and a request through nothing but the window, with memory decoding off. */
static void pci_cfg_02_03(void)
{
	fd_begin();
	fg_pcicfg_write(&fg, PCI_COMMAND, 2, PCI_COMMAND_MASTER);
	const unsigned cc = fg.common;
	fg.q[0] = (struct fakeguest_queue){.size = 64, .desc = FG_RING(0), .avail = FG_RING(0) + 0x6000, .used = FG_RING(0) + 0x8000};
	fd_window_write(cc + CC_STATUS, 1, 3);
	fd_window_write(cc + CC_DRV_FEAT_SEL, 4, 1);
	fd_window_write(cc + CC_DRV_FEAT, 4, 1);
	fd_window_write(cc + CC_STATUS, 1, 0xB);
	CU_ASSERT_EQUAL(fg_window(&fg, 0, cc + CC_STATUS, 1), 0xB);
	fd_window_write(cc + CC_Q_SELECT, 2, 0);
	fd_window_write(cc + CC_Q_SIZE, 2, 64);
	fd_window_write(cc + CC_Q_DESC, 4, (uint32_t)fg.q[0].desc);
	fd_window_write(cc + CC_Q_DRIVER, 4, (uint32_t)fg.q[0].avail);
	fd_window_write(cc + CC_Q_DEVICE, 4, (uint32_t)fg.q[0].used);
	fd_window_write(cc + CC_Q_ENABLE, 2, 1);
	fd_window_write(cc + CC_STATUS, 1, 0xF);
	fd_post(INFLATE, 0, 3);
	fd_window_write(fg.notify, 2, 0);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), 1);
	CU_ASSERT_TRUE(fakehost_was_discarded(fg.fh, FG_PAGES + 3 * 4096));
	CU_ASSERT_EQUAL(fg_window(&fg, 0, fg.isr, 1), 1);
	CU_ASSERT_EQUAL(fg_window(&fg, 0, fg.isr, 1), 0);
	/* The same fields both ways. */
	fg_pcicfg_write(&fg, PCI_COMMAND, 2, PCI_COMMAND_MASTER | PCI_COMMAND_MEMORY);
	for (unsigned offset = 0; offset < CC_LEN; offset += 2) {
		CU_ASSERT_EQUAL(fg_window(&fg, 0, cc + offset, 2), fg_cc(&fg, offset, 2));
		CU_ASSERT_EQUAL(fg_window(&fg, 0, cc + offset + 1, 1), fg_cc(&fg, offset + 1, 1));
		if (offset % 4 == 0)
			CU_ASSERT_EQUAL(fg_window(&fg, 0, cc + offset, 4), fg_cc(&fg, offset, 4));
	}
	fd_end();
}

static const struct test_case cases[] = {
	{"PCI-ID-01 PCI-ID-02 PCI-ID-03 PCI-ID-04 PCI-ID-05", pci_id},
	{"PCI-BUS-01", pci_bus_01},
	{"PCI-BUS-02", pci_bus_02},
	{"PCI-BUS-03", pci_bus_03},
	{"PCI-CAP-01 PCI-CAP-02 PCI-CAP-03 PCI-ISR-01", pci_cap},
	{"PCI-CC-01", pci_cc_01},
	{"PCI-DEV-01", pci_dev_01},
	{"PCI-CFG-01", pci_cfg_01},
	{"PCI-CFG-02 PCI-CFG-03", pci_cfg_02_03},
};

TEST_SUITE(pci_config, cases);
