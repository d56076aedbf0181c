#include "tests/bench/patterns.h"

#include <stdlib.h>

#define SEED 7
#define GROUP 1024u /* pages in which every run length from 1 to 512 comes once, and 1 once more */
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
	srandom(SEED);
	for (size_t i = n; i > 1; i--) {
		size_t k = (size_t)random() % i;
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

/* The memory in naturally aligned runs of 1 to 512 pages, as many of each length, in random order. */
static size_t buddies(uint32_t *pages, size_t n)
{
	uint32_t *runs = malloc(n * sizeof *runs);
	if (!runs)
		abort();
	size_t n_runs = 0, at = 0;
	for (uint32_t page = 0; page < n; page += run_at(page))
		runs[n_runs++] = page;
	shuffle(runs, n_runs);
	for (size_t i = 0; i < n_runs; i++)
		for (uint32_t k = 0; k < run_at(runs[i]); k++)
			pages[at++] = runs[i] + k;
	free(runs);
	return n;
}

/* What an allocator with much free memory hands out: 2 MiB in one piece, in random order. */
static size_t large_runs(uint32_t *pages, size_t n)
{
	uint32_t *runs = malloc(n / LONGEST * sizeof *runs);
	if (!runs)
		abort();
	size_t n_runs = pattern_blocks(runs, n, LONGEST);
	for (size_t i = 0; i < n_runs * LONGEST; i++)
		pages[i] = runs[i / LONGEST] + (uint32_t)(i % LONGEST);
	free(runs);
	return n;
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
