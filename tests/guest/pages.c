#include "tests/guest/pages.h"

#include "tests/guest/report.h"

#define WORDS (PAGE_LEN / sizeof(uint64_t))
#define PATTERN_STEP 0x9E3779B97F4A7C15UL /* odd, so that words of different addresses differ */

#define BLOCK_PAGES 512
#define ALWAYS_KEPT 64

enum block_kind { BLOCK_WHOLE, BLOCK_EDGES_KEPT, BLOCK_EIGHTH_KEPT, N_BLOCK_KINDS };

static bool is_kept(uint32_t pfn)
{
	uint32_t offset = pfn % BLOCK_PAGES;
	switch ((enum block_kind)(pfn / BLOCK_PAGES % N_BLOCK_KINDS)) {
	case BLOCK_EDGES_KEPT:
		return offset == 0 || offset == BLOCK_PAGES - 1;
	case BLOCK_EIGHTH_KEPT:
		return offset % 8 == 7;
	default:
		return false;
	}
}

/* Takes up to `quota` pages of a range, and keeps what the last block leaves over. */
static void choose_in_range(const struct mem_range *range, size_t quota, struct page_set *given, struct page_set *kept, size_t kept_max)
{
	uint32_t end = (uint32_t)((range->gpa + range->len) / PAGE_LEN);
	size_t goal = given->n + quota;
	for (uint32_t pfn = (uint32_t)(range->gpa / PAGE_LEN); pfn < end; pfn++) {
		if (given->n == goal && pfn % BLOCK_PAGES == 0)
			return;
		if (given->n < goal && !is_kept(pfn))
			given->pfns[given->n++] = pfn;
		else if (kept->n < kept_max)
			kept->pfns[kept->n++] = pfn;
	}
}

void pages_choose(struct page_set *given, struct page_set *kept, size_t want)
{
	size_t kept_max = want / 4 + BLOCK_PAGES * mem_n_free;
	*given = (struct page_set){mem_alloc(want * sizeof(uint32_t)), 0};
	*kept = (struct page_set){mem_alloc(kept_max * sizeof(uint32_t)), 0};
	mem_seal();
	uint64_t free_pages = mem_free_pages();
	for (size_t i = 0; i < mem_n_free; i++) {
		size_t pages = mem_free[i].len / PAGE_LEN;
		size_t quota = i + 1 < mem_n_free ? want * pages / free_pages : want - given->n;
		choose_in_range(&mem_free[i], quota, given, kept, kept_max);
	}
	while (given->n < want && kept->n > ALWAYS_KEPT)
		given->pfns[given->n++] = kept->pfns[--kept->n];
}

static void take_aligned(struct page_set *set, size_t n, uint64_t alignment)
{
	*set = (struct page_set){mem_alloc(n * sizeof(uint32_t)), 0};
	mem_seal();
	for (size_t i = 0; i < mem_n_free; i++) {
		uint64_t end = mem_free[i].gpa + mem_free[i].len;
		uint64_t at = (mem_free[i].gpa + alignment - 1) & -alignment;
		for (; at + alignment <= end && set->n < n; at += alignment)
			for (uint64_t page = at; page < at + alignment && set->n < n; page += PAGE_LEN)
				set->pfns[set->n++] = (uint32_t)(page / PAGE_LEN);
	}
}

void pages_first(struct page_set *set, size_t n)
{
	take_aligned(set, n, PAGE_LEN);
}

void pages_blocks(struct page_set *set, size_t n)
{
	take_aligned(set, n, BLOCK_PAGES * PAGE_LEN);
}

static uint64_t *page_at(uint32_t pfn)
{
	return (uint64_t *)(pfn * PAGE_LEN);
}

static uint64_t first_word(uint32_t pfn, uint64_t seed)
{
	return (seed + pfn * WORDS) * PATTERN_STEP;
}

static void fill_page(uint32_t pfn, uint64_t seed)
{
	uint64_t *page = page_at(pfn);
	uint64_t word = first_word(pfn, seed);
	for (size_t i = 0; i < WORDS; i++, word += PATTERN_STEP)
		page[i] = word;
}

/* The first word that is not as fill_page left it, WORDS for none. */
static size_t first_difference(uint32_t pfn, uint64_t seed)
{
	const uint64_t *page = page_at(pfn);
	uint64_t word = first_word(pfn, seed);
	for (size_t i = 0; i < WORDS; i++, word += PATTERN_STEP)
		if (page[i] != word)
			return i;
	return WORDS;
}

/* The first word that is not `value`, WORDS for none. */
static size_t first_other_value(uint32_t pfn, uint64_t value)
{
	const uint64_t *page = page_at(pfn);
	for (size_t i = 0; i < WORDS; i++)
		if (page[i] != value)
			return i;
	return WORDS;
}

void pages_fill(const uint32_t *pfns, size_t n, uint64_t seed)
{
	for (size_t i = 0; i < n; i++)
		fill_page(pfns[i], seed);
}

void pages_touch(const uint32_t *pfns, size_t n, uint64_t seed)
{
	for (size_t i = 0; i < n; i++)
		*page_at(pfns[i]) = first_word(pfns[i], seed);
}

void pages_check(const uint32_t *pfns, size_t n, uint64_t seed, const char *when)
{
	for (size_t i = 0; i < n; i++) {
		size_t word = first_difference(pfns[i], seed);
		if (word < WORDS)
			fail("page %#x %s: word %lu is %#lx, written was %#lx", pfns[i], when, word, page_at(pfns[i])[word],
			     first_word(pfns[i], seed) + word * PATTERN_STEP);
	}
}

size_t pages_check_zero(const uint32_t *pfns, size_t n, uint64_t seed, bool may_keep, const char *when)
{
	size_t zeroed = 0;
	for (size_t i = 0; i < n; i++) {
		size_t word = first_other_value(pfns[i], 0);
		if (word == WORDS)
			zeroed++;
		else if (!may_keep)
			fail("page %#x %s is not zero: word %lu is %#lx", pfns[i], when, word, page_at(pfns[i])[word]);
		else if ((word = first_difference(pfns[i], seed)) < WORDS)
			fail("page %#x %s is neither zero nor as it was: word %lu is %#lx", pfns[i], when, word, page_at(pfns[i])[word]);
	}
	return zeroed;
}

void pages_fill_value(const uint32_t *pfns, size_t n, uint64_t value)
{
	for (size_t i = 0; i < n; i++)
		for (size_t word = 0; word < WORDS; word++)
			page_at(pfns[i])[word] = value;
}

void pages_check_value(const uint32_t *pfns, size_t n, uint64_t value, const char *when)
{
	for (size_t i = 0; i < n; i++) {
		size_t word = first_other_value(pfns[i], value);
		if (word < WORDS)
			fail("page %#x %s: word %lu is %#lx, not %#lx", pfns[i], when, word, page_at(pfns[i])[word], value);
	}
}

void pages_shuffle(uint32_t *pfns, size_t n)
{
	uint64_t random = 88172645463325252; /* xorshift64 */
	for (size_t i = n; i > 1; i--) {
		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		size_t other = random % i;
		uint32_t pfn = pfns[i - 1];
		pfns[i - 1] = pfns[other];
		pfns[other] = pfn;
	}
}

void pages_reverse(uint32_t *pfns, size_t n)
{
	for (size_t i = 0; i < n / 2; i++) {
		uint32_t pfn = pfns[i];
		pfns[i] = pfns[n - 1 - i];
		pfns[n - 1 - i] = pfn;
	}
}
