/* Rows PCI-LAY, PCI-CC and PCI-NTF: the registers in the BAR. */
#include "tests/conformance/fd.h"

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
	CU_ASSERT_EQUAL(fg_cc(&fg, CC_DEV_FEAT_SEL, 4), 0);
	CU_ASSERT_EQUAL(fg_cc(&fg, CC_DRV_FEAT_SEL, 4), 0);
	for (uint32_t word = 0; word < 2; word++) {
		fg_cc_write(&fg, CC_DRV_FEAT_SEL, 4, word);
		CU_ASSERT_EQUAL(fg_cc(&fg, CC_DRV_FEAT, 4), 0);
	}
	fd_end();
}

static void pci_cc_06(void)
{
	fd_begin();
	for (unsigned way = 0; way < 2; way++) {
		unsigned num_pages = fg.device + DC_NUM_PAGES;
		uint64_t value = way ? fg_window(&fg, 0, num_pages, 4) : fg_bar(&fg, num_pages, 4);
		uint64_t generation = fg_cc(&fg, CC_GENERATION, 1);
		for (uint64_t i = 0; i < 256; i++)
			balloon_set_target(fg.dev, (i + 1 + 300 * way) * 4096);
		CU_ASSERT_NOT_EQUAL(way ? fg_window(&fg, 0, num_pages, 4) : fg_bar(&fg, num_pages, 4), value);
		CU_ASSERT_NOT_EQUAL(fg_cc(&fg, CC_GENERATION, 1), generation);
		/* Nothing changed: it stands still. */
		generation = fg_cc(&fg, CC_GENERATION, 1);
		fg_bar(&fg, num_pages, 4);
		CU_ASSERT_EQUAL(fg_cc(&fg, CC_GENERATION, 1), generation);
	}
	fd_end();
}

/* Each field of the host's, read by any part of the configuration: a change after the read moves the generation, once. */
static void pci_cc_06_fields(void)
{
	fd_init(ALL_TYPE);
	for (unsigned part = 0; part < 16; part++) {
		uint64_t generation = fg_cc(&fg, CC_GENERATION, 1);
		fg_bar(&fg, fg.device + part, 1);
		balloon_set_target(fg.dev, (part + 1) * MIB);
		CU_ASSERT_NOT_EQUAL(fg_cc(&fg, CC_GENERATION, 1), generation);
		generation = fg_cc(&fg, CC_GENERATION, 1);
		fg_bar(&fg, fg.device + part, 1);
		CU_ASSERT_EQUAL(balloon_hint_start(fg.dev), 0);
		CU_ASSERT_NOT_EQUAL(fg_cc(&fg, CC_GENERATION, 1), generation);
		generation = fg_cc(&fg, CC_GENERATION, 1);
		fg_bar(&fg, fg.device + part, 1);
		fakehost_advance(fg.fh, HINT_QUIET_MS); /* the run ends */
		fakehost_settle(fg.fh, 10);
		CU_ASSERT_NOT_EQUAL(fg_cc(&fg, CC_GENERATION, 1), generation);
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
			fd_post(INFLATE, i % sizes[s], i);
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

/* The reset of a queue is over when the write returns, so queue_reset always reads 0. */
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
		fg_negotiate(&fg, bits);
		CU_ASSERT_EQUAL(fg_status(&fg), 0xB);
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
	fd_post(INFLATE, 0, 1);
	fg_kick(&fg, REPORT);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, REPORT), 1);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), 0);
	fg_kick(&fg, INFLATE);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), 1);
	fd_end();
}

static const struct test_case cases[] = {
	{"PCI-LAY-01", pci_lay_01},
	{"PCI-LAY-02", pci_lay_02},
	{"PCI-CC-02 PCI-CC-03", pci_cc_02_03},
	{"PCI-CC-05", pci_cc_05},
	{"PCI-CC-06", pci_cc_06},
	{"PCI-CC-06", pci_cc_06_fields},
	{"PCI-CC-08", pci_cc_08},
	{"PCI-CC-09", pci_cc_09},
	{"PCI-CC-10", pci_cc_10},
	{"PCI-CC-11", pci_cc_11},
	{"PCI-CC-12 PCI-CC-13", pci_cc_12_13},
	{"PCI-NTF-01 PCI-NTF-02 PCI-NTF-03", pci_ntf},
	{"PCI-NTF-04", pci_ntf_04},
};

TEST_SUITE(pci_regs, cases);
