#include <linux/virtio_balloon.h>
#include <stddef.h>

#include "device/balloon_impl.h"
#include "util/bytes.h"

/* ---- Features -------------------------------------------------------- */

/*
 * PAGE_POISON: a Linux guest that poisons free pages gives reporting up when it
 * cannot say so. MUST_TELL_HOST lets discards wait for the rest of a huge page.
 */
uint64_t balloon_offer(const struct balloon_config *config)
{
	uint64_t features = 1ULL << VIRTIO_BALLOON_F_MUST_TELL_HOST | 1ULL << VIRTIO_BALLOON_F_STATS_VQ | 1ULL << VIRTIO_BALLOON_F_PAGE_POISON;
	if (config->deflate_on_oom)
		features |= 1ULL << VIRTIO_BALLOON_F_DEFLATE_ON_OOM;
	if (config->free_page_hinting)
		features |= 1ULL << VIRTIO_BALLOON_F_FREE_PAGE_HINT;
	if (config->free_page_reporting)
		features |= 1ULL << VIRTIO_BALLOON_F_REPORTING;
	return features;
}

/* ---- Which queue has which role -------------------------------------- */

/* The feature that each role needs; inflate and deflate are always there. */
static bool has_role(const struct vpci *vpci, enum balloon_queue_role role)
{
	switch (role) {
	case BALLOON_Q_STATS:
		return vpci_has_feature(vpci, VIRTIO_BALLOON_F_STATS_VQ);
	case BALLOON_Q_HINT:
		return vpci_has_feature(vpci, VIRTIO_BALLOON_F_FREE_PAGE_HINT);
	case BALLOON_Q_REPORT:
		return vpci_has_feature(vpci, VIRTIO_BALLOON_F_REPORTING);
	default:
		return true;
	}
}

/* The specification numbers the queues by role (section 5.5.2). */
static bool is_fixed_index(const struct vpci *vpci, unsigned index)
{
	return index < BALLOON_N_QUEUES && has_role(vpci, index);
}

/* Linux numbers those that it negotiated, without gaps. */
static int dense_index(const struct vpci *vpci, enum balloon_queue_role role)
{
	int index = 0;
	for (unsigned i = 0; i < role; i++)
		index += has_role(vpci, i);
	return index;
}

static unsigned count_roles(const struct vpci *vpci)
{
	return (unsigned)dense_index(vpci, BALLOON_N_QUEUES);
}

/* Until DRIVER_OK either numbering may be meant. */
static bool has_queue(const struct vpci *vpci, unsigned index)
{
	return is_fixed_index(vpci, index) || index < count_roles(vpci);
}

/*
 * The driver means the dense numbering if it enabled a queue that the fixed one
 * does not have, and none that only the fixed one has. If both fit (nothing but
 * the common ones is enabled), so does the specification's.
 */
static bool is_dense(const struct vpci *vpci)
{
	bool only_dense = false;
	for (unsigned i = 0; i < BALLOON_N_QUEUES; i++) {
		if (!vpci->queues[i].vq.enabled)
			continue;
		if (i >= count_roles(vpci))
			return false;
		only_dense |= !is_fixed_index(vpci, i);
	}
	return only_dense;
}

static void assign_roles(struct balloon *b)
{
	bool dense = b->dense_queues = is_dense(&b->vpci);
	for (unsigned role = 0; role < BALLOON_N_QUEUES; role++) {
		b->queues[role].index = BALLOON_NO_QUEUE;
		if (has_role(&b->vpci, role))
			b->queues[role].index = dense ? dense_index(&b->vpci, role) : (int)role;
	}
}

/* NULL when the queue has no role. */
static struct balloon_queue *queue_at(struct balloon *b, unsigned index)
{
	for (unsigned role = 0; role < BALLOON_N_QUEUES; role++)
		if (b->queues[role].index == (int)index)
			return &b->queues[role];
	return NULL;
}

/* ---- Serving a queue ------------------------------------------------- */

/*
 * What one wakeup does at most, so that a vCPU is back soon and other queues
 * get their turn. Linux never has more than 256 pages in an inflate request,
 * and 32 blocks of 2 or 4 MiB in a report.
 */
#define INFLATED_PER_WAKEUP 32768 /* pages, which are only collected here */
#define DEFLATED_PER_WAKEUP 4096
#define REPORTED_BYTES_PER_WAKEUP (64ULL << 20)
#define STATS_PER_WAKEUP 64   /* buffers */
#define HINTS_PER_WAKEUP 1024 /* blocks, which only become ranges here */
#define CHAINS_PER_WAKEUP BALLOON_MAX_BATCH

static const struct {
	enum balloon_served (*serve)(struct balloon *b, struct balloon_queue *q, uint64_t *budget);
	uint64_t budget;
} services[BALLOON_N_QUEUES] = {
	[BALLOON_Q_INFLATE] = {balloon_serve_inflate, INFLATED_PER_WAKEUP},
	[BALLOON_Q_DEFLATE] = {balloon_serve_deflate, DEFLATED_PER_WAKEUP},
	[BALLOON_Q_STATS] = {balloon_serve_stats, STATS_PER_WAKEUP},
	[BALLOON_Q_HINT] = {balloon_serve_hint, HINTS_PER_WAKEUP},
	[BALLOON_Q_REPORT] = {balloon_serve_report, REPORTED_BYTES_PER_WAKEUP},
};

