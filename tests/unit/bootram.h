/* What the tests of the two kernel loaders share: a source in memory, RAM to load it into, and a look at the failure. */
#ifndef TESTS_UNIT_BOOTRAM_H
#define TESTS_UNIT_BOOTRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kvm/boot.h"

#define MIB (UINT64_C(1) << 20)
#define RSDP_GPA 0xE0000

struct bootram {
	struct guest_ram ram;
	struct boot_source src;
	struct boot_state state;
	struct fail why;
};

/* RAM of that many MiB; the kernel is a copy of [data, data + len) of exactly that size, so that sanitizers see each byte too far. */
void bootram_init(struct bootram *boot, uint64_t ram_mib, const void *data, size_t len);
void bootram_finish(struct bootram *boot);

/* Also gives it an initramfs: `len` bytes that count up. */
void bootram_add_initramfs(struct bootram *boot, size_t len);

/* boot_load() into empty RAM. */
int bootram_load(struct bootram *boot);

/* Whether it fails, with one line that has these words and names the kernel. */
bool bootram_fails(struct bootram *boot, const char *words);

/* Guest memory, which has to be RAM. */
const uint8_t *bootram_at(const struct bootram *boot, uint64_t gpa, uint64_t len);

/* Whether the initramfs lies at gpa, whole. */
bool bootram_has_initramfs(const struct bootram *boot, uint64_t gpa);

/*
 * Loads `n` variants of the kernel with a few bytes changed, half of them
 * within the first `header_len` bytes. None may crash or write a failure
 * without words. The variants are the same each time.
 */
void bootram_mutate(const void *data, size_t len, size_t header_len, unsigned n);

#endif
