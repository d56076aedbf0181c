/*
 * A fake machine with one balloon for fuzz targets, and the input as a stream
 * of numbers. A broken promise ends the process with abort().
 */
#ifndef TESTS_FUZZ_MACHINE_H
#define TESTS_FUZZ_MACHINE_H

#include "tests/unit/fakeguest.h"

struct fuzz_input {
	const uint8_t *at;
	size_t left;
};

/* Little-endian; 0 when the input has ended. */
uint8_t fuzz_u8(struct fuzz_input *in);
uint16_t fuzz_u16(struct fuzz_input *in);
uint32_t fuzz_u32(struct fuzz_input *in);
uint64_t fuzz_u64(struct fuzz_input *in);

/* A machine as the first byte says: what is offered, huge pages or not. Nothing is logged. */
void fuzz_machine_begin(struct fakeguest *fg, struct fuzz_input *in);

/*
 * Whatever has happened: deferred work ends, a reset brings back power-on
 * state, and a proper driver's request is served. Then all is freed.
 */
void fuzz_machine_end(struct fakeguest *fg);

#endif
