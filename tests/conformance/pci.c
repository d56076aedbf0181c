/* Rows PCI: the PCI transport. */
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

static void pci_lay_01(void)
{
	const unsigned regs[] = {CC_Q_DESC, CC_Q_DRIVER, CC_Q_DEVICE};
	fd_begin();
	fg_cc_write(&fg, CC_Q_SELECT, 2, 0);
	for (unsigned i = 0; i < 3; i++) {
		fg_cc_write(&fg, regs[i] + 4, 4, 0x11223344);
		fg_cc_write(&fg, regs[i], 4, 0x55667788);
		CU_ASSERT_EQUAL(fg_cc(&fg, regs[i], 4), 0x55667788);
		CU_ASSERT_EQUAL(fg_cc(&fg, regs[i] + 4, 4), 0x11223344);
		fg_cc_write(&fg, regs[i], 4, 1);
		fg_cc_write(&fg, regs[i] + 4, 4, 2);
		CU_ASSERT_EQUAL(fg_cc(&fg, regs[i], 8), 0x200000001);
		fg_cc_write(&fg, regs[i], 4, 9);
		CU_ASSERT_EQUAL(fg_cc(&fg, regs[i], 8), 0x200000009);
	}
	fd_end();
}

static void pci_lay_02(void)
{
	const struct {
		unsigned offset, size;
		uint64_t value;
	} fields[] = {
		{CC_DEV_FEAT_SEL, 4, 1},
		{CC_DRV_FEAT_SEL, 4, 1},
		{CC_DRV_FEAT, 4, 1},
		{CC_CFG_VEC, 2, 3},
		{CC_STATUS, 1, 3},
		{CC_Q_SELECT, 2, 2},
		{CC_Q_SIZE, 2, 64},
		{CC_Q_VEC, 2, 4},
		{CC_Q_DESC, 8, 0x1122334455667780},
		{CC_Q_DRIVER, 8, 0x99AABBCCDDEEFF00},
		{CC_Q_DEVICE, 8, 0x123456789ABCDEF0},
	};
	fd_begin();
	for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
		fg_cc_write(&fg, fields[i].offset, fields[i].size, fields[i].value);
		CU_ASSERT_EQUAL(fg_cc(&fg, fields[i].offset, fields[i].size), fields[i].value);
		for (unsigned b = 0; b < fields[i].size; b++)
			CU_ASSERT_EQUAL(fg_cc(&fg, fields[i].offset + b, 1), fields[i].value >> 8 * b & 0xFF);
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

static void pci_cc_02_03(void)
{
	fd_begin();
	CU_ASSERT_EQUAL(fg_offered(&fg), ALL_OFFERED);
	const uint32_t selects[] = {2, 3, 31, 0x80000000, 0xFFFFFFFF};
	for (size_t i = 0; i < sizeof selects / sizeof selects[0]; i++) {
		fg_cc_write(&fg, CC_DEV_FEAT_SEL, 4, selects[i]);
		CU_ASSERT_EQUAL(fg_cc(&fg, CC_DEV_FEAT, 4), 0);
		fg_cc_write(&fg, CC_DRV_FEAT_SEL, 4, selects[i]);
		fg_cc_write(&fg, CC_DRV_FEAT, 4, 0xFFFFFFFF);
		CU_ASSERT_EQUAL(fg_cc(&fg, CC_DRV_FEAT, 4), 0);
	}
	fg_accept(&fg, ALL_OFFERED);
	CU_ASSERT_EQUAL(fg_cc(&fg, CC_DRV_FEAT, 4), ALL_OFFERED >> 32);
	fg_cc_write(&fg, CC_DRV_FEAT_SEL, 4, 0);
	CU_ASSERT_EQUAL(fg_cc(&fg, CC_DRV_FEAT, 4), ALL_OFFERED & 0xFFFFFFFF);
	fd_end();
}

static void pci_cc_05(void)
{
	fd_init(ALL_TYPE);
	fg_status_write(&fg, 0);
	for (unsigned i = 0; i < 5; i++) {
		CU_ASSERT_EQUAL(fg_q(&fg, i, CC_Q_ENABLE, 2), 0);
		CU_ASSERT_EQUAL(fg_q(&fg, i, CC_Q_SIZE, 2), i < 2 ? 256 : 1024);
		CU_ASSERT_EQUAL(fg_q(&fg, i, CC_Q_VEC, 2), 0xFFFF);
		CU_ASSERT_EQUAL(fg_q(&fg, i, CC_Q_DESC, 8), 0);
	}
	CU_ASSERT_EQUAL(fg_cc(&fg, CC_CFG_VEC, 2), 0xFFFF);
	fd_end();
}

static uint64_t through_window(unsigned offset, unsigned size)
{
	fg_pcicfg_write(&fg, fg.window_cap + 4, 1, 0);
	fg_pcicfg_write(&fg, fg.window_cap + 8, 4, offset);
	fg_pcicfg_write(&fg, fg.window_cap + 12, 4, size);
	return fg_pcicfg(&fg, fg.window_cap + 16, 4);
}

static void write_window(unsigned offset, unsigned size, uint32_t value)
{
	through_window(offset, size); /* aims; the read does no harm where it is used */
	fg_pcicfg_write(&fg, fg.window_cap + 16, 4, value);
}

static void pci_cc_06(void)
{
	fd_begin();
	for (unsigned way = 0; way < 2; way++) {
		unsigned num_pages = fg.device + DC_NUM_PAGES;
		uint64_t value = way ? through_window(num_pages, 4) : fg_bar(&fg, num_pages, 4);
		uint64_t generation = fg_cc(&fg, CC_GENERATION, 1);
		for (uint64_t i = 0; i < 256; i++)
			balloon_set_target(fg.dev, (i + 1 + 300 * way) * 4096);
		CU_ASSERT_NOT_EQUAL(way ? through_window(num_pages, 4) : fg_bar(&fg, num_pages, 4), value);
		CU_ASSERT_NOT_EQUAL(fg_cc(&fg, CC_GENERATION, 1), generation);
		/* Nothing changed: it stands still. */
		generation = fg_cc(&fg, CC_GENERATION, 1);
		fg_bar(&fg, num_pages, 4);
		CU_ASSERT_EQUAL(fg_cc(&fg, CC_GENERATION, 1), generation);
	}
	fd_end();
}

static void pci_cc_08(void)
{
	const unsigned none[] = {5, 6, 0x7FFF, 0xFFFF};
	fd_begin();
	fg_negotiate(&fg, ALL_TYPE);
	for (unsigned i = 0; i < 4; i++) {
		CU_ASSERT_EQUAL(fg_q(&fg, none[i], CC_Q_SIZE, 2), 0);
		fg_q_write(&fg, none[i], CC_Q_SIZE, 2, 16);
		fg_q_write(&fg, none[i], CC_Q_ENABLE, 2, 1);
		CU_ASSERT_EQUAL(fg_q(&fg, none[i], CC_Q_SIZE, 2), 0);
		CU_ASSERT_EQUAL(fg_q(&fg, none[i], CC_Q_ENABLE, 2), 0);
	}
	fd_end();
}

static void pci_cc_09(void)
{
	const unsigned sizes[] = {100, 0, 3, 129, 255, 512, 32768, 65535};
	fd_begin();
	fg_q_write(&fg, 0, CC_Q_SIZE, 2, 64);
	for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		fg_q_write(&fg, 0, CC_Q_SIZE, 2, sizes[i]);
		CU_ASSERT_EQUAL(fg_q(&fg, 0, CC_Q_SIZE, 2), 64);
	}
	fd_end();
}

