#include "tests/unit/fakehost.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/unit/fakeclock.h"
#include "tests/unit/fakewatch.h"

#define GUARD_LEN (2ULL << 20) /* on both sides, and the alignment of what is between */
#define ROOM_DISCARDS 65536

static struct fakehost *fake_of(struct host *host)
{
	return (struct fakehost *)host;
}

static void broken_promise(struct fakehost *fh, const char *what)
{
	fh->contract_errors++;
	fprintf(stderr, "fakehost: %s\n", what);
}

/* ---- Ports and MMIO -------------------------------------------------- */

static int io_map(struct host *host, struct io_region *region)
{
	struct fakehost *fh = fake_of(host);
	int err = fh->io_map_error;
	pthread_mutex_lock(&fh->lock);
	if (!err && region->mapped)
		err = -EEXIST;
	if (!err && (!region->len || region->base + region->len < region->base))
		err = -EINVAL;
	if (!err && fh->n_regions == FAKE_MAX_REGIONS)
		err = -ENOSPC;
	if (!err) {
		region->mapped = true;
		fh->regions[fh->n_regions++] = region;
	}
	pthread_mutex_unlock(&fh->lock);
	return err;
}

static void io_unmap(struct host *host, struct io_region *region)
{
	struct fakehost *fh = fake_of(host);
	pthread_mutex_lock(&fh->lock);
	size_t i = 0;
	while (i < fh->n_regions && fh->regions[i] != region)
		i++;
	if (i == fh->n_regions) {
		broken_promise(fh, "io_unmap of a region that is not mapped");
	} else {
		memmove(&fh->regions[i], &fh->regions[i + 1], (fh->n_regions - i - 1) * sizeof(struct io_region *));
		fh->n_regions--;
		region->mapped = false;
	}
	pthread_mutex_unlock(&fh->lock);
}

/* A copy of the region that answers; ops NULL when none does. */
static struct io_region find_region(struct fakehost *fh, enum io_space space, uint64_t address, unsigned size)
{
	struct io_region found = {0};
	pthread_mutex_lock(&fh->lock);
	for (size_t i = 0; i < fh->n_regions && !found.ops; i++) {
		const struct io_region *r = fh->regions[i];
		if (r->space == space && address - r->base < r->len && size <= r->len - (address - r->base))
			found = *r;
	}
	pthread_mutex_unlock(&fh->lock);
	return found;
}

uint64_t fakehost_read(struct fakehost *fh, enum io_space space, uint64_t address, unsigned size)
{
	uint64_t all_ones = size == 8 ? UINT64_MAX : (1ULL << 8 * size) - 1, value = 0;
	const void *ram = space == IO_MMIO ? gmem_at(&fh->host.gmem, address, size) : NULL;
	if (ram) {
		memcpy(&value, ram, size);
		return value;
	}
	struct io_region region = find_region(fh, space, address, size);
	if (!region.ops)
		return all_ones;
	fakehost_enter_guest(fh);
	struct work_done before = fakeclock_work_so_far(fh);
	value = region.ops->read(region.opaque, address - region.base, size);
	fakeclock_note_work(fh, before);
	fakehost_leave_guest(fh);
	if (value & ~all_ones)
		broken_promise(fh, "a read returned more bits than it was asked for");
	return value & all_ones;
}

void fakehost_write(struct fakehost *fh, enum io_space space, uint64_t address, unsigned size, uint64_t value)
{
	void *ram = space == IO_MMIO ? gmem_at(&fh->host.gmem, address, size) : NULL;
	if (ram) {
		memcpy(ram, &value, size);
		return;
	}
	struct io_region region = find_region(fh, space, address, size);
	if (!region.ops)
		return;
	fakehost_enter_guest(fh);
	struct work_done before = fakeclock_work_so_far(fh);
	region.ops->write(region.opaque, address - region.base, size, size == 8 ? value : value & ((1ULL << 8 * size) - 1));
	fakeclock_note_work(fh, before);
	fakehost_leave_guest(fh);
}

