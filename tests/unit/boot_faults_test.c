#include <CUnit/CUnit.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/unit/bzimage.h"
#include "tests/unit/suite.h"

static struct bootram boot;

/* ---- What is refused ------------------------------------------------- */

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
		{0x1F4, BZIMAGE_CODE_LEN / 16 + 1, 4, "it is truncated"},
		{0x260, UINT32_MAX, 4, "needs 4096 MiB of RAM"},
		{0x202, 0, 4, "it begins with a boot sector but has no Linux setup header"},
	};

	for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
		bzimage_make();
		memcpy(bzimage + faults[i].offset, &faults[i].value, faults[i].len);
		bzimage_start(&boot, 64);
		CU_ASSERT(bootram_fails(&boot, faults[i].words));
		bootram_finish(&boot);
	}
}

static void a_kernel_has_code(void)
{
	bzimage_make();
	bzimage_header()->syssize = 0;
	bootram_init(&boot, 64, bzimage, BZIMAGE_SETUP_LEN + 0x200); /* up to its entry point */
	CU_ASSERT(bootram_fails(&boot, "it has no code"));
	bootram_finish(&boot);
}

static void every_truncation_fails(void)
{
	bzimage_make();
	for (size_t len = 0; len < BZIMAGE_LEN; len += len < 1100 ? 1 : 97) {
		bootram_init(&boot, 32, bzimage, len);
		CU_ASSERT(bootram_load(&boot) < 0);
		bootram_finish(&boot);
	}
}

static void mutants_do_no_harm(void)
{
	bzimage_make();
	bootram_mutate(bzimage, sizeof bzimage, 0x270, 20000);
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

	bzimage_make();
	bzimage_start(&boot, 64);
	int kernel_fd = make_file(bzimage, sizeof bzimage, kernel);
	int initramfs_fd = make_file("an archive", 10, initramfs);
	CU_ASSERT_EQUAL_FATAL(boot_open(&src, &(struct payload_config){.kernel = kernel, .initramfs = initramfs}, NULL, 0, &why), 0);
	close(kernel_fd);
	for (int i = 0; i < 2; i++) { /* the second time is a reset */
		CU_ASSERT_EQUAL(ram_discard_all(&boot.ram), 0);
		CU_ASSERT_EQUAL(boot_load(&src, &boot.ram, RSDP_GPA, &state, &why), 0);
		boot.state = state;
		CU_ASSERT(bzimage_is_loaded_at(&boot, BZIMAGE_PREF));
		CU_ASSERT_EQUAL(memcmp(bootram_at(&boot, bzimage_zero_page(&boot)->hdr.ramdisk_image, 10), "an archive", 10), 0);
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
	{"each header fault has its words", each_header_fault_has_its_words},
	{"a kernel has code", a_kernel_has_code},
	{"every truncation fails", every_truncation_fails},
	{"mutants do no harm", mutants_do_no_harm},
	{"what it looks like is told", what_it_looks_like_is_told},
	{"files are read", files_are_read},
	{"files that cannot be used", files_that_cannot_be_used},
};

TEST_SUITE(boot_faults, cases);