static void pci_cc_10(void)
{
	const uint16_t sizes[] = {1, 2, 8, 128, 256};
	fd_begin();
	for (unsigned s = 0; s < 5; s++) {
		fg_negotiate(&fg, 0);
		fg_msix_on(&fg);
		fg_queue_on(&fg, INFLATE, sizes[s]);
		fg_status_write(&fg, 0xF);
		for (unsigned i = 0; i < 3U * sizes[s]; i++) {
			fd_post_inflate(i % sizes[s], i);
			fg_kick(&fg, INFLATE);
			CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), i + 1);
			CU_ASSERT_EQUAL(fg_used_id(&fg, INFLATE, i % sizes[s]), i % sizes[s]);
		}
	}
	fd_end();
}

static void pci_cc_11(void)
{
	const unsigned fixed[] = {CC_DEV_FEAT, CC_NUM_QUEUES, CC_GENERATION, CC_Q_NOTIFY_OFF, CC_Q_NOTIF_DATA, 60, 62};
	fd_begin();
	CU_ASSERT_EQUAL(fg_cc(&fg, CC_NUM_QUEUES, 2), 5);
	for (unsigned i = 0; i < sizeof fixed / sizeof fixed[0]; i++)
		for (unsigned size = 1; size <= 8; size *= 2) {
			uint64_t before = fg_cc(&fg, fixed[i], 2);
			if (fixed[i] % size == 0 && size <= 4)
				fg_cc_write(&fg, fixed[i], size, UINT64_MAX);
			CU_ASSERT_EQUAL(fg_cc(&fg, fixed[i], 2), before);
		}
	fd_end();
}

