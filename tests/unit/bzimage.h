/* A small bzImage for the tests of its loader, made anew by each so that it can be spoilt. */
#ifndef TESTS_UNIT_BZIMAGE_H
#define TESTS_UNIT_BZIMAGE_H

#include <asm/bootparam.h>

#include "tests/unit/bootram.h"

#define BZIMAGE_SETUP_LEN (2 * 512)
#define BZIMAGE_CODE_LEN 6000
#define BZIMAGE_LEN (BZIMAGE_SETUP_LEN + BZIMAGE_CODE_LEN)
#define BZIMAGE_PREF 0x1000000
#define BZIMAGE_INIT_SIZE (4 * MIB)

extern uint8_t bzimage[BZIMAGE_LEN];

/* A kernel with every field as a current Linux has it, but small; its code counts up. */
void bzimage_make(void);
struct setup_header *bzimage_header(void);

/* bootram_init() with what it is now. */
void bzimage_start(struct bootram *boot, uint64_t ram_mib);

/* Once it is loaded. */
bool bzimage_is_loaded_at(const struct bootram *boot, uint64_t gpa);
const struct boot_params *bzimage_zero_page(const struct bootram *boot);

#endif
