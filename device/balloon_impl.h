/*
 * Inside of the balloon, shared by its files:
 *
 *   balloon.c         the class, its properties, life, the public calls
 *   balloon_virtio.c  what the transport calls: configuration, queue numbering, the loop over a queue
 *   balloon_pages.c   inflate, deflate and reporting queues: chains to ranges to discards
 *   balloon_stats.c   the statistics queue
 *   balloon_target.c  target, actual, progress, events
 *   balloon_map.c     pieces of large host pages
 *
 * Everything here is called with the device's lock held.
 */
#ifndef DEVICE_BALLOON_IMPL_H
#define DEVICE_BALLOON_IMPL_H

#include "device/balloon.h"
#include "device/balloon_map.h"
#include "device/page_ranges.h"
#include "device/vpci.h"

#define BALLOON_NO_QUEUE (-1)

/*
 * A queue in its role. A chain may name more pages than one wakeup serves: it
 * stays here with the position where to go on.
 */
struct balloon_queue {
	int index;	  /* of the virtqueue that the driver uses for this role; BALLOON_NO_QUEUE before DRIVER_OK or without the feature */
	bool busy;	  /* `chain` is not served wholly */
	bool bad;	  /* something was wrong with `chain` */
	unsigned buf;	  /* next buffer of the chain */
	uint32_t offset;  /* bytes of it that are done */
	uint8_t piece[4]; /* begin of a page number that goes on in the next buffer */
	unsigned piece_len;
	struct balloon_queue_counters counters;
	struct virtq_chain chain;
};

struct balloon {
	struct device dev;
	struct vpci vpci;
	struct balloon_queue queues[BALLOON_N_QUEUES];

	/* balloon_target.c; pages are 4096 bytes */
	uint32_t target_pages; /* num_pages */
	uint32_t actual_pages;
	uint32_t poison_val;
	bool target_was_read; /* by the driver, since it was set */
	bool stalled;
	bool watching;	      /* stall_timer is armed */
	uint64_t progress_ms; /* when actual last came nearer to the target */
	struct host_timer stall_timer;
	uint64_t oom_deflations;

	/* balloon_stats.c */
	uint64_t stats[BALLOON_N_STATS];
	uint64_t stats_time_s;
	uint64_t stats_interval_s;
	bool stats_parked; /* the driver's buffer waits here to be asked for new values */
	uint16_t stats_head;
	struct host_timer stats_timer;

	/* balloon_pages.c */
	struct balloon_map map;
	struct page_ranges batch;
	uint32_t pfns[PAGE_RANGES_MAX];
};

enum balloon_served {
	BALLOON_SERVED, /* the chain can be returned */
	BALLOON_PARKED, /* it is kept */
	BALLOON_MORE,	/* the budget is used up */
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

/* Something in the payload was wrong: counted once a chain, and logged. */
void balloon_bad_chain(struct balloon *b, struct balloon_queue *q, const char *what);

/* balloon_stats.c */
void balloon_stats_init(struct balloon *b, uint64_t interval_s);
void balloon_stats_forget(struct balloon *b);			     /* the driver is gone, its values with it */
int balloon_stats_ask(struct balloon *b);			     /* as balloon_request_stats() */
int balloon_stats_set_interval(struct balloon *b, uint64_t seconds); /* as balloon_set_stats_interval() */

/* balloon_target.c */
void balloon_target_init(struct balloon *b, uint32_t target_pages);
void balloon_target_driver_ok(struct balloon *b);
void balloon_target_forget(struct balloon *b); /* the driver is gone; the target stays */
void balloon_target_set(struct balloon *b, uint32_t pages);
void balloon_actual_written(struct balloon *b, uint32_t pages);

#endif
