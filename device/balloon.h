/*
 * virtio-balloon (VIRTIO 1.4, section 5.5): what the rest of the program may
 * ask of it. Sizes are bytes taken from the guest.
 */
#ifndef DEVICE_BALLOON_H
#define DEVICE_BALLOON_H

#include "device/device.h"

extern const struct device_class balloon_class;

/* Filled through the class's property table. */
struct balloon_config {
	uint64_t size;		  /* initial target, bytes, a multiple of 4096, less than RAM */
	bool deflate_on_oom;	  /* offer VIRTIO_BALLOON_F_DEFLATE_ON_OOM */
	bool free_page_reporting; /* offer VIRTIO_BALLOON_F_PAGE_REPORTING */
	bool free_page_hinting;	  /* offer VIRTIO_BALLOON_F_FREE_PAGE_HINT */
	uint64_t statistics;	  /* polling interval in seconds, 0: only on demand */
	uint64_t stall_timeout;	  /* seconds without progress after which a target counts as stalled, 1 to 86400 */
	char *id;		  /* NULL: "balloon0" */
	uint64_t pci_device_id;	  /* slot 1 to 31; 0: the first free one */
};

/* 16 tags are known: 0 to 9 of the specification (section 5.5.6.5), 10 to 15 of Linux. Others are kept by their number, as many as fit. */
#define BALLOON_N_STATS 16
#define BALLOON_N_OTHER_STATS 16
#define BALLOON_STAT_UNSET UINT64_MAX

struct balloon_other_stat {
	uint16_t tag;
	uint64_t value;
};

/* What was wrong with a request of the guest, or what the host refused of it. Each kind is counted once a request. */
enum balloon_fault {
	BALLOON_FAULT_OUTSIDE,	  /* a page or block outside RAM */
	BALLOON_FAULT_PARTIAL,	  /* a block that is not whole host pages */
	BALLOON_FAULT_DIRECTION,  /* a buffer of the wrong direction */
	BALLOON_FAULT_UNREADABLE, /* a buffer that is not in RAM itself */
	BALLOON_FAULT_LEFTOVER,	  /* bytes that make no whole page number or statistic */
	BALLOON_FAULT_PROTOCOL,	  /* out of turn: a second statistics buffer, a hinting command of a wrong length */
	BALLOON_FAULT_DISCARD,	  /* the host refused to take pages back */
	BALLOON_N_FAULTS,
};

/* A name of a few words and dashes, for logs and JSON. */
const char *balloon_fault_name(enum balloon_fault fault);

/* Work of one queue since the device was created. */
struct balloon_queue_counters {
	uint64_t buffers;	  /* used entries published */
	uint64_t pages;		  /* 4 KiB pages named by the guest and found valid */
	uint64_t ranges;	  /* ranges handed to the host after merging */
	uint64_t discarded_bytes; /* given back to the host */
	uint64_t failed_bytes;	  /* could not be given back */
	uint64_t written_bytes;	  /* hint queue: left alone, since the guest wrote them after the run had begun */
	uint64_t bad_pages;	  /* outside RAM, misaligned, too small */
	uint64_t bad_buffers;	  /* requests with a fault of the guest's */
	uint64_t faults[BALLOON_N_FAULTS];
};

enum balloon_queue_role { BALLOON_Q_INFLATE, BALLOON_Q_DEFLATE, BALLOON_Q_STATS, BALLOON_Q_HINT, BALLOON_Q_REPORT, BALLOON_N_QUEUES };

enum balloon_hint_phase {
	BALLOON_HINT_NONE,	/* there was no run yet */
	BALLOON_HINT_RUNNING,	/* the guest hints, or has not noticed yet that it should */
	BALLOON_HINT_DONE,	/* all that the guest had to hint was looked at */
	BALLOON_HINT_TIMED_OUT, /* the guest fell silent; what it had hinted was looked at */
	BALLOON_HINT_ABORTED,	/* the driver went away in mid-run */
};

const char *balloon_hint_phase_name(enum balloon_hint_phase phase);

/* A free page hinting run, the current or the last one. */
struct balloon_hint_run {
	enum balloon_hint_phase phase;
	uint32_t id;		  /* its command id (section 5.5.6.6): 2 and up, 0 before the first run */
	uint64_t runs;		  /* since the device was created */
	uint64_t hinted_bytes;	  /* whole pages that the guest hinted */
	uint64_t discarded_bytes; /* of them: given back to the host */
	uint64_t written_bytes;	  /* left alone, since the guest wrote them after the run had begun */
	uint64_t failed_bytes;	  /* could not be given back */
	uint64_t duration_ms;	  /* so far, or of the whole run */
	uint64_t holds;		  /* times that the vCPUs were held for a discard */
	uint64_t longest_hold_us;
};

/* Everything that a user can see, copied at one moment. */
struct balloon_state {
	uint64_t target_bytes;
	uint64_t actual_bytes; /* as the guest says; may exceed RAM */
	uint64_t held_bytes;   /* in the balloon, but not given back: their host page is larger and not wholly in it */
	uint64_t offered_features;
	uint64_t negotiated_features; /* 0 before FEATURES_OK */
	uint8_t status;		      /* device status field, VIRTIO 1.4 section 2.1 */
	bool driver_ok;
	bool suspended;	   /* by the driver, VIRTIO 1.4 section 2.9 */
	bool dense_queues; /* the driver numbers its queues without gaps, as Linux does; known once driver_ok was set */
	uint32_t poison_val;
	bool stalled; /* target not approached for stall_timeout_s */
	uint64_t stall_timeout_s;
	uint64_t oom_deflations; /* times the guest deflated below the target on its own */
	uint64_t stats[BALLOON_N_STATS];
	struct balloon_other_stat other_stats[BALLOON_N_OTHER_STATS];
	unsigned n_other_stats;
	uint64_t stats_time_s; /* host wall clock (CLOCK_REALTIME seconds) of the values, 0: never */
	uint64_t stats_age_ms; /* by a monotonic clock; 0 while there are none */
	bool stats_asked;      /* the guest has not answered the last question yet */
	uint64_t stats_interval_s;
	struct balloon_hint_run hint;
	struct balloon_queue_counters queues[BALLOON_N_QUEUES];
};

/* All calls: any thread; never wait for the guest. `dev` must be a balloon. */

/* Never waits for work in hand either: it copies what the device published after its last piece of work. */
void balloon_get_state(struct device *dev, struct balloon_state *state);

/* Asks the guest for a balloon of `bytes` (rounded down to 4096). -ERANGE unless less than RAM. */
int balloon_set_target(struct device *dev, uint64_t bytes);

/* Polling interval in seconds, 0 stops it and keeps the values. It holds for drivers to come, too. -EINVAL above UINT32_MAX. */
int balloon_set_stats_interval(struct device *dev, uint64_t seconds);

/*
 * Asks the guest for fresh statistics now; they are there when stats_time_s has
 * moved, which may be never. -ENOTSUP without a live driver or the stats
 * feature, -EBUSY while the guest has not answered the last time.
 */
int balloon_request_stats(struct device *dev);

/*
 * Starts a free page hinting run: the guest hints at pages that it does not
 * use, and those that it has not written since the run began, or that are all
 * zero, go back to the host. Ends by itself, with HOST_EVENT_BALLOON_HINTED.
 * -ENOTSUP without a live driver that negotiated hinting, -EBUSY while a run is
 * on, any other -errno when the host cannot watch the guest's writes.
 */
int balloon_hint_start(struct device *dev);

#endif
