#include <CUnit/CUnit.h>
#include <asm/bootparam.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kvm/board.h"
#include "kvm/e820.h"
#include "tests/unit/bootram.h"
#include "tests/unit/suite.h"
#include "util/bytes.h"

#define SETUP_LEN (2 * 512)
#define CODE_LEN 6000
#define IMAGE_LEN (SETUP_LEN + CODE_LEN)
#define PREF 0x1000000
#define INIT_SIZE (4 * MIB)

static uint8_t image[IMAGE_LEN];
static struct bootram boot;

static struct setup_header *header(void)
{
	return (struct setup_header *)(void *)(image + 0x1F1);
}

/* A kernel with every field as a current Linux has it, but small; its code counts up. */
static void make(void)
{
	memset(image, 0, sizeof image);
	*header() = (struct setup_header){
		.setup_sects = 1,
		.syssize = CODE_LEN / 16,
		.boot_flag = 0xAA55,
		.jump = 0x66EB, /* the header ends at 0x268 */
		.header = 0x53726448,
		.version = 0x020F,
		.loadflags = LOADED_HIGH,
		.initrd_addr_max = 0x7FFFFFFF,
		.kernel_alignment = 0x200000,
		.relocatable_kernel = 1,
		.xloadflags = XLF_KERNEL_64 | XLF_CAN_BE_LOADED_ABOVE_4G,
		.cmdline_size = 2047,
		.setup_data = 0x1234,
		.pref_address = PREF,
		.init_size = INIT_SIZE,
	};
	for (size_t i = 0; i < CODE_LEN; i++)
		image[SETUP_LEN + i] = (uint8_t)(i % 253);
}

static void start(uint64_t ram_mib)
{
	bootram_init(&boot, ram_mib, image, sizeof image);
}

static bool is_loaded_at(uint64_t gpa)
{
	return boot.state.entry_gpa == gpa + 0x200 && memcmp(bootram_at(&boot, gpa, CODE_LEN), image + SETUP_LEN, CODE_LEN) == 0;
}

static const struct boot_params *zero_page(void)
{
	return (const void *)bootram_at(&boot, boot.state.info_gpa, sizeof(struct boot_params));
}

static void zero_page_is_filled_in(void)
{
	make();
	start(256);
	bootram_add_initramfs(&boot, 10000);
	CU_ASSERT_EQUAL_FATAL(bootram_load(&boot), 0);
	CU_ASSERT_EQUAL(boot.state.protocol, BOOT_BZIMAGE);
	CU_ASSERT(is_loaded_at(PREF));
	const struct boot_params *params = zero_page();
	CU_ASSERT_EQUAL(params->hdr.header, 0x53726448);
	CU_ASSERT_EQUAL(params->hdr.type_of_loader, 0xFF);
	CU_ASSERT_EQUAL(params->hdr.code32_start, PREF);
	CU_ASSERT_EQUAL(params->hdr.setup_data, 0);
	CU_ASSERT_EQUAL(params->hdr.init_size, INIT_SIZE);
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
	make();
	start(64);
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
	make();
	start(64);
	CU_ASSERT_EQUAL_FATAL(bootram_load(&boot), 0);
	const uint8_t *gdt = bootram_at(&boot, BOOT_GDT_GPA, BOOT_GDT_LEN);
	CU_ASSERT_EQUAL(load_le64(gdt), 0);
	CU_ASSERT_EQUAL(load_le64(gdt + 0x10), 0x00AF9B000000FFFF);
	CU_ASSERT_EQUAL(load_le64(gdt + 0x18), 0x00CF93000000FFFF);
	bootram_finish(&boot);
}

static void little_ram_moves_a_relocatable_kernel_down(void)
{
	make();
	start(7);
	CU_ASSERT_EQUAL_FATAL(bootram_load(&boot), 0);
	CU_ASSERT(is_loaded_at(2 * MIB));
	bootram_finish(&boot);
	start(6); /* init_size exactly */
	CU_ASSERT_EQUAL_FATAL(bootram_load(&boot), 0);
	bootram_finish(&boot);
	start(5);
	CU_ASSERT(bootram_fails(&boot, "needs 4 MiB of RAM from 2 MiB on"));
	bootram_finish(&boot);
	header()->relocatable_kernel = 0;
	start(19);
	CU_ASSERT(bootram_fails(&boot, "needs 4 MiB of RAM from 16 MiB on"));
	bootram_finish(&boot);
}

