#include "kvm/loop.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

uint64_t loop_now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- Timers ---------------------------------------------------------- */

/* Sets the timerfd to the earliest deadline, or to rest. Under the lock. */
static void program_timer_fd(struct loop *loop)
{
	struct itimerspec when = {0};
	if (loop->timers) {
		/* An all-zero value would disarm; the monotonic clock is past its first millisecond. */
		when.it_value.tv_sec = (time_t)(loop->timers->deadline_ms / 1000);
		when.it_value.tv_nsec = (long)(loop->timers->deadline_ms % 1000) * 1000000;
	}
	timerfd_settime(loop->timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
}

/* Takes the timer off the list. Under the lock. Returns whether it was the earliest. */
static bool take_off(struct loop *loop, struct host_timer *timer)
{
	if (!timer->armed)
		return false;
	struct host_timer **link = &loop->timers;
	while (*link != timer)
		link = &(*link)->next;
	*link = timer->next;
	timer->next = NULL;
	timer->armed = false;
	return link == &loop->timers;
}

void loop_timer_arm(struct loop *loop, struct host_timer *timer, uint64_t delay_ms)
{
	pthread_mutex_lock(&loop->lock);
	bool was_first = take_off(loop, timer);
	uint64_t now_ms = loop_now_ms();
	/*
	 * The clock is read in whole milliseconds: one more keeps a timer from
	 * firing before its delay is over. time_t counts seconds in 63 bits.
	 */
	timer->deadline_ms = delay_ms < INT64_MAX - now_ms ? now_ms + delay_ms + 1 : INT64_MAX;
	struct host_timer **link = &loop->timers;
	while (*link && (*link)->deadline_ms <= timer->deadline_ms)
		link = &(*link)->next;
	timer->next = *link;
	*link = timer;
	timer->armed = true;
	if (was_first || loop->timers == timer)
		program_timer_fd(loop);
	pthread_mutex_unlock(&loop->lock);
}

void loop_timer_cancel(struct loop *loop, struct host_timer *timer)
{
	pthread_mutex_lock(&loop->lock);
	if (take_off(loop, timer))
		program_timer_fd(loop);
	pthread_mutex_unlock(&loop->lock);
}

/* Runs what was due when it began: a timer that rearms itself for now waits for the next turn. */
static void run_due_timers(void *opaque, uint32_t events)
{
	struct loop *loop = opaque;
	(void)events;
	uint64_t expirations;
	/* Reading makes the fd not ready; EAGAIN: it was reprogrammed in between. */
	if (read(loop->timer_fd, &expirations, sizeof expirations) < 0 && errno != EAGAIN)
		return;
	uint64_t now_ms = loop_now_ms();
	pthread_mutex_lock(&loop->lock);
	while (loop->timers && loop->timers->deadline_ms <= now_ms && !loop->ended) {
		struct host_timer *timer = loop->timers;
		take_off(loop, timer);
		void (*fn)(void *) = timer->fn;
		void *fn_opaque = timer->opaque;
		pthread_mutex_unlock(&loop->lock);
		fn(fn_opaque);
		pthread_mutex_lock(&loop->lock);
	}
	program_timer_fd(loop);
	pthread_mutex_unlock(&loop->lock);
}

/* ---- Deferred work --------------------------------------------------- */

static void wake(struct loop *loop)
{
	uint64_t one = 1;
	/* It can only fail when the counter is full, and then the loop is about to wake anyway. */
	ssize_t written = write(loop->wake_fd, &one, sizeof one);
	(void)written;
}

void loop_defer(struct loop *loop, struct host_work *work)
{
	pthread_mutex_lock(&loop->lock);
	bool first = !loop->work_first;
	if (!work->queued) {
		work->queued = true;
		work->next = NULL;
		if (first)
			loop->work_first = work;
		else
			loop->work_last->next = work;
		loop->work_last = work;
	}
	pthread_mutex_unlock(&loop->lock);
	if (first)
		wake(loop);
}

/* Runs what was queued when it began. Work that a callback queues wakes the loop anew, so that fds get their turn. */
static void run_work(void *opaque, uint32_t events)
{
	struct loop *loop = opaque;
	(void)events;
	uint64_t wakes;
	if (read(loop->wake_fd, &wakes, sizeof wakes) < 0 && errno != EAGAIN)
		return;
	pthread_mutex_lock(&loop->lock);
	struct host_work *last = loop->work_last;
	bool done = !loop->work_first;
	while (!done && !loop->ended) {
		struct host_work *work = loop->work_first;
		done = work == last;
		loop->work_first = work->next;
		work->queued = false;
		void (*fn)(void *) = work->fn;
		void *fn_opaque = work->opaque;
		pthread_mutex_unlock(&loop->lock);
		fn(fn_opaque);
		pthread_mutex_lock(&loop->lock);
	}
	bool more = loop->work_first;
	pthread_mutex_unlock(&loop->lock);
	if (more)
		wake(loop);
}

/* ---- File descriptors ------------------------------------------------ */

int loop_watch(struct loop *loop, struct host_watch *watch, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = watch};
	if (epoll_ctl(loop->epoll_fd, watch->active ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, watch->fd, &event) < 0)
		return -errno;
	watch->active = true;
	return 0;
}

