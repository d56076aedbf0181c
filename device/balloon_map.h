/*
 * Which pages are in the balloon, one bit for each 4096 bytes of RAM, for
 * hosts whose pages are larger: a host page can be given back only when all of
 * its pieces are in the balloon (hugetlb RAM). A count for each host page says
 * how many are. On 4096-byte hosts there is nothing to remember and no map:
 * every call but init is a no-op then, and the ranges pass through unchanged.
 */
#ifndef DEVICE_BALLOON_MAP_H
#define DEVICE_BALLOON_MAP_H

#include "device/host.h"

struct balloon_map {
	const struct gmem *gmem;
	uint64_t *bits;	  /* NULL: no map; its memory comes from the host as it is touched */
	uint32_t *pieces; /* of each host page: how many are in; behind the bits */
	size_t len_bytes; /* of both */
	uint64_t n_in;	  /* bits that are set */
	uint64_t n_whole; /* host pages that are wholly in */
};

/* 0 or -ENOMEM. */
int balloon_map_init(struct balloon_map *map, const struct gmem *gmem);
void balloon_map_finish(struct balloon_map *map); /* zeroed is fine */

/* No page is in the balloon. */
void balloon_map_clear_all(struct balloon_map *map);

/* Ranges are sorted, disjoint, multiples of 4096, each within one region. */
void balloon_map_remove(struct balloon_map *map, const struct gmem_range *ranges, size_t n);

/*
 * Puts the ranges into the balloon and stores into `whole` the host pages that
 * they touch and that are wholly in it now: sorted, disjoint, at most n ranges.
 * Returns how many. `whole` may be `ranges`.
 */
size_t balloon_map_add(struct balloon_map *map, const struct gmem_range *ranges, size_t n, struct gmem_range *whole);

/* Bytes that are in the balloon although their host page is not wholly in it. */
uint64_t balloon_map_held_bytes(const struct balloon_map *map);

#endif
