#include "kvm/e820.h"

#include <assert.h>

#include "kvm/board.h"

#define MIB (UINT64_C(1) << 20)

/* KVM_SET_TSS_ADDR takes three pages, the identity map one (Documentation/virt/kvm/api.rst). */
#define KVM_PAGES_LEN (4 * 4096ULL)

static void add(struct e820_map *map, uint64_t gpa, uint64_t end, enum e820_type type)
{
	if (end <= gpa)
		return;
	assert(map->n < E820_MAX_ENTRIES);
	map->entries[map->n++] = (struct e820_entry){.gpa = gpa, .len = end - gpa, .type = type};
}

static uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Above 1 MiB all of it is the kernel's. Below, what a PC's firmware would leave. */
static void add_region(struct e820_map *map, const struct gmem_region *region)
{
	uint64_t end = region->gpa + region->len;

	if (region->gpa < MIB) {
		add(map, region->gpa, min_u64(end, E820_LOW_RAM_END), E820_RAM);
		add(map, E820_BIOS_BASE, min_u64(end, E820_BIOS_END), E820_RESERVED);
		add(map, MIB, end, E820_RAM);
	} else {
		add(map, region->gpa, end, E820_RAM);
	}
}

void e820_build(struct e820_map *map, const struct gmem *gmem)
{
	size_t i = 0;

	map->n = 0;
	for (; i < gmem->n_regions && gmem->regions[i].gpa < BOARD_ECAM_BASE; i++)
		add_region(map, &gmem->regions[i]);
	add(map, BOARD_ECAM_BASE, BOARD_ECAM_BASE + BOARD_ECAM_LEN, E820_RESERVED);
	add(map, BOARD_KVM_IDENTITY_MAP, BOARD_KVM_IDENTITY_MAP + KVM_PAGES_LEN, E820_RESERVED);
	for (; i < gmem->n_regions; i++)
		add_region(map, &gmem->regions[i]);
}
