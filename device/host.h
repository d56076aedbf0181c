/*
 * What a device may ask of the machine that it is part of. KVM is one
 * implementation (kvm/vm.c), the fake host of the tests another; a device
 * knows neither. An embedder fills in a struct host and owns it; it outlives
 * every device that was given it.
 *
 * Threads. Register accesses (io_ops) arrive on any vCPU thread, several at
 * once; timers, deferred work and fd watches on the one event-loop thread.
 * Each device has one lock (struct device) and takes it in each of these
 * entry points. Every op below may be called from any thread, with the
 * device's lock held, unless it says otherwise.
 */
#ifndef DEVICE_HOST_H
#define DEVICE_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct host;

/* ---- Guest memory ---------------------------------------------------- */

/* One run of guest RAM: guest-physical [gpa, gpa + len) is the host's [hva, hva + len). */
struct gmem_region {
	uint64_t gpa;
	uint64_t len; /* bytes, a multiple of 4096 */
	uint8_t *hva;
};

/* All of guest RAM, sorted by gpa, without overlaps. Constant once the machine is built. */
#define GMEM_MAX_REGIONS 4
struct gmem {
	struct gmem_region regions[GMEM_MAX_REGIONS];
	size_t n_regions;
	uint64_t page_size;  /* bytes: the host's page size behind guest RAM (2 MiB or 1 GiB on hugetlb) */
	uint64_t block_size; /* bytes: of smaller pieces the host splits a huge page to free them; 0: nothing larger than page_size to split */
};

/*
 * The one way to guest memory (device/gmem.c). Returns the host address of
 * [gpa, gpa + len), or NULL unless all of it lies in one region. len 0 is
 * valid inside a region. What it points to can change at any moment: read
 * each guest field once, into a local.
 */
void *gmem_at(const struct gmem *gmem, uint64_t gpa, uint64_t len);

/* The region that holds gpa, NULL for none. */
const struct gmem_region *gmem_region_of(const struct gmem *gmem, uint64_t gpa);

/* Bytes of guest RAM. */
uint64_t gmem_size(const struct gmem *gmem);

/* A range of guest-physical memory in bytes. */
struct gmem_range {
	uint64_t gpa;
	uint64_t len;
};

/* What became of a discard. */
struct discard_result {
	uint64_t discarded_bytes; /* given back to the host */
	uint64_t failed_bytes;	  /* refused by the host, or part of a huge page that is not whole */
	uint64_t written_bytes;	  /* discard_unwritten: left alone, since the guest has written them */
	int error;		  /* the first errno seen, 0 for none */
};

/* ---- Ports and MMIO -------------------------------------------------- */

enum io_space { IO_PIO, IO_MMIO };

/*
 * offset is relative to the region and offset + size lies within it; size is
 * 1, 2, 4 or 8 (PIO: up to 4). A read returns the value in its low `size` bytes.
 */
struct io_ops {
	uint64_t (*read)(void *opaque, uint64_t offset, unsigned size);
	void (*write)(void *opaque, uint64_t offset, unsigned size, uint64_t value);
};

/*
 * Owned by the device and embedded in it. Between io_map and io_unmap space,
 * base and len belong to the host. Where two regions overlap the one that was
 * mapped first answers; RAM wins over both. An access that was under way when
 * io_unmap returned may still call the ops, so a region lives as long as its
 * device.
 */
struct io_region {
	enum io_space space;
	uint64_t base;
	uint64_t len;
	const struct io_ops *ops;
	void *opaque;
	bool mapped; /* the host's */
};

/* ---- Time, deferred work, file descriptors --------------------------- */

/* Embedded in its owner; fn runs on the event-loop thread. The rest is the host's. */
struct host_timer {
	void (*fn)(void *opaque);
	void *opaque;
	uint64_t deadline_ms;
	bool armed;
	struct host_timer *next;
};

/* Runs fn once, soon, on the event-loop thread. Queueing queued work again is a no-op. */
struct host_work {
	void (*fn)(void *opaque);
	void *opaque;
	bool queued;
	struct host_work *next;
};

/* Calls fn on the event-loop thread while the fd is ready. events: EPOLLIN, EPOLLOUT. */
struct host_watch {
	int fd;
	void (*fn)(void *opaque, uint32_t events);
	void *opaque;
	bool active;
};

