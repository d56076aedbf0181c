/*
 * A struct host for what has to do with file descriptors and time: the ports,
 * lines and events that a device uses are recorded, the clock stands still
 * until a test moves it, and file descriptors are real. Aborts on misuse.
 */
#ifndef TESTS_UNIT_FAKELOOP_H
#define TESTS_UNIT_FAKELOOP_H

#include "device/device.h"

#define FAKELOOP_MAX 256

struct fakeloop {
	struct host host; /* first: the ops find the rest through it */
	uint64_t now_ms;
	int map_error; /* io_map fails with it when it is not 0 */
	struct io_region *regions[FAKELOOP_MAX];
	size_t n_regions;
	struct host_watch *watches[FAKELOOP_MAX];
	uint32_t watch_events[FAKELOOP_MAX];
	size_t n_watches;
	struct host_timer *timers;
	struct host_work *work;
	bool irq[256];
	unsigned irq_edges[256]; /* times the line rose */
	struct host_event events[FAKELOOP_MAX];
	size_t n_events;
	unsigned turns; /* callbacks of watches so far: shows who spins */
};

void fakeloop_init(struct fakeloop *loop);

/* Runs deferred work, due timers and ready fds until nothing is left to do, at most 100000 callbacks. */
void fakeloop_run(struct fakeloop *loop);

/* Moves the clock, then runs. */
void fakeloop_advance(struct fakeloop *loop, uint64_t ms);

/* Port accesses of a vCPU. Ports where nothing is read as all ones. */
uint64_t fakeloop_in(struct fakeloop *loop, uint64_t port, unsigned size);
void fakeloop_out(struct fakeloop *loop, uint64_t port, unsigned size, uint64_t value);

/* Events of that kind so far. */
size_t fakeloop_count_events(const struct fakeloop *loop, enum host_event_kind kind);

/* Creates a device and aborts when that does not work. */
struct device *fakeloop_create(struct fakeloop *loop, const struct device_class *class, const char *id, const void *config);

#endif