void loop_unwatch(struct loop *loop, struct host_watch *watch)
{
	if (watch->active)
		epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
	watch->active = false;
}

/* ---- Signals --------------------------------------------------------- */

static void read_signal(void *opaque, uint32_t events)
{
	struct loop *loop = opaque;
	(void)events;
	struct signalfd_siginfo info;
	if (read(loop->signal_fd, &info, sizeof info) == sizeof info)
		loop->on_signal(loop->on_signal_opaque, (int)info.ssi_signo);
}

int loop_catch_signals(struct loop *loop, const sigset_t *signals, void (*fn)(void *opaque, int signo), void *opaque, struct fail *why)
{
	loop->on_signal = fn;
	loop->on_signal_opaque = opaque;
	loop->signal_fd = signalfd(-1, signals, SFD_CLOEXEC | SFD_NONBLOCK);
	if (loop->signal_fd < 0)
		return fail(why, errno, "cannot create a signalfd");
	loop->signal_watch = (struct host_watch){.fd = loop->signal_fd, .fn = read_signal, .opaque = loop};
	int ret = loop_watch(loop, &loop->signal_watch, EPOLLIN);
	return ret < 0 ? fail(why, -ret, "cannot watch for signals") : 0;
}

/* ---- The loop -------------------------------------------------------- */

static bool has_ended(struct loop *loop)
{
	pthread_mutex_lock(&loop->lock);
	bool ended = loop->ended;
	pthread_mutex_unlock(&loop->lock);
	return ended;
}

int loop_run(struct loop *loop)
{
	while (!has_ended(loop)) {
		/* One event at a time: a callback may free any other watch, and with a batch its pointer would still be in hand. */
		struct epoll_event event;
		int n = epoll_wait(loop->epoll_fd, &event, 1, -1);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			struct host_watch *watch = event.data.ptr;
			watch->fn(watch->opaque, event.events);
		}
	}
	return 0;
}

void loop_end(struct loop *loop)
{
	pthread_mutex_lock(&loop->lock);
	loop->ended = true;
	pthread_mutex_unlock(&loop->lock);
	wake(loop);
}

static void close_if_open(int fd)
{
	if (fd >= 0)
		close(fd);
}

static void close_all(struct loop *loop)
{
	close_if_open(loop->signal_fd);
	close_if_open(loop->wake_fd);
	close_if_open(loop->timer_fd);
	close_if_open(loop->epoll_fd);
	pthread_mutex_destroy(&loop->lock);
}

int loop_init(struct loop *loop, struct fail *why)
{
	memset(loop, 0, sizeof *loop);
	loop->signal_fd = -1;
	pthread_mutex_init(&loop->lock, NULL);
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	loop->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	loop->timer_watch = (struct host_watch){.fd = loop->timer_fd, .fn = run_due_timers, .opaque = loop};
	loop->wake_watch = (struct host_watch){.fd = loop->wake_fd, .fn = run_work, .opaque = loop};
	int error = loop->epoll_fd < 0 || loop->timer_fd < 0 || loop->wake_fd < 0 ? errno : 0;
	if (!error)
		error = -loop_watch(loop, &loop->timer_watch, EPOLLIN);
	if (!error)
		error = -loop_watch(loop, &loop->wake_watch, EPOLLIN);
	loop->ready = !error;
	if (loop->ready)
		return 0;
	close_all(loop);
	return fail(why, error, "cannot set up the event loop");
}

void loop_finish(struct loop *loop)
{
	if (loop->ready)
		close_all(loop);
	loop->ready = false;
}