static void pci_cc_12_13(void)
{
	fd_init(F_RING_RESET);
	CU_ASSERT_EQUAL(fg_q(&fg, INFLATE, CC_Q_RESET, 2), 0);
	fg_q_write(&fg, INFLATE, CC_Q_RESET, 2, 1);
	CU_ASSERT_EQUAL(fg_q(&fg, INFLATE, CC_Q_RESET, 2), 0);
	CU_ASSERT_EQUAL(fg_q(&fg, INFLATE, CC_Q_ENABLE, 2), 0);
	CU_ASSERT_EQUAL(fg_q(&fg, DEFLATE, CC_Q_ENABLE, 2), 1);
	fg_queue_on(&fg, INFLATE, 128);
	CU_ASSERT_EQUAL(fg_q(&fg, INFLATE, CC_Q_RESET, 2), 0);
	CU_ASSERT_EQUAL(fg_q(&fg, INFLATE, CC_Q_ENABLE, 2), 1);
	fg_status_write(&fg, 0);
	CU_ASSERT_EQUAL(fg_q(&fg, INFLATE, CC_Q_RESET, 2), 0);
	fd_end();
}

static void pci_ntf(void)
{
	fd_begin();
	CU_ASSERT_EQUAL(fg.notify % 4, 0);
	CU_ASSERT_TRUE(fg.multiplier == 0 || (fg.multiplier % 2 == 0 && (fg.multiplier & (fg.multiplier - 1)) == 0));
	CU_ASSERT_TRUE(fg.notify_len >= 2);
	for (unsigned bits = 0; bits < 64; bits++) {
		fg_negotiate(&fg, bits & ~F_HINT);
		for (unsigned i = 0; i < 5; i++)
			CU_ASSERT_TRUE(fg_q(&fg, i, CC_Q_NOTIFY_OFF, 2) * fg.multiplier + 2 <= fg.notify_len);
	}
	fd_end();
}

static void pci_ntf_04(void)
{
	fd_init(ALL_TYPE);
	fg_desc(&fg, REPORT, 0, FG_PAGES, 4096, D_WRITE, 0);
	fg_publish(&fg, REPORT, 0);
	fd_post_inflate(0, 1);
	fg_kick(&fg, REPORT);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, REPORT), 1);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), 0);
	fg_kick(&fg, INFLATE);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), 1);
	fd_end();
}

