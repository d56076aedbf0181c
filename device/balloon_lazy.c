#include <linux/virtio_balloon.h>

#include "device/balloon_impl.h"

/*
 * When inflated pages go back to the host. They first gather in a set, which
 * sorts and merges them, whatever the order in which the driver names them and
 * however it cuts them into requests. Where the host's own pages are larger, the
 * map tells which of these are wholly in the balloon, and only they get there.
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
 * the set, and their requests are returned. They go when the driver pauses or when
 * they have waited for long; when they are too many, a slice of them goes. That is
 * the lowest pages, so that blocks that are split by it are the next that are, too,
 * and the others have more time. A deflated page leaves the set.
 *
 * Whatever the guest does, bounded work is left when the driver stops: never more
 * pages than a few slices have, fewer where they have turned out to take long, in
 * never more pieces than the host gets through in some ms, and never of more blocks:
 * to split a huge page takes as long as ten pieces of one. That is enough for a
 * driver that names its runs of pages in any order within some tens of MiB. Linux
 * needs less: its allocator joins the free halves of a block, so a block that is
 * wholly free is handed out in one run. What it hands out in smaller runs lies in
 * blocks that are partly in use, and to wait for their rest would be in vain.
 */

#define SLICE_PAGES 4096UL /* of one discard: some ms on a vCPU's thread at worst */
#define MAX_WAITING_PAGES (4 * SLICE_PAGES)
#define MIN_WAITING_PAGES (SLICE_PAGES / 2)
#define MAX_WAITING_PIECES 1024
#define MAX_WAITING_BLOCKS 256

/*
 * Huge pages go many times as fast as small ones, and which of them the host has
 * put behind RAM only the discards tell. So what may wait is what went in so long,
 * and a slice before the first went.
 */
#define DRAIN_MS 4

/* The driver pauses when no page comes for so long. Timers of this host are late by up to 1 ms. */
#define PAUSE_MS 3
#define MAX_WAIT_MS 100

static bool may_wait(const struct balloon *b)
{
	const struct gmem *gmem = &b->dev.host->gmem;
	return vpci_has_feature(&b->vpci, VIRTIO_BALLOON_F_MUST_TELL_HOST) && gmem->page_size == PFN_BYTES && gmem->block_size == PAGE_SET_BLOCK_BYTES;
}

static uint64_t now_ms(const struct balloon *b)
{
	return b->dev.host->ops->now_ms(b->dev.host);
}

/* Pieces of blocks went. The clock is a coarse one: it may have been a ms more, and nothing if it shows none. A few pages tell nothing. */
static void note_speed(struct balloon *b, uint64_t pages, uint64_t took_ms)
{
	uint64_t most = pages * DRAIN_MS / (took_ms + 1);
	if (pages < MIN_WAITING_PAGES || (!took_ms && most < b->lazy_max_pages))
		return;
	b->lazy_max_pages = most > MAX_WAITING_PAGES ? MAX_WAITING_PAGES : most < MIN_WAITING_PAGES ? MIN_WAITING_PAGES : most;
}

static void discard_slice(struct balloon *b, bool whole_blocks)
{
	struct gmem_range *ranges = b->batch.ranges;
	uint64_t begin_ms = now_ms(b), n_pages = b->inflated.n_pages;
	size_t n = page_set_take(&b->inflated, whole_blocks, ranges, PAGE_RANGES_MAX, SLICE_PAGES);
	balloon_discard(b, &b->queues[BALLOON_Q_INFLATE], ranges, n);
	if (!whole_blocks)
		note_speed(b, n_pages - b->inflated.n_pages, now_ms(b) - begin_ms);
}

/* ---- Pages that wait ------------------------------------------------- */

static bool are_too_many(const struct balloon *b)
{
	const struct page_set *set = &b->inflated;
	return set->n_pages - set->n_whole * PAGE_SET_BLOCK > b->lazy_max_pages || set->n_pieces - set->n_whole * PAGE_SET_BLOCK_PIECES > MAX_WAITING_PIECES ||
	       page_set_most_broken(set) > MAX_WAITING_BLOCKS;
}

static void watch_driver(struct balloon *b, uint64_t delay_ms)
{
	b->lazy_ticks = true;
	b->dev.host->ops->timer_arm(b->dev.host, &b->lazy_timer, delay_ms);
}

static void note_busy(struct balloon *b)
{
	b->lazy_last_ms = now_ms(b);
	if (b->lazy_ticks)
		return;
	b->lazy_since_ms = b->lazy_last_ms;
	watch_driver(b, PAUSE_MS);
}

/* The driver may be gone without a word: then the memory is somebody else's (kexec makes the function no bus master). */
static void on_tick(void *opaque)
{
	struct balloon *b = opaque;
	pthread_mutex_lock(&b->dev.lock);
	uint64_t now = now_ms(b), quiet_ms = now - b->lazy_last_ms;
	b->lazy_ticks = false;
	if (!vpci_is_live(&b->vpci))
		page_set_clear(&b->inflated);
	else if (b->inflated.n_pages && (quiet_ms >= PAUSE_MS || now - b->lazy_since_ms >= MAX_WAIT_MS))
		do
			discard_slice(b, false);
		while (b->inflated.n_pages && now_ms(b) == now);
	/* The next slice goes at once, but for those who wait for the lock. */
	if (b->inflated.n_pages)
		watch_driver(b, quiet_ms < PAUSE_MS ? PAUSE_MS - quiet_ms : 0);
	balloon_publish(b);
	pthread_mutex_unlock(&b->dev.lock);
}

/* ---- For the queues -------------------------------------------------- */

void balloon_lazy_add(struct balloon *b)
{
	if (b->map.bits)
		balloon_map_add(&b->map, b->batch.runs, b->batch.n_runs, &b->inflated);
	else
		page_set_add(&b->inflated, b->batch.runs, b->batch.n_runs);
}

void balloon_lazy_remove(struct balloon *b)
{
	if (b->map.bits)
		balloon_map_remove(&b->map, b->batch.runs, b->batch.n_runs, &b->inflated);
	else
		page_set_remove(&b->inflated, b->batch.runs, b->batch.n_runs);
}

/* Some pages have to go before their requests are returned. */
static bool is_due(const struct balloon *b)
{
	return may_wait(b) ? b->inflated.n_whole || are_too_many(b) : b->inflated.n_pages;
}

bool balloon_lazy_discard(struct balloon *b)
{
	if (is_due(b))
		discard_slice(b, may_wait(b) && b->inflated.n_whole);
	if (is_due(b))
		return true;
	if (b->inflated.n_pages)
		note_busy(b);
	return false;
}

void balloon_lazy_flush(struct balloon *b)
{
	while (b->inflated.n_pages)
		discard_slice(b, false);
}

/* ---- Life ------------------------------------------------------------ */

int balloon_lazy_init(struct balloon *b)
{
	b->lazy_timer = (struct host_timer){.fn = on_tick, .opaque = b};
	b->lazy_max_pages = SLICE_PAGES;
	return page_set_init(&b->inflated, &b->dev.host->gmem);
}

void balloon_lazy_forget(struct balloon *b)
{
	page_set_clear(&b->inflated);
	b->lazy_ticks = false;
	b->dev.host->ops->timer_cancel(b->dev.host, &b->lazy_timer);
}

void balloon_lazy_finish(struct balloon *b)
{
	b->dev.host->ops->timer_cancel(b->dev.host, &b->lazy_timer);
	page_set_finish(&b->inflated);
}
