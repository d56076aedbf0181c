/*
 * Guest RAM of each kind that a host can put behind it, made by the program's
 * own code, and what the kernel says of it.
 */
#ifndef TESTS_BENCH_BACKINGS_H
#define TESTS_BENCH_BACKINGS_H

#include "kvm/memory.h"

struct backing {
	const char *name;
	struct memory_config config; /* but for the size */
	bool is_huge;		     /* worth nothing unless the host gives huge pages */
};

extern const struct backing backings[];
extern const size_t n_backings;

/* NULL for a name that none has. */
const struct backing *backing_named(const char *name);

/* NULL, or why this host does not have it. */
const char *backing_open(const struct backing *backing, uint64_t bytes, struct guest_ram *ram);

/* Share of [hva, hva + len) that huge pages map, 0 to 1. */
double backing_huge_share(const void *hva, uint64_t len);

/* Bytes of host memory behind all of RAM. */
uint64_t backing_rss(const struct guest_ram *ram);

/* What this host can spare for guest RAM now, bytes. */
uint64_t backing_spare_bytes(void);

#endif
