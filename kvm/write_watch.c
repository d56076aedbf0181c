#include "kvm/write_watch.h"

#include <errno.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "kvm/discard.h"

#define PAGE_SHIFT 12 /* of the log, on x86 whatever backs the memory */
#define WORD_BITS 64
#define MAX_RANGES 1024 /* that are handed on at a time */

/* ---- KVM's log ------------------------------------------------------- */

/* api.rst, 4.8: the length is rounded up to 64 pages. */
static size_t bitmap_bytes(const struct gmem_region *region)
{
	return ((region->len >> PAGE_SHIFT) + WORD_BITS - 1) / WORD_BITS * sizeof(uint64_t);
}

/* Changing nothing but the flag is allowed while the guest runs (api.rst, 4.35). Switching on ends with all vCPUs seeing it. */
static int switch_log(const struct gmem_region *region, uint32_t slot, int vm_fd, bool on)
{
	struct kvm_userspace_memory_region memory = {
		.slot = slot,
		.flags = on ? KVM_MEM_LOG_DIRTY_PAGES : 0,
		.guest_phys_addr = region->gpa,
		.memory_size = region->len,
		.userspace_addr = (uintptr_t)region->hva,
	};
	return ioctl(vm_fd, KVM_SET_USER_MEMORY_REGION, &memory) < 0 ? -errno : 0;
}

/*
 * Adds what KVM noted since it was asked last: it forgets what it told, and
 * does so before it copies it out, which may fail.
 */
static int take_news(struct write_watch *watch, int vm_fd)
{
	const struct gmem *gmem = &watch->ram->gmem;
	for (size_t i = 0; i < gmem->n_regions; i++) {
		struct kvm_dirty_log log = {.slot = (uint32_t)i, .dirty_bitmap = watch->news[i]};
		if (ioctl(vm_fd, KVM_GET_DIRTY_LOG, &log) < 0)
			return -errno;
		size_t n_words = bitmap_bytes(&gmem->regions[i]) / sizeof(uint64_t);
		for (size_t word = 0; word < n_words; word++)
			if (watch->news[i][word])
				watch->written[i][word] |= watch->news[i][word];
	}
	return 0;
}

/* ---- Bitmaps --------------------------------------------------------- */

static void drop_bitmaps(struct write_watch *watch)
{
	for (size_t i = 0; i < watch->ram->gmem.n_regions; i++) {
		if (watch->written[i])
			munmap(watch->written[i], 2 * bitmap_bytes(&watch->ram->gmem.regions[i]));
		watch->written[i] = NULL;
	}
}

