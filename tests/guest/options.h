/*
 * The command line: words "key=value", separated by blanks.
 *
 *   mode=selftest   (default) inflates to the target, deflates, reports; checks
 *                   every page and its neighbours; then powers off
 *   mode=bench      times inflating, deflating and touching again, in ascending,
 *                   descending and random order; then powers off
 *   mode=refill     gives pages away, takes them back and times touching them
 *                   again; until the power button is pressed
 *   mode=follow     follows the target and answers statistics until the power
 *                   button is pressed
 *   mode=hint       hints at its pages whenever the host asks and uses some of
 *                   them again, before, while and after the host looks; checks
 *                   them; until the power button is pressed
 *   mode=hostile    does what a driver must not do, in random order, and checks now
 *                   and then that the device still serves a proper one; until its
 *                   time is over or the power button is pressed
 *   mode=idle       leaves the balloon alone until the power button is pressed
 *   mode=race       resets the device over and over while the other CPUs notify,
 *                   reset queues and write registers; then as mode=selftest
 *   hold_ms=N       selftest: stay inflated so long (0); race: go on so long (1000)
 *   touch_mb=N      follow, idle, hint: write to so much RAM first (0; hint 64); follow writes
 *                   to it again whenever it comes back from the balloon
 *   seconds=N       hostile: its time (10)
 *   seed=N          hostile: other acts in another order (1)
 *   pause_ms=N      hostile: sleep so long after every 16 acts (0)
 *   zero=must|any   what a page holds after the host had it: zero (default), or
 *                   either zero or what it held, where the host can only give
 *                   back whole huge pages
 *   numbering=both|spec|linux
 *                   selftest: number the queues as the specification does, with
 *                   several buffers in flight; or as Linux does, one buffer at a
 *                   time, free pages poisoned; or first so, then so (both)
 *   pattern=whole|ascending|descending|buddies|large-runs|every-second|random
 *                   refill: in which order (tests/bench/patterns.h); whole, which is
 *                   the default, reports whole huge pages instead
 *   depth=N         refill: so many buffers in flight (1)
 */
#ifndef TESTS_GUEST_OPTIONS_H
#define TESTS_GUEST_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

enum mode { MODE_SELFTEST, MODE_BENCH, MODE_FOLLOW, MODE_HINT, MODE_IDLE, MODE_RACE, MODE_REFILL, MODE_HOSTILE };

struct options {
	enum mode mode;
	uint32_t hold_ms;
	uint32_t touch_mb;
	uint32_t seconds;
	uint32_t seed;
	uint32_t pause_ms;
	bool may_keep; /* zero=any */
	bool numbering_spec;
	bool numbering_linux;
	unsigned pattern; /* 0: whole, else one more than its index */
	uint32_t depth;
};

/* Ends the run over a word that is none of the above. */
void options_parse(struct options *options, const char *cmdline);

#endif
