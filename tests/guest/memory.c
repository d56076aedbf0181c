#include "tests/guest/memory.h"

#include <stdbool.h>

#include "tests/guest/report.h"

/* xen/include/public/arch-x86/hvm/start_info.h, version 1. */
#define START_MAGIC 0x336EC578

struct start_info {
	uint32_t magic;
	uint32_t version;
	uint32_t flags;
	uint32_t nr_modules;
	uint64_t modlist_gpa;
	uint64_t cmdline_gpa;
	uint64_t rsdp_gpa;
	uint64_t memmap_gpa;
	uint32_t memmap_entries;
	uint32_t reserved;
};

struct memmap_entry {
	uint64_t gpa;
	uint64_t len;
	uint32_t type;
	uint32_t reserved;
};

#define MEMMAP_RAM 1

/* Page tables (Intel SDM volume 3, 4.5): 512 entries a table, user pages all. */
#define ENTRIES 512
#define PTE_PRESENT 0x1ULL
#define PTE_TABLE 0x7ULL      /* present, writable, user */
#define PTE_HUGE_PAGE 0x87ULL /* the same, 2 MiB */
#define PTE_ADDRESS 0x000FFFFFFFFFF000ULL
#define HUGE_PAGE_LEN 0x200000ULL
#define MAPPABLE (1ULL << 47)

#define MAX_RANGES 16
#define CMDLINE_MAX 1024

extern uint64_t boot_pml4[], boot_start_info_gpa;
extern uint8_t guest_image_end[];

struct mem_range mem_free[MAX_RANGES];
size_t mem_n_free;
static bool is_sealed;
static uint64_t ram_bytes;
static char cmdline[CMDLINE_MAX];

/* By string instructions: a loop here would be turned into a call of itself. */
void *memset(void *to, int byte, size_t n)
{
	void *at = to;
	__asm__ volatile("rep stosb" : "+D"(at), "+c"(n) : "a"(byte) : "memory");
	return to;
}

void *memcpy(void *to, const void *from, size_t n)
{
	void *at = to;
	__asm__ volatile("rep movsb" : "+D"(at), "+S"(from), "+c"(n) : : "memory");
	return to;
}

static void copy_cmdline(uint64_t gpa)
{
	const char *from = (const char *)gpa;
	for (size_t i = 0; from && from[i]; i++) {
		if (i == CMDLINE_MAX - 1)
			fail("the command line is longer than %u bytes", CMDLINE_MAX - 1);
		cmdline[i] = from[i];
	}
}

/* Page numbers of the balloon have 32 bits, so what lies above 16 TiB cannot be used. */
#define BALLOON_LIMIT (PAGE_LEN << 32)

static void add_ram(const struct memmap_entry *entry)
{
	ram_bytes += entry->len;
	uint64_t start = (entry->gpa + PAGE_LEN - 1) & -PAGE_LEN;
	uint64_t end = (entry->gpa + entry->len) & -PAGE_LEN;
	if (start < (uintptr_t)guest_image_end)
		start = (uintptr_t)guest_image_end;
	if (end > BALLOON_LIMIT)
		end = BALLOON_LIMIT;
	if (start < end && mem_n_free < MAX_RANGES)
		mem_free[mem_n_free++] = (struct mem_range){start, end - start};
}

void mem_init(void)
{
	const struct start_info *info = (const struct start_info *)boot_start_info_gpa;
	if (info->magic != START_MAGIC || info->version < 1)
		fail("hvm_start_info at %#lx: magic %#x, version %u; there has to be a memory map", boot_start_info_gpa, info->magic, info->version);
	copy_cmdline(info->cmdline_gpa);
	const struct memmap_entry *map = (const struct memmap_entry *)info->memmap_gpa;
	for (uint32_t i = 0; i < info->memmap_entries; i++)
		if (map[i].type == MEMMAP_RAM)
			add_ram(&map[i]);
	if (!mem_n_free)
		fail("no RAM in a memory map of %u entries", info->memmap_entries);
	for (size_t i = 0; i < mem_n_free; i++)
		mem_map(mem_free[i].gpa, mem_free[i].len);
}

const char *mem_cmdline(void)
{
	return cmdline;
}

uint64_t mem_ram_bytes(void)
{
	return ram_bytes;
}

uint64_t mem_free_pages(void)
{
	uint64_t pages = 0;
	for (size_t i = 0; i < mem_n_free; i++)
		pages += mem_free[i].len / PAGE_LEN;
	return pages;
}

void *mem_alloc(uint64_t len)
{
	if (is_sealed)
		fail("memory was allocated after the pages to test were chosen");
	len = (len + PAGE_LEN - 1) & -PAGE_LEN;
	struct mem_range *from = &mem_free[0];
	for (size_t i = 1; i < mem_n_free && mem_free[i].gpa + mem_free[i].len <= 1ULL << 32; i++)
		if (mem_free[i].len > from->len)
			from = &mem_free[i];
	if (from->len <= len)
		fail("%lu KiB for tables are more than the RAM below 4 GiB has", len / 1024);
	void *at = (void *)from->gpa;
	from->gpa += len;
	from->len -= len;
	return memset(at, 0, len);
}

void mem_seal(void)
{
	is_sealed = true;
}

static uint64_t *next_table(uint64_t *entry)
{
	if (!(*entry & PTE_PRESENT))
		*entry = (uintptr_t)mem_alloc(PAGE_LEN) | PTE_TABLE;
	return (uint64_t *)(*entry & PTE_ADDRESS);
}

/* Entries only ever become present, so no TLB has to be flushed. */
void mem_map(uint64_t gpa, uint64_t len)
{
	if (gpa + len > MAPPABLE)
		fail("address %#lx cannot be mapped", gpa);
	for (uint64_t at = gpa & -HUGE_PAGE_LEN; at < gpa + len; at += HUGE_PAGE_LEN) {
		uint64_t *pdpt = next_table(&boot_pml4[at >> 39 & (ENTRIES - 1)]);
		uint64_t *directory = next_table(&pdpt[at >> 30 & (ENTRIES - 1)]);
		uint64_t *page = &directory[at >> 21 & (ENTRIES - 1)];
		if (!(*page & PTE_PRESENT))
			*page = at | PTE_HUGE_PAGE;
	}
}