/* ---- Events ---------------------------------------------------------- */

enum host_event_kind {
	HOST_EVENT_POWEROFF,	    /* the guest asked for S5 */
	HOST_EVENT_RESET,	    /* the guest asked for a reset */
	HOST_EVENT_PANIC,	    /* pvpanic; the guest goes on until it stops itself */
	HOST_EVENT_CRASH_LOADED,    /* pvpanic: the guest's kdump kernel takes over */
	HOST_EVENT_BALLOON_CHANGE,  /* value: the new actual, bytes taken from the guest */
	HOST_EVENT_BALLOON_REACHED, /* value: the target that was reached, bytes */
	HOST_EVENT_BALLOON_STALLED, /* value: actual, bytes; the target was not approached for a while */
	HOST_EVENT_BALLOON_OOM,	    /* value: actual, bytes, after the guest deflated on its own */
	HOST_EVENT_BALLOON_READY,   /* the guest's driver set DRIVER_OK */
	HOST_EVENT_BALLOON_HINTED,  /* value: bytes given back; a free page hinting run has ended */
};

struct host_event {
	enum host_event_kind kind;
	const char *device_id; /* who speaks; valid during the call only */
	uint64_t value;
};

/* ---- The machine ----------------------------------------------------- */

struct host_ops {
	/* 0, or -EEXIST (mapped already), -ENOSPC, -EINVAL (empty or wrapping range). */
	int (*io_map)(struct host *host, struct io_region *region);
	void (*io_unmap)(struct host *host, struct io_region *region);

	/* Sets the level of an interrupt line (GSI). Levels of several devices on one line are the caller's to combine. */
	void (*irq_set)(struct host *host, uint32_t gsi, bool level);

	/* Sends one MSI message as the guest programmed it. 0, or -errno when the host refuses it. */
	int (*msi_send)(struct host *host, uint64_t address, uint32_t data);

	/*
	 * Gives the memory behind the ranges back to the host: they read as
	 * zero afterwards. Ranges are sorted, disjoint, not empty, multiples
	 * of 4096, each within one region. Blocks until done. Counts whole
	 * host pages only; what could not be freed keeps its contents.
	 */
	void (*discard)(struct host *host, const struct gmem_range *ranges, size_t n, struct discard_result *result);

	/*
	 * Begins to note which pages the guest writes, all of RAM, or ends it and
	 * forgets them. Every write that a vCPU makes after the return of
	 * watch_writes(true) is noted. 0, or -errno: it is not watched then.
	 * Beginning twice begins anew. Ending is for the event-loop thread alone,
	 * and fine if nothing has begun.
	 */
	int (*watch_writes)(struct host *host, bool on);

	/*
	 * Event-loop thread only, no device's lock held. When hold_vcpus() returns
	 * no vCPU runs guest code or a device's callback; release_vcpus() lets those
	 * go on that it stopped and returns the microseconds that it took in all.
	 * Not nested.
	 */
	void (*hold_vcpus)(struct host *host);
	uint64_t (*release_vcpus)(struct host *host);

	/*
	 * Like discard, between hold_vcpus() and release_vcpus() and while writes
	 * are watched: pages that were written since are left alone, unless they are
	 * zero and so do not change, and so is everything when the host cannot tell
	 * (counted as failed).
	 */
	void (*discard_unwritten)(struct host *host, const struct gmem_range *ranges, size_t n, struct discard_result *result);

	/* Milliseconds of a monotonic clock. */
	uint64_t (*now_ms)(struct host *host);

	/* (Re)arms for delay_ms from now; a fired timer is disarmed before fn runs. */
	void (*timer_arm)(struct host *host, struct host_timer *timer, uint64_t delay_ms);
	/* On the loop thread fn does not run after the return; from another thread a call under way may still be finishing. */
	void (*timer_cancel)(struct host *host, struct host_timer *timer);

	void (*defer)(struct host *host, struct host_work *work);

	/* Event-loop thread only. 0 or -errno. Changing events: call again. */
	int (*watch)(struct host *host, struct host_watch *watch, uint32_t events);
	void (*unwatch)(struct host *host, struct host_watch *watch);

	/* Never blocks; receivers get it on the event-loop thread, later. */
	void (*event)(struct host *host, const struct host_event *event);
};

struct host {
	const struct host_ops *ops;
	struct gmem gmem;
};

#endif
