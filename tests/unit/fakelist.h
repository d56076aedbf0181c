/* The lists of timers and of deferred work that the fakes of a host keep. */
#ifndef TESTS_UNIT_FAKELIST_H
#define TESTS_UNIT_FAKELIST_H

#include "device/host.h"

/* Armed or not. */
void fakelist_unlink_timer(struct host_timer **list, struct host_timer *timer);
void fakelist_arm_timer(struct host_timer **list, struct host_timer *timer, uint64_t deadline_ms);

/* At the end, unless it is there. */
void fakelist_add_work(struct host_work **list, struct host_work *work);

#endif