static void memory_is_taken_below_3_gib_only(void)
{
	make();
	header()->relocatable_kernel = 0;
	header()->pref_address = BOARD_RAM_HIGH_BASE;
	start(4096);
	CU_ASSERT(bootram_fails(&boot, "needs 4 MiB of RAM"));
	bootram_finish(&boot);
	header()->pref_address = 0xFFFFFFFFFFFFF000;
	start(64);
	CU_ASSERT(bootram_fails(&boot, "needs 4 MiB of RAM"));
	bootram_finish(&boot);
	header()->pref_address = 0x8000; /* over the zero page */
	start(64);
	CU_ASSERT(bootram_fails(&boot, "needs 4 MiB of RAM"));
	bootram_finish(&boot);
}

static void code_longer_than_init_size_counts(void)
{
	make();
	header()->init_size = 1;
	start(64);
	bootram_add_initramfs(&boot, 48 * MIB - CODE_LEN + 1);
	CU_ASSERT(bootram_fails(&boot, "does not fit"));
	bootram_finish(&boot);
}

static void initramfs_stays_clear_of_the_kernel(void)
{
	make();
	start(64);
	bootram_add_initramfs(&boot, 44 * MIB); /* from the kernel's end to the end of RAM, exactly */
	CU_ASSERT_EQUAL(bootram_load(&boot), 0);
	CU_ASSERT(is_loaded_at(PREF));
	CU_ASSERT_EQUAL(zero_page()->hdr.ramdisk_image, PREF + INIT_SIZE);
	CU_ASSERT(bootram_has_initramfs(&boot, PREF + INIT_SIZE));
	bootram_finish(&boot);
	start(64);
	bootram_add_initramfs(&boot, 44 * MIB + 1);
	CU_ASSERT(bootram_fails(&boot, "tested-initramfs (45 MiB) does not fit"));
	boot.src.initramfs.len = UINT64_MAX; /* never read that far */
	CU_ASSERT(bootram_fails(&boot, "does not fit"));
	bootram_finish(&boot);
}

static void initrd_addr_max_is_kept(void)
{
	make();
	header()->initrd_addr_max = 0x1FFFFFF;
	start(64);
	bootram_add_initramfs(&boot, 4096);
	CU_ASSERT_EQUAL(bootram_load(&boot), 0);
	CU_ASSERT_EQUAL(zero_page()->hdr.ramdisk_image, 64 * MIB - 4096); /* XLF_CAN_BE_LOADED_ABOVE_4G lifts it */
	bootram_finish(&boot);
	header()->xloadflags = XLF_KERNEL_64;
	start(64);
	bootram_add_initramfs(&boot, 4096);
	CU_ASSERT_EQUAL(bootram_load(&boot), 0);
	CU_ASSERT_EQUAL(zero_page()->hdr.ramdisk_image, 32 * MIB - 4096);
	bootram_finish(&boot);
}

static void no_initramfs(void)
{
	make();
	start(64);
	CU_ASSERT_EQUAL(bootram_load(&boot), 0);
	CU_ASSERT_EQUAL(zero_page()->hdr.ramdisk_image | zero_page()->hdr.ramdisk_size, 0);
	bootram_finish(&boot);
}

static void command_line_has_a_limit(void)
{
	static char cmdline[BOOT_CMDLINE_MAX + 2];

	make();
	start(64);
	boot.src.cmdline = cmdline;
	memset(cmdline, 'x', 2047);
	CU_ASSERT_EQUAL(bootram_load(&boot), 0);
	CU_ASSERT_EQUAL(strlen((const char *)bootram_at(&boot, BOOT_CMDLINE_GPA, 2048)), 2047);
	cmdline[2047] = 'x';
	CU_ASSERT(bootram_fails(&boot, "the command line has 2048 bytes, but tested-kernel takes no more than 2047"));
	bootram_finish(&boot);
	header()->cmdline_size = UINT32_MAX; /* ours counts then */
	start(64);
	boot.src.cmdline = cmdline;
	memset(cmdline, 'x', BOOT_CMDLINE_MAX - 1);
	CU_ASSERT_EQUAL(bootram_load(&boot), 0);
	cmdline[BOOT_CMDLINE_MAX - 1] = 'x';
	CU_ASSERT(bootram_fails(&boot, "takes no more than 65535"));
	bootram_finish(&boot);
}

