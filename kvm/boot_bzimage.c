#include <asm/bootparam.h>
#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "kvm/boot_image.h"
#include "kvm/e820.h"
#include "util/bytes.h"

/* Documentation/arch/x86/boot.rst; offsets are of the file and of the zero page alike. */
#define HEADER_AT offsetof(struct boot_params, hdr)
#define BOOT_FLAG 0xAA55
#define HEADER_MAGIC 0x53726448U  /* "HdrS" */
#define HEADER_END_BASE 0x202	  /* the byte at 0x201 counts from here */
#define VERSION_XLOADFLAGS 0x020C /* the first with xloadflags */
#define LOADER_UNDEFINED 0xFF	  /* type_of_loader without an assigned number */
#define ENTRY_64_OFFSET 0x200	  /* of the 64-bit entry point in the loaded code */
#define SECTOR UINT64_C(512)

#define TABLE_LEN UINT64_C(4096)
#define N_DIRECTORIES UINT64_C(4)

#define MIB (UINT64_C(1) << 20)

static_assert(offsetof(struct boot_params, hdr) == 0x1F1, "setup header");
static_assert(offsetof(struct boot_params, e820_table) == 0x2D0, "E820 table");
static_assert(sizeof(struct boot_params) == 4096, "zero page");

struct bzimage {
	struct setup_header header;
	uint64_t code_offset;
	uint64_t code_len;
	uint64_t load_gpa;
	uint64_t ram_len; /* from load_gpa on, what the kernel needs until it reads the memory map */
};

bool bzimage_is(const struct boot_head *head)
{
	return head->len >= HEADER_AT + sizeof(struct setup_header) && load_le16(head->bytes + 0x1FE) == BOOT_FLAG &&
	       load_le32(head->bytes + 0x202) == HEADER_MAGIC;
}

static int check_header(const struct boot_source *src, const struct boot_head *head, struct bzimage *image, struct fail *why)
{
	const char *name = src->kernel.name;
	struct setup_header *header = &image->header;
	size_t header_end = HEADER_END_BASE + head->bytes[0x201];

	memcpy(header, head->bytes + HEADER_AT, sizeof *header);
	if (header->version < VERSION_XLOADFLAGS)
		return fail(why, 0, "cannot boot %s: its boot protocol is %u.%02u; 2.12 (Linux 3.8) or newer is needed", name, header->version >> 8,
			    header->version & 0xFF);
	if (header_end < HEADER_AT + offsetof(struct setup_header, handover_offset))
		return fail(why, 0, "cannot boot %s: its setup header is cut short", name);
	if (!(header->loadflags & LOADED_HIGH))
		return fail(why, 0, "cannot boot %s: it is a zImage, made for memory below 1 MiB", name);
	if (!(header->xloadflags & XLF_KERNEL_64))
		return fail(why, 0, "cannot boot %s: it is a 32-bit kernel; a 64-bit one is needed", name);
	if (!header->kernel_alignment || header->kernel_alignment & (header->kernel_alignment - 1))
		return fail(why, 0, "cannot boot %s: its alignment, %#x, is not a power of two", name, header->kernel_alignment);

	image->code_offset = ((header->setup_sects ? header->setup_sects : 4) + 1) * SECTOR;
	if (src->kernel.len <= image->code_offset || (uint64_t)header->syssize * 16 > src->kernel.len - image->code_offset)
		return fail(why, 0, "cannot boot %s: it is truncated; its header announces %" PRIu64 " bytes, it has %" PRIu64, name,
			    image->code_offset + (uint64_t)header->syssize * 16, src->kernel.len);
	/* To the end of the file: syssize may be rounded down, and a signature behind it does no harm. */
	image->code_len = src->kernel.len - image->code_offset;
	if (image->code_len <= ENTRY_64_OFFSET)
		return fail(why, 0, "cannot boot %s: it has no code", name);
	image->ram_len = header->init_size > image->code_len ? header->init_size : image->code_len;
	return 0;
}

static bool fits(const struct guest_ram *ram, const struct bzimage *image, uint64_t gpa)
{
	/* Region 0 only: the page tables below map no more than 4 GiB. */
	return gpa >= BOOT_KERNEL_MIN_GPA && gmem_region_of(&ram->gmem, gpa) == &ram->gmem.regions[0] && gmem_at(&ram->gmem, gpa, image->ram_len);
}

static int place(const struct boot_source *src, const struct guest_ram *ram, struct bzimage *image, struct fail *why)
{
	uint64_t align = image->header.kernel_alignment; /* a power of two */
	uint64_t lowest = (BOOT_KERNEL_MIN_GPA + align - 1) & ~(align - 1);

	if (!image->header.relocatable_kernel)
		lowest = image->header.pref_address;
	if (fits(ram, image, image->header.pref_address))
		image->load_gpa = image->header.pref_address;
	else if (fits(ram, image, lowest))
		image->load_gpa = lowest;
	else
		return fail(why, 0, "cannot boot %s: it needs %" PRIu64 " MiB of RAM from %" PRIu64 " MiB on to unpack itself; raise memory.size",
			    src->kernel.name, (image->ram_len + MIB - 1) / MIB, lowest / MIB);
	return 0;
}

