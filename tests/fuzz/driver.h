/*
 * The driver of a fuzz target: brings queues up, writes descriptors and data,
 * publishes. Each call takes its bytes from the input, or is told what to do;
 * memory is written through fuzz_ram_write() only.
 */
#ifndef TESTS_FUZZ_DRIVER_H
#define TESTS_FUZZ_DRIVER_H

#include "tests/fuzz/machine.h"

/* Where the driver keeps what; the machine shows it everywhere else, too. */
#define DRIVER_BASE 0x100000ULL
#define DRIVER_DESC(i) (DRIVER_BASE + (i)*0x400ULL)
#define DRIVER_AVAIL(i) (DRIVER_DESC(i) + 0x200)
#define DRIVER_USED(i) (DRIVER_DESC(i) + 0x280)
#define DRIVER_TABLE (DRIVER_BASE + 0x1400) /* indirect */
#define DRIVER_DATA(i) (DRIVER_BASE + 0x1800 + (i)*0x800ULL)
#define DRIVER_DATA_LEN 0x800u
#define DRIVER_MAX_SIZE 32 /* descriptors that there is place for */

/* ---- Told what to do ------------------------------------------------- */

/* Reset unless there is nothing to reset, features up to FEATURES_OK. */
void driver_negotiate(struct fuzz_machine *m, uint64_t features);
/* Rings at the driver's own place, empty, vector i + 1. */
void driver_queue_on(struct fuzz_machine *m, unsigned i, uint16_t size);
void driver_desc(uint64_t table, unsigned index, uint64_t gpa, uint32_t len, uint16_t flags, uint16_t next);
void driver_publish(struct fuzz_machine *m, unsigned i, uint16_t head);
/* Puts the index of the available ring there, whatever is in it. */
void driver_set_avail_idx(struct fuzz_machine *m, unsigned i, uint16_t idx);

void driver_meanwhile(struct fuzz_machine *m, enum fuzz_meanwhile what);

/* A proper driver's request on a machine after power-on is carried out. */
void driver_is_served(struct fuzz_machine *m);

/* ---- From the input -------------------------------------------------- */

/* Addresses that mean something, and any other; lengths likewise. */
uint64_t driver_take_address(struct fuzz_input *in);
uint32_t driver_take_len(struct fuzz_input *in);

void driver_bring_up(struct fuzz_machine *m, struct fuzz_input *in);
void driver_queue_anywhere(struct fuzz_machine *m, struct fuzz_input *in);
void driver_write_desc(struct fuzz_machine *m, struct fuzz_input *in);
void driver_write_pages(struct fuzz_input *in);
void driver_write_register(struct fuzz_machine *m, struct fuzz_input *in);
/* What the host and its user do in between. */
void driver_host_call(struct fuzz_machine *m, struct fuzz_input *in);
void driver_take_discard(struct fuzz_machine *m, struct fuzz_input *in);
void driver_take_meanwhile(struct fuzz_machine *m, struct fuzz_input *in);
/* A command of free page hinting, a block, or both. */
void driver_hint(struct fuzz_machine *m, struct fuzz_input *in);

#endif
