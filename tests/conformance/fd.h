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

/* Power-on, no driver yet; 4096-byte pages and everything on. */
void fd_begin(void);
void fd_begin_with(const struct balloon_config *config, uint64_t page_size_bytes);
/* The same, then fg_init(features). */
void fd_init(uint64_t features);
/* The host's promises were kept and nothing is left behind. */
void fd_end(void);

/*
 * For hostile rows. From fd_go_hostile() on stderr is captured and each access
 * is measured. The end checks that the device
 *
 *   I1 is alive (and the sanitizers and guard pages were silent: I2)
 *   I2 left memory alone that the driver did not name
 *   I3 never kept a vCPU or the event loop for long (see MOST_STEPS)
 *   I4 answers its host, and has an end of work
 *   I5 logged a line a second at most
 *   I6 kept nothing: allocations are the leak sanitizer's; it makes none after its creation
 *   I7 works in every queue after a reset with a proper driver
 */
void fd_begin_hostile(void); /* fd_begin() and fd_go_hostile() */
void fd_go_hostile(void);
void fd_end_hostile(void);
/* The driver names memory at random, or all of it. */
void fd_canary_is_named(void);

/* For an interrupt after a kick: the device may wait for so long whether the driver looks by itself, and once more after several kicks. */
#define FD_HOLD_MS 10

/* n pages from FG_PAGES + first pages on, in one request. */
void fd_inflate(unsigned first, unsigned n);
void fd_deflate(unsigned first, unsigned n);
/* Publishes a good one-page request with descriptor `head`, without a kick. */
void fd_post(unsigned queue, uint16_t head, unsigned page);
/* One statistics buffer with tag 4 = value. */
void fd_post_stats(uint64_t value);

/* Hints. The word that the device shows, which is an id from 2 on, or one of these; and more than long enough for a run without a word of the driver. */
enum { HINT_STOP, HINT_DONE };
#define HINT_QUIET_MS 60000
uint32_t fd_hint_word(void);
/* Begins a run; its id, which was told. */
uint32_t fd_hint_start(void);
/* On the hint queue, whichever index it has: a command, one block of memory. */
void fd_hint_cmd(unsigned queue, uint32_t cmd);
void fd_hint(unsigned queue, uint64_t gpa, uint32_t len);
/* One page from FG_PAGES + page on. */
void fd_hint_page(unsigned page);
/* A whole run of one block: starts it, plays the driver's part, ends with what the command then is. */
uint32_t fd_hint_run(unsigned queue, uint64_t gpa, uint32_t len);
/* A page from FG_PAGES + page on holds nothing but the byte. */
void fd_page_is(unsigned page, uint8_t byte);

/* A copy in static memory, new with each call. */
const struct balloon_state *fd_state(void);
struct balloon_queue_counters fd_counters(unsigned role); /* enum balloon_queue_role */
uint64_t fd_messages(void);				  /* MSI-X and INTx edges together */

/* Blocks at odd places, and how many bytes of each a device with 4096-byte pages may take. */
struct fd_block {
	uint64_t gpa;
	uint32_t len;
	uint64_t bytes;
};
#define FD_N_ODD_BLOCKS 9
extern const struct fd_block fd_odd_blocks[FD_N_ODD_BLOCKS];

/* A write to BAR 0 through the window in configuration space. */
void fd_window_write(unsigned offset, unsigned size, uint32_t value);

#endif
