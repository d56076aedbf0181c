#include "device/balloon_map.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#define WORD_BITS 64

int balloon_map_init(struct balloon_map *map, const struct gmem *gmem)
{
	*map = (struct balloon_map){.gmem = gmem, .page_shift = (unsigned)__builtin_ctzll(gmem->page_size)};
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

/* Where a page lies: bits and host pages are numbered through all regions in their order. */
struct place {
	const struct gmem_region *region;
	uint64_t first_bit, first_page; /* of the region */
};

static inline struct place place_of(const struct balloon_map *map, uint64_t gpa)
{
	struct place place = {.region = map->gmem->regions};
	for (; gpa - place.region->gpa >= place.region->len; place.region++) {
		place.first_bit += place.region->len >> PFN_SHIFT;
		place.first_page += (place.region->len + map->gmem->page_size - 1) >> map->page_shift;
	}
	return place;
}

/* Sets or clears the bits [at, end). Returns how many changed: mostly all. */
static inline uint32_t write_bits(uint64_t *bits, uint64_t at, uint64_t end, bool value)
{
	uint32_t changed = 0;
	for (uint64_t stop; at < end; at = stop) {
		uint64_t *word = &bits[at / WORD_BITS];
		stop = (at / WORD_BITS + 1) * WORD_BITS;
		stop = stop < end ? stop : end;
		uint64_t mask = UINT64_MAX >> (WORD_BITS - (stop - at)) << at % WORD_BITS;
		uint64_t flip = (value ? ~*word : *word) & mask;
		*word ^= flip;
		changed += flip == mask ? (uint32_t)(stop - at) : (uint32_t)__builtin_popcountll(flip);
	}
	return changed;
}

/* The part of a run that lies in one host page, `page` in the order of all. Returns whether that is whole now. */
static inline bool write_part(struct balloon_map *map, uint64_t page, uint64_t first_bit, uint64_t end_bit, bool value)
{
	uint32_t all = (uint32_t)(map->gmem->page_size >> PFN_SHIFT), before = map->pieces[page];
	uint32_t changed = write_bits(map->bits, first_bit, end_bit, value), after = value ? before + changed : before - changed;
	map->pieces[page] = after;
	map->n_in += (uint64_t)after - before;
	map->n_whole += (uint64_t)(after == all) - (uint64_t)(before == all);
	return after == all;
}

/* Host pages that lie together, in bytes from the begin of their region; none at first. */
struct stretch {
	uint64_t first, end;
};

static struct page_run run_of(const struct gmem_region *region, struct stretch stretch)
{
	uint64_t end = stretch.end < region->len ? stretch.end : region->len;
	return (struct page_run){.first = (uint32_t)((region->gpa + stretch.first) >> PFN_SHIFT), .count = (uint32_t)((end - stretch.first) >> PFN_SHIFT)};
}

/* The part [at, end) of a region. Returns the host pages that are whole now: they are neighbours, since only the first and the last can be cut. */
static inline struct stretch write_stretch(struct balloon_map *map, const struct place *place, uint64_t at, uint64_t end, bool value)
{
	struct stretch whole = {0};
	for (uint64_t next; at < end; at = next) {
		uint64_t page = at >> map->page_shift, page_end = (page + 1) << map->page_shift;
		next = page_end < end ? page_end : end;
		if (!write_part(map, place->first_page + page, place->first_bit + (at >> PFN_SHIFT), place->first_bit + (next >> PFN_SHIFT), value))
			continue;
		whole = (struct stretch){.first = whole.end ? whole.first : page << map->page_shift, .end = page_end};
	}
	return whole;
}

/* One for each direction: what is asked of every page is known there. */
static inline __attribute__((always_inline)) void write_run(struct balloon_map *map, struct page_run run, bool value, struct page_set *whole)
{
	uint64_t gpa = (uint64_t)run.first << PFN_SHIFT, gpa_end = gpa + ((uint64_t)run.count << PFN_SHIFT);
	while (gpa < gpa_end) {
		struct place place = place_of(map, gpa);
		uint64_t at = gpa - place.region->gpa, end = gpa_end - place.region->gpa;
		end = end < place.region->len ? end : place.region->len;
		struct stretch now_whole = write_stretch(map, &place, at, end, value);
		if (!value) {
			uint64_t amid = map->gmem->page_size - 1;
			struct page_run touched = run_of(place.region, (struct stretch){.first = at & ~amid, .end = (end + amid) & ~amid});
			page_set_remove(whole, &touched, 1);
		} else if (now_whole.end) {
			struct page_run found = run_of(place.region, now_whole);
			page_set_add(whole, &found, 1);
		}
		gpa = place.region->gpa + end;
	}
}

void balloon_map_add(struct balloon_map *map, const struct page_run *runs, size_t n, struct page_set *whole)
{
	for (size_t i = 0; i < n; i++)
		write_run(map, runs[i], true, whole);
}

void balloon_map_remove(struct balloon_map *map, const struct page_run *runs, size_t n, struct page_set *whole)
{
	for (size_t i = 0; i < n; i++)
		write_run(map, runs[i], false, whole);
}