/* ---- Interrupts ------------------------------------------------------ */

static void irq_set(struct host *host, uint32_t gsi, bool level)
{
	struct fakehost *fh = fake_of(host);
	pthread_mutex_lock(&fh->lock);
	assert(gsi < FAKE_MAX_GSI);
	fh->irq_raised[gsi] += level && !fh->irq_level[gsi];
	fh->irq_level[gsi] = level;
	pthread_mutex_unlock(&fh->lock);
}

static int msi_send(struct host *host, uint64_t address, uint32_t data)
{
	struct fakehost *fh = fake_of(host);
	pthread_mutex_lock(&fh->lock);
	int err = fh->msi_error;
	if (!err) {
		fh->n_msis++;
		fh->last_msi_address = address;
		if (data < FAKE_MAX_MSI)
			__atomic_fetch_add(&fh->msi_by_data[data], 1, __ATOMIC_RELAXED); /* a test may count while drivers run */
	}
	pthread_mutex_unlock(&fh->lock);
	return err;
}

/* ---- Discards -------------------------------------------------------- */

static void check_ranges(struct fakehost *fh, const struct gmem_range *ranges, size_t n)
{
	if (!n)
		broken_promise(fh, "discard of nothing");
	for (size_t i = 0; i < n; i++) {
		if (!ranges[i].len || (ranges[i].gpa | ranges[i].len) % 4096)
			broken_promise(fh, "discard of parts of pages");
		if (!gmem_at(&fh->host.gmem, ranges[i].gpa, ranges[i].len))
			broken_promise(fh, "discard of a range that is not in one region");
		if (i && ranges[i].gpa < ranges[i - 1].gpa + ranges[i - 1].len)
			broken_promise(fh, "discard of ranges out of order");
	}
}

static void record(struct fakehost *fh, const struct gmem_range *ranges, size_t n)
{
	if (!fh->discards && !fh->discards_unrecorded) {
		fh->discards = calloc(ROOM_DISCARDS, sizeof *fh->discards);
		assert(fh->discards);
		fh->room_discards = ROOM_DISCARDS;
	}
	for (size_t i = 0; i < n && !fh->discards_unrecorded; i++, fh->n_discards++)
		if (fh->n_discards < fh->room_discards)
			fh->discards[fh->n_discards] = ranges[i];
}

static void discard(struct host *host, const struct gmem_range *ranges, size_t n, struct discard_result *result)
{
	struct fakehost *fh = fake_of(host);
	if (fh->before_discard)
		fh->before_discard(fh);
	pthread_mutex_lock(&fh->lock);
	*result = (struct discard_result){0};
	if (!fh->discards_unchecked)
		check_ranges(fh, ranges, n);
	record(fh, ranges, n);
	fh->discard_calls++;
	for (size_t i = 0; i < n; i++)
		fakeclock_discarded += ranges[i].len;
	if (fh->discard) {
		fh->discard(fh, ranges, n, result);
	} else {
		for (size_t i = 0; i < n; i++) {
			void *at = gmem_at(&host->gmem, ranges[i].gpa, ranges[i].len);
			if (!fh->discard_error && at && madvise(at, ranges[i].len, MADV_DONTNEED) == 0)
				result->discarded_bytes += ranges[i].len;
			else
				result->failed_bytes += ranges[i].len;
		}
		result->error = fh->discard_error;
	}
	fh->discarded_bytes += result->discarded_bytes;
	pthread_mutex_unlock(&fh->lock);
}

bool fakehost_was_discarded(const struct fakehost *fh, uint64_t gpa)
{
	assert(fh->n_discards <= fh->room_discards);
	for (size_t i = 0; i < fh->n_discards; i++)
		if (gpa - fh->discards[i].gpa < fh->discards[i].len)
			return true;
	return false;
}

