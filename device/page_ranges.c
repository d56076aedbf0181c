#include "device/page_ranges.h"

#include <assert.h>
#include <string.h>

#include "util/bytes.h"

void page_ranges_init(struct page_ranges *pr, const struct gmem *gmem)
{
	pr->gmem = gmem;
	page_ranges_clear(pr);
}

void page_ranges_clear(struct page_ranges *pr)
{
	pr->n_runs = 0;
}

/* Pages of the region where the last page was: the next is mostly there, too. */
struct neighbourhood {
	uint32_t first, count;
};

/* Whether the page is RAM. */
static inline bool is_ram(const struct gmem *gmem, struct neighbourhood *near, uint32_t pfn)
{
	if (pfn - near->first < near->count)
		return true;
	const struct gmem_region *region = gmem_region_of(gmem, (uint64_t)pfn << PFN_SHIFT);
	if (!region)
		return false;
	uint64_t count = region->len >> PFN_SHIFT;
	*near = (struct neighbourhood){.first = (uint32_t)(region->gpa >> PFN_SHIFT), .count = count > UINT32_MAX ? UINT32_MAX : (uint32_t)count};
	return true;
}

static inline struct page_run *put_run(struct page_run *run, uint64_t first, uint64_t end)
{
	*run = (struct page_run){.first = (uint32_t)first, .count = (uint32_t)(end - first)};
	return run + (end > first);
}

/* What changes with every page is kept in registers, so not in *pr, to which a run that is stored might belong. */
size_t page_ranges_add_le32(struct page_ranges *pr, const void *pfns, size_t n)
{
	const struct gmem *gmem = pr->gmem;
	const uint8_t *p = pfns;
	struct neighbourhood near = {0};
	struct page_run *run = pr->runs + pr->n_runs;
	uint64_t first = 0, end = 0; /* the run that grows; 64 bits, so that 0 follows nothing */
	size_t valid = 0;

	assert(n <= PAGE_RANGES_MAX - pr->n_runs);
	for (size_t i = 0; i < n; i++, p += sizeof(uint32_t)) {
		uint32_t pfn = load_le32(p);
		if (!is_ram(gmem, &near, pfn))
			continue;
		valid++;
		if (pfn == end && end) {
			end++;
		} else if (pfn + 1ULL == first) {
			first--;
		} else {
			run = put_run(run, first, end);
			first = pfn;
			end = pfn + 1ULL;
		}
	}
	if (end)
		run = put_run(run, first, end);
	pr->n_runs = (size_t)(run - pr->runs);
	return valid;
}

/* ---- Sorting --------------------------------------------------------- */

enum order { ASCENDING, DESCENDING, NEITHER };

/* *varying: the bits in which the first pages differ. */
static enum order order_of(const struct page_run *runs, size_t n, uint32_t *varying)
{
	bool up = true, down = true;
	*varying = 0;
	for (size_t i = 1; i < n; i++) {
		up &= runs[i - 1].first <= runs[i].first;
		down &= runs[i - 1].first >= runs[i].first;
		*varying |= runs[i - 1].first ^ runs[i].first;
	}
	return up ? ASCENDING : down ? DESCENDING : NEITHER;
}

static void reverse(struct page_run *runs, size_t n)
{
	for (size_t i = 0; i < n / 2; i++) {
		struct page_run run = runs[i];
		runs[i] = runs[n - 1 - i];
		runs[n - 1 - i] = run;
	}
}

/* A report of Linux has 32 blocks: for so few a table of 256 places costs more than to count, without any branch, who comes before whom. */
#define FEW_RUNS 32

static void sort_few(const struct page_run *from, struct page_run *to, size_t n)
{
	int32_t keys[FEW_RUNS]; /* in the order of the pages, and signed, which is what processors compare many of at once */
	uint32_t taken = 0;
	for (size_t i = 0; i < FEW_RUNS; i++)
		keys[i] = i < n ? (int32_t)(from[i].first ^ 0x80000000) : INT32_MAX;
	for (size_t i = 0; i < n; i++) {
		uint32_t place = 0;
#pragma GCC unroll 8
		for (size_t k = 0; k < FEW_RUNS; k++)
			place += keys[k] < keys[i];
		/* Of those that begin at the same page the next one. */
		while (taken >> place & 1)
			place++;
		taken |= 1u << place;
		to[place] = from[i];
	}
}

/* One pass of the sort: stable, by the byte of the first page that starts at bit `shift`. */
static void sort_by_byte(const struct page_run *from, struct page_run *to, size_t n, unsigned shift)
{
	uint32_t place[256] = {0};
	for (size_t i = 0; i < n; i++)
		place[from[i].first >> shift & 0xFF]++;
	uint32_t next = 0;
	for (unsigned value = 0; value < 256; value++) {
		uint32_t count = place[value];
		place[value] = next;
		next += count;
	}
	for (size_t i = 0; i < n; i++)
		to[place[from[i].first >> shift & 0xFF]++] = from[i];
}

/*
 * Radix sort by the first page, from the lowest byte that varies. Its time is
 * linear and the same for every input: a guest cannot choose a slow one.
 * Returns where the result is.
 */
static struct page_run *sort(struct page_run *runs, struct page_run *scratch, size_t n, uint32_t varying)
{
	while (varying) {
		unsigned shift = (unsigned)__builtin_ctz(varying);
		sort_by_byte(runs, scratch, n, shift);
		varying = shift < 24 ? varying >> (shift + 8) << (shift + 8) : 0;
		struct page_run *sorted = scratch;
		scratch = runs;
		runs = sorted;
	}
	return runs;
}

/* ---- Merging --------------------------------------------------------- */

/* Ranges on their way out; the region of the last one, since the next lies there or further up. */
struct output {
	struct gmem_range *ranges;
	size_t n;
	const struct gmem_region *region;
};

/* Appends pages [first, end), cut at region borders. All of them are RAM. */
static void emit(struct output *out, uint64_t first, uint64_t end)
{
	for (uint64_t gpa = first << PFN_SHIFT, stop = end << PFN_SHIFT; gpa < stop;) {
		while (gpa - out->region->gpa >= out->region->len)
			out->region++;
		uint64_t len = out->region->len - (gpa - out->region->gpa);
		len = len < stop - gpa ? len : stop - gpa;
		out->ranges[out->n++] = (struct gmem_range){.gpa = gpa, .len = len};
		gpa += len;
	}
}

/* Sorted by their first pages. Returns where they are. */
static struct page_run *in_order(struct page_ranges *pr)
{
	uint32_t varying;
	if (pr->n_runs <= FEW_RUNS) {
		sort_few(pr->runs, pr->scratch, pr->n_runs);
		return pr->scratch;
	}
	enum order order = order_of(pr->runs, pr->n_runs, &varying);
	if (order == NEITHER)
		return sort(pr->runs, pr->scratch, pr->n_runs, varying);
	if (order == DESCENDING)
		reverse(pr->runs, pr->n_runs);
	return pr->runs;
}

size_t page_ranges_finish(struct page_ranges *pr, const struct gmem_range **ranges)
{
	struct output out = {.ranges = pr->ranges, .region = pr->gmem->regions};
	const struct page_run *run = in_order(pr), *last = run + pr->n_runs;

	*ranges = pr->ranges;
	while (run < last) {
		uint64_t first = run->first, end = first + run->count;
		while (++run < last && run->first <= end)
			end = end > (uint64_t)run->first + run->count ? end : (uint64_t)run->first + run->count;
		emit(&out, first, end);
	}
	return out.n;
}
