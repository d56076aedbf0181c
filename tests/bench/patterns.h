/*
 * In which order a guest names the pages that it gives away. Every pattern
 * names a page once; all but every_second name all of them.
 */
#ifndef TESTS_BENCH_PATTERNS_H
#define TESTS_BENCH_PATTERNS_H

#include <stddef.h>
#include <stdint.h>

struct pattern {
	const char *name;
	/* Fills in page indices below n, a multiple of 1024; returns how many. The same at each call. */
	size_t (*fill)(uint32_t *pages, size_t n);
};

extern const struct pattern patterns[];
extern const size_t n_patterns;

/* A pattern of blocks of `pages` pages each, in random order, as the indices of their first pages: for reporting. */
size_t pattern_blocks(uint32_t *first, size_t n, size_t pages);

#endif
