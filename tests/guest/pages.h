/*
 * Sets of pages, what is written to them and whether it is still there.
 *
 * The pattern of a page depends on its address and on a seed, and no two words
 * of RAM are equal in it: a page that was lost, zeroed, doubled or exchanged
 * with another is seen.
 */
#ifndef TESTS_GUEST_PAGES_H
#define TESTS_GUEST_PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/guest/memory.h"

struct page_set {
	uint32_t *pfns;
	size_t n;
};

/*
 * Chooses `want` pages to give away and, among them, pages to keep: their
 * neighbours. Every range of RAM takes part, as its size is. Blocks of 2 MiB
 * alternate between three kinds: given away whole; all but the first and last
 * page; seven pages of every eight. Both sets ascend. When nothing else is
 * left the kept pages are used as well, except the last few; given.n is less
 * than `want` if there is not enough RAM.
 */
void pages_choose(struct page_set *given, struct page_set *kept, size_t want);

/* The first n pages of free RAM, or as many as there are, ascending. */
void pages_first(struct page_set *set, size_t n);

/* The same of blocks of 2 MiB that are free as a whole. One of the three functions is called, once; it seals memory. */
void pages_blocks(struct page_set *set, size_t n);

void pages_fill(const uint32_t *pfns, size_t n, uint64_t seed);

/* Writes no more than the first word of each page. */
void pages_touch(const uint32_t *pfns, size_t n, uint64_t seed);

/* Ends the run at the first word that pages_fill did not leave so; `when` completes the sentence. */
void pages_check(const uint32_t *pfns, size_t n, uint64_t seed, const char *when);

/*
 * Checks that each page is all zero, or with may_keep all zero or as
 * pages_fill left it; ends the run if not. Returns how many were zero.
 */
size_t pages_check_zero(const uint32_t *pfns, size_t n, uint64_t seed, bool may_keep, const char *when);

/* The same with one value in every word. */
void pages_fill_value(const uint32_t *pfns, size_t n, uint64_t value);
void pages_check_value(const uint32_t *pfns, size_t n, uint64_t value, const char *when);

/* Pseudo-random order. */
void pages_shuffle(uint32_t *pfns, size_t n);
void pages_reverse(uint32_t *pfns, size_t n);

#endif
