#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "device/balloon_impl.h"

/* A guest cannot provoke it, but it can repeat what provokes it. */
static void log_refusal(struct balloon *b, const struct discard_result *result)
{
	struct host *host = b->dev.host;
	uint64_t left_out, kib = result->failed_bytes / 1024;
	char text[128];
	if (!log_limit_pass(&b->refusals, host->ops->now_ms(host), &left_out))
		return;
	const char *why = strerror_r(result->error, text, sizeof text);
	if (left_out)
		log_line(LOG_LEVEL_WARN, b->dev.id, "the host could not free %" PRIu64 " KiB of guest memory: %s (and %" PRIu64 " lines left out)", kib, why,
			 left_out);
	else
		log_line(LOG_LEVEL_WARN, b->dev.id, "the host could not free %" PRIu64 " KiB of guest memory: %s", kib, why);
}

void balloon_count_discard(struct balloon *b, struct balloon_queue *q, size_t n, const struct discard_result *result)
{
	q->counters.ranges += n;
	q->counters.discarded_bytes += result->discarded_bytes;
	q->counters.written_bytes += result->written_bytes;
	q->counters.failed_bytes += result->failed_bytes;
	if (result->error)
		log_refusal(b, result);
}

void balloon_discard(struct balloon *b, struct balloon_queue *q, const struct gmem_range *ranges, size_t n)
{
	struct discard_result result = {0};
	if (!n)
		return;
	b->dev.host->ops->discard(b->dev.host, ranges, n, &result);
	balloon_count_discard(b, q, n, &result);
	if (result.error)
		balloon_note_fault(b, q, BALLOON_FAULT_DISCARD);
}

/* ---- Reading what the driver sent ------------------------------------ */

/* Bytes of guest memory are read this once. */
static void copy_in(void *to, const uint8_t *from, size_t len)
{
	memcpy(to, from, len);
	__asm__ volatile("" : : "r"(to) : "memory"); /* what follows reads the copy */
}

/* The buffer's bytes, NULL with a fault noted when they cannot be read. */
static const uint8_t *readable(struct balloon *b, struct balloon_queue *q, const struct virtq_buf *buf)
{
	const uint8_t *data = buf->writable ? NULL : gmem_at(&b->dev.host->gmem, buf->gpa, buf->len);
	if (!data)
		balloon_note_fault(b, q, buf->writable ? BALLOON_FAULT_DIRECTION : BALLOON_FAULT_UNREADABLE);
	return data;
}

uint64_t balloon_read_chain(struct balloon *b, struct balloon_queue *q, uint8_t *to, size_t max)
{
	uint64_t total = 0;
	for (unsigned i = 0; i < q->chain.n_bufs; i++) {
		const struct virtq_buf *buf = &q->chain.bufs[i];
		const uint8_t *data = readable(b, q, buf);
		if (data && total < max)
			copy_in(to + total, data, buf->len < max - total ? buf->len : max - total);
		total += data ? buf->len : 0;
	}
	return total;
}

/* ---- Inflate and deflate: arrays of page numbers (section 5.5.6) ------- */

static void add_pages(struct balloon *b, struct balloon_queue *q, const void *pfns, size_t n)
{
	size_t valid = page_ranges_add_le32(&b->batch, pfns, n);
	q->counters.pages += valid;
	q->counters.bad_pages += n - valid;
	if (valid < n)
		balloon_note_fault(b, q, BALLOON_FAULT_OUTSIDE);
}

void balloon_next_buf(struct balloon_queue *q)
{
	q->buf++;
	q->offset = 0;
}

/*
 * Takes page numbers from the current buffer, `max` at most, and returns how
 * many. The array may be cut anywhere (section 2.7.4): a number that straddles
 * two buffers waits in q->piece.
 */
static size_t take_pages(struct balloon *b, struct balloon_queue *q, const uint8_t *data, uint32_t len, size_t max)
{
	const uint8_t *from = data + q->offset;
	size_t left = len - q->offset, taken = 0;

	if (q->piece_len || left < sizeof q->piece) {
		size_t n = sizeof q->piece - q->piece_len;
		n = n < left ? n : left;
		copy_in(q->piece + q->piece_len, from, n);
		q->piece_len += n;
		q->offset += n;
		if (q->piece_len < sizeof q->piece)
			return 0;
		add_pages(b, q, q->piece, 1);
		q->piece_len = 0;
		return 1;
	}
	taken = left / sizeof(uint32_t);
	taken = taken < max ? taken : max;
	copy_in(b->pfns, from, taken * sizeof(uint32_t));
	add_pages(b, q, b->pfns, taken);
	q->offset += taken * sizeof(uint32_t);
	return taken;
}

/* Fills the batch with up to *budget pages of the chain. False when the chain has more. */
static bool collect_pages(struct balloon *b, struct balloon_queue *q, uint64_t *budget)
{
	size_t room = *budget < PAGE_RANGES_MAX ? *budget : PAGE_RANGES_MAX;

	page_ranges_clear(&b->batch);
	while (q->buf < q->chain.n_bufs) {
		const struct virtq_buf *buf = &q->chain.bufs[q->buf];
		const uint8_t *data = readable(b, q, buf);
		if (!data) {
			q->piece_len = 0;
			balloon_next_buf(q);
		} else if (q->offset == buf->len) {
			balloon_next_buf(q);
		} else if (!room) {
			return false;
		} else {
			size_t taken = take_pages(b, q, data, buf->len, room);
			room -= taken;
			*budget -= taken;
		}
	}
	if (q->piece_len)
		balloon_note_fault(b, q, BALLOON_FAULT_LEFTOVER);
	return true;
}

