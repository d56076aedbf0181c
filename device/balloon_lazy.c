#include <linux/virtio_balloon.h>

#include "device/balloon_impl.h"

/*
 * When inflated pages go back to the host. They first gather in a set, which
 * sorts and merges them, whatever the order in which the driver names them and
 * however it cuts them into requests.
 *
 * A driver that did not negotiate MUST_TELL_HOST may use a page again as soon as
 * its request is returned. So all requests that are available form a batch: their
 * pages are discarded, in as few pieces as can be, and then all of the requests
 * are returned.
 *
 * With MUST_TELL_HOST a page is the device's until its deflate request was
 * returned. That is worth something where the host backs RAM with huge pages: a
 * Linux request holds 1 MiB, and a huge page of which half is discarded is split,
 * by work that costs the host several times the discard of a whole one, and comes
 * back as small pages when the guest uses the memory again. So only blocks of
 * which all pages have come are discarded at once. Pages of other blocks stay in
 * the set, and their requests are returned. They go when the driver pauses, when
 * they have waited for long or are too many. A deflated page leaves the set.
 *
 * The set is limited by what may be collected before a discard; a guest cannot
 * make it grow, only make it go back in small pieces.
 */

#define SLICE_PAGES 4096 /* of one discard: some ms on a vCPU's thread at worst */

/*
 * The driver pauses when a whole tick goes by without a page: between one and
 * two ticks after its last one. Timers of this host are late by up to 1 ms.
 */
#define TICK_MS 3
#define MAX_WAIT_MS 100
#define MAX_WAITING_PAGES 65536 /* 256 MiB */

static bool may_wait(const struct balloon *b)
{
	const struct gmem *gmem = &b->dev.host->gmem;
	return vpci_has_feature(&b->vpci, VIRTIO_BALLOON_F_MUST_TELL_HOST) && gmem->page_size == PFN_BYTES && gmem->block_size == PAGE_SET_BLOCK_BYTES;
}

static void discard_slice(struct balloon *b, bool whole_blocks)
{
	struct gmem_range *ranges = b->batch.ranges;
	size_t n = page_set_take(&b->inflated, whole_blocks, ranges, PAGE_RANGES_MAX, SLICE_PAGES);
	n = balloon_map_add(&b->map, ranges, n, ranges);
	balloon_discard(b, &b->queues[BALLOON_Q_INFLATE], ranges, n);
}

/* ---- Pages that wait ------------------------------------------------- */

static void tick_later(struct balloon *b)
{
	b->lazy_ticks = true;
	b->lazy_was_busy = false;
	b->dev.host->ops->timer_arm(b->dev.host, &b->lazy_timer, TICK_MS);
}

static void watch_driver(struct balloon *b)
{
	if (b->lazy_ticks)
		return;
	b->lazy_since_ms = b->dev.host->ops->now_ms(b->dev.host);
	tick_later(b);
}

/* A slice at a time, so that others get the lock between them. */
static void drain(struct balloon *b)
{
	discard_slice(b, false);
	b->is_draining = b->inflated.n_pages;
	if (b->is_draining)
		b->dev.host->ops->defer(b->dev.host, &b->lazy_work);
}

static bool is_paused(const struct balloon *b)
{
	return !b->lazy_was_busy || b->dev.host->ops->now_ms(b->dev.host) - b->lazy_since_ms >= MAX_WAIT_MS;
}

/* The driver may be gone without a word: then the memory is somebody else's (kexec makes the function no bus master). */
static void on_tick(void *opaque)
{
	struct balloon *b = opaque;
	pthread_mutex_lock(&b->dev.lock);
	b->lazy_ticks = false;
	if (!vpci_is_live(&b->vpci))
		page_set_clear(&b->inflated);
	else if (b->inflated.n_pages && is_paused(b))
		drain(b);
	else if (b->inflated.n_pages)
		tick_later(b);
	balloon_publish(b);
	pthread_mutex_unlock(&b->dev.lock);
}

static void on_work(void *opaque)
{
	struct balloon *b = opaque;
	pthread_mutex_lock(&b->dev.lock);
	if (b->is_draining && vpci_is_live(&b->vpci))
		drain(b);
	balloon_publish(b);
	pthread_mutex_unlock(&b->dev.lock);
}

/* ---- For the queues -------------------------------------------------- */

void balloon_lazy_add(struct balloon *b)
{
	for (size_t i = 0; i < b->batch.n_runs; i++)
		page_set_add(&b->inflated, b->batch.runs[i]);
	b->lazy_was_busy = true;
}

void balloon_lazy_remove(struct balloon *b)
{
	for (size_t i = 0; i < b->batch.n_runs && b->inflated.n_pages; i++)
		page_set_remove(&b->inflated, b->batch.runs[i]);
}

bool balloon_lazy_discard(struct balloon *b)
{
	if (!may_wait(b) || b->inflated.n_pages - b->inflated.n_whole * PAGE_SET_BLOCK > MAX_WAITING_PAGES)
		b->is_draining = true;
	if (b->is_draining ? b->inflated.n_pages : b->inflated.n_whole)
		discard_slice(b, !b->is_draining);
	if (!b->inflated.n_pages)
		b->is_draining = false;
	else if (!b->is_draining)
		watch_driver(b);
	return b->is_draining || b->inflated.n_whole;
}

void balloon_lazy_flush(struct balloon *b)
{
	while (b->inflated.n_pages)
		discard_slice(b, false);
	b->is_draining = false;
}

/* ---- Life ------------------------------------------------------------ */

int balloon_lazy_init(struct balloon *b)
{
	b->lazy_timer = (struct host_timer){.fn = on_tick, .opaque = b};
	b->lazy_work = (struct host_work){.fn = on_work, .opaque = b};
	return page_set_init(&b->inflated, &b->dev.host->gmem);
}

void balloon_lazy_forget(struct balloon *b)
{
	page_set_clear(&b->inflated);
	b->is_draining = b->lazy_ticks = false;
	b->dev.host->ops->timer_cancel(b->dev.host, &b->lazy_timer);
}

void balloon_lazy_finish(struct balloon *b)
{
	b->dev.host->ops->timer_cancel(b->dev.host, &b->lazy_timer);
	page_set_finish(&b->inflated);
}
