/*
 * Inside of the balloon, shared by its files:
 *
 *   balloon.c         the class, its properties, life, the public calls
 *   balloon_virtio.c  what the transport calls: configuration, queue numbering, the loop over a queue
 *   balloon_pages.c   inflate, deflate and reporting queues: chains to pages and ranges
 *   balloon_lazy.c    when inflated pages go back to the host
 *   balloon_hint.c    the hint queue and the runs that the host starts
 *   balloon_stats.c   the statistics queue
 *   balloon_target.c  target, actual, progress, events
 *   balloon_map.c     pieces of large host pages
 *   balloon_state.c   what users see
 *
 * Everything here is called with the device's lock held. Who lets go of it after
 * a change calls balloon_publish() first.
 */
#ifndef DEVICE_BALLOON_IMPL_H
#define DEVICE_BALLOON_IMPL_H

#include "device/balloon.h"
#include "device/balloon_map.h"
#include "device/page_ranges.h"
#include "device/page_set.h"
#include "device/vpci.h"
#include "util/log.h"

#define BALLOON_NO_QUEUE (-1)
#define BALLOON_MAX_BATCH 256 /* inflate requests */

/*
 * A queue in its role. A chain may name more pages than one wakeup serves: it
 * stays here with the position where to go on.
 */
struct balloon_queue {
	int index;	  /* of the virtqueue that the driver uses for this role; BALLOON_NO_QUEUE before DRIVER_OK or without the feature */
	bool busy;	  /* `chain` is not served wholly */
	uint8_t faults;	  /* what was wrong with `chain` so far, bit i: enum balloon_fault i */
	unsigned buf;	  /* next buffer of the chain */
	uint32_t offset;  /* bytes of it that are done */
	uint8_t piece[4]; /* begin of a page number that goes on in the next buffer */
	unsigned piece_len;
	bool has_begun; /* the hint queue: the command in `chain`, if any, was taken */
	struct balloon_queue_counters counters;
	struct virtq_chain chain;
};

/* For readers, see balloon_state.c. */
struct balloon_view {
	pthread_mutex_t lock; /* taken last, held for a copy only */
	uint64_t stats_ms, hint_begin_ms;
	struct balloon_state state;
};

/* The fields of the device configuration that are the host's, as the driver sees them: they stand still while it is suspended. */
struct balloon_shown {
	uint32_t num_pages;
	uint32_t hint_cmd;
};

struct balloon {
	struct device dev;
	struct vpci vpci;
	struct balloon_queue queues[BALLOON_N_QUEUES];
	bool dense_queues;
	struct balloon_shown shown;
	struct balloon_view view;

	/* balloon_target.c; pages are 4096 bytes */
	uint32_t target_pages; /* num_pages */
	uint32_t actual_pages;
	uint32_t poison_val;
	bool target_was_read; /* by the driver, since it was set */
	bool stalled;
	bool watching;	      /* stall_timer is armed */
	uint64_t progress_ms; /* when actual last came nearer to the target */
	uint64_t stall_ms;
	struct host_timer stall_timer;
	uint64_t oom_deflations;

	/* balloon_stats.c */
	uint64_t stats[BALLOON_N_STATS];
	struct balloon_other_stat other_stats[BALLOON_N_OTHER_STATS];
	unsigned n_other_stats;
	uint64_t stats_time_s;
	uint64_t stats_ms; /* of the host's clock, when the values came */
	uint64_t stats_interval_s;
	bool stats_parked; /* the driver's buffer waits here to be asked for new values */
	bool stats_asked;
	uint16_t stats_head;
	struct host_timer stats_timer;

	/* balloon_hint.c */
	struct balloon_hint_run hint;
	uint32_t hint_cmd;	/* free_page_hint_cmd_id */
	uint32_t hint_last_cmd; /* the last one that came from the driver: pages belong to it */
	bool hint_is_over;	/* the driver sent its last hint, or is given up */
	bool hint_timed_out;
	bool hint_is_watched; /* the host notes what the guest writes: for this run, or for one that is over */
	uint64_t hint_begin_ms;
	uint64_t hint_pending_bytes; /* in hint_batch */
	struct page_ranges hint_batch;
	struct host_work hint_work;
	struct host_timer hint_timer;

	/* balloon_lazy.c */
	struct page_set inflated; /* in the balloon, and not given back yet; where there is a map: whole host pages */
	bool lazy_ticks;	  /* lazy_timer is armed */
	uint64_t lazy_max_pages;  /* that may wait, by what the host got through last */
	uint64_t lazy_since_ms;	  /* when it was first armed */
	uint64_t lazy_last_ms;	  /* when the driver's last pages came */
	struct host_timer lazy_timer;

	/* Inflate requests that are returned once their pages are dealt with, see balloon_virtio.c. */
	uint16_t batch_heads[BALLOON_MAX_BATCH];
	unsigned n_batch_heads;
	bool is_discarding; /* the batch is closed, and not all of its discards are done */

