/* The fake host's clock, which stands still until it is told, deferred work, and how much each piece of that takes. */
#ifndef TESTS_UNIT_FAKECLOCK_H
#define TESTS_UNIT_FAKECLOCK_H

#include "tests/unit/fakehost.h"

/* The ops of the same name in device/host.h. */
uint64_t fakeclock_now_ms(struct host *host);
void fakeclock_timer_arm(struct host *host, struct host_timer *timer, uint64_t delay_ms);
void fakeclock_timer_cancel(struct host *host, struct host_timer *timer);
void fakeclock_defer(struct host *host, struct host_work *work);

/* What this thread did so far; noted is what it did since. */
struct work_done {
	uint64_t steps, discarded;
};
extern _Thread_local uint64_t fakeclock_discarded; /* bytes that this thread asked to discard */
struct work_done fakeclock_work_so_far(const struct fakehost *fh);
void fakeclock_note_work(struct fakehost *fh, struct work_done before);

#endif
