/*
 * The balloon device on the fake host, over guest RAM as the program makes it
 * and with the program's own discard code: everything between the driver's
 * notification and the kernel, without a VM around. Times are CPU times of the
 * process, kernel included. The fake host's clock follows them, and a
 * run ends when the device has nothing left to do, so that work put off is paid
 * for.
 */
#ifndef TESTS_BENCH_MEASURE_H
#define TESTS_BENCH_MEASURE_H

#include "tests/bench/area.h"
#include "tests/unit/fakeguest.h"

#define MEASURE_PAGES_PER_BUFFER 256u
#define MEASURE_MAX_ROUNDS 16
#define MEASURE_MAX_PAGES (3ULL << 20) /* page numbers that fit below FG_PAGES */

struct measure {
	struct area area; /* a multiple of 1024 pages */
	struct fakeguest fg;
	struct gmem fake_gmem; /* the fake host's own, for its end */
	unsigned rounds;
	bool lies; /* discards for the device do nothing and say that they did: the check of RSS must fail */
	unsigned n_kicks;
	uint64_t last_ms;	   /* of the CPU time, when the fake host's clock was set by it */
	struct gmem_range *ranges; /* room for the area's pages */
	uint8_t *marks;		   /* one a page of the area */
};

/*
 * One line of the table. Times are the middle of all rounds, in nanoseconds for
 * each page of 4 KiB that was named; the limits are measured in turn with them.
 */
struct figure {
	const char *backing, *pattern;
	unsigned per_kick; /* requests in a notification */
	bool may_grow;	   /* the kernel makes pieces of huge pages whole again by itself, a few at a time */
	uint64_t area_bytes, named_pages;
	double device_ns;			 /* request, discard and return */
	double limit_ns;			 /* the fewest, largest discards that cover the same pages, in the best order */
	double request_limit_ns;		 /* the same for the pages of each notification by themselves */
	double work_ns;				 /* the device with a host that discards nothing */
	double refill_gib_s, refill_limit_gib_s; /* writing the memory again; after the limit's discards */
	double huge_share, huge_share_limit;	 /* of it in huge pages then */
	uint64_t expected_bytes, returned_bytes; /* by the change of RSS, the fewest of all rounds */
};

bool figure_is_ok(const struct figure *figure);

/* RAM stays the caller's. Aborts when there is no memory. */
void measure_open(struct measure *m, struct guest_ram *ram, size_t area_pages, unsigned rounds);
void measure_close(struct measure *m);

/* Requests of 256 of the n pages (indices into the area) each, per_kick of them at once. */
struct figure measure_inflate(struct measure *m, const uint32_t *pages, size_t n, unsigned per_kick);

/* Reports of 32 blocks each; `first` has the n blocks' first pages. */
struct figure measure_report(struct measure *m, const uint32_t *first, size_t n, size_t pages_per_block);

/*
 * A hint run over the same. The fake host's dirty log is part of the device's
 * times: it protects all of RAM and takes a fault for the first write to a page.
 */
struct figure measure_hints(struct measure *m, const uint32_t *first, size_t n, size_t pages_per_block);

#endif