enum balloon_served balloon_serve_inflate(struct balloon *b, struct balloon_queue *q, uint64_t *budget)
{
	bool done;
	do {
		done = collect_pages(b, q, budget);
		balloon_lazy_add(b);
	} while (!done && *budget);
	return done ? BALLOON_BATCHED : BALLOON_MORE;
}

/* Memory comes back by itself when it is touched: there is nothing to do but to remember. */
enum balloon_served balloon_serve_deflate(struct balloon *b, struct balloon_queue *q, uint64_t *budget)
{
	bool done = collect_pages(b, q, budget);
	balloon_lazy_remove(b);
	return done ? BALLOON_SERVED : BALLOON_MORE;
}

/* ---- Reporting: the buffers themselves are the free pages (section 5.5.6.8) */

/* Bytes of what memory is given back in; a power of two. */
static uint64_t least_bytes(const struct gmem *gmem)
{
	return gmem->page_size > PFN_BYTES ? gmem->page_size : PFN_BYTES;
}

/*
 * Adds the whole host pages of [gpa, end) in each region of RAM to the batch, one run a region at most. Returns their bytes.
 * Memory beyond the last page number is left alone: a machine of 16 TiB has some, as much as there is a hole below 4 GiB.
 */
static uint64_t add_block(struct page_ranges *batch, uint64_t gpa, uint64_t end)
{
	const struct gmem *gmem = batch->gmem;
	uint64_t amid = least_bytes(gmem) - 1, bytes = 0;

	end = end < PFN_END ? end : PFN_END;
	for (size_t i = 0; i < gmem->n_regions && gmem->regions[i].gpa < end; i++) {
		const struct gmem_region *r = &gmem->regions[i];
		/* From here on in bytes from the region's start, where host pages begin. */
		uint64_t from = gpa > r->gpa ? gpa - r->gpa : 0, to = end - r->gpa;
		to = (to < r->len ? to : r->len) & ~amid;
		if (from >= to || (from = (from + amid) & ~amid) >= to)
			continue;
		page_ranges_add_run(batch, (struct page_run){.first = (uint32_t)((r->gpa + from) >> PFN_SHIFT), .count = (uint32_t)((to - from) >> PFN_SHIFT)});
		bytes += to - from;
	}
	return bytes;
}

/* The part of [gpa, end) that one wakeup takes: up to about `budget` bytes, cut at a host page so that no page is lost. */
static uint64_t end_of_part(const struct gmem *gmem, uint64_t gpa, uint64_t end, uint64_t budget)
{
	uint64_t page = least_bytes(gmem), part = budget > page ? budget : page;
	if (end - gpa <= part)
		return end;
	uint64_t cut = (gpa + part) & ~(page - 1);
	return cut > gpa ? cut : end;
}

uint64_t balloon_take_block(struct balloon *b, struct balloon_queue *q, struct page_ranges *batch, uint64_t *budget)
{
	const struct virtq_buf *buf = &q->chain.bufs[q->buf];
	uint64_t gpa = buf->gpa + q->offset, left = buf->len - q->offset;
	uint64_t end = left > UINT64_MAX - gpa ? UINT64_MAX : gpa + left;
	uint64_t stop = end_of_part(&b->dev.host->gmem, gpa, end, *budget);
	uint64_t bytes = add_block(batch, gpa, stop);

	q->counters.pages += bytes >> PFN_SHIFT;
	if (bytes < stop - gpa) {
		q->counters.bad_pages += (stop - gpa - bytes + PFN_BYTES - 1) >> PFN_SHIFT;
		balloon_note_fault(b, q, gmem_region_of(&b->dev.host->gmem, gpa) ? BALLOON_FAULT_PARTIAL : BALLOON_FAULT_OUTSIDE);
	}
	*budget -= stop - gpa < *budget ? stop - gpa : *budget;
	q->offset += (uint32_t)(stop - gpa);
	if (stop == end)
		balloon_next_buf(q);
	return bytes;
}

enum balloon_served balloon_serve_report(struct balloon *b, struct balloon_queue *q, uint64_t *budget)
{
	/* A page must never hold anything but its poison, and discarded pages read as zero (section 5.5.6.8.2). */
	if (b->poison_val)
		return BALLOON_SERVED;

	page_ranges_clear(&b->batch);
	while (q->buf < q->chain.n_bufs && *budget && b->batch.n_runs + GMEM_MAX_REGIONS <= PAGE_RANGES_MAX) {
		if (!q->chain.bufs[q->buf].writable) {
			balloon_note_fault(b, q, BALLOON_FAULT_DIRECTION);
			balloon_next_buf(q);
		} else {
			balloon_take_block(b, q, &b->batch, budget);
		}
	}
	const struct gmem_range *ranges;
	size_t n = page_ranges_finish(&b->batch, &ranges);
	balloon_discard(b, q, ranges, n);
	return q->buf == q->chain.n_bufs ? BALLOON_SERVED : BALLOON_MORE;
}
