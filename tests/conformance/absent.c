/* Rows NA and the rows of features that are not offered: they must not be there. */
#include "tests/conformance/fd.h"
#include "util/bytes.h"

/* Each bit is not offered, and a driver that wants it all the same is refused. */
static void refused(const unsigned *bits, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		CU_ASSERT_EQUAL(fg_offered(&fg) >> bits[i] & 1, 0);
		fg_negotiate(&fg, FG_BIT(bits[i]));
		CU_ASSERT_EQUAL(fg_status(&fg), 3);
	}
}

#define REFUSED(...) refused((const unsigned[]){__VA_ARGS__}, sizeof((const unsigned[]){__VA_ARGS__}) / sizeof(unsigned))

static void bits(void)
{
	fd_begin();
	REFUSED(33);	 /* NA-04 ACCESS_PLATFORM */
	REFUSED(34);	 /* VQ-28 RING_PACKED */
	REFUSED(35);	 /* GEN-13 IN_ORDER */
	REFUSED(36);	 /* NA-05 ORDER_PLATFORM */
	REFUSED(37);	 /* NA-03 SR_IOV */
	REFUSED(38, 39); /* PCI-NTF-05 NOTIFICATION_DATA, NOTIF_CONFIG_DATA */
	REFUSED(41);	 /* NA-08 ADMIN_VQ */
	REFUSED(42);	 /* NEW-01: what SUSPEND was before the standard */
	REFUSED(6, 7);	 /* NEW-02, NEW-03: DEVICE_INIT_REPORTED, DEVICE_INIT_ON_INFLATE */
	REFUSED(8);	 /* NEW-05: working-set reporting */
	fd_end();
}

/* NOTIFY_ON_EMPTY, ANY_LAYOUT and bit 30 are a legacy device's, and so are the registers behind an I/O BAR. */
static void legacy(void)
{
	fd_begin();
	REFUSED(24, 27, 30);
	for (unsigned i = 0; i < 6; i++)
		CU_ASSERT_EQUAL(fg_pcicfg(&fg, PCI_BASE_ADDRESS_0 + 4 * i, 4) & PCI_BASE_ADDRESS_SPACE_IO, 0);
	/* I/O decoding cannot be switched on. */
	fg_pcicfg_write(&fg, PCI_COMMAND, 2, PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	CU_ASSERT_EQUAL(fg_pcicfg(&fg, PCI_COMMAND, 2) & PCI_COMMAND_IO, 0);
	/* What a legacy driver looks for: 1000 to 103F. Multi-byte fields are little-endian, not the guest's. */
	CU_ASSERT_EQUAL(fg_pcicfg(&fg, PCI_DEVICE_ID, 2), 0x1045);
	CU_ASSERT_EQUAL(fg_pcicfg(&fg, PCI_REVISION_ID, 1), 1);
	fd_end();
}

static void capabilities(void)
{
	unsigned count[256] = {0};
	fd_begin();
	for (unsigned at = fg_pcicfg(&fg, PCI_CAPABILITY_LIST, 1); at; at = fg_pcicfg(&fg, at + 1, 1)) {
		uint32_t id = fg_pcicfg(&fg, at, 1);
		CU_ASSERT_TRUE(id == PCI_CAP_ID_VNDR || id == PCI_CAP_ID_MSIX); /* no power management, no PCI Express with its FLR */
		if (id == PCI_CAP_ID_VNDR)
			count[fg_pcicfg(&fg, at + 3, 1)]++;
	}
	CU_ASSERT_EQUAL(count[8], 0); /* NA-06 shared memory */
	CU_ASSERT_EQUAL(count[9], 0); /* NA-07 vendor data */
	for (unsigned type = 0; type < 256; type++)
		CU_ASSERT_EQUAL(count[type], type >= 1 && type <= 5);
	/* No extended space, so no SR-IOV and no way to name exported objects. */
	for (unsigned offset = 0x100; offset < 0x1000; offset += 4)
		CU_ASSERT_EQUAL(fg_pcicfg(&fg, offset, 4), 0xFFFFFFFF);
	fd_end();
}

/* Registers of queues and features that there are not: the admin queue, the device's notification data. */
static void registers(void)
{
	fd_begin();
	CU_ASSERT_EQUAL(fg_cc(&fg, CC_NUM_QUEUES, 2), 5);
	for (unsigned i = 0; i < 7; i++) {
		CU_ASSERT_EQUAL(fg_q(&fg, i, CC_Q_NOTIF_DATA, 2), 0);
		CU_ASSERT_EQUAL(fg_q(&fg, i, CC_Q_RESET + 2, 2), 0); /* admin_queue_index */
		CU_ASSERT_EQUAL(fg_q(&fg, i, CC_Q_RESET + 4, 2), 0); /* admin_queue_num */
	}
	fd_end();
}

/* A tail for a bitmap, long, short or only readable: without those features it is a buffer of the wrong direction. */
static void hos_71(void)
{
	const struct {
		uint32_t len;
		uint16_t flags;
	} tails[] = {{4096, D_WRITE}, {1, D_WRITE}, {0, D_WRITE}, {4096, 0}};
	fd_begin_hostile();
	for (uint16_t i = 0; i < 4; i++) {
		fakehost_forget_discards(fg.fh);
		fg_fill(&fg, FG_DATA(4), 4096, 0xFF);
		store_le32(fakehost_ram(fg.fh, FG_DATA(INFLATE), 4), PFN(FG_PAGES));
		fg_desc(&fg, INFLATE, 0, FG_DATA(INFLATE), 4, D_NEXT, 1);
		fg_desc(&fg, INFLATE, 1, FG_DATA(4), tails[i].len, tails[i].flags, 0);
		fg_publish(&fg, INFLATE, 0);
		fg_kick(&fg, INFLATE);
		CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), i + 1);
		CU_ASSERT_EQUAL(fg_used_len(&fg, INFLATE, i), 0);
		CU_ASSERT_TRUE(fg_holds(&fg, FG_DATA(4), 4096, 0xFF));
		CU_ASSERT_EQUAL(fg.fh->discarded_bytes, 4096);
	}
	fd_end_hostile();
}

static const struct test_case cases[] = {
	{"GEN-13 VQ-28 PCI-NTF-05 NA-03 NA-04 NA-05 NA-08 NEW-01 NEW-02 NEW-03 NEW-05", bits},
	{"NA-01 NA-02", legacy},
	{"NA-03 NA-06 NA-07 NA-09", capabilities},
	{"PCI-CC-14 NA-08", registers},
	{"HOS-71", hos_71},
};

TEST_SUITE(absent, cases);
