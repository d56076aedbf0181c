/*
 * Guest memory for fuzz targets, and what it must hold.
 *
 * All of guest RAM shows one window of memory again and again: any address that
 * an input makes up meets the rings and the data. That keeps the whole memory
 * small enough to be compared after each input: a byte that the device wrote
 * outside of a used ring that it was given is a finding, wherever it went.
 */
#ifndef TESTS_FUZZ_MEMORY_H
#define TESTS_FUZZ_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "device/host.h"

#define FUZZ_WINDOW_LEN 0x4000u

struct fuzz_ring {
	uint64_t gpa;
	uint32_t len;
};

/* Makes every page of RAM a view of the window, which then has to go to power-on. */
void fuzz_memory_alias(const struct gmem *gmem);

/* Rings are empty, and all data are numbers of pages: 512 of them, from another MiB on for each queue. */
void fuzz_memory_to_power_on(void);

/* Guest memory as the driver writes it; gpa may be anything. */
void fuzz_ram_write(uint64_t gpa, const void *bytes, size_t len);

/* As the host does when it discards. */
void fuzz_memory_zero(uint64_t gpa, uint64_t len);

/* What is in the ring now was the device's to write. */
void fuzz_memory_accept(const struct fuzz_ring *ring);

/* Whether the device wrote nowhere else. */
bool fuzz_memory_is_as_expected(void);

const uint8_t *fuzz_memory_window(void);

#endif