static void a_signature_behind_the_code_does_no_harm(void)
{
	make();
	header()->syssize = CODE_LEN / 16 - 10;
	start(64);
	CU_ASSERT_EQUAL(bootram_load(&boot), 0);
	CU_ASSERT(is_loaded_at(PREF));
	bootram_finish(&boot);
}

static void four_setup_sectors_are_the_default(void)
{
	make();
	header()->setup_sects = 0;
	header()->syssize = (CODE_LEN - 3 * 512) / 16;
	start(64);
	CU_ASSERT_EQUAL(bootram_load(&boot), 0);
	CU_ASSERT_EQUAL(memcmp(bootram_at(&boot, PREF, 16), image + 5 * 512, 16), 0);
	bootram_finish(&boot);
}

static void each_header_fault_has_its_words(void)
{
	static const struct {
		size_t offset;
		uint32_t value;
		size_t len;
		const char *words;
	} faults[] = {
		{0x206, 0x020B, 2, "its boot protocol is 2.11; 2.12 (Linux 3.8) or newer is needed"},
		{0x206, 0x0100, 2, "its boot protocol is 1.00"},
		{0x201, 0x61, 1, "its setup header is cut short"},
		{0x211, 0x00, 1, "it is a zImage"},
		{0x236, 0x02, 2, "it is a 32-bit kernel; a 64-bit one is needed"},
		{0x230, 0x00, 4, "is not a power of two"},
		{0x230, 0x300000, 4, "is not a power of two"},
		{0x1F1, 0xFF, 1, "it is truncated"},
		{0x1F4, UINT32_MAX, 4, "it is truncated"},
		{0x1F4, CODE_LEN / 16 + 1, 4, "it is truncated"},
		{0x260, UINT32_MAX, 4, "needs 4096 MiB of RAM"},
		{0x202, 0, 4, "it begins with a boot sector but has no Linux setup header"},
	};

	for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
		make();
		memcpy(image + faults[i].offset, &faults[i].value, faults[i].len);
		start(64);
		CU_ASSERT(bootram_fails(&boot, faults[i].words));
		bootram_finish(&boot);
	}
}

static void a_kernel_has_code(void)
{
	make();
	header()->syssize = 0;
	bootram_init(&boot, 64, image, SETUP_LEN + 0x200); /* up to its entry point */
	CU_ASSERT(bootram_fails(&boot, "it has no code"));
	bootram_finish(&boot);
}

static void every_truncation_fails(void)
{
	make();
	for (size_t len = 0; len < IMAGE_LEN; len += len < 1100 ? 1 : 97) {
		bootram_init(&boot, 32, image, len);
		CU_ASSERT(bootram_load(&boot) < 0);
		bootram_finish(&boot);
	}
}

static void mutants_do_no_harm(void)
{
	make();
	bootram_mutate(image, sizeof image, 0x270, 20000);
}

/* What people hand to --kernel by mistake. */
static void what_it_looks_like_is_told(void)
{
	static const struct {
		size_t offset;
		const char *bytes;
		size_t len;
		const char *words;
	} kinds[] = {
		{0, "\x1f\x8b\x08", 3, "gzip"},
		{0,
		 "\xfd"
		 "7zXZ\0",
		 6, "xz"},
		{0, "\x28\xb5\x2f\xfd", 4, "zstd"},
		{0, "BZh9", 4, "bzip2"},
		{0, "\x02\x21\x4c\x18", 4, "lz4"},
		{56, "ARM\x64", 4, "an arm64 Image"},
		{48, "RISCV\0\0\0", 8, "a RISC-V Image"},
		{4, "zimg", 4, "an EFI zboot image"},
		{0, "\x27\x05\x19\x56", 4, "a U-Boot image"},
		{0, "070701", 6, "an initramfs, not a kernel"},
		{0, "!<arch>\n", 8, "a Debian package"},
		{0, "QFI\xfb", 4, "a qcow2 disk image"},
		{0, "#!/bin/sh", 9, "a script"},
		{0, "MZ", 2, "without a Linux setup header"},
		{510, "\x55\xaa", 2, "a boot sector"},
		{0, "hello", 5, "neither a bzImage nor an ELF file"},
	};
	uint8_t bytes[1024];

	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		memset(bytes, 0, sizeof bytes);
		memcpy(bytes + kinds[i].offset, kinds[i].bytes, kinds[i].len);
		bootram_init(&boot, 32, bytes, sizeof bytes);
		CU_ASSERT(bootram_fails(&boot, kinds[i].words));
		bootram_finish(&boot);
	}
}

