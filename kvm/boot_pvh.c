#include <elf.h>
#include <inttypes.h>
#include <string.h>

#include "kvm/boot_image.h"
#include "kvm/e820.h"
#include "util/bytes.h"

/* xen/include/public/elfnote.h: the note whose descriptor is the physical address of the 32-bit entry point. */
#define XEN_ELFNOTE_PHYS32_ENTRY 18

#define MAX_SEGMENTS 64
#define MAX_NOTES_LEN 65536

/* xen/include/public/arch-x86/hvm/start_info.h, version 1. */
#define START_MAGIC 0x336ec578U
#define START_VERSION 1

struct pvh_start_info {
	uint32_t magic;
	uint32_t version;
	uint32_t flags;
	uint32_t nr_modules;
	uint64_t modlist_paddr;
	uint64_t cmdline_paddr;
	uint64_t rsdp_paddr;
	uint64_t memmap_paddr;
	uint32_t memmap_entries;
	uint32_t reserved;
};

struct pvh_module {
	uint64_t paddr;
	uint64_t size;
	uint64_t cmdline_paddr;
	uint64_t reserved;
};

struct pvh_memmap_entry {
	uint64_t addr;
	uint64_t size;
	uint32_t type; /* the numbers of E820 */
	uint32_t reserved;
};

/* All of it in one page, at BOOT_START_INFO_GPA. */
struct pvh_page {
	struct pvh_start_info start;
	struct pvh_module initramfs;
	struct pvh_memmap_entry memmap[E820_MAX_ENTRIES];
};

struct pvh_kernel {
	const struct boot_source *src;
	const char *name;
	Elf64_Phdr segments[MAX_SEGMENTS]; /* PT_LOAD that are not empty */
	size_t n_segments;
	uint64_t end_gpa;
	bool has_entry;
	uint64_t entry_gpa;
};

bool elf_is(const struct boot_head *head)
{
	return head->len >= SELFMAG && memcmp(head->bytes, ELFMAG, SELFMAG) == 0;
}

static bool is_note_of_xen(const Elf64_Nhdr *note, const char *name)
{
	return note->n_type == XEN_ELFNOTE_PHYS32_ENTRY && note->n_namesz == 4 && memcmp(name, "Xen", 4) == 0;
}

/* Notes: header, name, descriptor, the last two padded to p_align (4 or 8). Offsets stay small: the caller bounded p_filesz. */
static int read_notes(struct pvh_kernel *kernel, const Elf64_Phdr *phdr, struct fail *why)
{
	uint64_t align = phdr->p_align == 8 ? 8 : 4;
	uint64_t at = 0;

	while (!kernel->has_entry && phdr->p_filesz - at >= sizeof(Elf64_Nhdr) + 4) {
		struct {
			Elf64_Nhdr header;
			char name[4];
		} note;
		int rc = boot_file_read(&kernel->src->kernel, phdr->p_offset + at, &note, sizeof note, why);
		if (rc < 0)
			return rc;
		uint64_t desc_at = at + (sizeof note.header + note.header.n_namesz + align - 1) / align * align;
		uint64_t next = (desc_at + note.header.n_descsz + align - 1) / align * align;
		if (next > phdr->p_filesz)
			return 0;
		if (is_note_of_xen(&note.header, note.name) && (note.header.n_descsz == 4 || note.header.n_descsz == 8)) {
			uint8_t desc[8] = {0};
			rc = boot_file_read(&kernel->src->kernel, phdr->p_offset + desc_at, desc, note.header.n_descsz, why);
			if (rc < 0)
				return rc;
			kernel->entry_gpa = load_le64(desc);
			kernel->has_entry = true;
		}
		at = next;
	}
	return 0;
}

static int add_segment(struct pvh_kernel *kernel, const Elf64_Phdr *phdr, const struct guest_ram *ram, struct fail *why)
{
	uint64_t end;

	if (phdr->p_filesz > phdr->p_memsz)
		return fail(why, 0, "cannot boot %s: a segment has more bytes in the file than in memory", kernel->name);
	if (__builtin_add_overflow(phdr->p_paddr, phdr->p_memsz, &end) || end > UINT32_MAX)
		return fail(why, 0, "cannot boot %s: a segment lies at %#" PRIx64 ", beyond 4 GiB", kernel->name, (uint64_t)phdr->p_paddr);
	if (phdr->p_paddr < BOOT_KERNEL_MIN_GPA)
		return fail(why, 0, "cannot boot %s: a segment lies at %#" PRIx64 ", below 1 MiB", kernel->name, (uint64_t)phdr->p_paddr);
	if (!gmem_at(&ram->gmem, phdr->p_paddr, phdr->p_memsz))
		return fail(why, 0, "cannot boot %s: it needs RAM up to %#" PRIx64 "; raise memory.size", kernel->name, end);
	for (size_t i = 0; i < kernel->n_segments; i++)
		if (phdr->p_paddr < kernel->segments[i].p_paddr + kernel->segments[i].p_memsz && kernel->segments[i].p_paddr < end)
			return fail(why, 0, "cannot boot %s: its segments overlap at %#" PRIx64, kernel->name, (uint64_t)phdr->p_paddr);
	kernel->segments[kernel->n_segments++] = *phdr;
	if (end > kernel->end_gpa)
		kernel->end_gpa = end;
	return 0;
}

