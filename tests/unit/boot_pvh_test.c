#include <CUnit/CUnit.h>
#include <elf.h>
#include <stddef.h>
#include <string.h>

#include "kvm/board.h"
#include "kvm/e820.h"
#include "tests/unit/bootram.h"
#include "tests/unit/suite.h"
#include "util/bytes.h"

#define TEXT_GPA 0x1000000
#define DATA_GPA 0x1400000
#define ENTRY_GPA (TEXT_GPA + 0x40)

/* Two segments, the second with a bss, and the note. */
static struct image {
	Elf64_Ehdr ehdr;
	Elf64_Phdr phdrs[3];
	struct {
		Elf64_Nhdr other_header; /* one that is to be skipped: its name is not a multiple of four */
		char other_name[8];
		uint32_t other_desc;
		Elf64_Nhdr header;
		char name[4];
		uint64_t entry;
	} __attribute__((packed)) notes;
	uint8_t text[3000];
	uint8_t data[100];
} __attribute__((packed)) image;

static struct bootram boot;

static void make(void)
{
	memset(&image, 0, sizeof image);
	memcpy(image.ehdr.e_ident, ELFMAG, SELFMAG);
	image.ehdr.e_ident[EI_CLASS] = ELFCLASS64;
	image.ehdr.e_ident[EI_DATA] = ELFDATA2LSB;
	image.ehdr.e_type = ET_EXEC;
	image.ehdr.e_machine = EM_X86_64;
	image.ehdr.e_phoff = offsetof(struct image, phdrs);
	image.ehdr.e_phentsize = sizeof image.phdrs[0];
	image.ehdr.e_phnum = 3;
	image.phdrs[0] = (Elf64_Phdr){.p_type = PT_LOAD, .p_offset = offsetof(struct image, text), .p_paddr = TEXT_GPA, .p_filesz = 3000, .p_memsz = 3000};
	image.phdrs[1] = (Elf64_Phdr){.p_type = PT_LOAD, .p_offset = offsetof(struct image, data), .p_paddr = DATA_GPA, .p_filesz = 100, .p_memsz = MIB};
	image.phdrs[2] = (Elf64_Phdr){.p_type = PT_NOTE, .p_offset = offsetof(struct image, notes), .p_filesz = sizeof image.notes, .p_align = 4};
	image.notes.other_header = (Elf64_Nhdr){.n_namesz = 6, .n_descsz = 4, .n_type = 18};
	memcpy(image.notes.other_name, "Linux", 6);
	image.notes.header = (Elf64_Nhdr){.n_namesz = 4, .n_descsz = 8, .n_type = 18};
	memcpy(image.notes.name, "Xen", 4);
	image.notes.entry = ENTRY_GPA;
	memset(image.text, 0x90, sizeof image.text);
	memset(image.data, 0xDA, sizeof image.data);
}

static void start(uint64_t ram_mib)
{
	bootram_init(&boot, ram_mib, &image, sizeof image);
}

static bool fails(const char *words)
{
	start(64);
	bool ok = bootram_fails(&boot, words);
	bootram_finish(&boot);
	return ok;
}

static void segments_and_start_info(void)
{
	make();
	start(256);
	bootram_add_initramfs(&boot, 5000);
	CU_ASSERT_EQUAL_FATAL(bootram_load(&boot), 0);
	CU_ASSERT_EQUAL(boot.state.protocol, BOOT_PVH);
	CU_ASSERT_EQUAL(boot.state.entry_gpa, ENTRY_GPA);
	CU_ASSERT_EQUAL(memcmp(bootram_at(&boot, TEXT_GPA, 3000), image.text, 3000), 0);
	CU_ASSERT_EQUAL(memcmp(bootram_at(&boot, DATA_GPA, 100), image.data, 100), 0);
	CU_ASSERT_EQUAL(*bootram_at(&boot, DATA_GPA + 100, 1), 0);
	/* struct hvm_start_info */
	const uint8_t *info = bootram_at(&boot, boot.state.info_gpa, 56);
	CU_ASSERT_EQUAL(load_le32(info), 0x336ec578);
	CU_ASSERT_EQUAL(load_le32(info + 4), 1);
	CU_ASSERT_EQUAL(load_le32(info + 8), 0);
	CU_ASSERT_EQUAL(load_le32(info + 12), 1);
	CU_ASSERT_EQUAL(load_le64(info + 32), RSDP_GPA);
	CU_ASSERT_STRING_EQUAL(bootram_at(&boot, load_le64(info + 24), 20), "console=ttyS0 quiet");
	/* struct hvm_modlist_entry */
	const uint8_t *module = bootram_at(&boot, load_le64(info + 16), 32);
	CU_ASSERT_EQUAL(load_le64(module), 256 * MIB - 8192);
	CU_ASSERT_EQUAL(load_le64(module + 8), 5000);
	CU_ASSERT_EQUAL(load_le64(module + 16), 0);
	CU_ASSERT(bootram_has_initramfs(&boot, load_le64(module)));
	/* struct hvm_memmap_table_entry */
	struct e820_map map;
	e820_build(&map, &boot.ram.gmem);
	CU_ASSERT_EQUAL_FATAL(load_le32(info + 48), map.n);
	for (size_t i = 0; i < map.n; i++) {
		const uint8_t *entry = bootram_at(&boot, load_le64(info + 40) + i * 24, 24);
		CU_ASSERT_EQUAL(load_le64(entry), map.entries[i].gpa);
		CU_ASSERT_EQUAL(load_le64(entry + 8), map.entries[i].len);
		CU_ASSERT_EQUAL(load_le32(entry + 16), (uint32_t)map.entries[i].type);
	}
	CU_ASSERT(load_le64(info + 40) + map.n * 24 <= BOOT_ZERO_PAGE_GPA);
	bootram_finish(&boot);
}

