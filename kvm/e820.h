/*
 * The guest's physical memory map, in the form of BIOS call 15h/E820. The zero
 * page of the Linux boot protocol and the memory map of PVH carry the same
 * entries and the same type numbers.
 */
#ifndef KVM_E820_H
#define KVM_E820_H

#include <stddef.h>
#include <stdint.h>

#include "device/host.h"

enum e820_type { E820_RAM = 1, E820_RESERVED = 2 };

struct e820_entry {
	uint64_t gpa;
	uint64_t len; /* bytes */
	enum e820_type type;
};

/* RAM below 640 KiB, the BIOS area, the regions of RAM, ECAM, the pages that KVM takes for itself. */
#define E820_MAX_ENTRIES (4 + GMEM_MAX_REGIONS)
struct e820_map {
	struct e820_entry entries[E820_MAX_ENTRIES]; /* sorted, disjoint */
	size_t n;
};

/* Guest RAM above this and below 1 MiB is not the kernel's: EBDA, video memory, firmware tables. */
#define E820_LOW_RAM_END 0x9FC00ULL
#define E820_BIOS_BASE 0xE0000ULL
#define E820_BIOS_END 0x100000ULL

void e820_build(struct e820_map *map, const struct gmem *gmem);

#endif