void fakehost_forget_discards(struct fakehost *fh)
{
	fh->n_discards = 0;
	fh->discard_calls = 0;
	fh->discarded_bytes = 0;
}

/* ---- Events ---------------------------------------------------------- */

static void event(struct host *host, const struct host_event *e)
{
	struct fakehost *fh = fake_of(host);
	pthread_mutex_lock(&fh->lock);
	if (fh->n_events < FAKE_MAX_EVENTS)
		fh->events[fh->n_events] = *e;
	fh->n_events++;
	fh->event_count[e->kind]++;
	fh->event_value[e->kind] = e->value;
	pthread_mutex_unlock(&fh->lock);
}

/* ---- Life ------------------------------------------------------------ */

static int watch(struct host *host, struct host_watch *w, uint32_t events)
{
	(void)host;
	(void)w;
	(void)events;
	return -ENOSYS;
}

static void unwatch(struct host *host, struct host_watch *w)
{
	(void)host;
	(void)w;
}

static const struct host_ops fake_ops = {
	.io_map = io_map,
	.io_unmap = io_unmap,
	.irq_set = irq_set,
	.msi_send = msi_send,
	.discard = discard,
	.watch_writes = fakewatch_watch,
	.hold_vcpus = fakewatch_hold,
	.release_vcpus = fakewatch_release,
	.discard_unwritten = fakewatch_discard,
	.now_ms = fakeclock_now_ms,
	.timer_arm = fakeclock_timer_arm,
	.timer_cancel = fakeclock_timer_cancel,
	.defer = fakeclock_defer,
	.watch = watch,
	.unwatch = unwatch,
	.event = event,
};

static void add_ram(struct fakehost *fh, uint64_t gpa, uint64_t len)
{
	size_t i = fh->host.gmem.n_regions++;
	fh->map_len[i] = len + 3 * GUARD_LEN;
	uint8_t *map = mmap(NULL, fh->map_len[i], PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert(map != MAP_FAILED);
	fh->map[i] = map;
	/* At a huge page's border, with at least GUARD_LEN of nothing before and after. */
	uint8_t *hva = (uint8_t *)(((uintptr_t)map + 2 * GUARD_LEN - 1) / GUARD_LEN * GUARD_LEN);
	int err = mprotect(hva, len, PROT_READ | PROT_WRITE);
	assert(err == 0);
	(void)err;
	fh->host.gmem.regions[i] = (struct gmem_region){.gpa = gpa, .len = len, .hva = hva};
}

struct fakehost *fakehost_create_sized(uint64_t page_size_bytes, uint64_t low_len, uint64_t high_len)
{
	struct fakehost *fh = calloc(1, sizeof *fh);
	assert(fh);
	pthread_mutex_init(&fh->lock, NULL);
	pthread_rwlock_init(&fh->guest, NULL);
	fh->host.ops = &fake_ops;
	fh->host.gmem.page_size = page_size_bytes;
	fh->now_ms = 1000;
	add_ram(fh, FAKE_LOW_GPA, low_len);
	if (high_len)
		add_ram(fh, FAKE_HIGH_GPA, high_len);
	return fh;
}

struct fakehost *fakehost_create(uint64_t page_size_bytes)
{
	return fakehost_create_sized(page_size_bytes, FAKE_REGION_LEN, FAKE_REGION_LEN);
}

void fakehost_destroy(struct fakehost *fh)
{
	if (!fh)
		return;
	fakewatch_finish(fh);
	for (size_t i = 0; i < fh->host.gmem.n_regions; i++)
		munmap(fh->map[i], fh->map_len[i]);
	pthread_rwlock_destroy(&fh->guest);
	pthread_mutex_destroy(&fh->lock);
	free(fh->discards);
	free(fh);
}

void *fakehost_ram(struct fakehost *fh, uint64_t gpa, uint64_t len)
{
	void *at = gmem_at(&fh->host.gmem, gpa, len);
	assert(at);
	return at;
}