static void no_initramfs_is_no_module(void)
{
	make();
	start(64);
	CU_ASSERT_EQUAL_FATAL(bootram_load(&boot), 0);
	const uint8_t *info = bootram_at(&boot, boot.state.info_gpa, 56);
	CU_ASSERT_EQUAL(load_le32(info + 12), 0);
	CU_ASSERT_EQUAL(load_le64(info + 16), 0);
	bootram_finish(&boot);
}

static void entry_may_have_four_bytes(void)
{
	make();
	image.notes.header.n_descsz = 4;
	image.notes.entry = 0xFFFFFFFF00000000 | ENTRY_GPA;
	image.phdrs[2].p_filesz -= 4;
	start(64);
	CU_ASSERT_EQUAL(bootram_load(&boot), 0);
	CU_ASSERT_EQUAL(boot.state.entry_gpa, ENTRY_GPA);
	bootram_finish(&boot);
}

/* As gABI has it for 64-bit notes, such as .note.gnu.property. */
static void notes_may_be_aligned_to_eight(void)
{
	struct {
		Elf64_Nhdr other_header;
		char other_name[12];
		uint32_t other_desc, pad;
		Elf64_Nhdr header;
		char name[4];
		uint64_t entry;
	} notes = {{6, 4, 1}, "Linux", 1, 0, {4, 8, 18}, "Xen", ENTRY_GPA};

	make();
	memcpy(image.text + 1000, &notes, sizeof notes);
	image.phdrs[2].p_offset = offsetof(struct image, text) + 1000;
	image.phdrs[2].p_filesz = sizeof notes;
	image.phdrs[2].p_align = 8;
	start(64);
	CU_ASSERT_EQUAL(bootram_load(&boot), 0);
	CU_ASSERT_EQUAL(boot.state.entry_gpa, ENTRY_GPA);
	bootram_finish(&boot);
}

static void no_usable_note(void)
{
	static const char words[] = "an ELF file without a PVH entry note; a Linux vmlinux needs CONFIG_PVH=y";

	make();
	image.notes.header.n_type = 17;
	CU_ASSERT(fails(words));
	make();
	image.notes.name[0] = 'x';
	CU_ASSERT(fails(words));
	make();
	image.notes.header.n_namesz = 3;
	CU_ASSERT(fails(words));
	make();
	image.notes.header.n_descsz = 2;
	CU_ASSERT(fails(words));
	make();
	image.notes.other_header.n_descsz = UINT32_MAX;
	CU_ASSERT(fails(words));
	make();
	image.notes.other_header.n_namesz = UINT32_MAX;
	CU_ASSERT(fails(words));
	make();
	image.phdrs[2].p_filesz -= 1;
	CU_ASSERT(fails(words));
	make();
	image.phdrs[2].p_filesz = 65537;
	CU_ASSERT(fails(words));
	make();
	image.ehdr.e_phnum = 2;
	CU_ASSERT(fails(words));
}

static void entry_lies_in_a_segment(void)
{
	static const uint64_t outside[] = {0, TEXT_GPA - 1, TEXT_GPA + 3000, DATA_GPA + 100 /* bss */, UINT64_MAX, UINT64_C(0x100000000) + ENTRY_GPA};

	for (size_t i = 0; i < sizeof outside / sizeof outside[0]; i++) {
		make();
		image.notes.entry = outside[i];
		CU_ASSERT(fails("lies outside of its segments"));
	}
}

