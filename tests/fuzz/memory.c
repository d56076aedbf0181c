#include "tests/fuzz/memory.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/fuzz/driver.h"
#include "tests/fuzz/input.h"
#include "util/bytes.h"

static uint8_t *window;				      /* guest memory */
static _Alignas(8) uint8_t expected[FUZZ_WINDOW_LEN]; /* guest memory, but for what the device wrote to its rings */
static uint8_t at_power_on[FUZZ_WINDOW_LEN];

/* Which parts of memory were written since power-on, a bit for each. */
#define N_PARTS 64
#define PART_LEN (FUZZ_WINDOW_LEN / N_PARTS)
static uint64_t touched;

/* Calls for each piece of [gpa, gpa + len) as it lies in the window. Of the last two it makes variables. */
/* NOLINTBEGIN(bugprone-macro-parentheses) */
#define FOR_EACH_PIECE(gpa, len, offset, n)                                                                           \
	for (uint64_t offset = (gpa) % FUZZ_WINDOW_LEN, left_ = (len) < FUZZ_WINDOW_LEN ? (len) : FUZZ_WINDOW_LEN, n; \
	     n = FUZZ_WINDOW_LEN - offset < left_ ? FUZZ_WINDOW_LEN - offset : left_, left_; left_ -= n, offset = 0)
/* NOLINTEND(bugprone-macro-parentheses) */

static void touch(uint64_t offset, uint64_t len)
{
	for (uint64_t part = offset / PART_LEN; len && part <= (offset + len - 1) / PART_LEN; part++)
		touched |= 1ULL << part;
}

/* As memcpy() to both, for which the sanitizer would look at the shadow of all of it first. */
__attribute__((no_sanitize("address", "undefined"))) static void store(size_t at, const uint8_t *from, size_t len)
{
	uint8_t *restrict is = window + at, *restrict should = expected + at;
	for (size_t i = 0; i < len; i++)
		is[i] = should[i] = from[i];
}

void fuzz_memory_to_power_on(void)
{
	for (; touched; touched &= touched - 1) {
		size_t at = (size_t)__builtin_ctzll(touched) * PART_LEN;
		store(at, at_power_on + at, PART_LEN);
	}
}

void fuzz_ram_write(uint64_t gpa, const void *bytes, size_t len)
{
	const uint8_t *from = bytes;
	FOR_EACH_PIECE(gpa, len, offset, n)
	{
		touch(offset, n);
		store(offset, from, n);
		from += n;
	}
}

void fuzz_memory_zero(uint64_t gpa, uint64_t len)
{
	FOR_EACH_PIECE(gpa, len, offset, n)
	{
		touch(offset, n);
		memset(window + offset, 0, n);
		memset(expected + offset, 0, n);
	}
}

void fuzz_memory_accept(const struct fuzz_ring *ring)
{
	FOR_EACH_PIECE(ring->gpa, ring->len, offset, n)
	{
		touch(offset, n);
		memcpy(expected + offset, window + offset, n);
	}
}

/* As memcmp(), likewise. */
__attribute__((no_sanitize("address", "undefined"))) bool fuzz_memory_is_as_expected(void)
{
	const uint64_t *is = (const uint64_t *)(const void *)window, *should = (const uint64_t *)(const void *)expected;
	uint64_t differing = 0;
	for (size_t i = 0; i < FUZZ_WINDOW_LEN / sizeof *is; i++)
		differing |= is[i] ^ should[i];
	return !differing;
}

static void fill_at_power_on(void)
{
	for (unsigned i = 0; i < FG_N_QUEUES; i++)
		for (unsigned k = 0; k < DRIVER_DATA_LEN / 4; k++)
			store_le32(at_power_on + (DRIVER_DATA(i) + 4 * k) % FUZZ_WINDOW_LEN, 0x100 * (i + 1) + k);
	touched = UINT64_MAX;
}

void fuzz_memory_alias(const struct gmem *gmem)
{
	static int fd = -1;
	if (fd < 0) {
		fd = memfd_create("fuzz", MFD_CLOEXEC);
		int err = ftruncate(fd, FUZZ_WINDOW_LEN);
		window = mmap(NULL, FUZZ_WINDOW_LEN, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		fuzz_expect(!err && window != MAP_FAILED, "no memory");
	}
	for (size_t i = 0; i < gmem->n_regions; i++)
		for (uint64_t at = 0; at < gmem->regions[i].len; at += FUZZ_WINDOW_LEN) {
			void *map = mmap(gmem->regions[i].hva + at, FUZZ_WINDOW_LEN, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
			fuzz_expect(map != MAP_FAILED, "no memory");
		}
	fill_at_power_on();
}

const uint8_t *fuzz_memory_window(void)
{
	return window;
}
