/*
 * What the balloon takes to give pages back to the host: inflate requests of
 * 256 page numbers, through the virtqueue, the sorting and merging, and the
 * real discard code, without a VM around. Beside it the limit, measured in the
 * same run: one madvise(MADV_DONTNEED) over the same touched memory. Fails
 * when the memory did not really go back.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#include "kvm/discard.h"
#include "kvm/memory.h"
#include "tests/unit/fakeguest.h"
#include "util/bytes.h"

#define RAM_BYTES (512ULL << 20)
#define N_PAGES 65536u /* 256 MiB from FG_PAGES on */
#define PAGES_PER_BUFFER 256u
#define N_BUFFERS (N_PAGES / PAGES_PER_BUFFER)
#define ROUNDS 5u
#define ARRAYS 0x400000ULL /* guest address of the page numbers, N_PAGES * 4 bytes */

static struct guest_ram ram;
static struct fakeguest fg;

static double now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void discard(struct fakehost *fh, const struct gmem_range *ranges, size_t n, struct discard_result *result)
{
	(void)fh;
	discard_ranges(&ram, ranges, n, result);
}

static void discard_nothing(struct fakehost *fh, const struct gmem_range *ranges, size_t n, struct discard_result *result)
{
	(void)fh;
	(void)ranges;
	(void)n;
	(void)result;
}

/* ---- Orders ---------------------------------------------------------- */

static void ascending(uint32_t *pages)
{
	for (uint32_t i = 0; i < N_PAGES; i++)
		pages[i] = i;
}

static void descending(uint32_t *pages)
{
	for (uint32_t i = 0; i < N_PAGES; i++)
		pages[i] = N_PAGES - 1 - i;
}

static void shuffle(uint32_t *pages, uint32_t n)
{
	for (uint32_t i = n - 1; i > 0; i--) {
		uint32_t k = (uint32_t)random() % (i + 1), page = pages[i];
		pages[i] = pages[k];
		pages[k] = page;
	}
}

/* Each buffer holds neighbours, in any order. */
static void shuffled(uint32_t *pages)
{
	ascending(pages);
	for (uint32_t i = 0; i < N_PAGES; i += PAGES_PER_BUFFER)
		shuffle(pages + i, PAGES_PER_BUFFER);
}

/* A fragmented guest: no neighbours in a buffer but by chance. */
static void scattered(uint32_t *pages)
{
	ascending(pages);
	shuffle(pages, N_PAGES);
}

static const struct order {
	const char *name;
	void (*fill)(uint32_t *pages);
} orders[] = {{"ascending", ascending}, {"descending", descending}, {"shuffled", shuffled}, {"scattered", scattered}};

/* ---- Measurement ----------------------------------------------------- */

static uint8_t *pages_hva(void)
{
	return fakehost_ram(fg.fh, FG_PAGES, N_PAGES * 4096ULL);
}

static void touch(void)
{
	uint8_t *at = pages_hva();
	for (uint32_t i = 0; i < N_PAGES; i++)
		at[i * 4096ULL] = 1;
}

static uint64_t rss(void)
{
	uint64_t bytes = 0;
	if (ram_rss_bytes(&ram, &bytes) < 0)
		abort();
	return bytes;
}

/* Nanoseconds per page for all buffers, each published and kicked by itself as Linux does. */
static double inflate_all(void)
{
	double begin = now_ns();
	for (uint32_t i = 0; i < N_BUFFERS; i++)
		fg_send(&fg, 0, ARRAYS + i * PAGES_PER_BUFFER * 4ULL, PAGES_PER_BUFFER * 4, 0);
	return (now_ns() - begin) / N_PAGES;
}

static double one_madvise(void)
{
	double begin = now_ns();
	if (madvise(pages_hva(), N_PAGES * 4096ULL, MADV_DONTNEED) < 0)
		abort();
	return (now_ns() - begin) / N_PAGES;
}

static double least(double x, double y)
{
	return x < y ? x : y;
}

/* Returns whether the memory went back. */
static bool measure(const struct order *order)
{
	static uint32_t pages[N_PAGES];
	uint8_t *arrays = fakehost_ram(fg.fh, ARRAYS, sizeof pages);
	double full = 1e9, device = 1e9, limit = 1e9;
	uint64_t given_back = UINT64_MAX;

	order->fill(pages);
	for (uint32_t i = 0; i < N_PAGES; i++)
		store_le32(arrays + 4 * i, (uint32_t)(FG_PAGES >> 12) + pages[i]);
	for (unsigned round = 0; round < ROUNDS; round++) {
		touch();
		uint64_t before = rss();
		fg.fh->discard = discard;
		full = least(full, inflate_all());
		uint64_t after = rss();
		uint64_t change = before > after ? before - after : 0;
		given_back = change < given_back ? change : given_back;
		fg.fh->discard = discard_nothing;
		device = least(device, inflate_all());
		touch();
		limit = least(limit, one_madvise());
	}
	bool ok = given_back >= N_PAGES * 4096ULL;
	printf("  %-11s %8.1f %12.1f %12.1f %9.2f   %llu MiB%s\n", order->name, full, device, limit, full / limit, (unsigned long long)(given_back >> 20),
	       ok ? "" : "  FAILED: memory did not go back");
	return ok;
}

int main(void)
{
	const struct memory_config config = {.size = RAM_BYTES};
	struct fail why;
	if (ram_init(&ram, &config, &why) < 0) {
		fail_log(&why);
		return 1;
	}
	/* Pages of 4 KiB, whatever the system's default is: the limit is theirs. */
	madvise(ram.gmem.regions[0].hva, RAM_BYTES, MADV_NOHUGEPAGE);
	struct fakehost *fh = fakehost_create(4096);
	struct gmem own = fh->host.gmem;
	fh->host.gmem = ram.gmem;
	fh->discards_unrecorded = true;
	fg_create_on(&fg, NULL, fh);
	fg_init(&fg, F_EVENT_IDX);

	printf("discard: %u pages in requests of %u, least of %u rounds, ns per page\n", N_PAGES, PAGES_PER_BUFFER, ROUNDS);
	printf("  %-11s %8s %12s %12s %9s   %s\n", "order", "balloon", "without host", "one madvise", "ratio", "given back");
	bool ok = true;
	for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++)
		ok &= measure(&orders[i]);
	fh->host.gmem = own;
	fg_destroy(&fg);
	ram_finish(&ram);
	return !ok;
}
