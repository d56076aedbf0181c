/* Rows HOS-72 to HOS-81: PCI and MSI-X, and floods. */
#include <errno.h>
#include <stdlib.h>

#include "tests/conformance/fd.h"
#include "tests/conformance/hos_values.h"

static void hos_72(void)
{
	fd_begin_hostile();
	for (unsigned i = 0; i < HOS_COUNT(hos_72_vectors); i++) {
		fg_cc_write(&fg, CC_CFG_VEC, 2, hos_72_vectors[i]);
		fg_q_write(&fg, INFLATE, CC_Q_VEC, 2, hos_72_vectors[i]);
		CU_ASSERT_EQUAL(fg_cc(&fg, CC_CFG_VEC, 2), 0xFFFF);
		CU_ASSERT_EQUAL(fg_q(&fg, INFLATE, CC_Q_VEC, 2), 0xFFFF);
		balloon_set_target(fg.dev, (i + 1) * MIB);
		fd_inflate(0, 1);
	}
	CU_ASSERT_EQUAL(fd_messages(), 0);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), 9);
	fd_end_hostile();
}

static void hos_73(void)
{
	fd_begin_hostile();
	const unsigned flags[] = {0, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL, PCI_MSIX_FLAGS_MASKALL};
	for (unsigned i = 0; i < 3; i++) {
		uint64_t before = fg_irqs(&fg, 1);
		fg_bar_write(&fg, fg.msix_table + 16 + 12, 4, 1);
		fd_inflate(0, 1);
		fg_pcicfg_write(&fg, fg.msix_cap + 2, 2, flags[i]);
		fg_bar_write(&fg, fg.msix_table + 16 + 12, 4, 0);
		CU_ASSERT_EQUAL(fg_irqs(&fg, 1), before);
		fg_pcicfg_write(&fg, fg.msix_cap + 2, 2, PCI_MSIX_FLAGS_ENABLE);
		CU_ASSERT_EQUAL(fg_irqs(&fg, 1), before + 1);
	}
	fd_end_hostile();
}

static void hos_74(void)
{
	const uint64_t wild[] = {0, FG_PAGES, 0xFEE00000, 0xFFFFFFFFFFFFFFFF, 0x123456789ABCDEF1};
	fd_begin_hostile();
	fg_fill(&fg, FG_PAGES, 4096, 9);
	for (unsigned refuse = 0; refuse < 2; refuse++) {
		fg.fh->msi_error = refuse ? -EINVAL : 0;
		for (unsigned i = 0; i < 5; i++) {
			fg_bar_write(&fg, fg.msix_table + 16, 8, wild[i]);
			fg_bar_write(&fg, fg.msix_table + 16 + 8, 4, 0xFFFFFFFF);
			fd_inflate(10, 1);
		}
	}
	CU_ASSERT_TRUE(fg_holds(&fg, FG_PAGES, 4096, 9));
	CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), 10);
	fd_end_hostile();
}

static void hos_75(void)
{
	fd_begin_hostile();
	for (unsigned size = 1; size <= 8; size *= 2)
		for (uint64_t offset = 0x1000; offset + size <= 0x2000; offset++) {
			bool entry = offset < 0x1000 + 96 && size >= 4 && offset % size == 0;
			uint64_t before = fg_bar(&fg, offset, size);
			if (entry)
				continue;
			fg_bar_write(&fg, offset, size, UINT64_MAX);
			CU_ASSERT_EQUAL(fg_bar(&fg, offset, size), before);
			if (!(size >= 4 && offset % size == 0 && offset - 0x1800 < 8))
				CU_ASSERT_EQUAL(before, 0);
		}
	fd_end_hostile();
}

static void hos_76(void)
{
	fd_begin_hostile();
	for (unsigned bar = 1; bar < 256; bar++) {
		CU_ASSERT_EQUAL(fg_window(&fg, (uint8_t)bar, CC_NUM_QUEUES, 2), 0);
		fg_pcicfg_write(&fg, fg.window_cap + 16, 4, 0);
	}
	for (unsigned i = 0; i < HOS_COUNT(hos_76_lens); i++) {
		CU_ASSERT_EQUAL(fg_window(&fg, 0, CC_STATUS, hos_76_lens[i]), 0);
		fg_pcicfg_write(&fg, fg.window_cap + 16, 4, 0);
	}
	for (unsigned i = 0; i < HOS_COUNT(hos_76_offsets); i++) {
		CU_ASSERT_EQUAL(fg_window(&fg, 0, hos_76_offsets[i], 4), 0);
		fg_pcicfg_write(&fg, fg.window_cap + 16, 4, 0);
	}
	CU_ASSERT_EQUAL(fg_status(&fg), 0xF);
	/* At the MSI-X table it works as any other way. */
	CU_ASSERT_EQUAL(fg_window(&fg, 0, fg.msix_table + 16 + 8, 4), 1);
	/* Pieces of the data register, and every alignment of it, do no harm. */
	fg_window(&fg, 0, CC_STATUS, 1);
	for (unsigned i = 1; i < 4; i++)
		fg_pcicfg_write(&fg, fg.window_cap + 16 + i, 1, 0);
	fg_pcicfg_write(&fg, fg.window_cap + 18, 2, 0);
	CU_ASSERT_EQUAL(fg_status(&fg), 0xF);
	fd_end_hostile();
}

