#include "device/balloon.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "device/registry.h"
#include "parser/vmconfig.h"
#include "tests/unit/fakeguest.h"
#include "tests/unit/suite.h"

#define MIB (1ULL << 20)

/* ---- The property table ---------------------------------------------- */

static char *text;
static size_t text_len;

/* Loads a VM from two flags; what was said is in `text`. */
static int load(const char *memory, const char *balloon, struct balloon_config *out)
{
	const struct vmconfig_flag flags[] = {{"--memory", memory}, {"--balloon", balloon}};
	const struct vmconfig_input input = {.flags = flags, .n_flags = 2, .drivers = device_drivers};
	struct diag_list *diags = diag_list_create();
	struct vm_config config;
	free(text);
	FILE *out_file = open_memstream(&text, &text_len);
	int err = vmconfig_load(&config, &input, diags);
	diag_print(diags, out_file, DIAG_PLAIN);
	fclose(out_file);
	if (!err && out)
		memcpy(out, config.devices[0].values.data, sizeof *out);
	if (!err)
		vmconfig_finish(&config);
	diag_list_destroy(diags);
	return err;
}

static void test_defaults(void)
{
	struct balloon_config c = {0};
	CU_ASSERT_EQUAL(load("1G", "size=512M", &c), 0);
	CU_ASSERT_STRING_EQUAL(text, "");
	CU_ASSERT_EQUAL(c.size, 512 * MIB);
	CU_ASSERT_FALSE(c.deflate_on_oom);
	CU_ASSERT_FALSE(c.free_page_reporting);
	CU_ASSERT_EQUAL(c.statistics, 0);
	CU_ASSERT_PTR_NULL(c.id);
	CU_ASSERT_EQUAL(c.pci_device_id, 0);
}

static void test_all_properties(void)
{
	struct balloon_config c = {0};
	CU_ASSERT_EQUAL(load("1G", "size=0,deflate_on_oom=on,free_page_reporting=on,statistics=4294967295,id=b1,pci_device_id=31", &c), 0);
	CU_ASSERT_TRUE(c.deflate_on_oom && c.free_page_reporting);
	CU_ASSERT_EQUAL(c.statistics, UINT32_MAX);
	CU_ASSERT_EQUAL(c.pci_device_id, 31);
}

static void test_refused_values(void)
{
	const char *const bad[] = {"deflate_on_oom=on", "size=4097", "size=1G,pci_device_id=0", "size=4K,pci_device_id=32", "size=4K,statistics=4294967296",
				   "size=4K,id=__x"};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		CU_ASSERT_EQUAL(load("1G", bad[i], NULL), -EINVAL);
}

static void test_size_against_ram(void)
{
	CU_ASSERT_EQUAL(load("1G", "size=1G", NULL), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "not less than the memory of 1G"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "--balloon:1:6: error"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "--memory:1:1")); /* both places */
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "size=512M"));    /* what to write instead */
	CU_ASSERT_EQUAL(load("1G", "size=1025M", NULL), -EINVAL);
	CU_ASSERT_EQUAL(load("1G", "size=1020M", NULL), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "warning"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "--memory:1:1"));
	CU_ASSERT_EQUAL(load("1G", "size=900M", NULL), 0);
	CU_ASSERT_STRING_EQUAL(text, "");
	free(text);
	text = NULL;
}

static void test_registry(void)
{
	CU_ASSERT_PTR_EQUAL(registry_find("virtio-balloon"), &balloon_class);
	CU_ASSERT_PTR_NULL(registry_find("balloon"));
	CU_ASSERT_PTR_NULL(registry_find(""));
	size_t n = 0;
	for (; device_registry[n]; n++)
		CU_ASSERT_PTR_EQUAL(device_drivers[n], &device_registry[n]->driver);
	CU_ASSERT_PTR_NULL(device_drivers[n]);
}

/* ---- Creation -------------------------------------------------------- */

static struct fakehost *fh;
static struct pci_root *root;

static int create(const char *id, const struct balloon_config *config, struct device **dev)
{
	const struct device_init init = {.id = id, .config = config, .host = &fh->host, .pci = root};
	return balloon_class.create(&init, dev);
}

static void test_create_errors(void)
{
	struct device *dev, *second;
	char long_id[DEVICE_ID_MAX + 1];
	fh = fakehost_create(2 * MIB);
	const struct pci_root_params params = {.host = &fh->host, .port = 0xCF8, .mmio_base = 0xC0000000, .mmio_len = 0x4000, .gsi_base = 16, .n_gsi = 8};
	CU_ASSERT_EQUAL_FATAL(pci_root_create(&params, &root), 0);

	fakehost_capture_log();
	CU_ASSERT_EQUAL(create("b", &(struct balloon_config){.size = 128 * MIB}, &dev), -ERANGE);
	CU_ASSERT_EQUAL(create("b", &(struct balloon_config){.pci_device_id = 40}, &dev), -EINVAL);
	memset(long_id, 'x', DEVICE_ID_MAX);
	long_id[DEVICE_ID_MAX] = 0;
	CU_ASSERT_EQUAL(create(long_id, &(struct balloon_config){0}, &dev), -ENAMETOOLONG);
	long_id[DEVICE_ID_MAX - 1] = 0;
	CU_ASSERT_EQUAL(create(long_id, &(struct balloon_config){.pci_device_id = 7}, &dev), 0);
	CU_ASSERT_EQUAL(create("b", &(struct balloon_config){.pci_device_id = 7}, &second), -EEXIST);
	CU_ASSERT_EQUAL(create("b", &(struct balloon_config){0}, &second), 0);
	device_destroy(second);
	/* The window holds two. */
	CU_ASSERT_EQUAL(create("b", &(struct balloon_config){0}, &second), -ENOSPC);
	fakehost_end_log();
	device_destroy(dev);
	device_destroy(NULL);
	pci_root_destroy(root);
	fakehost_destroy(fh);
}

/* The bitmap for huge pages cannot be had. */
static void test_no_memory_for_the_map(void)
{
	struct device *dev;
	fh = fakehost_create(2 * MIB);
	fh->host.gmem.regions[1].len = 1ULL << 62; /* no address space holds its bits */
	root = NULL;
	CU_ASSERT_EQUAL(create("b", &(struct balloon_config){0}, &dev), -ENOMEM);
	fh->host.gmem.regions[1].len = FAKE_REGION_LEN;
	fakehost_destroy(fh);
}

static const struct test_case cases[] = {
	{"defaults", test_defaults},
	{"all properties", test_all_properties},
	{"refused values", test_refused_values},
	{"size against RAM", test_size_against_ram},
	{"registry", test_registry},
	{"create errors", test_create_errors},
	{"no memory for the map", test_no_memory_for_the_map},
};

TEST_SUITE(balloon, cases);
