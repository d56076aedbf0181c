/*
 * The test machine of the conformance rows: one balloon with every feature on,
 * its driver in `fg`. Test cases are named after the rows that they check; the
 * rows that ask for nothing but the absence of a feature are in absent.c.
 */
#ifndef TESTS_CONFORMANCE_FD_H
#define TESTS_CONFORMANCE_FD_H

#include <CUnit/CUnit.h>
#include <linux/pci_regs.h>

#include "tests/unit/fakeguest.h"
#include "tests/unit/suite.h"

extern struct fakeguest fg;

#define MIB (1ULL << 20)
#define PFN(gpa) ((uint32_t)((gpa) >> 12))
enum { INFLATE, DEFLATE, STATS, HINT, REPORT };

/* What the device offers of its own type, and all that it offers. */
#define ALL_TYPE (F_MUST_TELL_HOST | F_STATS | F_OOM | F_HINT | F_POISON | F_REPORT)
#define ALL_OFFERED (ALL_TYPE | F_INDIRECT | F_EVENT_IDX | F_VERSION_1 | F_RING_RESET | F_SUSPEND)

/* Power-on, no driver yet. */
void fd_begin(void);
/* The same, then fg_init(features). */
void fd_init(uint64_t features);
/* The host's promises were kept and nothing is left behind. */
void fd_end(void);

/*
 * For hostile rows: from here stderr is captured. The end checks the
 * invariants: log lines are bounded, the device still answers its host, and
 * after a reset with a proper driver everything works.
 */
void fd_begin_hostile(void);
void fd_end_hostile(void);

/* n pages from FG_PAGES + first pages on, in one request. */
void fd_inflate(unsigned first, unsigned n);
void fd_deflate(unsigned first, unsigned n);
/* Publishes a good one-page request with descriptor `head`, without a kick. */
void fd_post_inflate(uint16_t head, unsigned page);
/* One statistics buffer with tag 4 = value. */
void fd_post_stats(uint64_t value);

struct balloon_queue_counters fd_counters(enum balloon_queue_role role);
uint64_t fd_messages(void); /* MSI-X and INTx edges together */

#endif
