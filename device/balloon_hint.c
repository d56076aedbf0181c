#include <errno.h>
#include <linux/virtio_balloon.h>

#include "device/balloon_impl.h"
#include "util/bytes.h"

/*
 * Free page hinting (VIRTIO 1.4, section 5.5.6.6) as a run that the host
 * starts: it shows a new command id, the driver answers with that id on the
 * hint queue, then with blocks that it took from its free lists, then with the
 * command STOP. It keeps the blocks until it is shown the command DONE.
 *
 * Keeps them, unless it runs short of memory: then it takes blocks back without
 * a word and uses them again, before or after their hints are looked at here.
 * So a hint alone proves nothing. The host therefore watches the guest's writes
 * from before the id is shown, and a hinted page goes back only if it was not
 * written since. Looking and discarding must not be parted by a write: the
 * vCPUs are held for both. That takes the event-loop thread, which gets the
 * hints in slices, so that no hold is long. A page that was not written in all
 * that time was free when the run began and has nothing in it that the guest
 * could miss.
 */

#define CMD_STOP VIRTIO_BALLOON_CMD_ID_STOP
#define CMD_DONE VIRTIO_BALLOON_CMD_ID_DONE
#define CMD_FIRST 2 /* of a run */

#define SLICE_BYTES (128ULL << 20) /* of hints that one hold of the vCPUs looks at, about */
#define QUIET_MS 10000		   /* without a word of the driver, and the run ends without it */
#define RUN_MAX_MS 600000	   /* of a run: a driver that has a word now and then cannot drag it out for ever */
#define CMD_LEN 4

static bool is_running(const struct balloon *b)
{
	return b->hint.phase == BALLOON_HINT_RUNNING;
}

/* ---- A run ----------------------------------------------------------- */

static void wait_for_driver(struct balloon *b)
{
	struct host *host = b->dev.host;
	uint64_t age_ms = host->ops->now_ms(host) - b->hint_begin_ms;
	uint64_t left_ms = age_ms < RUN_MAX_MS ? RUN_MAX_MS - age_ms : 0;
	host->ops->timer_arm(host, &b->hint_timer, left_ms < QUIET_MS ? left_ms : QUIET_MS);
}

static void look_at_hints(struct balloon *b)
{
	b->dev.host->ops->defer(b->dev.host, &b->hint_work);
}

static void show(struct balloon *b, uint32_t cmd)
{
	b->hint_cmd = cmd;
	balloon_config_changed(b);
}

static void end_run(struct balloon *b, enum balloon_hint_phase phase)
{
	struct host *host = b->dev.host;
	b->hint.phase = phase;
	b->hint.duration_ms = host->ops->now_ms(host) - b->hint_begin_ms;
	b->hint_pending_bytes = 0;
	page_ranges_clear(&b->hint_batch);
	host->ops->timer_cancel(host, &b->hint_timer);
	balloon_tell(b, HOST_EVENT_BALLOON_HINTED, b->hint.discarded_bytes);
}

/* On the event-loop thread, unlike the end of a run, which a driver's reset brings about on a vCPU's. */
static void end_watch(struct balloon *b)
{
	if (b->hint_is_watched && !is_running(b)) {
		b->dev.host->ops->watch_writes(b->dev.host, false);
		b->hint_is_watched = false;
	}
}

/* No id comes twice before all others came: a late STOP or page of an old run belongs to no new one. */
static uint32_t next_id(uint32_t id)
{
	return id < CMD_FIRST || id == UINT32_MAX ? CMD_FIRST : id + 1;
}

int balloon_hint_begin(struct balloon *b)
{
	struct host *host = b->dev.host;
	if (!vpci_is_live(&b->vpci) || b->queues[BALLOON_Q_HINT].index == BALLOON_NO_QUEUE)
		return -ENOTSUP;
	if (is_running(b))
		return -EBUSY;
	int err = host->ops->watch_writes(host, true);
	if (err)
		return err;
	b->hint = (struct balloon_hint_run){.phase = BALLOON_HINT_RUNNING, .id = next_id(b->hint.id), .runs = b->hint.runs + 1};
	b->hint_is_watched = true;
	b->hint_begin_ms = host->ops->now_ms(host);
	b->hint_is_over = b->hint_timed_out = false;
	b->hint_last_cmd = CMD_STOP;
	wait_for_driver(b);
	show(b, b->hint.id);
	return 0;
}

static void on_quiet(void *opaque)
{
	struct balloon *b = opaque;
	pthread_mutex_lock(&b->dev.lock);
	if (is_running(b) && !b->hint_is_over) {
		b->hint_is_over = b->hint_timed_out = true;
		look_at_hints(b);
	}
	pthread_mutex_unlock(&b->dev.lock);
}

/* ---- Discarding what was hinted -------------------------------------- */

/* The vCPUs are held. */
static void discard_batch(struct balloon *b)
{
	struct host *host = b->dev.host;
	struct balloon_queue *q = &b->queues[BALLOON_Q_HINT];
	struct discard_result result = {0};
	const struct gmem_range *ranges;
	size_t n = page_ranges_finish(&b->hint_batch, &ranges);
	if (n)
		host->ops->discard_unwritten(host, ranges, n, &result);
	page_ranges_clear(&b->hint_batch);
	b->hint_pending_bytes = 0;

	b->hint.discarded_bytes += result.discarded_bytes;
	b->hint.written_bytes += result.written_bytes;
	b->hint.failed_bytes += result.failed_bytes;
	balloon_count_discard(b, q, n, &result);
	if (result.error)
		q->counters.faults[BALLOON_FAULT_DISCARD]++;
}

