/*
 * From page numbers in any order to sorted, disjoint ranges of guest RAM.
 *
 * Guests name pages one by one, mostly in runs that ascend or descend, because
 * their allocator handed them out that way; the host wants few, long ranges. A
 * batch takes pages, folds neighbours into runs as they come, sorts the runs
 * only if they are not in order already, merges, and cuts at the borders of
 * RAM regions. The memory is fixed, so a batch takes PAGE_RANGES_MAX runs; a
 * caller with more pages takes what it has and goes on with the next batch.
 */
#ifndef DEVICE_PAGE_RANGES_H
#define DEVICE_PAGE_RANGES_H

#include <assert.h>

#include "device/host.h"

#define PAGE_RANGES_MAX 4096 /* runs in a batch */
#define PFN_SHIFT 12	     /* balloon pages are 4096 bytes, whatever guest or host use (VIRTIO 1.4, section 5.5.6) */
#define PFN_BYTES (1u << PFN_SHIFT)
#define PFN_END (1ULL << 32 << PFN_SHIFT) /* where page numbers end: 16 TiB */

struct page_run {
	uint32_t first; /* page number: guest-physical address / 4096 */
	uint32_t count; /* not 0; the run ends at PFN_END at the latest */
};

struct page_ranges {
	const struct gmem *gmem;
	size_t n_runs;
	struct page_run runs[PAGE_RANGES_MAX];
	struct page_run scratch[PAGE_RANGES_MAX];
	struct gmem_range ranges[PAGE_RANGES_MAX + GMEM_MAX_REGIONS];
};

void page_ranges_init(struct page_ranges *pr, const struct gmem *gmem);

/* Starts an empty batch. */
void page_ranges_clear(struct page_ranges *pr);

/*
 * Adds n pages, given as little-endian 32-bit numbers at any alignment; fits
 * always when the batch was empty and n <= PAGE_RANGES_MAX. Returns how many
 * of them are pages of RAM; the others are left out.
 */
size_t page_ranges_add_le32(struct page_ranges *pr, const void *pfns, size_t n);

/* Adds a run that the caller has checked to be RAM, of one region. The batch must not be full. */
static inline void page_ranges_add_run(struct page_ranges *pr, struct page_run run)
{
	assert(pr->n_runs < PAGE_RANGES_MAX && run.count);
	pr->runs[pr->n_runs++] = run;
}

/* The batch as sorted, disjoint ranges, each within one region and as long as can be; valid until the next call. Returns how many. */
size_t page_ranges_finish(struct page_ranges *pr, const struct gmem_range **ranges);

#endif
