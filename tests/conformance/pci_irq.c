/* Rows PCI-ISR, PCI-MSX and PCI-IRQ: interrupts. */
#include "tests/conformance/fd.h"

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

#define N_EVENTS (1 + FG_N_QUEUES)

/* Makes event `e` happen: 0 is a configuration change, e queue e - 1 otherwise. A report of hints is answered with or without a run. */
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
	else if (e - 1 == HINT)
		fd_hint(HINT, FG_PAGES, 4096);
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

static void pci_msx_03_05(void)
{
	fd_init(ALL_TYPE);
	for (unsigned e = 0; e < N_EVENTS; e++)
		for (unsigned vector = 0; vector < 6; vector++) {
			map_event(e, vector);
			CU_ASSERT_EQUAL(mapped(e), vector);
			uint64_t before = fg_irqs(&fg, vector), all = fg.fh->n_msis;
			cause(e);
			CU_ASSERT_EQUAL(fg_irqs(&fg, vector), before + 1);
			CU_ASSERT_EQUAL(fg.fh->n_msis, all + 1);
		}
	for (unsigned e = 0; e < N_EVENTS; e++)
		map_event(e, 0);
	for (unsigned e = 0; e < N_EVENTS; e++) {
		uint64_t before = fg_irqs(&fg, 0);
		cause(e);
		CU_ASSERT_TRUE(fg_irqs(&fg, 0) > before);
	}
	fd_end();
}

/* Also PCI-IRQ-01 and PCI-IRQ-02. */
static void pci_msx_04(void)
{
	fd_init(ALL_TYPE);
	for (unsigned e = 0; e < N_EVENTS; e++) {
		map_event(e, 0xFFFF);
		CU_ASSERT_EQUAL(mapped(e), 0xFFFF);
		uint64_t before = fd_messages();
		cause(e);
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
	for (unsigned e = 0; e < N_EVENTS; e++)
		CU_ASSERT_EQUAL(mapped(e), 0xFFFF);
	CU_ASSERT_EQUAL(fg_bar(&fg, fg.msix_table + 16 + 8, 4), 1);
	CU_ASSERT_TRUE(fg_pcicfg(&fg, fg.msix_cap + 2, 2) & PCI_MSIX_FLAGS_ENABLE);
	fd_end();
}

/* Only a number beyond the table fails: a mapping needs nothing of the host, which may refuse a message when it is sent (HOS-74). */
static void pci_msx_07(void)
{
	const unsigned bad[] = {6, 7, 0x7FF, 0x800, 0xFFFE};
	fd_init(ALL_TYPE);
	for (unsigned e = 0; e < N_EVENTS; e++)
		for (unsigned k = 0; k < 5; k++) {
			map_event(e, 1);
			map_event(e, bad[k]);
			CU_ASSERT_EQUAL(mapped(e), 0xFFFF);
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
	{"PCI-ISR-02", pci_isr_02},
	{"PCI-ISR-03 PCI-ISR-04 PCI-ISR-05", pci_isr_03_04_05},
	{"PCI-MSX-01 PCI-MSX-02", pci_msx_01_02},
	{"PCI-MSX-03 PCI-MSX-05 PCI-IRQ-03", pci_msx_03_05},
	{"PCI-MSX-04 PCI-IRQ-01 PCI-IRQ-02", pci_msx_04},
	{"PCI-MSX-06", pci_msx_06},
	{"PCI-MSX-07", pci_msx_07},
	{"PCI-MSX-08", pci_msx_08},
};

TEST_SUITE(pci_irq, cases);
