#include "tests/bench/patterns.h"

#define SEED 88172645463325252ULL
#define GROUP 1024u /* pages, in runs of every power of two from 512 down to 1, and a last one of 1 */
#define GROUP_RUNS 11u
#define LONGEST 512u

static size_t ascending(uint32_t *pages, size_t n)
{
	for (uint32_t i = 0; i < n; i++)
		pages[i] = i;
	return n;
}

static size_t descending(uint32_t *pages, size_t n)
{
	for (uint32_t i = 0; i < n; i++)
		pages[i] = (uint32_t)n - 1 - i;
	return n;
}

static void shuffle(uint32_t *items, size_t n)
{
	uint64_t random = SEED; /* xorshift64 */
	for (size_t i = n; i > 1; i--) {
		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		size_t k = random % i;
		uint32_t item = items[i - 1];
		items[i - 1] = items[k];
		items[k] = item;
	}
}

/* The run that begins at a page: a power of two long, and aligned to it, as an allocator of buddies has them. */
static uint32_t run_at(uint32_t page)
{
	uint32_t in_group = page % GROUP;
	if (in_group < LONGEST)
		return LONGEST;
	/* 512: 256 pages, 768: 128 pages, and so on; the last one is as short as the last but one. */
	uint32_t left = GROUP - in_group;
	return left > 1 ? left / 2 : 1;
}

static uint32_t longest_run(uint32_t page)
{
	(void)page;
	return LONGEST;
}

/*
 * The runs, by their first pages, lie at the end of the array, which their pages fill from its start. Each run has a page
 * at least, so none is written over before its turn.
 */
static size_t expand(uint32_t *pages, const uint32_t *runs, size_t n_runs, uint32_t (*len)(uint32_t page))
{
	size_t n = 0;
	for (size_t i = 0; i < n_runs; i++) {
		uint32_t first = runs[i];
		for (uint32_t k = 0; k < len(first); k++)
			pages[n++] = first + k;
	}
	return n;
}

/* The memory in naturally aligned runs of 1 to 512 pages, as many of each length, in random order. */
static size_t buddies(uint32_t *pages, size_t n)
{
	uint32_t *runs = pages + n - n / GROUP * GROUP_RUNS;
	size_t n_runs = 0;
	for (uint32_t page = 0; page < n; page += run_at(page))
		runs[n_runs++] = page;
	shuffle(runs, n_runs);
	return expand(pages, runs, n_runs, run_at);
}

/* What an allocator with much free memory hands out: 2 MiB in one piece, in random order. */
static size_t large_runs(uint32_t *pages, size_t n)
{
	uint32_t *runs = pages + n - n / LONGEST;
	return expand(pages, runs, pattern_blocks(runs, n, LONGEST), longest_run);
}

static size_t every_second(uint32_t *pages, size_t n)
{
	for (uint32_t i = 0; i < n / 2; i++)
		pages[i] = 2 * i;
	return n / 2;
}

static size_t at_random(uint32_t *pages, size_t n)
{
	ascending(pages, n);
	shuffle(pages, n);
	return n;
}

const struct pattern patterns[] = {
	{"ascending", ascending},   {"descending", descending},	    {"buddies", buddies},
	{"large-runs", large_runs}, {"every-second", every_second}, {"random", at_random},
};
const size_t n_patterns = sizeof patterns / sizeof patterns[0];

size_t pattern_blocks(uint32_t *first, size_t n, size_t pages)
{
	for (size_t i = 0; i < n / pages; i++)
		first[i] = (uint32_t)(i * pages);
	shuffle(first, n / pages);
	return n / pages;
}