static void count_hold(struct balloon *b, uint64_t us)
{
	b->hint.holds++;
	if (us > b->hint.longest_hold_us)
		b->hint.longest_hold_us = us;
}

static bool has_hints(const struct balloon *b)
{
	return is_running(b) && b->hint_batch.n_runs;
}

/* A vCPU that waits for this device's lock cannot be held: the lock is let go meanwhile, and the run may end. */
static void hold_and_discard(struct balloon *b)
{
	struct host *host = b->dev.host;
	pthread_mutex_unlock(&b->dev.lock);
	host->ops->hold_vcpus(host);
	pthread_mutex_lock(&b->dev.lock);
	if (has_hints(b))
		discard_batch(b);
	pthread_mutex_unlock(&b->dev.lock);
	uint64_t us = host->ops->release_vcpus(host);
	pthread_mutex_lock(&b->dev.lock);
	count_hold(b, us);
}

static void on_hint_work(void *opaque)
{
	struct balloon *b = opaque;
	pthread_mutex_lock(&b->dev.lock);
	if (has_hints(b))
		hold_and_discard(b);
	/* Hints may have come in while the lock was open: they are looked at next time. */
	if (is_running(b) && b->hint_is_over) {
		if (has_hints(b)) {
			look_at_hints(b);
		} else {
			end_run(b, b->hint_timed_out ? BALLOON_HINT_TIMED_OUT : BALLOON_HINT_DONE);
			show(b, CMD_DONE);
		}
	}
	end_watch(b);
	balloon_publish(b);
	pthread_mutex_unlock(&b->dev.lock);
}

/* ---- The hint queue -------------------------------------------------- */

/* Not every STOP ends the run: one may be late and belong to an earlier run. */
static void take_command(struct balloon *b, uint32_t cmd)
{
	bool ends_run = cmd == CMD_STOP && is_running(b) && b->hint_last_cmd == b->hint.id;
	b->hint_last_cmd = cmd;
	if (ends_run) {
		b->hint_is_over = true;
		look_at_hints(b);
	}
}

/* What is for reading is a command, whatever its pieces; a command of another length is none, and what follows has none. */
static void take_readable(struct balloon *b, struct balloon_queue *q)
{
	uint8_t bytes[CMD_LEN];
	bool has_any = false;
	for (unsigned i = 0; i < q->chain.n_bufs; i++)
		has_any |= !q->chain.bufs[i].writable;
	if (!has_any)
		return;
	if (balloon_read_chain(b, q, bytes, sizeof bytes) == CMD_LEN) {
		take_command(b, load_le32(bytes));
		return;
	}
	b->hint_last_cmd = CMD_STOP;
	balloon_note_fault(b, q, BALLOON_FAULT_PROTOCOL);
}

/* A block is cut where the slice ends: however long the driver makes it, no hold is. */
static void take_hint(struct balloon *b, struct balloon_queue *q)
{
	uint64_t room = SLICE_BYTES - b->hint_pending_bytes;
	uint64_t bytes = balloon_take_block(b, q, &b->hint_batch, &room);
	b->hint.hinted_bytes += bytes;
	b->hint_pending_bytes += bytes;
}

static bool is_slice_full(const struct balloon *b)
{
	return b->hint_pending_bytes >= SLICE_BYTES || b->hint_batch.n_runs + GMEM_MAX_REGIONS > PAGE_RANGES_MAX;
}

/* A driver hints at a page once a run, or a few times when it took some back: no run is longer than this. */
static bool is_too_much(const struct balloon *b)
{
	return b->hint.hinted_bytes > 2 * gmem_size(&b->dev.host->gmem);
}

static bool takes_hints(const struct balloon *b)
{
	return is_running(b) && !b->hint_is_over && b->hint_last_cmd == b->hint.id;
}

/*
 * A full slice keeps the chain until it was looked at. Buffers of pages that
 * belong to no run that is on go back as they are.
 */
enum balloon_served balloon_serve_hint(struct balloon *b, struct balloon_queue *q, uint64_t *budget)
{
	if (!q->has_begun)
		take_readable(b, q);
	q->has_begun = true;
	while (q->buf < q->chain.n_bufs && takes_hints(b)) {
		if (is_slice_full(b)) {
			look_at_hints(b);
			return BALLOON_MORE;
		}
		if (!*budget)
			return BALLOON_MORE;
		--*budget;
		if (q->chain.bufs[q->buf].writable)
			take_hint(b, q);
		else
			balloon_next_buf(q);
	}
	if (takes_hints(b)) {
		wait_for_driver(b);
		if (is_too_much(b)) {
			b->hint_is_over = true;
			look_at_hints(b);
		}
	}
	return BALLOON_SERVED;
}

/* ---- Life ------------------------------------------------------------ */

void balloon_hint_init(struct balloon *b)
{
	b->hint_timer = (struct host_timer){.fn = on_quiet, .opaque = b};
	b->hint_work = (struct host_work){.fn = on_hint_work, .opaque = b};
	page_ranges_init(&b->hint_batch, &b->dev.host->gmem);
}

void balloon_hint_forget(struct balloon *b)
{
	b->hint_cmd = b->hint_last_cmd = CMD_STOP;
	if (is_running(b)) {
		end_run(b, BALLOON_HINT_ABORTED);
		look_at_hints(b); /* of which there are none: to end the watch */
	}
}

void balloon_hint_finish(struct balloon *b)
{
	balloon_hint_forget(b);
	end_watch(b);
}
