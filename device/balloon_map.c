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
	size_t bits_bytes = (gmem_size(gmem) / PFN_BYTES + WORD_BITS - 1) / WORD_BITS * sizeof *map->bits;
	/* The last host page of a region may be cut short. */
	size_t n_pages = gmem_size(gmem) / gmem->page_size + gmem->n_regions;
	map->len_bytes = bits_bytes + n_pages * sizeof *map->pieces;
	void *mem = mmap(NULL, map->len_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (mem == MAP_FAILED)
		return -ENOMEM;
	map->bits = mem;
	map->pieces = (uint32_t *)(void *)((uint8_t *)mem + bits_bytes);
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
	map->n_in = map->n_whole = 0;
}

uint64_t balloon_map_held_bytes(const struct balloon_map *map)
{
	return map->n_in * PFN_BYTES - map->n_whole * map->gmem->page_size;
}

/* Where a range lies: bits and host pages are numbered through all regions in their order. */
struct place {
	const struct gmem_region *region;
	uint64_t first_bit, first_page; /* of the region */
};

static struct place place_of(const struct balloon_map *map, uint64_t gpa)
{
	uint64_t page = map->gmem->page_size;
	struct place place = {.region = map->gmem->regions};
	for (; gpa - place.region->gpa >= place.region->len; place.region++) {
		place.first_bit += place.region->len >> PFN_SHIFT;
		place.first_page += (place.region->len + page - 1) / page;
	}
	return place;
}

/* The bits of word `at / 64` that lie in [at, end). */
static uint64_t mask_of(uint64_t at, uint64_t end)
{
	uint64_t mask = end - at >= WORD_BITS ? UINT64_MAX : (1ULL << (end - at)) - 1;
	return mask << at % WORD_BITS;
}

/* Sets or clears the bits [at, end). Returns how many changed. */
static uint32_t write_bits(uint64_t *bits, uint64_t at, uint64_t end, bool value)
{
	uint32_t changed = 0;
	for (; at < end; at = (at / WORD_BITS + 1) * WORD_BITS) {
		uint64_t *word = &bits[at / WORD_BITS];
		uint64_t flip = (value ? ~*word : *word) & mask_of(at, end);
		*word ^= flip;
		changed += (uint32_t)__builtin_popcountll(flip);
	}
	return changed;
}

static bool is_whole(const struct balloon_map *map, uint64_t page)
{
	return map->pieces[page] == map->gmem->page_size >> PFN_SHIFT;
}

/* The part of the range that lies in one host page, `page` in the order of all. */
static void write_part(struct balloon_map *map, uint64_t page, uint64_t first_bit, uint64_t end_bit, bool value)
{
	bool was_whole = is_whole(map, page);
	uint32_t changed = write_bits(map->bits, first_bit, end_bit, value);
	map->pieces[page] += value ? changed : -changed;
	map->n_in += value ? changed : -(uint64_t)changed;
	map->n_whole += (uint64_t)is_whole(map, page) - (uint64_t)was_whole;
}

static void write_ranges(struct balloon_map *map, const struct gmem_range *ranges, size_t n, bool value)
{
	uint64_t page = map->gmem->page_size;
	for (size_t i = 0; i < n; i++) {
		struct place place = place_of(map, ranges[i].gpa);
		uint64_t at = ranges[i].gpa - place.region->gpa, end = at + ranges[i].len;
		while (at < end) {
			uint64_t next = (at / page + 1) * page;
			next = next < end ? next : end;
			write_part(map, place.first_page + at / page, place.first_bit + (at >> PFN_SHIFT), place.first_bit + (next >> PFN_SHIFT), value);
			at = next;
		}
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
	struct place place = place_of(map, range->gpa);
	uint64_t end = range->gpa + range->len, region_gpa = place.region->gpa;
	uint64_t gpa = range->gpa - (range->gpa - region_gpa) % page;
	struct gmem_range whole = {0};

	for (gpa = gpa < *from ? *from : gpa; gpa < end; gpa += page) {
		if (!is_whole(map, place.first_page + (gpa - region_gpa) / page))
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
