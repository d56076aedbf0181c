/* Rows NA and the rows of features that are not offered: they must not be there. */
#include "tests/conformance/fd.h"

static bool offers(unsigned bit)
{
	return fg_offered(&fg) >> bit & 1;
}

static void features(void)
{
	/*
	 * NA-01: 24 NOTIFY_ON_EMPTY, 27 ANY_LAYOUT, 30; NA-03: 37 SR_IOV; NA-04: 33 ACCESS_PLATFORM; NA-05: 36 ORDER_PLATFORM; NA-08 and
	 * PCI-CC-14: 41 ADMIN_VQ; GEN-13: 35 IN_ORDER; VQ-28: 34 RING_PACKED; PCI-NTF-05: 38 and 39; NEW-01: 42;
	 * NEW-02, NEW-03: 6 and 7; NEW-05: 8.
	 */
	const unsigned bits[] = {24, 27, 30, 37, 33, 36, 41, 35, 34, 38, 39, 42, 6, 7, 8};
	fd_begin();
	for (size_t i = 0; i < sizeof bits / sizeof bits[0]; i++) {
		CU_ASSERT_FALSE(offers(bits[i]));
		fg_negotiate(&fg, FG_BIT(bits[i]));
		CU_ASSERT_EQUAL(fg_status(&fg), 3);
	}
	fd_end();
}

static void capabilities(void)
{
	fd_begin();
	for (unsigned at = fg_pcicfg(&fg, PCI_CAPABILITY_LIST, 1); at; at = fg_pcicfg(&fg, at + 1, 1)) {
		uint32_t id = fg_pcicfg(&fg, at, 1);
		CU_ASSERT_TRUE(id == PCI_CAP_ID_VNDR || id == PCI_CAP_ID_MSIX); /* no SR-IOV, power management, PCIe */
		if (id == PCI_CAP_ID_VNDR)
			CU_ASSERT_TRUE(fg_pcicfg(&fg, at + 3, 1) <= 5); /* NA-06: 8 shared memory, NA-07: 9 vendor data */
	}
	CU_ASSERT_EQUAL(fg_pcicfg(&fg, PCI_BASE_ADDRESS_0, 4) & 1, 0); /* NA-01: no legacy I/O BAR */
	CU_ASSERT_EQUAL(fg_pcicfg(&fg, 0x100, 4), 0xFFFFFFFF);
	fd_end();
}

static const struct test_case cases[] = {
	{"NA-01..08 GEN-13 VQ-28 PCI-NTF-05 NEW-01..05", features},
	{"NA-01 NA-03 NA-06 NA-07", capabilities},
};

TEST_SUITE(absent, cases);
