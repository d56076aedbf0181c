/*
 * A set of pages of guest RAM that takes them in any order and gives them up
 * sorted and merged. One bit for each page number; above these an index of the
 * words that have any page, each level of which has a bit for each word below
 * that is not 0, and another of the blocks of 512 pages (2 MiB, what the host's
 * page tables map in one piece) that have all. So a page costs the same
 * wherever it lies, and nothing is sorted, searched or allocated. The memory
 * comes from the host as it is touched, 33 KiB for each GiB of guest RAM that
 * ever was in the set.
 */
#ifndef DEVICE_PAGE_SET_H
#define DEVICE_PAGE_SET_H

#include "device/page_ranges.h"

#define PAGE_SET_BLOCK 512u /* pages */
#define PAGE_SET_BLOCK_BYTES ((uint64_t)PAGE_SET_BLOCK << PFN_SHIFT)
#define PAGE_SET_BLOCK_PIECES 8u /* of a whole block */
#define PAGE_SET_MIN_RANGES 64	 /* least room for page_set_take() */

#define PAGE_SET_LEVELS 3
struct page_set_index {
	uint64_t *levels[PAGE_SET_LEVELS]; /* the last one is short enough to be looked through */
	uint64_t n_words;		   /* of the first one that are not 0 */
};

struct page_set {
	const struct gmem *gmem;
	uint64_t n_pages;
	uint64_t n_whole;  /* blocks */
	uint64_t n_pieces; /* runs of pages, each cut where page numbers are multiples of 64: no fewer than page_set_take() would make ranges */
	uint64_t *pages;
	struct page_set_index some;  /* words of `pages` that are not 0 */
	struct page_set_index whole; /* blocks with all of their pages */
	size_t len_bytes;
};

/* Empty. 0 or -ENOMEM. */
int page_set_init(struct page_set *set, const struct gmem *gmem);
void page_set_finish(struct page_set *set); /* zeroed is fine */

/* Pages of RAM; some may be in the set already, or not in it. */
void page_set_add(struct page_set *set, const struct page_run *runs, size_t n);
void page_set_remove(struct page_set *set, const struct page_run *runs, size_t n);
void page_set_clear(struct page_set *set);

/* Never fewer than the blocks that have some of their pages, but not all. */
uint64_t page_set_most_broken(const struct page_set *set);

/*
 * Takes the lowest pages out, only those of whole blocks if `whole`: about
 * max_pages of them, fewer when `max` ranges (at least PAGE_SET_MIN_RANGES) do
 * not hold them. The ranges are sorted, disjoint, each within one region and as
 * long as can be. Returns how many.
 */
size_t page_set_take(struct page_set *set, bool whole, struct gmem_range *ranges, size_t max, uint64_t max_pages);

#endif
