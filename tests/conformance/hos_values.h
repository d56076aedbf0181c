/*
 * What the hostile rows of one ID try, as plain numbers: the tests of the fake
 * host and the hostile guest (tests/guest/hostile.h) read the same lists.
 */
#ifndef TESTS_CONFORMANCE_HOS_VALUES_H
#define TESTS_CONFORMANCE_HOS_VALUES_H

#include <stdint.h>

#define HOS_COUNT(list) (sizeof(list) / sizeof(list)[0])

/* Of a queue whose largest size is below 512. */
static const uint16_t hos_01_sizes[] = {0, 3, 129, 512, 32768, 65535};

/* Where RAM is never: the window of the BARs, ECAM, the local APIC, what wraps, what no processor addresses. */
static const uint64_t hos_03_no_ram[] = {0xC0000000, 0xE0000000, 0xFEE00000, 0xFFFFFFFFFFFFFFF0, 0x8000000000000000};

static const uint16_t hos_07_enables[] = {1, 0, 2, 0xFFFF, 1};
static const uint16_t hos_10_selects[] = {5, 6, 31, 32, 33, 0x7FFF, 0x8000, 0xFFFF};

/* Written to a live device they change nothing. */
static const uint8_t hos_17_statuses[] = {1, 2, 4, 8, 0x10, 0x20, 0x40, 0x60};

/* Of a queue of 128 entries. */
static const uint16_t hos_23_jumps[] = {129, 0xFFFF, 0x8000, 1000};
static const uint16_t hos_25_beyond[] = {128, 129, 0x7FFF, 0xFFFF};
static const uint32_t hos_31_lens[] = {0, 1, 15, 17, 24, 16 * 129, 0xFFFFFFF0, 0xFFFFFFFF};

static const uint32_t hos_44_lens[] = {0, 1, 3, 5, 4095};
static const uint32_t hos_59_lens[] = {0, 9, 11, 19, 1 << 20, 0xFFFFFFFF};
static const uint32_t hos_63_lens[] = {0, 3, 5, 8, 4096};

/* No vectors of a table of 6 entries. */
static const uint16_t hos_72_vectors[] = {6, 63, 64, 65, 0x7FF, 0x800, 0x8000, 0xFFFE, 0xFFFF};

/* Of the window in configuration space, aimed at a BAR of 0x2000 bytes. */
static const uint32_t hos_76_lens[] = {0, 3, 5, 6, 8, 0x7FFFFFFF, 0xFFFFFFFF};
static const uint32_t hos_76_offsets[] = {1, 2, 3, 0x2000, 0x1FFE, 0xFFFFFFFC, 0xFFFFFFFF};

#endif