	/* balloon_pages.c */
	struct log_limit refusals; /* of the host to discard */
	struct balloon_map map;
	struct page_ranges batch;
	uint32_t pfns[PAGE_RANGES_MAX];
};

enum balloon_served {
	BALLOON_SERVED,	 /* the chain can be returned */
	BALLOON_BATCHED, /* it is returned with those that came with it */
	BALLOON_PARKED,	 /* it is kept */
	BALLOON_MORE,	 /* the budget is used up */
};

extern const struct vpci_type balloon_vpci_type;
uint64_t balloon_offer(const struct balloon_config *config);

/*
 * Each serves q->chain from its position on, doing at most *budget of work
 * (units are its own) and taking what it did off.
 */
enum balloon_served balloon_serve_inflate(struct balloon *b, struct balloon_queue *q, uint64_t *budget);
enum balloon_served balloon_serve_deflate(struct balloon *b, struct balloon_queue *q, uint64_t *budget);
enum balloon_served balloon_serve_report(struct balloon *b, struct balloon_queue *q, uint64_t *budget);
enum balloon_served balloon_serve_stats(struct balloon *b, struct balloon_queue *q, uint64_t *budget);
enum balloon_served balloon_serve_hint(struct balloon *b, struct balloon_queue *q, uint64_t *budget);

/* Gives ranges back to the host, on account of the queue; n may be 0. */
void balloon_discard(struct balloon *b, struct balloon_queue *q, const struct gmem_range *ranges, size_t n);

/* Counts what came of discarding n ranges on account of the queue, and logs a refusal; a fault it is the caller's to note. */
void balloon_count_discard(struct balloon *b, struct balloon_queue *q, size_t n, const struct discard_result *result);

/* Something was wrong with the chain: counted once a chain and kind, and logged. */
void balloon_note_fault(struct balloon *b, struct balloon_queue *q, enum balloon_fault fault);

/*
 * The bytes that the driver put into the chain for the device to read, `max` at
 * most, copied out of guest memory. Returns how many there are in all.
 */
uint64_t balloon_read_chain(struct balloon *b, struct balloon_queue *q, uint8_t *to, size_t max);

/* The next buffer of q->chain is the one to go on with. */
void balloon_next_buf(struct balloon_queue *q);

/*
 * Adds whole host pages of the current buffer, which is a block of pages, to the batch: about *budget bytes from where it
 * is on, taking those off and going on to the next buffer at its end. Notes what is no RAM. At most a run for each region;
 * returns their bytes.
 */
uint64_t balloon_take_block(struct balloon *b, struct balloon_queue *q, struct page_ranges *batch, uint64_t *budget);

/* The host's side of the configuration changed: the driver sees it and is told, unless it is suspended; then later. */
void balloon_config_changed(struct balloon *b);

void balloon_tell(struct balloon *b, enum host_event_kind kind, uint64_t bytes);

/* balloon_state.c */
void balloon_publish(struct balloon *b);

/* balloon_lazy.c */
int balloon_lazy_init(struct balloon *b); /* 0 or -ENOMEM */
void balloon_lazy_finish(struct balloon *b);
void balloon_lazy_forget(struct balloon *b); /* the driver is gone, and its pages with it */
void balloon_lazy_add(struct balloon *b);    /* the runs of b->batch were inflated */
void balloon_lazy_remove(struct balloon *b); /* they were deflated: they will not be discarded */
/* Discards a bounded amount. True when more has to go before the requests that the pages came with may be returned. */
bool balloon_lazy_discard(struct balloon *b);
void balloon_lazy_flush(struct balloon *b); /* all that waits goes now */

/* balloon_hint.c */
void balloon_hint_init(struct balloon *b);
void balloon_hint_forget(struct balloon *b); /* the driver is gone */
void balloon_hint_finish(struct balloon *b);
int balloon_hint_begin(struct balloon *b); /* as balloon_hint_start() */

/* balloon_stats.c */
void balloon_stats_init(struct balloon *b, uint64_t interval_s);
void balloon_stats_forget(struct balloon *b);			      /* the driver is gone, its values with it */
int balloon_stats_ask(struct balloon *b);			      /* as balloon_request_stats() */
void balloon_stats_set_interval(struct balloon *b, uint64_t seconds); /* as balloon_set_stats_interval() */

/* balloon_target.c */
void balloon_target_init(struct balloon *b, uint32_t target_pages, uint64_t stall_timeout_s);
void balloon_target_driver_ok(struct balloon *b);
void balloon_target_suspended(struct balloon *b);
void balloon_target_resumed(struct balloon *b);
void balloon_target_forget(struct balloon *b); /* the driver is gone; the target stays */
void balloon_target_set(struct balloon *b, uint32_t pages);
void balloon_actual_written(struct balloon *b, uint32_t pages);

#endif