static int write_zero_page(const struct guest_ram *ram, const struct bzimage *image, uint64_t rsdp_gpa, uint64_t initramfs_gpa, uint64_t initramfs_len,
			   struct fail *why)
{
	struct boot_params *params = gmem_at(&ram->gmem, BOOT_ZERO_PAGE_GPA, sizeof *params);
	struct e820_map map;

	if (!params)
		return fail(why, 0, "guest RAM has no room for the zero page; raise memory.size");
	params->hdr = image->header;
	params->hdr.type_of_loader = LOADER_UNDEFINED;
	params->hdr.code32_start = (uint32_t)image->load_gpa;
	params->hdr.ramdisk_image = (uint32_t)initramfs_gpa;
	params->hdr.ramdisk_size = (uint32_t)initramfs_len;
	params->hdr.cmd_line_ptr = BOOT_CMDLINE_GPA;
	params->hdr.setup_data = 0;
	params->acpi_rsdp_addr = rsdp_gpa;
	e820_build(&map, &ram->gmem);
	for (size_t i = 0; i < map.n; i++)
		params->e820_table[i] = (struct boot_e820_entry){.addr = map.entries[i].gpa, .size = map.entries[i].len, .type = map.entries[i].type};
	params->e820_entries = (uint8_t)map.n;
	return 0;
}

/* The first 4 GiB, mapped one to one in pages of 2 MiB: kernel, zero page and command line are all in there. */
static int write_page_tables(const struct guest_ram *ram, struct fail *why)
{
	enum { PRESENT = 1, WRITABLE = 2, LARGE = 0x80 };
	uint8_t *tables = gmem_at(&ram->gmem, BOOT_PAGE_TABLES_GPA, (2 + N_DIRECTORIES) * TABLE_LEN);
	uint64_t pdpt_gpa = BOOT_PAGE_TABLES_GPA + TABLE_LEN;
	uint64_t directories_gpa = pdpt_gpa + TABLE_LEN;

	if (!tables)
		return fail(why, 0, "guest RAM has no room for page tables; raise memory.size");
	store_le64(tables, pdpt_gpa | PRESENT | WRITABLE);
	for (uint64_t i = 0; i < N_DIRECTORIES; i++)
		store_le64(tables + TABLE_LEN + i * 8, (directories_gpa + i * TABLE_LEN) | PRESENT | WRITABLE);
	for (uint64_t i = 0; i < N_DIRECTORIES * (TABLE_LEN / 8); i++)
		store_le64(tables + 2 * TABLE_LEN + i * 8, (i * 2 * MIB) | PRESENT | WRITABLE | LARGE);
	return 0;
}

/* Selectors 0x10 and 0x18 are fixed by the boot protocol: flat 64-bit code, flat data. */
static int write_gdt(const struct guest_ram *ram, struct fail *why)
{
	static const uint64_t gdt[BOOT_GDT_LEN / 8] = {0, 0, 0x00AF9B000000FFFF, 0x00CF93000000FFFF};
	uint8_t *dst = gmem_at(&ram->gmem, BOOT_GDT_GPA, sizeof gdt);

	if (!dst)
		return fail(why, 0, "guest RAM has no room for the GDT; raise memory.size");
	for (size_t i = 0; i < sizeof gdt / sizeof gdt[0]; i++)
		store_le64(dst + i * 8, gdt[i]);
	return 0;
}

static int load_code(const struct boot_source *src, const struct guest_ram *ram, const struct bzimage *image, struct fail *why)
{
	return boot_file_read(&src->kernel, image->code_offset, gmem_at(&ram->gmem, image->load_gpa, image->code_len), image->code_len, why);
}

int bzimage_load(const struct boot_source *src, const struct boot_head *head, struct guest_ram *ram, uint64_t rsdp_gpa, struct boot_state *out,
		 struct fail *why)
{
	struct bzimage image = {0};
	uint64_t initramfs_gpa;
	int rc;

	rc = check_header(src, head, &image, why);
	if (rc < 0)
		return rc;
	rc = place(src, ram, &image, why);
	if (rc < 0)
		return rc;
	/* initrd_addr_max names the last byte. Kernels that may be loaded anywhere find their initramfs anywhere below 4 GiB. */
	uint64_t max_gpa = image.header.xloadflags & XLF_CAN_BE_LOADED_ABOVE_4G ? UINT64_MAX : image.header.initrd_addr_max + UINT64_C(1);
	rc = boot_put_initramfs(src, ram, image.load_gpa + image.ram_len, max_gpa, &initramfs_gpa, why);
	if (rc == 0)
		rc = boot_put_cmdline(src, ram, image.header.cmdline_size, why);
	if (rc == 0)
		rc = load_code(src, ram, &image, why);
	if (rc == 0)
		rc = write_zero_page(ram, &image, rsdp_gpa, initramfs_gpa, initramfs_gpa ? src->initramfs.len : 0, why);
	if (rc == 0)
		rc = write_page_tables(ram, why);
	if (rc == 0)
		rc = write_gdt(ram, why);
	if (rc == 0)
		*out = (struct boot_state){.protocol = BOOT_BZIMAGE, .entry_gpa = image.load_gpa + ENTRY_64_OFFSET, .info_gpa = BOOT_ZERO_PAGE_GPA};
	return rc;
}
