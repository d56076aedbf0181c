/*
 * The part of guest RAM that a bench gives away and takes back: n_pages from
 * FG_PAGES on, above the rings and arrays of the fake guest, over the hole
 * below 4 GiB if need be. Pages are numbered from its start.
 */
#ifndef TESTS_BENCH_AREA_H
#define TESTS_BENCH_AREA_H

#include "tests/bench/backings.h"

#define AREA_PAGE 4096ULL

struct area {
	struct guest_ram *ram;
	size_t n_pages;
};

/* Puts the area into a mapping of its own, whose line in smaps counts nothing else. */
void area_mark(const struct area *area);

uint64_t area_gpa(const struct area *area, size_t page);

/* Writes to each of the pages [page, page + n). */
void area_touch(const struct area *area, size_t page, size_t n);

/* All of it present, and as huge as the host makes it. */
void area_renew(const struct area *area);

/* Share of it that huge pages map, 0 to 1. */
double area_huge_share(const struct area *area);

#endif
