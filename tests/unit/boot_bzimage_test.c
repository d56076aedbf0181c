#include <CUnit/CUnit.h>
#include <stdlib.h>
#include <string.h>

#include "kvm/board.h"
#include "kvm/e820.h"
#include "tests/unit/bzimage.h"
#include "tests/unit/suite.h"
#include "util/bytes.h"

static struct bootram boot;

static void zero_page_is_filled_in(void)
{
	bzimage_make();
	bzimage_start(&boot, 256);
	bootram_add_initramfs(&boot, 10000);
	CU_ASSERT_EQUAL_FATAL(bootram_load(&boot), 0);
	CU_ASSERT_EQUAL(boot.state.protocol, BOOT_BZIMAGE);
	CU_ASSERT(bzimage_is_loaded_at(&boot, BZIMAGE_PREF));
	const struct boot_params *params = bzimage_zero_page(&boot);
	CU_ASSERT_EQUAL(params->hdr.header, 0x53726448);
	CU_ASSERT_EQUAL(params->hdr.type_of_loader, 0xFF);
	CU_ASSERT_EQUAL(params->hdr.code32_start, BZIMAGE_PREF);
	CU_ASSERT_EQUAL(params->hdr.setup_data, 0);
	CU_ASSERT_EQUAL(params->hdr.init_size, BZIMAGE_INIT_SIZE);
	CU_ASSERT_EQUAL(params->acpi_rsdp_addr, RSDP_GPA);
	CU_ASSERT_EQUAL(params->ext_ramdisk_image | params->ext_ramdisk_size | params->ext_cmd_line_ptr, 0);
	CU_ASSERT_STRING_EQUAL(bootram_at(&boot, params->hdr.cmd_line_ptr, 20), "console=ttyS0 quiet");
	CU_ASSERT_EQUAL(params->hdr.ramdisk_image, 256 * MIB - 12288); /* as high as can be, at a page */
	CU_ASSERT_EQUAL(params->hdr.ramdisk_size, 10000);
	CU_ASSERT(bootram_has_initramfs(&boot, params->hdr.ramdisk_image));
	struct e820_map map;
	e820_build(&map, &boot.ram.gmem);
	CU_ASSERT_EQUAL_FATAL(params->e820_entries, map.n);
	for (size_t i = 0; i < map.n; i++) {
		CU_ASSERT_EQUAL(params->e820_table[i].addr, map.entries[i].gpa);
		CU_ASSERT_EQUAL(params->e820_table[i].size, map.entries[i].len);
		CU_ASSERT_EQUAL(params->e820_table[i].type, map.entries[i].type);
	}
	bootram_finish(&boot);
}

/* What the processor would make of a linear address. */
static uint64_t walk(uint64_t linear)
{
	uint64_t table = BOOT_PAGE_TABLES_GPA;

	for (int shift = 39; shift >= 21; shift -= 9) {
		uint64_t entry = load_le64(bootram_at(&boot, table + (linear >> shift & 511) * 8, 8));
		if ((entry & 3) != 3)
			return UINT64_MAX;
		if (entry & 0x80)
			return (entry & ~((UINT64_C(1) << shift) - 1)) | (linear & ((UINT64_C(1) << shift) - 1));
		table = entry & ~UINT64_C(0xFFF);
	}
	return UINT64_MAX;
}

static void first_4_gib_are_mapped_one_to_one(void)
{
	bzimage_make();
	bzimage_start(&boot, 64);
	CU_ASSERT_EQUAL_FATAL(bootram_load(&boot), 0);
	for (uint64_t linear = 0; linear < 4096 * MIB; linear += MIB)
		if (walk(linear + 5) != linear + 5)
			CU_FAIL("not mapped one to one");
	CU_ASSERT_EQUAL(walk(4096 * MIB), UINT64_MAX);
	CU_ASSERT(BOOT_PAGE_TABLES_GPA + 6 * 4096 <= BOOT_CMDLINE_GPA);
	bootram_finish(&boot);
}

