/*
 * Time from the time stamp counter, whose frequency KVM's paravirtual clock
 * tells. Where there is none, durations are counted in cycles and waits assume
 * 3 GHz.
 */
#ifndef TESTS_GUEST_CLOCK_H
#define TESTS_GUEST_CLOCK_H

#include <stdint.h>

/* "ns" or "cycles": what clock_since and clock_duration count in. */
const char *clock_unit(void);

/* The length of `cycles` of the counter. */
uint64_t clock_duration(uint64_t cycles);

/* Since the counter read `start`. */
uint64_t clock_since(uint64_t start);

/* Milliseconds since the counter read `start`. */
uint64_t clock_ms_since(uint64_t start);

void clock_wait_ms(uint64_t ms);

#endif
