#include "device/balloon_map.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "device/page_ranges.h"

#define WORD_BITS 64

int balloon_map_init(struct balloon_map *map, const struct gmem *gmem)
{
	*map = (struct balloon_map){.gmem = gmem};
	if (gmem->page_size <= PFN_BYTES)
		return 0;
	map->len_bytes = (gmem_size(gmem) / PFN_BYTES + WORD_BITS - 1) / WORD_BITS * sizeof *map->bits;
	void *bits = mmap(NULL, map->len_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (bits == MAP_FAILED)
		return -ENOMEM;
	map->bits = bits;
	return 0;
}

void balloon_map_finish(struct balloon_map *map)
{
	if (map->bits)
		munmap(map->bits, map->len_bytes);
	map->bits = NULL;
}

void balloon_map_clear_all(struct balloon_map *map)
{
	if (map->bits && madvise(map->bits, map->len_bytes, MADV_DONTNEED) < 0)
		memset(map->bits, 0, map->len_bytes);
}

/* Bits are numbered through all regions in their order. *region is the one that holds gpa. */
static uint64_t bit_of(const struct balloon_map *map, uint64_t gpa, const struct gmem_region **region)
{
	uint64_t before = 0;
	const struct gmem_region *r = map->gmem->regions;
	for (; gpa - r->gpa >= r->len; r++)
		before += r->len;
	*region = r;
	return (before + (gpa - r->gpa)) >> PFN_SHIFT;
}

/* The bits of word `at / 64` that lie in [at, end). */
static uint64_t mask_of(uint64_t at, uint64_t end)
{
	uint64_t low = at % WORD_BITS, n = end - at;
	uint64_t mask = n >= WORD_BITS ? UINT64_MAX : (1ULL << n) - 1;
	return mask << low;
}

static void write_bits(uint64_t *bits, uint64_t at, uint64_t end, bool value)
{
	for (; at < end; at = (at / WORD_BITS + 1) * WORD_BITS) {
		if (value)
			bits[at / WORD_BITS] |= mask_of(at, end);
		else
			bits[at / WORD_BITS] &= ~mask_of(at, end);
	}
}

static bool all_set(const uint64_t *bits, uint64_t at, uint64_t end)
{
	for (; at < end; at = (at / WORD_BITS + 1) * WORD_BITS)
		if (~bits[at / WORD_BITS] & mask_of(at, end))
			return false;
	return true;
}

static void write_ranges(struct balloon_map *map, const struct gmem_range *ranges, size_t n, bool value)
{
	const struct gmem_region *region;
	for (size_t i = 0; i < n; i++) {
		uint64_t first = bit_of(map, ranges[i].gpa, &region);
		write_bits(map->bits, first, first + (ranges[i].len >> PFN_SHIFT), value);
	}
}

void balloon_map_remove(struct balloon_map *map, const struct gmem_range *ranges, size_t n)
{
	if (map->bits)
		write_ranges(map, ranges, n, false);
}

/*
 * Of the host pages that the range touches, those that are whole: they are
 * neighbours, so they make one range; len 0 for none. Pages below *from were
 * looked at with an earlier range; *from moves past those of this one.
 */
static struct gmem_range whole_pages(const struct balloon_map *map, const struct gmem_range *range, uint64_t *from)
{
	uint64_t page = map->gmem->page_size;
	const struct gmem_region *region;
	bit_of(map, range->gpa, &region);
	uint64_t end = range->gpa + range->len, region_end = region->gpa + region->len;
	uint64_t gpa = range->gpa - (range->gpa - region->gpa) % page;
	struct gmem_range whole = {0};

	for (gpa = gpa < *from ? *from : gpa; gpa < end && page <= region_end - gpa; gpa += page) {
		uint64_t first = bit_of(map, gpa, &region);
		if (!all_set(map->bits, first, first + (page >> PFN_SHIFT)))
			continue;
		if (!whole.len)
			whole.gpa = gpa;
		whole.len += page;
	}
	*from = gpa;
	return whole;
}

size_t balloon_map_add(struct balloon_map *map, const struct gmem_range *ranges, size_t n, struct gmem_range *whole)
{
	if (!map->bits) {
		memmove(whole, ranges, n * sizeof *ranges);
		return n;
	}
	write_ranges(map, ranges, n, true);

	size_t n_whole = 0;
	uint64_t from = 0;
	for (size_t i = 0; i < n; i++) {
		struct gmem_range found = whole_pages(map, &ranges[i], &from);
		if (found.len)
			whole[n_whole++] = found;
	}
	return n_whole;
}