/* ---- From files ------------------------------------------------------ */

/* A path to a file that is nowhere. */
static int make_file(const void *data, size_t len, char path[32])
{
	int fd = memfd_create("kernel", MFD_CLOEXEC);

	CU_ASSERT_FATAL(fd >= 0 && write(fd, data, len) == (ssize_t)len);
	snprintf(path, 32, "/proc/self/fd/%d", fd);
	return fd;
}

static void files_are_read(void)
{
	char kernel[32], initramfs[32];
	struct boot_source src;
	struct boot_state state;
	struct fail why = {0};

	make();
	start(64);
	int kernel_fd = make_file(image, sizeof image, kernel);
	int initramfs_fd = make_file("an archive", 10, initramfs);
	CU_ASSERT_EQUAL_FATAL(boot_open(&src, &(struct payload_config){.kernel = kernel, .initramfs = initramfs}, NULL, 0, &why), 0);
	close(kernel_fd);
	for (int i = 0; i < 2; i++) { /* the second time is a reset */
		CU_ASSERT_EQUAL(ram_discard_all(&boot.ram), 0);
		CU_ASSERT_EQUAL(boot_load(&src, &boot.ram, RSDP_GPA, &state, &why), 0);
		boot.state = state;
		CU_ASSERT(is_loaded_at(PREF));
		CU_ASSERT_EQUAL(memcmp(bootram_at(&boot, zero_page()->hdr.ramdisk_image, 10), "an archive", 10), 0);
		CU_ASSERT_EQUAL(*bootram_at(&boot, BOOT_CMDLINE_GPA, 1), 0);
	}
	CU_ASSERT_EQUAL(ftruncate(initramfs_fd, 4), 0); /* behind our back */
	CU_ASSERT(boot_load(&src, &boot.ram, RSDP_GPA, &state, &why) < 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(why.text, "became shorter while it was read"));
	close(initramfs_fd);
	boot_close(&src);
	boot_close(&src);
	bootram_finish(&boot);
}

static bool open_fails(const struct payload_config *payload, const char *words, int error)
{
	struct boot_source src;
	struct fail why = {0};
	int rc = boot_open(&src, payload, NULL, 0, &why);

	boot_close(&src);
	return rc < 0 && strstr(why.text, words) && why.error == error;
}

static void files_that_cannot_be_used(void)
{
	char empty[32];
	int fd = make_file("", 0, empty);

	CU_ASSERT(open_fails(&(struct payload_config){.kernel = "/nonexistent/vmlinuz"}, "cannot open kernel /nonexistent/vmlinuz", ENOENT));
	CU_ASSERT(open_fails(&(struct payload_config){.initramfs = "/nonexistent/initrd"}, "cannot open initramfs /nonexistent/initrd", ENOENT));
	CU_ASSERT(open_fails(&(struct payload_config){.kernel = "/"}, "it is not a regular file", 0));
	CU_ASSERT(open_fails(&(struct payload_config){.kernel = "/dev/null"}, "it is not a regular file", 0));
	CU_ASSERT(open_fails(&(struct payload_config){.kernel = empty}, "the file is empty", 0));
	close(fd);
	boot_close(&(struct boot_source){0});
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
	{"each header fault has its words", each_header_fault_has_its_words},
	{"a kernel has code", a_kernel_has_code},
	{"every truncation fails", every_truncation_fails},
	{"mutants do no harm", mutants_do_no_harm},
	{"what it looks like is told", what_it_looks_like_is_told},
	{"files are read", files_are_read},
	{"files that cannot be used", files_that_cannot_be_used},
};
TEST_SUITE(boot_bzimage, cases);
