/*
 * The event loop: one thread that waits in epoll and runs timers, deferred work
 * and the callbacks of file descriptors. When nothing is armed it sleeps
 * without end.
 *
 * Timers share one timerfd, so arming one from another thread costs a system
 * call at most and does not wake the loop. Callbacks run without the loop's
 * lock; each may arm, cancel, watch, unwatch and free what it likes.
 */
#ifndef KVM_LOOP_H
#define KVM_LOOP_H

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "device/host.h"
#include "util/fail.h"

struct loop {
	bool ready; /* loop_init() succeeded */
	int epoll_fd;
	int timer_fd;
	int wake_fd;   /* eventfd: deferred work is there, or the loop is to end */
	int signal_fd; /* -1 before loop_catch_signals() */
	pthread_mutex_t lock;
	struct host_timer *timers;    /* the lock's; earliest deadline first */
	struct host_work *work_first; /* the lock's; oldest first */
	struct host_work *work_last;
	bool ended; /* the lock's */
	struct host_watch timer_watch, wake_watch, signal_watch;
	void (*on_signal)(void *opaque, int signo);
	void *on_signal_opaque;
};

/* 0, or -errno with the reason in `why`. */
int loop_init(struct loop *loop, struct fail *why);

/* What is still armed, queued or watched is forgotten without being touched. Zeroed is fine, twice too. */
void loop_finish(struct loop *loop);

/* Runs callbacks on the calling thread until loop_end(). 0, or -errno when epoll fails. */
int loop_run(struct loop *loop);

/* Makes loop_run() return after the callback under way. Any thread, any number of times. */
void loop_end(struct loop *loop);

/*
 * Has these signals, which the caller has blocked in every thread, delivered
 * as calls of fn on the loop thread. Once. 0, or -errno with the reason in `why`.
 */
int loop_catch_signals(struct loop *loop, const sigset_t *signals, void (*fn)(void *opaque, int signo), void *opaque, struct fail *why);

/* The ops of the same name in device/host.h; threads as there. */
uint64_t loop_now_ms(void);
void loop_timer_arm(struct loop *loop, struct host_timer *timer, uint64_t delay_ms);
void loop_timer_cancel(struct loop *loop, struct host_timer *timer);
void loop_defer(struct loop *loop, struct host_work *work);
int loop_watch(struct loop *loop, struct host_watch *watch, uint32_t events);
void loop_unwatch(struct loop *loop, struct host_watch *watch);

#endif