static void pci_isr_02(void)
{
	fd_init(0);
	balloon_set_target(fg.dev, MIB);
	CU_ASSERT_EQUAL(fg_irqs(&fg, 0), 1);
	CU_ASSERT_EQUAL(fg_bar(&fg, fg.isr, 1), 2);
	CU_ASSERT_EQUAL(fg_bar(&fg, fg.isr, 1), 0);
	fd_end();
}

/* Without MSI-X. */
static void begin_intx(void)
{
	fd_begin();
	fg_negotiate(&fg, 0);
	fg_queue_on(&fg, INFLATE, 128);
	fg_status_write(&fg, 0xF);
}

static void pci_isr_03_04_05(void)
{
	begin_intx();
	fd_inflate(0, 1);
	CU_ASSERT_TRUE(fg.fh->irq_level[FG_GSI]);
	CU_ASSERT_TRUE(fg_pcicfg(&fg, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT);
	balloon_set_target(fg.dev, MIB);
	CU_ASSERT_EQUAL(fg_bar(&fg, fg.isr, 1), 3);
	CU_ASSERT_FALSE(fg.fh->irq_level[FG_GSI]);
	CU_ASSERT_FALSE(fg_pcicfg(&fg, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT);
	CU_ASSERT_EQUAL(fg_bar(&fg, fg.isr, 1), 0);
	fg_pcicfg_write(&fg, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE);
	fd_inflate(0, 1);
	CU_ASSERT_FALSE(fg.fh->irq_level[FG_GSI]);
	CU_ASSERT_TRUE(fg_pcicfg(&fg, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT);
	CU_ASSERT_EQUAL(fg_bar(&fg, fg.isr, 1), 1);
	CU_ASSERT_EQUAL(fg.fh->n_msis, 0);
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
	write_window(cc + CC_STATUS, 1, 3);
	write_window(cc + CC_DRV_FEAT_SEL, 4, 1);
	write_window(cc + CC_DRV_FEAT, 4, 1);
	write_window(cc + CC_STATUS, 1, 0xB);
	CU_ASSERT_EQUAL(through_window(cc + CC_STATUS, 1), 0xB);
	write_window(cc + CC_Q_SELECT, 2, 0);
	write_window(cc + CC_Q_SIZE, 2, 64);
	write_window(cc + CC_Q_DESC, 4, (uint32_t)fg.q[0].desc);
	write_window(cc + CC_Q_DRIVER, 4, (uint32_t)fg.q[0].avail);
	write_window(cc + CC_Q_DEVICE, 4, (uint32_t)fg.q[0].used);
	write_window(cc + CC_Q_ENABLE, 2, 1);
	write_window(cc + CC_STATUS, 1, 0xF);
	fd_post_inflate(0, 3);
	write_window(fg.notify, 2, 0);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), 1);
	CU_ASSERT_TRUE(fakehost_was_discarded(fg.fh, FG_PAGES + 3 * 4096));
	CU_ASSERT_EQUAL(through_window(fg.isr, 1), 1);
	CU_ASSERT_EQUAL(through_window(fg.isr, 1), 0);
	/* The same fields both ways. */
	fg_pcicfg_write(&fg, PCI_COMMAND, 2, PCI_COMMAND_MASTER | PCI_COMMAND_MEMORY);
	for (unsigned offset = 0; offset < CC_LEN; offset += 2) {
		CU_ASSERT_EQUAL(through_window(cc + offset, 2), fg_cc(&fg, offset, 2));
		CU_ASSERT_EQUAL(through_window(cc + offset + 1, 1), fg_cc(&fg, offset + 1, 1));
		if (offset % 4 == 0)
			CU_ASSERT_EQUAL(through_window(cc + offset, 4), fg_cc(&fg, offset, 4));
	}
	fd_end();
}

static void pci_msx_01_02(void)
{
	fd_begin();
	CU_ASSERT_EQUAL(fg.n_vectors, 6);
	for (unsigned v = 0; v < 6; v++) {
		fg_bar_write(&fg, fg.msix_table + 16 * v, 4, 0xFEE00000 + v);
		CU_ASSERT_EQUAL(fg_bar(&fg, fg.msix_table + 16 * v, 4), 0xFEE00000 + v);
	}
	fg_bar_write(&fg, fg.msix_table + 16 * 6, 4, 0x12345678);
	CU_ASSERT_EQUAL(fg_bar(&fg, fg.msix_table + 16 * 6, 4), 0);
	fd_end();
}

/* Makes event `e` happen: 0 is a configuration change, e queue e - 1 otherwise. The hint queue has no events. */
static void cause(unsigned e)
{
	struct balloon_state state;
	balloon_get_state(fg.dev, &state);
	if (e == 0)
		balloon_set_target(fg.dev, state.target_bytes ^ 4096);
	else if (e - 1 == INFLATE)
		fd_inflate(0, 1);
	else if (e - 1 == DEFLATE)
		fd_deflate(0, 1);
	else if (e - 1 == REPORT)
		fg_send(&fg, REPORT, FG_PAGES, 4096, D_WRITE);
	else if (e - 1 == STATS) {
		fd_post_stats(1);
		balloon_request_stats(fg.dev);
	}
}

static void map_event(unsigned e, unsigned vector)
{
	if (e == 0)
		fg_cc_write(&fg, CC_CFG_VEC, 2, vector);
	else
		fg_q_write(&fg, e - 1, CC_Q_VEC, 2, vector);
}

static uint64_t mapped(unsigned e)
{
	return e == 0 ? fg_cc(&fg, CC_CFG_VEC, 2) : fg_q(&fg, e - 1, CC_Q_VEC, 2);
}

static const unsigned events[] = {0, 1 + INFLATE, 1 + DEFLATE, 1 + STATS, 1 + REPORT};

static void pci_msx_03_05(void)
{
	fd_init(ALL_TYPE);
	for (unsigned i = 0; i < 5; i++)
		for (unsigned vector = 0; vector < 6; vector++) {
			map_event(events[i], vector);
			CU_ASSERT_EQUAL(mapped(events[i]), vector);
			uint64_t before = fg_irqs(&fg, vector), all = fg.fh->n_msis;
			cause(events[i]);
			CU_ASSERT_EQUAL(fg_irqs(&fg, vector), before + 1);
			CU_ASSERT_EQUAL(fg.fh->n_msis, all + 1);
		}
	for (unsigned i = 0; i < 5; i++)
		map_event(events[i], 0);
	for (unsigned i = 0; i < 5; i++) {
		uint64_t before = fg_irqs(&fg, 0);
		cause(events[i]);
		CU_ASSERT_TRUE(fg_irqs(&fg, 0) > before);
	}
	fd_end();
}

/* Also PCI-IRQ-01 and PCI-IRQ-02. */
static void pci_msx_04(void)
{
	fd_init(ALL_TYPE);
	for (unsigned i = 0; i < 5; i++) {
		map_event(events[i], 0xFFFF);
		CU_ASSERT_EQUAL(mapped(events[i]), 0xFFFF);
		uint64_t before = fd_messages();
		cause(events[i]);
		CU_ASSERT_EQUAL(fd_messages(), before);
		CU_ASSERT_FALSE(fg.fh->irq_level[FG_GSI]);
	}
	CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), 1);
	CU_ASSERT_EQUAL(fg_bar(&fg, fg.isr, 1) & 2, 2);
	fd_end();
}