/* A BAR outside the MMIO window is not decoded; RAM and the configuration window win where it lies over them. */
static void hos_77(void)
{
	const uint32_t places[] = {0,	       0x10000,	   (uint32_t)FG_RING(0),   0x8000000,  0xBFFFF000,
				   0xC0100000, 0xDFFFE000, (uint32_t)FG_ECAM_BASE, 0xFEE00000, 0xFFFFFFFF};
	fd_begin_hostile();
	for (unsigned i = 0; i < 10; i++) {
		fg_pcicfg_write(&fg, PCI_BASE_ADDRESS_0, 4, places[i]);
		uint64_t bar = fg_pcicfg(&fg, PCI_BASE_ADDRESS_0, 4);
		bool in_window = bar >= FG_MMIO_BASE && bar < FG_MMIO_BASE + FG_MMIO_LEN;
		CU_ASSERT_EQUAL(fg.fh->n_regions, in_window ? 3 : 2);
		fg.bar = bar;
		if (in_window) {
			CU_ASSERT_EQUAL(fg_status(&fg), 0xF);
			fd_inflate(0, 1);
		}
	}
	/* Byte by byte, with decoding on. */
	for (unsigned i = 0; i < 256; i++)
		fg_pcicfg_write(&fg, PCI_BASE_ADDRESS_0 + i % 4, 1, i * 37 & 0xFF);
	fd_end_hostile();
}

static void hos_78(void)
{
	static uint32_t pfns[8192];
	fd_begin_hostile();
	for (unsigned i = 0; i < 8192; i++)
		pfns[i] = PFN(FAKE_HIGH_GPA) + i;
	fg_send_pfns(&fg, INFLATE, pfns, 8192);
	fg_pcicfg_write(&fg, PCI_COMMAND, 2, 0);
	size_t discards = fg.fh->n_discards;
	fakehost_settle(fg.fh, 100);
	CU_ASSERT_EQUAL(fg.fh->n_discards, discards);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), 0);
	CU_ASSERT_EQUAL(fg_status(&fg), 0xFF);
	fg_pcicfg_write(&fg, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	fakehost_settle(fg.fh, 100);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), 1);
	CU_ASSERT_EQUAL(fg_irqs(&fg, 1), 1);
	fd_end_hostile();
}

static void hos_79(void)
{
	fd_begin_hostile();
	for (unsigned size = 1; size <= 8; size *= 2)
		for (unsigned offset = 0; offset + size <= 4096; offset++) {
			uint64_t address = FG_ECAM_BASE + (FG_SLOT << 15) + offset;
			fakehost_write(fg.fh, IO_MMIO, address, size, UINT64_MAX);
			uint64_t value = fakehost_read(fg.fh, IO_MMIO, address, size), all_ones = size == 8 ? UINT64_MAX : (1ULL << 8 * size) - 1;
			if (offset >= 256 || size == 8 || (offset & 3) + size > 4)
				CU_ASSERT_EQUAL(value, all_ones);
		}
	CU_ASSERT_EQUAL(fg_pcicfg(&fg, 0, 4), 0x10451AF4);
	CU_ASSERT_EQUAL(fg_pcicfg(&fg, PCI_CLASS_REVISION, 4), 0x00FF0001);
	/* By ports: sizes that cross the dword are nobody's. */
	for (unsigned reg = 0; reg < 256; reg += 4) {
		fakehost_write(fg.fh, IO_PIO, 0xCF8, 4, 0x80000000 | FG_SLOT << 11 | reg);
		for (unsigned size = 1; size <= 4; size *= 2)
			for (unsigned i = 0; i + size <= 4; i++) {
				fakehost_write(fg.fh, IO_PIO, 0xCFC + i, size, 0);
				fakehost_read(fg.fh, IO_PIO, 0xCFC + i, size);
			}
	}
	fd_end_hostile();
}

/* Every kind of mistake over and over: one line a second. */
static void hos_81(void)
{
	const uint32_t bad = 0xFFFFFFFF;
	fd_begin_hostile();
	struct balloon_state before, after;
	balloon_get_state(fg.dev, &before);
	for (unsigned i = 0; i < 6000; i++) {
		fg_send_pfns(&fg, INFLATE, &bad, 1);
		fg_send(&fg, DEFLATE, 0xC0000000, 4, 0);
		fg_send(&fg, STATS, FG_DATA(STATS), 3, 0);
		fg_send(&fg, REPORT, 0xC0000000, 4096, D_WRITE);
		fakehost_advance(fg.fh, 10);
		if (i % 100 == 0) {
			fg_set_avail_idx(&fg, INFLATE, 5000);
			fg_kick(&fg, INFLATE);
			fg_init(&fg, ALL_TYPE);
		}
	}
	balloon_get_state(fg.dev, &after);
	CU_ASSERT_EQUAL(after.queues[BALLOON_Q_INFLATE].bad_pages - before.queues[BALLOON_Q_INFLATE].bad_pages, 6000);
	CU_ASSERT_EQUAL(after.queues[BALLOON_Q_DEFLATE].bad_buffers - before.queues[BALLOON_Q_DEFLATE].bad_buffers, 6000);
	CU_ASSERT_EQUAL(after.queues[BALLOON_Q_REPORT].bad_buffers - before.queues[BALLOON_Q_REPORT].bad_buffers, 6000);
	fd_end_hostile();
}

static const struct test_case cases[] = {
	{"HOS-72", hos_72}, {"HOS-73", hos_73}, {"HOS-74", hos_74}, {"HOS-75", hos_75}, {"HOS-76", hos_76},
	{"HOS-77", hos_77}, {"HOS-78", hos_78}, {"HOS-79", hos_79}, {"HOS-81", hos_81},
};

TEST_SUITE(hos_pci, cases);