/* Documentation/arch/x86/boot.rst: selector 0x10 is 4 GiB of flat 64-bit code, 0x18 of flat data. */
static void gdt_has_the_two_selectors(void)
{
	bzimage_make();
	bzimage_start(&boot, 64);
	CU_ASSERT_EQUAL_FATAL(bootram_load(&boot), 0);
	const uint8_t *gdt = bootram_at(&boot, BOOT_GDT_GPA, BOOT_GDT_LEN);
	CU_ASSERT_EQUAL(load_le64(gdt), 0);
	CU_ASSERT_EQUAL(load_le64(gdt + 0x10), 0x00AF9B000000FFFF);
	CU_ASSERT_EQUAL(load_le64(gdt + 0x18), 0x00CF93000000FFFF);
	bootram_finish(&boot);
}

static void little_ram_moves_a_relocatable_kernel_down(void)
{
	bzimage_make();
	bzimage_start(&boot, 7);
	CU_ASSERT_EQUAL_FATAL(bootram_load(&boot), 0);
	CU_ASSERT(bzimage_is_loaded_at(&boot, 2 * MIB));
	bootram_finish(&boot);
	bzimage_start(&boot, 6); /* init_size exactly */
	CU_ASSERT_EQUAL_FATAL(bootram_load(&boot), 0);
	bootram_finish(&boot);
	bzimage_start(&boot, 5);
	CU_ASSERT(bootram_fails(&boot, "needs 4 MiB of RAM from 2 MiB on"));
	bootram_finish(&boot);
	bzimage_header()->relocatable_kernel = 0;
	bzimage_start(&boot, 19);
	CU_ASSERT(bootram_fails(&boot, "needs 4 MiB of RAM from 16 MiB on"));
	bootram_finish(&boot);
}

static void memory_is_taken_below_3_gib_only(void)
{
	bzimage_make();
	bzimage_header()->relocatable_kernel = 0;
	bzimage_header()->pref_address = BOARD_RAM_HIGH_BASE;
	bzimage_start(&boot, 4096);
	CU_ASSERT(bootram_fails(&boot, "needs 4 MiB of RAM"));
	bootram_finish(&boot);
	bzimage_header()->pref_address = 0xFFFFFFFFFFFFF000;
	bzimage_start(&boot, 64);
	CU_ASSERT(bootram_fails(&boot, "needs 4 MiB of RAM"));
	bootram_finish(&boot);
	bzimage_header()->pref_address = 0x8000; /* over the zero page */
	bzimage_start(&boot, 64);
	CU_ASSERT(bootram_fails(&boot, "needs 4 MiB of RAM"));
	bootram_finish(&boot);
}

static void code_longer_than_init_size_counts(void)
{
	bzimage_make();
	bzimage_header()->init_size = 1;
	bzimage_start(&boot, 64);
	bootram_add_initramfs(&boot, 48 * MIB - BZIMAGE_CODE_LEN + 1);
	CU_ASSERT(bootram_fails(&boot, "does not fit"));
	bootram_finish(&boot);
}

static void initramfs_stays_clear_of_the_kernel(void)
{
	bzimage_make();
	bzimage_start(&boot, 64);
	bootram_add_initramfs(&boot, 44 * MIB); /* from the kernel's end to the end of RAM, exactly */
	CU_ASSERT_EQUAL(bootram_load(&boot), 0);
	CU_ASSERT(bzimage_is_loaded_at(&boot, BZIMAGE_PREF));
	CU_ASSERT_EQUAL(bzimage_zero_page(&boot)->hdr.ramdisk_image, BZIMAGE_PREF + BZIMAGE_INIT_SIZE);
	CU_ASSERT(bootram_has_initramfs(&boot, BZIMAGE_PREF + BZIMAGE_INIT_SIZE));
	bootram_finish(&boot);
	bzimage_start(&boot, 64);
	bootram_add_initramfs(&boot, 44 * MIB + 1);
	CU_ASSERT(bootram_fails(&boot, "tested-initramfs (45 MiB) does not fit"));
	boot.src.initramfs.len = UINT64_MAX; /* never read that far */
	CU_ASSERT(bootram_fails(&boot, "does not fit"));
	bootram_finish(&boot);
}

