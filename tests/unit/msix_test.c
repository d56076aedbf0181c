#include "device/msix.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <string.h>

#include "tests/unit/fakehost.h"
#include "tests/unit/suite.h"
#include "util/bytes.h"

#define N 6

static struct fakehost *fh;
static struct pci_function fn;
static struct msix msix;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void set_flags(uint16_t flags)
{
	store_le16(fn.config + msix.cap + PCI_MSIX_FLAGS, (uint16_t)(flags | (N - 1)));
	msix_flush(&msix);
}

static void set_master(bool master)
{
	store_le16(fn.config + PCI_COMMAND, master ? PCI_COMMAND_MASTER : 0);
	msix_flush(&msix);
}

static void mask(unsigned vector, bool masked)
{
	msix_table_write(&msix, vector * 16ULL + 12, 4, masked);
}

/* MSI-X on, every vector v unmasked with data v. */
static void begin(void)
{
	const struct pci_ids ids = {.vendor = 1, .device = 2};
	fh = fakehost_create(4096);
	pci_function_init(&fn, NULL, &lock, &ids);
	memset(&msix, 0, sizeof msix);
	msix_init(&msix, &fn, &fh->host, N, 0, 0x1000, 0x1800);
	set_master(true);
	for (unsigned v = 0; v < N; v++) {
		msix_table_write(&msix, v * 16ULL, 8, 0xFEE00000);
		msix_table_write(&msix, v * 16ULL + 8, 4, v);
		mask(v, false);
	}
	set_flags(PCI_MSIX_FLAGS_ENABLE);
}

static void end(void)
{
	fakehost_destroy(fh);
}

static void test_capability(void)
{
	begin();
	const uint8_t *cap = fn.config + msix.cap;
	CU_ASSERT_EQUAL(cap[0], PCI_CAP_ID_MSIX);
	CU_ASSERT_EQUAL(load_le16(cap + PCI_MSIX_FLAGS) & PCI_MSIX_FLAGS_QSIZE, N - 1);
	CU_ASSERT_EQUAL(load_le32(cap + PCI_MSIX_TABLE), 0x1000);
	CU_ASSERT_EQUAL(load_le32(cap + PCI_MSIX_PBA), 0x1800);
	CU_ASSERT_EQUAL(load_le16(fn.writable + msix.cap + PCI_MSIX_FLAGS), PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	end();
}

static void test_power_on(void)
{
	begin();
	msix_reset(&msix);
	for (unsigned v = 0; v < N; v++) {
		CU_ASSERT_EQUAL(msix_table_read(&msix, v * 16ULL, 8), 0);
		CU_ASSERT_EQUAL(msix_table_read(&msix, v * 16ULL + 12, 4), 1);
	}
	CU_ASSERT_EQUAL(msix_pba_read(&msix, 0, 8), 0);
	end();
}

static void test_message(void)
{
	begin();
	msix_table_write(&msix, 3 * 16, 8, 0x1FEE01000);
	msix_notify(&msix, 3);
	CU_ASSERT_EQUAL(fh->msi_by_data[3], 1);
	CU_ASSERT_EQUAL(fh->last_msi_address, 0x1FEE01000);
	msix_notify(&msix, N);
	msix_notify(&msix, 0xFFFF);
	CU_ASSERT_EQUAL(fh->n_msis, 1);
	CU_ASSERT_EQUAL(msix.sent, 1);
	end();
}

static void test_refused_message(void)
{
	begin();
	fh->msi_error = -EINVAL;
	msix_notify(&msix, 1);
	CU_ASSERT_EQUAL(msix.refused, 1);
	CU_ASSERT_EQUAL(msix.pending, 0);
	end();
}

/* However many came while it was masked, one is sent, once. */
static void expect_held_then_sent_once(void (*hold)(bool))
{
	hold(true);
	msix_notify(&msix, 1);
	msix_notify(&msix, 1);
	CU_ASSERT_EQUAL(fh->n_msis, 0);
	CU_ASSERT_EQUAL(msix_pba_read(&msix, 0, 4), 2);
	hold(false);
	CU_ASSERT_EQUAL(fh->msi_by_data[1], 1);
	CU_ASSERT_EQUAL(msix_pba_read(&msix, 0, 8), 0);
	hold(true);
	hold(false);
	CU_ASSERT_EQUAL(fh->n_msis, 1);
}

static void hold_vector(bool on)
{
	mask(1, on);
}

static void hold_function(bool on)
{
	set_flags(PCI_MSIX_FLAGS_ENABLE | (on ? PCI_MSIX_FLAGS_MASKALL : 0));
}

static void hold_enable(bool on)
{
	set_flags(on ? 0 : PCI_MSIX_FLAGS_ENABLE);
}

static void hold_master(bool on)
{
	set_master(!on);
}

static void test_masks(void)
{
	void (*const holds[])(bool) = {hold_vector, hold_function, hold_enable, hold_master};
	for (size_t i = 0; i < sizeof holds / sizeof holds[0]; i++) {
		begin();
		expect_held_then_sent_once(holds[i]);
		end();
	}
}

static void test_masked_twice(void)
{
	begin();
	mask(1, true);
	hold_function(true);
	msix_notify(&msix, 1);
	hold_function(false);
	CU_ASSERT_EQUAL(fh->n_msis, 0);
	mask(1, false);
	CU_ASSERT_EQUAL(fh->n_msis, 1);
	end();
}

static void test_odd_accesses(void)
{
	begin();
	msix_table_write(&msix, 8, 4, 0x11223344);
	CU_ASSERT_EQUAL(msix_table_read(&msix, 8, 8), 0x11223344);
	const unsigned sizes[] = {1, 2, 4, 8};
	for (size_t i = 0; i < 4; i++)
		for (uint64_t offset = 0; offset < 0x200; offset++) {
			bool legal = sizes[i] >= 4 && offset % sizes[i] == 0 && offset + sizes[i] <= N * 16;
			if (!legal) {
				msix_table_write(&msix, offset, sizes[i], UINT64_MAX);
				CU_ASSERT_EQUAL_FATAL(msix_table_read(&msix, offset, sizes[i]), 0);
			}
		}
	CU_ASSERT_EQUAL(msix_table_read(&msix, 8, 8), 0x11223344);
	CU_ASSERT_EQUAL(msix_table_read(&msix, UINT64_MAX - 3, 4), 0);
	CU_ASSERT_EQUAL(msix_pba_read(&msix, 1, 4), 0);
	CU_ASSERT_EQUAL(msix_pba_read(&msix, 8, 8), 0);
	end();
}

static void test_only_the_mask_bit_of_vector_control(void)
{
	begin();
	msix_table_write(&msix, 12, 4, 0xFFFFFFFE);
	CU_ASSERT_EQUAL(msix_table_read(&msix, 12, 4), 0);
	msix_table_write(&msix, 8, 8, UINT64_MAX);
	CU_ASSERT_EQUAL(msix_table_read(&msix, 8, 8), 0x1FFFFFFFF);
	end();
}

static const struct test_case cases[] = {
	{"capability", test_capability},
	{"power-on", test_power_on},
	{"message", test_message},
	{"refused message", test_refused_message},
	{"masks", test_masks},
	{"masked twice", test_masked_twice},
	{"odd accesses", test_odd_accesses},
	{"only the mask bit of vector control", test_only_the_mask_bit_of_vector_control},
};

TEST_SUITE(msix, cases);
