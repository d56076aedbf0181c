#include <elf.h>
#include <string.h>

#include "kvm/boot_image.h"
#include "util/bytes.h"

/* Magic numbers of what people hand to --kernel by mistake; the first that matches is told. */
static const struct magic {
	size_t offset;
	size_t len;
	const char *bytes;
	const char *text;
} magics[] = {
	{0, 2, "\x1f\x8b", "it is gzip-compressed; unpack it first"},
	{0, 6,
	 "\xfd"
	 "7zXZ",
	 "it is xz-compressed; unpack it first"},
	{0, 4, "\x28\xb5\x2f\xfd", "it is zstd-compressed; unpack it first"},
	{0, 3, "BZh", "it is bzip2-compressed; unpack it first"},
	{0, 4, "\x04\x22\x4d\x18", "it is lz4-compressed; unpack it first"},
	{0, 4, "\x02\x21\x4c\x18", "it is lz4-compressed; unpack it first"},
	{0, 5,
	 "\x89"
	 "LZO",
	 "it is lzo-compressed; unpack it first"},
	{0, 5, "\x5d\0\0\0\x04", "it is lzma-compressed; unpack it first"},
	{56, 4, "ARM\x64", "it is an arm64 Image; a kernel for x86-64 is needed"},
	{0x24, 4, "\x18\x28\x6f\x01", "it is a 32-bit ARM zImage; a kernel for x86-64 is needed"},
	{48, 8, "RISCV\0\0\0", "it is a RISC-V Image; a kernel for x86-64 is needed"},
	{4, 4, "zimg", "it is an EFI zboot image, which no x86-64 kernel is"},
	{0, 4, "\x27\x05\x19\x56", "it is a U-Boot image; a bzImage or an uncompressed vmlinux is needed"},
	{0, 5, "07070", "it is a cpio archive: an initramfs, not a kernel"},
	{0, 8, "!<arch>\n", "it is an archive or a Debian package; the kernel inside is needed"},
	{0, 4, "\xed\xab\xee\xdb", "it is an RPM package; the kernel inside is needed"},
	{0, 4, "QFI\xfb", "it is a qcow2 disk image, not a kernel"},
	{0, 2, "#!", "it is a script, not a kernel"},
	{0, 2, "MZ", "it is an EFI or DOS program without a Linux setup header"},
	{510, 2, "\x55\xaa", "it begins with a boot sector but has no Linux setup header: a disk image?"},
};

const char *boot_describe(const struct boot_head *head)
{
	for (size_t i = 0; i < sizeof magics / sizeof magics[0]; i++)
		if (magics[i].offset + magics[i].len <= head->len && memcmp(head->bytes + magics[i].offset, magics[i].bytes, magics[i].len) == 0)
			return magics[i].text;
	return "it is neither a bzImage nor an ELF file";
}

static const char *describe_machine(uint16_t machine)
{
	switch (machine) {
	case EM_386:
		return "it is an ELF file for 32-bit x86; a 64-bit kernel is needed";
	case EM_AARCH64:
		return "it is an ELF file for arm64; a kernel for x86-64 is needed";
	case EM_ARM:
		return "it is an ELF file for 32-bit ARM; a kernel for x86-64 is needed";
	case EM_RISCV:
		return "it is an ELF file for RISC-V; a kernel for x86-64 is needed";
	case EM_PPC64:
		return "it is an ELF file for POWER; a kernel for x86-64 is needed";
	case EM_S390:
		return "it is an ELF file for s390; a kernel for x86-64 is needed";
	default:
		return "it is an ELF file for another machine; a kernel for x86-64 is needed";
	}
}

/* The four fields that are told by are at the same place in both classes; the byte order is told by e_ident. */
const char *boot_describe_elf(const struct boot_head *head)
{
	uint16_t type = load_le16(head->bytes + offsetof(Elf64_Ehdr, e_type));
	uint16_t machine = load_le16(head->bytes + offsetof(Elf64_Ehdr, e_machine));

	if (head->len < sizeof(Elf64_Ehdr))
		return "it is an ELF file that ends within its header";
	if (head->bytes[EI_DATA] == ELFDATA2MSB)
		return describe_machine(__builtin_bswap16(machine));
	if (machine != EM_X86_64)
		return describe_machine(machine);
	if (head->bytes[EI_CLASS] != ELFCLASS64)
		return "it is a 32-bit ELF file; a 64-bit kernel is needed";
	if (type == ET_REL)
		return "it is an object file or a kernel module, not a kernel";
	if (type == ET_CORE)
		return "it is a core dump, not a kernel";
	return NULL;
}