static void pci_msx_06(void)
{
	fd_init(ALL_TYPE);
	fg_status_write(&fg, 0);
	for (unsigned i = 0; i < 5; i++)
		CU_ASSERT_EQUAL(mapped(events[i]), 0xFFFF);
	CU_ASSERT_EQUAL(fg_bar(&fg, fg.msix_table + 16 + 8, 4), 1);
	CU_ASSERT_TRUE(fg_pcicfg(&fg, fg.msix_cap + 2, 2) & PCI_MSIX_FLAGS_ENABLE);
	fd_end();
}

static void pci_msx_07(void)
{
	const unsigned bad[] = {6, 7, 0x7FF, 0x800, 0xFFFE};
	fd_init(ALL_TYPE);
	for (unsigned i = 0; i < 5; i++)
		for (unsigned k = 0; k < 5; k++) {
			map_event(events[i], 1);
			map_event(events[i], bad[k]);
			CU_ASSERT_EQUAL(mapped(events[i]), 0xFFFF);
		}
	fd_end();
}

static void pci_msx_08(void)
{
	fd_init(0);
	fg_bar_write(&fg, fg.msix_table + 16 + 12, 4, 1);
	fd_inflate(0, 1);
	CU_ASSERT_EQUAL(fg_irqs(&fg, 1), 0);
	CU_ASSERT_EQUAL(fg_bar(&fg, fg.msix_pba, 4), 2);
	fg_bar_write(&fg, fg.msix_table + 16 + 12, 4, 0);
	CU_ASSERT_EQUAL(fg_irqs(&fg, 1), 1);
	CU_ASSERT_EQUAL(fg_bar(&fg, fg.msix_pba, 4), 0);
	fg_pcicfg_write(&fg, fg.msix_cap + 2, 2, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	fd_inflate(0, 1);
	CU_ASSERT_EQUAL(fg_irqs(&fg, 1), 1);
	fg_pcicfg_write(&fg, fg.msix_cap + 2, 2, PCI_MSIX_FLAGS_ENABLE);
	CU_ASSERT_EQUAL(fg_irqs(&fg, 1), 2);
	fd_end();
}

static const struct test_case cases[] = {
	{"PCI-ID-01..05", pci_id},
	{"PCI-BUS-01", pci_bus_01},
	{"PCI-BUS-02", pci_bus_02},
	{"PCI-BUS-03", pci_bus_03},
	{"PCI-LAY-01", pci_lay_01},
	{"PCI-LAY-02", pci_lay_02},
	{"PCI-CAP-01..03 PCI-ISR-01", pci_cap},
	{"PCI-CC-01", pci_cc_01},
	{"PCI-CC-02 PCI-CC-03", pci_cc_02_03},
	{"PCI-CC-05", pci_cc_05},
	{"PCI-CC-06", pci_cc_06},
	{"PCI-CC-08", pci_cc_08},
	{"PCI-CC-09", pci_cc_09},
	{"PCI-CC-10", pci_cc_10},
	{"PCI-CC-11 PCI-CC-14", pci_cc_11},
	{"PCI-CC-12 PCI-CC-13", pci_cc_12_13},
	{"PCI-NTF-01..03", pci_ntf},
	{"PCI-NTF-04", pci_ntf_04},
	{"PCI-ISR-02", pci_isr_02},
	{"PCI-ISR-03..05", pci_isr_03_04_05},
	{"PCI-DEV-01", pci_dev_01},
	{"PCI-CFG-01", pci_cfg_01},
	{"PCI-CFG-02 PCI-CFG-03", pci_cfg_02_03},
	{"PCI-MSX-01 PCI-MSX-02", pci_msx_01_02},
	{"PCI-MSX-03 PCI-MSX-05 PCI-IRQ-03", pci_msx_03_05},
	{"PCI-MSX-04 PCI-IRQ-01 PCI-IRQ-02", pci_msx_04},
	{"PCI-MSX-06", pci_msx_06},
	{"PCI-MSX-07", pci_msx_07},
	{"PCI-MSX-08", pci_msx_08},
};

TEST_SUITE(pci, cases);