void balloon_note_fault(struct balloon *b, struct balloon_queue *q, enum balloon_fault fault)
{
	static const char *const names[BALLOON_N_QUEUES] = {"inflate", "deflate", "stats", "hint", "report"};
	static const uint8_t of_host = 1u << BALLOON_FAULT_DISCARD;
	uint8_t bit = (uint8_t)(1u << fault);

	if (q->faults & bit)
		return;
	q->counters.faults[fault]++;
	if (!(q->faults & ~of_host) && fault != BALLOON_FAULT_DISCARD)
		q->counters.bad_buffers++;
	q->faults |= bit;
	if (fault != BALLOON_FAULT_DISCARD)
		vpci_log_guest(&b->vpci, "%s request: %s", names[q - b->queues], balloon_fault_name(fault));
}

static bool is_inflate(const struct balloon *b, const struct balloon_queue *q)
{
	return q == &b->queues[BALLOON_Q_INFLATE];
}

/*
 * Takes the next chain if none is in work. False when there is none to work on;
 * then kicks are asked for, unless there is a batch to finish before.
 */
static bool take_chain(struct balloon *b, struct balloon_queue *q, struct virtq *vq)
{
	while (!q->busy) {
		if (vpci_is_suspending(&b->vpci))
			return false;
		int got = virtq_next(vq, &q->chain);
		if (got < 0) {
			vpci_queue_broken(&b->vpci, (unsigned)q->index);
			return false;
		}
		if (got > 0) {
			q->busy = true;
			q->has_begun = false;
			q->faults = 0;
			q->buf = q->offset = q->piece_len = 0;
		} else if ((is_inflate(b, q) && b->n_batch_heads) || !virtq_want_kicks(vq)) {
			return false;
		}
	}
	return true;
}

static void give_back(struct balloon_queue *q, struct virtq *vq, uint16_t head)
{
	virtq_push(vq, head, 0);
	q->counters.buffers++;
}

/*
 * Inflate requests that are available together are a batch: one discard for the
 * pages of all, slice by slice, and no new request meanwhile. Returns whether
 * there is more to discard.
 */
static bool finish_batch(struct balloon *b, struct balloon_queue *q, struct virtq *vq)
{
	b->is_discarding = balloon_lazy_discard(b);
	if (b->is_discarding)
		return true;
	for (unsigned i = 0; i < b->n_batch_heads; i++)
		give_back(q, vq, b->batch_heads[i]);
	b->n_batch_heads = 0;
	return false;
}

/* Serves chains until there are none, or the budget or *chains is used up: true then. */
static bool serve_chains(struct balloon *b, struct balloon_queue *q, struct virtq *vq, unsigned *chains, uint64_t *budget)
{
	for (; take_chain(b, q, vq); ++*chains) {
		if (*chains == CHAINS_PER_WAKEUP || !*budget)
			return true;
		enum balloon_served served = services[q - b->queues].serve(b, q, budget);
		q->busy = served == BALLOON_MORE;
		if (served == BALLOON_SERVED)
			give_back(q, vq, q->chain.head);
		else if (served == BALLOON_BATCHED)
			b->batch_heads[b->n_batch_heads++] = q->chain.head;
		else if (served == BALLOON_MORE)
			return true;
	}
	return false;
}

static bool queue_run(struct vpci *vpci, unsigned index)
{
	struct balloon *b = container_of(vpci, struct balloon, vpci);
	struct balloon_queue *q = queue_at(b, index);
	if (!q)
		return false;
	struct virtq *vq = &vpci->queues[index].vq;
	uint64_t budget = services[q - b->queues].budget;
	unsigned chains = 0;
	bool more = false, again = true;

	virtq_suppress_kicks(vq);
	if (is_inflate(b, q) && b->is_discarding)
		more = finish_batch(b, q, vq);
	while (!more && again) {
		more = serve_chains(b, q, vq, &chains, &budget);
		again = is_inflate(b, q) && (b->n_batch_heads || q->busy);
		if (again)
			more |= finish_batch(b, q, vq);
		again &= !vq->broken; /* which was told, once */
	}
	vpci_signal_queue(vpci, index);
	return more;
}

/* ---- Device configuration (section 5.5.4) ---------------------------- */

static void fill_config(const struct balloon *b, struct virtio_balloon_config *config)
{
	*config = (struct virtio_balloon_config){
		.num_pages = htole32(b->shown.num_pages),
		.actual = htole32(b->actual_pages),
		.free_page_hint_cmd_id = htole32(b->shown.hint_cmd),
		.poison_val = htole32(b->poison_val),
	};
}

void balloon_config_changed(struct balloon *b)
{
	if (!vpci_is_suspended(&b->vpci))
		b->shown = (struct balloon_shown){.num_pages = b->target_pages, .hint_cmd = b->hint_cmd};
	vpci_config_changed(&b->vpci);
}

