/*
 * Which pages are in the balloon, one bit for each 4096 bytes of RAM, for
 * hosts whose pages are larger: a host page can be given back only when all of
 * its pieces are in the balloon (hugetlb RAM). A count for each host page says
 * how many are. On 4096-byte hosts there is nothing to remember and no map.
 */
#ifndef DEVICE_BALLOON_MAP_H
#define DEVICE_BALLOON_MAP_H

#include "device/page_set.h"

struct balloon_map {
	const struct gmem *gmem;
	uint64_t *bits;	  /* NULL: no map; its memory comes from the host as it is touched */
	uint32_t *pieces; /* of each host page: how many are in; behind the bits */
	size_t len_bytes; /* of both */
	unsigned page_shift;
	uint64_t n_in;	  /* bits that are set */
	uint64_t n_whole; /* host pages that are wholly in */
};

/* 0 or -ENOMEM. */
int balloon_map_init(struct balloon_map *map, const struct gmem *gmem);
void balloon_map_finish(struct balloon_map *map); /* zeroed is fine */

/* No page is in the balloon. */
void balloon_map_clear_all(struct balloon_map *map);

/*
 * Puts the pages of runs into the balloon, or takes them out. There must be a
 * map. `whole` is a set of the host pages that are wholly in the balloon and not
 * given back yet: those get into it that a run touches and that are whole now,
 * and those leave it of which a run takes something.
 */
void balloon_map_add(struct balloon_map *map, const struct page_run *runs, size_t n, struct page_set *whole);
void balloon_map_remove(struct balloon_map *map, const struct page_run *runs, size_t n, struct page_set *whole);

/* Bytes that are in the balloon although their host page is not wholly in it. */
uint64_t balloon_map_held_bytes(const struct balloon_map *map);

#endif