static int read_headers(struct pvh_kernel *kernel, const struct boot_head *head, const struct guest_ram *ram, struct fail *why)
{
	const Elf64_Ehdr *ehdr = (const Elf64_Ehdr *)head->bytes;
	Elf64_Phdr phdrs[MAX_SEGMENTS];
	int rc;

	if (ehdr->e_phnum == 0 || ehdr->e_phnum > MAX_SEGMENTS || ehdr->e_phentsize != sizeof phdrs[0])
		return fail(why, 0, "cannot boot %s: %u program headers of %u bytes; 1 to %d of %zu are possible", kernel->name, ehdr->e_phnum,
			    ehdr->e_phentsize, MAX_SEGMENTS, sizeof phdrs[0]);
	rc = boot_file_read(&kernel->src->kernel, ehdr->e_phoff, phdrs, ehdr->e_phnum * sizeof phdrs[0], why);
	for (size_t i = 0; i < ehdr->e_phnum && rc == 0; i++)
		if (phdrs[i].p_type == PT_NOTE && phdrs[i].p_filesz <= MAX_NOTES_LEN)
			rc = read_notes(kernel, &phdrs[i], why);
	if (rc == 0 && !kernel->has_entry)
		return fail(why, 0, "cannot boot %s: it is an ELF file without a PVH entry note; a Linux vmlinux needs CONFIG_PVH=y, or use its bzImage",
			    kernel->name);
	for (size_t i = 0; i < ehdr->e_phnum && rc == 0; i++)
		if (phdrs[i].p_type == PT_LOAD && phdrs[i].p_memsz)
			rc = add_segment(kernel, &phdrs[i], ram, why);
	return rc;
}

static int check_entry(const struct pvh_kernel *kernel, struct fail *why)
{
	for (size_t i = 0; i < kernel->n_segments; i++)
		if (kernel->entry_gpa >= kernel->segments[i].p_paddr && kernel->entry_gpa - kernel->segments[i].p_paddr < kernel->segments[i].p_filesz)
			return 0;
	return fail(why, 0, "cannot boot %s: its entry point, %#" PRIx64 ", lies outside of its segments", kernel->name, kernel->entry_gpa);
}

static int load_segments(const struct pvh_kernel *kernel, const struct guest_ram *ram, struct fail *why)
{
	for (size_t i = 0; i < kernel->n_segments; i++) {
		const Elf64_Phdr *phdr = &kernel->segments[i];
		int rc = boot_file_read(&kernel->src->kernel, phdr->p_offset, gmem_at(&ram->gmem, phdr->p_paddr, phdr->p_memsz), phdr->p_filesz, why);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int write_start_info(const struct guest_ram *ram, uint64_t rsdp_gpa, uint64_t initramfs_gpa, uint64_t initramfs_len, struct fail *why)
{
	struct pvh_page *page = gmem_at(&ram->gmem, BOOT_START_INFO_GPA, sizeof *page);
	struct e820_map map;

	if (!page)
		return fail(why, 0, "guest RAM has no room for the PVH start info; raise memory.size");
	e820_build(&map, &ram->gmem);
	*page = (struct pvh_page){
		.start =
			{
				.magic = START_MAGIC,
				.version = START_VERSION,
				.nr_modules = initramfs_gpa ? 1 : 0,
				.modlist_paddr = initramfs_gpa ? BOOT_START_INFO_GPA + offsetof(struct pvh_page, initramfs) : 0,
				.cmdline_paddr = BOOT_CMDLINE_GPA,
				.rsdp_paddr = rsdp_gpa,
				.memmap_paddr = BOOT_START_INFO_GPA + offsetof(struct pvh_page, memmap),
				.memmap_entries = (uint32_t)map.n,
			},
		.initramfs = {.paddr = initramfs_gpa, .size = initramfs_len},
	};
	for (size_t i = 0; i < map.n; i++)
		page->memmap[i] = (struct pvh_memmap_entry){.addr = map.entries[i].gpa, .size = map.entries[i].len, .type = map.entries[i].type};
	return 0;
}

int pvh_load(const struct boot_source *src, const struct boot_head *head, struct guest_ram *ram, uint64_t rsdp_gpa, struct boot_state *out, struct fail *why)
{
	struct pvh_kernel kernel = {.src = src, .name = src->kernel.name};
	const char *other = boot_describe_elf(head);
	uint64_t initramfs_gpa;
	int rc;

	if (other)
		return fail(why, 0, "cannot boot %s: %s", kernel.name, other);
	rc = read_headers(&kernel, head, ram, why);
	if (rc == 0)
		rc = check_entry(&kernel, why);
	if (rc == 0)
		rc = load_segments(&kernel, ram, why);
	if (rc == 0)
		rc = boot_put_initramfs(src, ram, kernel.end_gpa, UINT32_MAX, &initramfs_gpa, why);
	if (rc == 0)
		rc = boot_put_cmdline(src, ram, BOOT_CMDLINE_MAX - 1, why);
	if (rc == 0)
		rc = write_start_info(ram, rsdp_gpa, initramfs_gpa, initramfs_gpa ? src->initramfs.len : 0, why);
	if (rc == 0)
		*out = (struct boot_state){.protocol = BOOT_PVH, .entry_gpa = kernel.entry_gpa, .info_gpa = BOOT_START_INFO_GPA};
	return rc;
}
