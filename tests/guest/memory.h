/*
 * RAM as hvm_start_info describes it, all of it mapped to its own address and
 * open to ring 3. Page tables for what lies above 4 GiB are built here.
 */
#ifndef TESTS_GUEST_MEMORY_H
#define TESTS_GUEST_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#define PAGE_LEN 4096UL

struct mem_range {
	uint64_t gpa;
	uint64_t len; /* bytes; both are multiples of PAGE_LEN */
};

/* Reads the memory map and maps RAM. Ends the run if there is none that can be used. */
void mem_init(void);

/* The command line that we were started with, copied before RAM is written to. */
const char *mem_cmdline(void);

/* Bytes of RAM in the memory map. */
uint64_t mem_ram_bytes(void);

/* RAM that nobody uses: above our image, without what mem_alloc gave away. Ascending. */
extern struct mem_range mem_free[];
extern size_t mem_n_free;
uint64_t mem_free_pages(void);

/* Zeroed memory below 4 GiB, page-aligned, for good. Ends the run if there is none. */
void *mem_alloc(uint64_t len);

/* From now on mem_free is the callers' to hand out page by page: a further mem_alloc ends the run. */
void mem_seal(void);

/* Maps [gpa, gpa + len), device registers for example. What is mapped already stays. */
void mem_map(uint64_t gpa, uint64_t len);

/* The compiler calls these. */
void *memset(void *to, int byte, size_t n);
void *memcpy(void *to, const void *from, size_t n);

#endif
