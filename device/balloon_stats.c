#include <errno.h>
#include <linux/virtio_balloon.h>
#include <time.h>

#include "device/balloon_impl.h"
#include "util/bytes.h"

/*
 * The device asks for statistics by returning the driver's buffer, which the
 * driver then fills and makes available again (VIRTIO 1.4, section 5.5.6.5). In
 * between, the buffer is parked here. The timer runs only while one is parked:
 * a guest that does not answer is not asked again.
 */

/* Packed: 16-bit tag, 64-bit value. (The driver requirements speak of multiples of 6 bytes, an erratum.) */
#define STAT_LEN 10
#define STATS_BYTES_MAX 4096 /* of one buffer are looked at */

static void rearm(struct balloon *b)
{
	struct host *host = b->dev.host;
	if (b->stats_interval_s && b->stats_parked)
		host->ops->timer_arm(host, &b->stats_timer, b->stats_interval_s * 1000);
}

static void clear_values(struct balloon *b)
{
	for (unsigned i = 0; i < BALLOON_N_STATS; i++)
		b->stats[i] = BALLOON_STAT_UNSET;
	b->n_other_stats = 0;
}

/* Of a tag that comes twice the last value counts. */
static void take_other(struct balloon *b, uint16_t tag, uint64_t value)
{
	unsigned i = 0;
	while (i < b->n_other_stats && b->other_stats[i].tag != tag)
		i++;
	if (i == BALLOON_N_OTHER_STATS)
		return;
	b->other_stats[i] = (struct balloon_other_stat){.tag = tag, .value = value};
	if (i == b->n_other_stats)
		b->n_other_stats++;
}

/* Tags come in any order, and those that are missing are not known now. */
static void take_values(struct balloon *b, struct balloon_queue *q)
{
	uint8_t bytes[STATS_BYTES_MAX];
	uint64_t total = balloon_read_chain(b, q, bytes, sizeof bytes);
	size_t len = total < sizeof bytes ? total : sizeof bytes;

	if (total % STAT_LEN)
		balloon_note_fault(b, q, BALLOON_FAULT_LEFTOVER);
	b->stats_asked = false;
	if (len < STAT_LEN)
		return;
	clear_values(b);
	for (size_t at = 0; at + STAT_LEN <= len; at += STAT_LEN) {
		uint16_t tag = load_le16(bytes + at);
		if (tag < BALLOON_N_STATS)
			b->stats[tag] = load_le64(bytes + at + sizeof tag);
		else
			take_other(b, tag, load_le64(bytes + at + sizeof tag));
	}
	b->stats_time_s = (uint64_t)time(NULL);
	b->stats_ms = b->dev.host->ops->now_ms(b->dev.host);
}

/* Returns the parked buffer; the caller signals. */
static void release(struct balloon *b, struct balloon_queue *q)
{
	virtq_push(&b->vpci.queues[q->index].vq, b->stats_head, 0);
	q->counters.buffers++;
	b->stats_parked = false;
}

/* One buffer is in play (section 5.5.6.5.1). A driver that sends a second one gets the first back, so that none is ever lost. */
enum balloon_served balloon_serve_stats(struct balloon *b, struct balloon_queue *q, uint64_t *budget)
{
	take_values(b, q);
	if (b->stats_parked) {
		balloon_note_fault(b, q, BALLOON_FAULT_PROTOCOL);
		release(b, q);
	}
	b->stats_parked = true;
	b->stats_head = q->chain.head;
	--*budget;
	rearm(b);
	return BALLOON_PARKED;
}

int balloon_stats_ask(struct balloon *b)
{
	struct balloon_queue *q = &b->queues[BALLOON_Q_STATS];
	if (!vpci_is_live(&b->vpci) || q->index == BALLOON_NO_QUEUE)
		return -ENOTSUP;
	if (!b->stats_parked)
		return -EBUSY;
	release(b, q);
	b->stats_asked = true;
	vpci_signal_queue(&b->vpci, (unsigned)q->index);
	return 0;
}

void balloon_stats_set_interval(struct balloon *b, uint64_t seconds)
{
	b->stats_interval_s = seconds;
	b->dev.host->ops->timer_cancel(b->dev.host, &b->stats_timer);
	rearm(b);
}

static void on_timer(void *opaque)
{
	struct balloon *b = opaque;
	pthread_mutex_lock(&b->dev.lock);
	if (b->stats_interval_s && balloon_stats_ask(b) == -ENOTSUP)
		rearm(b); /* parked, but the function may not reach memory now */
	balloon_publish(b);
	pthread_mutex_unlock(&b->dev.lock);
}

void balloon_stats_init(struct balloon *b, uint64_t interval_s)
{
	b->stats_timer = (struct host_timer){.fn = on_timer, .opaque = b};
	b->stats_interval_s = interval_s;
	clear_values(b);
}

void balloon_stats_forget(struct balloon *b)
{
	b->stats_parked = b->stats_asked = false;
	b->stats_time_s = 0;
	clear_values(b);
	b->dev.host->ops->timer_cancel(b->dev.host, &b->stats_timer);
}