static void each_segment_fault_has_its_words(void)
{
	static const struct {
		uint64_t paddr, filesz, memsz, offset;
		const char *words;
	} faults[] = {
		{DATA_GPA, 100, 99, 0, "more bytes in the file than in memory"},
		{DATA_GPA, 100, UINT64_MAX, 0, "beyond 4 GiB"},
		{UINT64_MAX, 100, 100, 0, "beyond 4 GiB"},
		{0x100000000, 100, 100, 0, "beyond 4 GiB"},
		{0xFFFFF000, 100, 0x1000, 0, "beyond 4 GiB"},
		{0, 100, 100, 0, "below 1 MiB"},
		{0xFFFFF, 100, 100, 0, "below 1 MiB"},
		{64 * MIB - 50, 100, 100, 0, "raise memory.size"},
		{64 * MIB, 100, 100, 0, "raise memory.size"},
		{0xD0000000, 100, 100, 0, "raise memory.size"},
		{TEXT_GPA, 100, 100, 0, "overlap"},
		{TEXT_GPA + 2999, 100, 100, 0, "overlap"},
		{TEXT_GPA - 99, 100, 100, 0, "overlap"},
		{TEXT_GPA - MIB, 100, 2 * MIB, 0, "overlap"},
		{DATA_GPA, 100, 100, sizeof image - 99, "is truncated"},
		{DATA_GPA, 100, 100, UINT64_MAX - 10, "is truncated"},
	};

	for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
		make();
		image.phdrs[1].p_paddr = faults[i].paddr;
		image.phdrs[1].p_filesz = faults[i].filesz;
		image.phdrs[1].p_memsz = faults[i].memsz;
		if (faults[i].offset)
			image.phdrs[1].p_offset = faults[i].offset;
		CU_ASSERT(fails(faults[i].words));
	}
}

static void segments_may_touch(void)
{
	make();
	image.phdrs[1].p_paddr = TEXT_GPA + 3000;
	start(64);
	CU_ASSERT_EQUAL(bootram_load(&boot), 0);
	bootram_finish(&boot);
}

static void program_headers_are_checked(void)
{
	make();
	image.ehdr.e_phnum = 0;
	CU_ASSERT(fails("0 program headers"));
	make();
	image.ehdr.e_phnum = 65;
	CU_ASSERT(fails("65 program headers"));
	make();
	image.ehdr.e_phentsize = 32;
	CU_ASSERT(fails("program headers of 32 bytes"));
	make();
	image.ehdr.e_phoff = UINT64_MAX - 3;
	CU_ASSERT(fails("is truncated"));
}

static void other_elf_files_are_named(void)
{
	static const struct {
		size_t offset;
		uint8_t value;
		const char *words;
	} kinds[] = {
		{offsetof(Elf64_Ehdr, e_machine), EM_386, "for 32-bit x86"},
		{offsetof(Elf64_Ehdr, e_machine), EM_AARCH64, "for arm64"},
		{offsetof(Elf64_Ehdr, e_machine), EM_RISCV, "for RISC-V"},
		{offsetof(Elf64_Ehdr, e_machine), EM_ARM, "for 32-bit ARM"},
		{offsetof(Elf64_Ehdr, e_machine), EM_PPC64, "for POWER"},
		{offsetof(Elf64_Ehdr, e_machine), 200, "for another machine"},
		{EI_CLASS, ELFCLASS32, "a 32-bit ELF file"},
		{offsetof(Elf64_Ehdr, e_type), ET_REL, "a kernel module"},
		{offsetof(Elf64_Ehdr, e_type), ET_CORE, "a core dump"},
	};

	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		make();
		((uint8_t *)&image)[kinds[i].offset] = kinds[i].value;
		CU_ASSERT(fails(kinds[i].words));
	}
	make();
	image.ehdr.e_ident[EI_DATA] = ELFDATA2MSB;
	image.ehdr.e_machine = __builtin_bswap16(EM_S390);
	CU_ASSERT(fails("for s390"));
}

static void initramfs_stays_clear_of_the_kernel(void)
{
	make();
	start(64);
	bootram_add_initramfs(&boot, 64 * MIB - DATA_GPA - MIB);
	CU_ASSERT_EQUAL(bootram_load(&boot), 0);
	bootram_finish(&boot);
	start(64);
	bootram_add_initramfs(&boot, 64 * MIB - DATA_GPA - MIB + 1);
	CU_ASSERT(bootram_fails(&boot, "tested-initramfs (44 MiB) does not fit"));
	bootram_finish(&boot);
}

static void every_truncation_fails(void)
{
	make();
	for (size_t len = 0; len < sizeof image; len += len < 400 ? 1 : 41) {
		bootram_init(&boot, 32, &image, len);
		CU_ASSERT(bootram_load(&boot) < 0);
		bootram_finish(&boot);
	}
}

static void mutants_do_no_harm(void)
{
	make();
	bootram_mutate(&image, sizeof image, offsetof(struct image, text), 20000);
}

static const struct test_case cases[] = {
	{"segments and start info", segments_and_start_info},
	{"no initramfs is no module", no_initramfs_is_no_module},
	{"the entry may have four bytes", entry_may_have_four_bytes},
	{"notes may be aligned to eight", notes_may_be_aligned_to_eight},
	{"no usable note", no_usable_note},
	{"the entry lies in a segment", entry_lies_in_a_segment},
	{"each segment fault has its words", each_segment_fault_has_its_words},
	{"segments may touch", segments_may_touch},
	{"program headers are checked", program_headers_are_checked},
	{"other ELF files are named", other_elf_files_are_named},
	{"the initramfs stays clear of the kernel", initramfs_stays_clear_of_the_kernel},
	{"every truncation fails", every_truncation_fails},
	{"mutants do no harm", mutants_do_no_harm},
};
TEST_SUITE(boot_pvh, cases);