static int make_bitmaps(struct write_watch *watch)
{
	for (size_t i = 0; i < watch->ram->gmem.n_regions; i++) {
		size_t len = bitmap_bytes(&watch->ram->gmem.regions[i]);
		void *mem = mmap(NULL, 2 * len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (mem == MAP_FAILED) {
			drop_bitmaps(watch);
			return -ENOMEM;
		}
		watch->written[i] = mem;
		watch->news[i] = (uint64_t *)(void *)((uint8_t *)mem + len);
	}
	return 0;
}

/* The first page from `at` on, before `end`, whose bit is `value`; `end` if there is none. */
static uint64_t find_bit(const uint64_t *bits, uint64_t at, uint64_t end, bool value)
{
	while (at < end) {
		uint64_t word = value ? bits[at / WORD_BITS] : ~bits[at / WORD_BITS];
		word = word >> at % WORD_BITS << at % WORD_BITS;
		if (word) {
			at = at / WORD_BITS * WORD_BITS + (uint64_t)__builtin_ctzll(word);
			return at < end ? at : end;
		}
		at = (at / WORD_BITS + 1) * WORD_BITS;
	}
	return end;
}

/* ---- Discarding ------------------------------------------------------ */

struct outbox {
	const struct guest_ram *ram;
	struct discard_result *result;
	size_t n;
	struct gmem_range ranges[MAX_RANGES];
};

static void flush(struct outbox *out)
{
	struct discard_result result;
	discard_ranges(out->ram, out->ranges, out->n, &result);
	out->result->discarded_bytes += result.discarded_bytes;
	out->result->failed_bytes += result.failed_bytes;
	if (!out->result->error)
		out->result->error = result.error;
	out->n = 0;
}

static bool is_zero(const uint8_t *page)
{
	return page[0] == 0 && memcmp(page, page + 1, (1U << PAGE_SHIFT) - 1) == 0;
}

/*
 * A page that was written may go as well if all of it is zero, for then it is so
 * afterwards, too. That is what a guest with init_on_alloc=1 (Debian's default)
 * hints: its kernel zeroes each page that the driver allocates for a hint.
 */
static uint64_t first_to_go(const struct gmem_region *region, const uint64_t *written, uint64_t at, uint64_t end)
{
	while (at < end && find_bit(written, at, at + 1, true) == at && !is_zero(region->hva + (at << PAGE_SHIFT)))
		at++;
	return at;
}

static uint64_t first_to_stay(const struct gmem_region *region, const uint64_t *written, uint64_t at, uint64_t end)
{
	at = find_bit(written, at, end, true);
	while (at < end && is_zero(region->hva + (at << PAGE_SHIFT)))
		at = find_bit(written, at + 1, end, true);
	return at;
}

/* Hands on what may go of a range that lies in one region. */
static void add_unused(struct outbox *out, const struct gmem_region *region, const uint64_t *written, const struct gmem_range *range)
{
	uint64_t at = (range->gpa - region->gpa) >> PAGE_SHIFT, end = at + (range->len >> PAGE_SHIFT);
	while (at < end) {
		uint64_t go = first_to_go(region, written, at, end);
		uint64_t stop = first_to_stay(region, written, go, end);
		out->result->written_bytes += (go - at) << PAGE_SHIFT;
		if (go < stop) {
			if (out->n == MAX_RANGES)
				flush(out);
			out->ranges[out->n++] = (struct gmem_range){.gpa = region->gpa + (go << PAGE_SHIFT), .len = (stop - go) << PAGE_SHIFT};
		}
		at = stop;
	}
}

static void fail_all(const struct gmem_range *ranges, size_t n, int error, struct discard_result *result)
{
	for (size_t i = 0; i < n; i++)
		result->failed_bytes += ranges[i].len;
	result->error = error;
}

void write_watch_discard(struct write_watch *watch, int vm_fd, const struct gmem_range *ranges, size_t n, struct discard_result *result)
{
	const struct gmem *gmem = &watch->ram->gmem;
	struct outbox out = {.ram = watch->ram, .result = result};

	*result = (struct discard_result){0};
	pthread_mutex_lock(&watch->lock);
	int ret = watch->on && !watch->blind ? take_news(watch, vm_fd) : -EINVAL;
	watch->blind |= ret < 0;
	if (ret < 0)
		fail_all(ranges, n, -ret, result);
	for (size_t i = 0; i < n && ret == 0; i++) {
		const struct gmem_region *region = gmem_region_of(gmem, ranges[i].gpa);
		add_unused(&out, region, watch->written[region - gmem->regions], &ranges[i]);
	}
	flush(&out);
	pthread_mutex_unlock(&watch->lock);
}

/* ---- Life ------------------------------------------------------------ */

void write_watch_init(struct write_watch *watch, const struct guest_ram *ram)
{
	memset(watch, 0, sizeof *watch);
	watch->ram = ram;
	pthread_mutex_init(&watch->lock, NULL);
}

void write_watch_finish(struct write_watch *watch)
{
	drop_bitmaps(watch);
	pthread_mutex_destroy(&watch->lock);
}

static void stop(struct write_watch *watch, int vm_fd)
{
	const struct gmem *gmem = &watch->ram->gmem;
	watch->lingers = false;
	for (size_t i = 0; i < gmem->n_regions && vm_fd >= 0; i++)
		watch->lingers |= switch_log(&gmem->regions[i], (uint32_t)i, vm_fd, false) < 0;
	drop_bitmaps(watch);
	watch->on = false;
}

/* A log that is on already goes on noting, with the pages it knew: so it is switched off first. */
int write_watch_start(struct write_watch *watch, int vm_fd)
{
	const struct gmem *gmem = &watch->ram->gmem;
	pthread_mutex_lock(&watch->lock);
	if (watch->on || watch->lingers)
		stop(watch, vm_fd);
	int ret = make_bitmaps(watch);
	for (size_t i = 0; i < gmem->n_regions && ret == 0; i++)
		ret = switch_log(&gmem->regions[i], (uint32_t)i, vm_fd, true);
	if (ret < 0)
		stop(watch, vm_fd);
	watch->on = ret == 0;
	watch->blind = false;
	pthread_mutex_unlock(&watch->lock);
	return ret;
}

void write_watch_stop(struct write_watch *watch, int vm_fd)
{
	pthread_mutex_lock(&watch->lock);
	if (watch->on || vm_fd < 0)
		stop(watch, vm_fd);
	pthread_mutex_unlock(&watch->lock);
}
