/*
 * A fake machine with one balloon for fuzz targets. A broken promise ends the
 * process with abort().
 *
 * Machines are made once and used again by every input that asks for the same
 * kind: between inputs they go through the power-on reset of the device and
 * the bus, and what the host wished for is taken back. So an input does the
 * same whatever ran before it; with fuzz_digest_on() that can be checked.
 */
#ifndef TESTS_FUZZ_MACHINE_H
#define TESTS_FUZZ_MACHINE_H

#include "tests/fuzz/input.h"
#include "tests/fuzz/memory.h"
#include "tests/unit/fakeguest.h"

#define FUZZ_REGION_LEN (8ULL << 20) /* of each of the two regions of RAM */

/* What the host does with a discard. */
enum fuzz_discard {
	FUZZ_DISCARD_DONE,
	FUZZ_DISCARD_REFUSED,
	FUZZ_DISCARD_HALF,   /* every other range is refused */
	FUZZ_DISCARD_ZEROES, /* done, and the memory reads as zero, rings included */
	FUZZ_DISCARD_RACES,  /* done, while another vCPU writes `race` */
	FUZZ_N_DISCARDS,
};

/* What other threads do while the device has let go of its lock to hold the vCPUs. */
enum fuzz_meanwhile {
	FUZZ_MEANWHILE_NOTHING,
	FUZZ_MEANWHILE_RESET,
	FUZZ_MEANWHILE_QUEUE_RESET,
	FUZZ_MEANWHILE_KICK,
	FUZZ_MEANWHILE_SUSPEND,
	FUZZ_MEANWHILE_RUN, /* of hinting, another one */
	FUZZ_MEANWHILE_RESET_AND_RUN,
	FUZZ_N_MEANWHILE,
};

struct fuzz_machine {
	struct fakeguest fg;
	uint64_t poll_s;		    /* its config's polling interval */
	uint64_t offered;		    /* features */
	bool is_thorough;		    /* the costly checks as well */
	struct fuzz_ring used[FG_N_QUEUES]; /* of the queues that are enabled; len 0: none */

	enum fuzz_discard discard;
	struct {
		uint64_t gpa;
		uint8_t bytes[4];
	} race;

	/* Hinting: what the host was asked for, what it answers, what happens before and after the vCPUs are held, once. */
	bool is_watching, is_holding;
	int watch_error;
	enum fuzz_meanwhile at_hold, at_release;

	/* What the driver remembers of its rings. */
	struct {
		uint16_t size, avail_idx;
		uint64_t desc, avail;
	} q[FG_N_QUEUES];
};

/* A machine after power-on, as the first byte says: its kind, and whether the checks at the end are thorough. Nothing is logged. */
struct fuzz_machine *fuzz_machine_begin(struct fuzz_input *in);

/* After each step of the driver: notes which rings the device may write to from now on. */
void fuzz_machine_step(struct fuzz_machine *m);

/*
 * Whatever has happened: deferred work gets on, memory and counters are as they
 * should be, and a reset brings back power-on state. If the checks are thorough,
 * a proper driver's request is served, too.
 */
void fuzz_machine_end(struct fuzz_machine *m);

/* From here on each input's end makes a digest of registers, memory and all that the host was asked for, and the checks are thorough. */
void fuzz_digest_on(void);
uint64_t fuzz_digest(void); /* of the last input; 0 for targets without a machine */

#endif