static void initrd_addr_max_is_kept(void)
{
	bzimage_make();
	bzimage_header()->initrd_addr_max = 0x1FFFFFF;
	bzimage_start(&boot, 64);
	bootram_add_initramfs(&boot, 4096);
	CU_ASSERT_EQUAL(bootram_load(&boot), 0);
	CU_ASSERT_EQUAL(bzimage_zero_page(&boot)->hdr.ramdisk_image, 64 * MIB - 4096); /* XLF_CAN_BE_LOADED_ABOVE_4G lifts it */
	bootram_finish(&boot);
	bzimage_header()->xloadflags = XLF_KERNEL_64;
	bzimage_start(&boot, 64);
	bootram_add_initramfs(&boot, 4096);
	CU_ASSERT_EQUAL(bootram_load(&boot), 0);
	CU_ASSERT_EQUAL(bzimage_zero_page(&boot)->hdr.ramdisk_image, 32 * MIB - 4096);
	bootram_finish(&boot);
}

static void no_initramfs(void)
{
	bzimage_make();
	bzimage_start(&boot, 64);
	CU_ASSERT_EQUAL(bootram_load(&boot), 0);
	CU_ASSERT_EQUAL(bzimage_zero_page(&boot)->hdr.ramdisk_image | bzimage_zero_page(&boot)->hdr.ramdisk_size, 0);
	bootram_finish(&boot);
}

static void command_line_has_a_limit(void)
{
	static char cmdline[BOOT_CMDLINE_MAX + 2];

	bzimage_make();
	bzimage_start(&boot, 64);
	boot.src.cmdline = cmdline;
	memset(cmdline, 'x', 2047);
	CU_ASSERT_EQUAL(bootram_load(&boot), 0);
	CU_ASSERT_EQUAL(strlen((const char *)bootram_at(&boot, BOOT_CMDLINE_GPA, 2048)), 2047);
	cmdline[2047] = 'x';
	CU_ASSERT(bootram_fails(&boot, "the command line has 2048 bytes, but tested-kernel takes no more than 2047"));
	bootram_finish(&boot);
	bzimage_header()->cmdline_size = UINT32_MAX; /* ours counts then */
	bzimage_start(&boot, 64);
	boot.src.cmdline = cmdline;
	memset(cmdline, 'x', BOOT_CMDLINE_MAX - 1);
	CU_ASSERT_EQUAL(bootram_load(&boot), 0);
	cmdline[BOOT_CMDLINE_MAX - 1] = 'x';
	CU_ASSERT(bootram_fails(&boot, "takes no more than 65535"));
	bootram_finish(&boot);
}

static void a_signature_behind_the_code_does_no_harm(void)
{
	bzimage_make();
	bzimage_header()->syssize = BZIMAGE_CODE_LEN / 16 - 10;
	bzimage_start(&boot, 64);
	CU_ASSERT_EQUAL(bootram_load(&boot), 0);
	CU_ASSERT(bzimage_is_loaded_at(&boot, BZIMAGE_PREF));
	bootram_finish(&boot);
}

static void four_setup_sectors_are_the_default(void)
{
	bzimage_make();
	bzimage_header()->setup_sects = 0;
	bzimage_header()->syssize = (BZIMAGE_CODE_LEN - 3 * 512) / 16;
	bzimage_start(&boot, 64);
	CU_ASSERT_EQUAL(bootram_load(&boot), 0);
	CU_ASSERT_EQUAL(memcmp(bootram_at(&boot, BZIMAGE_PREF, 16), bzimage + 5 * 512, 16), 0);
	bootram_finish(&boot);
}

static const struct test_case cases[] = {
	{"the zero page is filled in", zero_page_is_filled_in},
	{"the first 4 GiB are mapped one to one", first_4_gib_are_mapped_one_to_one},
	{"the GDT has the two selectors", gdt_has_the_two_selectors},
	{"little RAM moves a relocatable kernel down", little_ram_moves_a_relocatable_kernel_down},
	{"memory is taken below 3 GiB only", memory_is_taken_below_3_gib_only},
	{"code longer than init_size counts", code_longer_than_init_size_counts},
	{"the initramfs stays clear of the kernel", initramfs_stays_clear_of_the_kernel},
	{"initrd_addr_max is kept", initrd_addr_max_is_kept},
	{"no initramfs", no_initramfs},
	{"the command line has a limit", command_line_has_a_limit},
	{"a signature behind the code does no harm", a_signature_behind_the_code_does_no_harm},
	{"four setup sectors are the default", four_setup_sectors_are_the_default},
};

TEST_SUITE(boot_bzimage, cases);
