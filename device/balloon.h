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
	uint64_t statistics;	  /* polling interval in seconds, 0: only on demand */
	char *id;		  /* NULL: "balloon0" */
	uint64_t pci_device_id;	  /* slot 1 to 31; 0: the first free one */
};

/* 16 tags are known: 0 to 9 of the specification (section 5.5.6.5), 10 to 15 of Linux. */
#define BALLOON_N_STATS 16
#define BALLOON_STAT_UNSET UINT64_MAX

/* Work of one queue since the device was created. */
struct balloon_queue_counters {
	uint64_t buffers;	  /* used entries published */
	uint64_t pages;		  /* 4 KiB pages named by the guest and found valid */
	uint64_t ranges;	  /* ranges handed to the host after merging */
	uint64_t discarded_bytes; /* given back to the host */
	uint64_t failed_bytes;	  /* could not be given back */
	uint64_t bad_pages;	  /* outside RAM, misaligned, too small */
	uint64_t bad_buffers;	  /* wrong direction, trailing bytes, a chain that cannot be read */
};

enum balloon_queue_role { BALLOON_Q_INFLATE, BALLOON_Q_DEFLATE, BALLOON_Q_STATS, BALLOON_Q_HINT, BALLOON_Q_REPORT, BALLOON_N_QUEUES };

/* Everything that a user can see, copied at one moment. */
struct balloon_state {
	uint64_t target_bytes;
	uint64_t actual_bytes; /* as the guest says; may exceed RAM */
	uint64_t offered_features;
	uint64_t negotiated_features; /* 0 before FEATURES_OK */
	uint8_t status;		      /* device status field, VIRTIO 1.4 section 2.1 */
	bool driver_ok;
	bool stalled;		 /* target not approached for a while */
	uint64_t oom_deflations; /* times the guest deflated below the target on its own */
	uint64_t stats[BALLOON_N_STATS];
	uint64_t stats_time_s; /* host wall clock (CLOCK_REALTIME seconds) of the values, 0: never */
	uint64_t stats_interval_s;
	struct balloon_queue_counters queues[BALLOON_N_QUEUES];
};

/* All calls: any thread; never wait for the guest. `dev` must be a balloon. */
void balloon_get_state(struct device *dev, struct balloon_state *state);

/* Asks the guest for a balloon of `bytes` (rounded down to 4096). -ERANGE unless less than RAM. */
int balloon_set_target(struct device *dev, uint64_t bytes);

/* Polling interval in seconds, 0 stops it and keeps the values. -EINVAL above UINT32_MAX, -ENOTSUP without the stats feature negotiated. */
int balloon_set_stats_interval(struct device *dev, uint64_t seconds);

/*
 * Asks the guest for fresh statistics now; they are there when stats_time_s has
 * moved, which may be never. -ENOTSUP without a live driver or the stats
 * feature, -EBUSY while the guest has not answered the last time.
 */
int balloon_request_stats(struct device *dev);

#endif
