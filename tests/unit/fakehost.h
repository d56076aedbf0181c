/*
 * A machine without KVM for tests: real guest memory between guard pages, port
 * and MMIO dispatch as a vCPU would see it, a clock that stands still until it
 * is told, deferred work that waits until it is run, and a record of everything
 * that a device asked for. Recorders and dispatch may be used from several
 * threads; clock and work belong to the test's.
 */
#ifndef TESTS_UNIT_FAKEHOST_H
#define TESTS_UNIT_FAKEHOST_H

#include <pthread.h>

#include "device/host.h"

#define FAKE_LOW_GPA 0ULL
#define FAKE_HIGH_GPA (4ULL << 30)
#define FAKE_REGION_LEN (64ULL << 20)

#define FAKE_MAX_REGIONS 64
#define FAKE_MAX_GSI 32
#define FAKE_MAX_MSI 64
#define FAKE_MAX_EVENTS 64
#define FAKE_N_EVENT_KINDS (HOST_EVENT_BALLOON_HINTED + 1)

/* By subject, not by size: there is one. NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding) */
struct fakehost {
	struct host host; /* first: the ops find the rest by it */
	pthread_mutex_t lock;
	size_t map_len[GMEM_MAX_REGIONS];
	uint8_t *map[GMEM_MAX_REGIONS];

	struct io_region *regions[FAKE_MAX_REGIONS]; /* in the order of their mapping */
	size_t n_regions;
	int io_map_error; /* what io_map returns, 0 to map */

	/* Interrupts */
	bool irq_level[FAKE_MAX_GSI];
	unsigned irq_raised[FAKE_MAX_GSI]; /* rising edges */
	uint64_t n_msis;
	uint64_t msi_by_data[FAKE_MAX_MSI]; /* how many with this data; the fake guest puts the vector there */
	uint64_t last_msi_address;
	int msi_error; /* what msi_send returns */

	/* Discards: also really done with madvise, unless discard_error says otherwise */
	struct gmem_range *discards;
	size_t n_discards, room_discards; /* n_discards goes on counting when there is no room */
	uint64_t discard_calls;
	uint64_t discarded_bytes;
	int discard_error;
	bool discards_unrecorded;		     /* for long runs */
	bool discards_unchecked;		     /* for benches: looking at ranges takes as long as making them */
	void (*before_discard)(struct fakehost *fh); /* called without the fake's lock, NULL for none */
	void (*discard)(struct fakehost *fh, const struct gmem_range *ranges, size_t n, struct discard_result *result); /* NULL: madvise */

	/* Watching writes (fakewatch.c) */
	int watch_error;  /* what watch_writes(true) returns, 0 to watch */
	uint64_t watches; /* times that it began */
	bool watching;
	uint8_t *written[GMEM_MAX_REGIONS]; /* a byte a page since it began last */
	pthread_rwlock_t guest;		    /* for writing while the vCPUs are held */
	bool held;
	uint64_t holds;

	/* Time and work */
	uint64_t now_ms;
	struct host_timer *timers;
	struct host_work *work;
	uint64_t timer_arms;

	/* Events */
	struct host_event events[FAKE_MAX_EVENTS]; /* the first ones; device_id is not kept */
	uint64_t n_events;
	uint64_t event_count[FAKE_N_EVENT_KINDS];
	uint64_t event_value[FAKE_N_EVENT_KINDS]; /* of the last one */

	/* The most that one access of a vCPU or one piece of deferred work took while `steps`, the work of its thread so far, is not NULL */
	uint64_t (*steps)(void);
	uint64_t most_steps;
	uint64_t most_discarded; /* bytes that it asked for */

	/* Broken promises towards the host (device/host.h), each printed: every test ends with 0. */
	unsigned contract_errors;
};

/* Two regions of FAKE_REGION_LEN. page_size_bytes is what gmem says. Asserts that memory is there. */
struct fakehost *fakehost_create(uint64_t page_size_bytes);
/* The same with regions of any size; high_len 0 for none. */
struct fakehost *fakehost_create_sized(uint64_t page_size_bytes, uint64_t low_len, uint64_t high_len);
void fakehost_destroy(struct fakehost *fh);

/* Guest RAM at gpa; asserts that it is RAM. */
void *fakehost_ram(struct fakehost *fh, uint64_t gpa, uint64_t len);

/*
 * Around what a thread that plays a vCPU does to guest memory by itself: it
 * does not go on while the vCPUs are held. fakehost_read() and _write() do it
 * on their own.
 */
void fakehost_enter_guest(struct fakehost *fh);
void fakehost_leave_guest(struct fakehost *fh);

/* What a vCPU does. RAM wins, then the region mapped first; nobody: all-ones, dropped. */
uint64_t fakehost_read(struct fakehost *fh, enum io_space space, uint64_t address, unsigned size);
void fakehost_write(struct fakehost *fh, enum io_space space, uint64_t address, unsigned size, uint64_t value);

/* Moves the clock, firing timers on the way. */
void fakehost_advance(struct fakehost *fh, uint64_t ms);
bool fakehost_has_timer(const struct fakehost *fh);

/* Runs what is queued now, but not what that queues. Returns how many ran. */
unsigned fakehost_run_work(struct fakehost *fh);
/* Runs work until none is left, `limit` rounds at most. False when some is left. */
bool fakehost_settle(struct fakehost *fh, unsigned limit);

/* Whether any recorded discard covers the page at gpa; forgetting them all. */
bool fakehost_was_discarded(const struct fakehost *fh, uint64_t gpa);
void fakehost_forget_discards(struct fakehost *fh);

/* Lines that went to stderr between the two calls. Not nested. */
void fakehost_capture_log(void);
unsigned fakehost_end_log(void);

#endif