static bool touches(uint32_t offset, uint32_t len, uint32_t field)
{
	return offset < field + 4 && offset + len > field;
}

static void config_read(struct vpci *vpci, uint32_t offset, uint8_t *bytes, uint32_t len)
{
	struct balloon *b = container_of(vpci, struct balloon, vpci);
	struct virtio_balloon_config config;
	fill_config(b, &config);
	memcpy(bytes, (const uint8_t *)&config + offset, len);
	if (touches(offset, len, offsetof(struct virtio_balloon_config, num_pages)) && b->shown.num_pages == b->target_pages)
		b->target_was_read = true;
}

/* num_pages and the hint command are the host's; poison_val is fixed from DRIVER_OK on (section 5.5.6.7). */
static void config_write(struct vpci *vpci, uint32_t offset, const uint8_t *bytes, uint32_t len)
{
	struct balloon *b = container_of(vpci, struct balloon, vpci);
	struct virtio_balloon_config config;
	fill_config(b, &config);
	memcpy((uint8_t *)&config + offset, bytes, len);

	if (vpci_has_feature(vpci, VIRTIO_BALLOON_F_PAGE_POISON) && !(vpci->status & VIRTIO_CONFIG_S_DRIVER_OK))
		b->poison_val = le32toh(config.poison_val);
	if (touches(offset, len, offsetof(struct virtio_balloon_config, actual)))
		balloon_actual_written(b, le32toh(config.actual));
}

/* ---- Driver comes and goes ------------------------------------------- */

static void forget_chain(struct balloon_queue *q)
{
	q->busy = false;
	q->index = BALLOON_NO_QUEUE;
}

static void forget_batch(struct balloon *b)
{
	b->n_batch_heads = 0;
	b->is_discarding = false;
}

static void driver_ok(struct vpci *vpci)
{
	struct balloon *b = container_of(vpci, struct balloon, vpci);
	assign_roles(b);
	balloon_target_driver_ok(b);
}

/* The role stays with the number: the queue may be enabled again. */
static void queue_reset(struct vpci *vpci, unsigned index)
{
	struct balloon *b = container_of(vpci, struct balloon, vpci);
	struct balloon_queue *q = queue_at(b, index);
	if (!q)
		return;
	q->busy = false;
	/* Until the driver sees that the queue is reset, its pages are the device's. */
	if (is_inflate(b, q)) {
		balloon_lazy_flush(b);
		forget_batch(b);
	}
	if (q == &b->queues[BALLOON_Q_STATS])
		b->stats_parked = b->stats_asked = false;
}

static bool is_busy(const struct vpci *vpci)
{
	const struct balloon *b = container_of(vpci, const struct balloon, vpci);
	bool busy = b->n_batch_heads || b->is_discarding;
	for (unsigned role = 0; role < BALLOON_N_QUEUES; role++)
		busy |= b->queues[role].busy;
	return busy;
}

static void suspended(struct vpci *vpci)
{
	struct balloon *b = container_of(vpci, struct balloon, vpci);
	balloon_lazy_flush(b);
	balloon_target_suspended(b);
}

static void resumed(struct vpci *vpci)
{
	struct balloon *b = container_of(vpci, struct balloon, vpci);
	b->shown = (struct balloon_shown){.num_pages = b->target_pages, .hint_cmd = b->hint_cmd};
	balloon_target_resumed(b);
}

static void settled(struct vpci *vpci)
{
	balloon_publish(container_of(vpci, struct balloon, vpci));
}

static void reset(struct vpci *vpci)
{
	struct balloon *b = container_of(vpci, struct balloon, vpci);
	for (unsigned role = 0; role < BALLOON_N_QUEUES; role++)
		forget_chain(&b->queues[role]);
	forget_batch(b);
	balloon_lazy_forget(b);
	b->poison_val = 0;
	b->dense_queues = false;
	balloon_map_clear_all(&b->map);
	balloon_stats_forget(b);
	balloon_hint_forget(b);
	balloon_target_forget(b);
	b->shown = (struct balloon_shown){.num_pages = b->target_pages, .hint_cmd = b->hint_cmd};
}

static const uint16_t queue_sizes[BALLOON_N_QUEUES] = {
	/*
	 * Linux fails its probe when the reporting queue has fewer than 32, and
	 * leaves blocks out when the hint queue is full. From the third on a queue
	 * may get any role that is not always there.
	 */
	256, 256, 1024, 1024, 1024,
};

const struct vpci_type balloon_vpci_type = {
	.device_type = 5,
	.pci_class = 0x00FF00, /* unclassified, as other VMMs have it; guests go by the device ID */
	.n_queues = BALLOON_N_QUEUES,
	.queue_sizes = queue_sizes,
	.config_len = sizeof(struct virtio_balloon_config),
	.config_read = config_read,
	.config_write = config_write,
	.has_queue = has_queue,
	.driver_ok = driver_ok,
	.queue_run = queue_run,
	.queue_reset = queue_reset,
	.is_busy = is_busy,
	.suspended = suspended,
	.resumed = resumed,
	.settled = settled,
	.reset = reset,
};
