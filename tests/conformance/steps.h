/*
 * How much a device works, by something that no busy machine, no sanitizer and
 * no slow processor changes: it is built once more for these tests, and every
 * basic block that is entered counts.
 */
#ifndef TESTS_CONFORMANCE_STEPS_H
#define TESTS_CONFORMANCE_STEPS_H

#include <stdint.h>

/* Since the thread began. */
uint64_t steps_of_device(void);

#endif
