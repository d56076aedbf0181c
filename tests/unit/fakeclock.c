#include "tests/unit/fakeclock.h"

#include "tests/unit/fakelist.h"

static struct fakehost *fake_of(struct host *host)
{
	return (struct fakehost *)host;
}

/* ---- How much things take -------------------------------------------- */

_Thread_local uint64_t fakeclock_discarded;

struct work_done fakeclock_work_so_far(const struct fakehost *fh)
{
	return (struct work_done){.steps = fh->steps ? fh->steps() : 0, .discarded = fakeclock_discarded};
}

void fakeclock_note_work(struct fakehost *fh, struct work_done before)
{
	struct work_done now = fakeclock_work_so_far(fh);
	if (!fh->steps)
		return;
	pthread_mutex_lock(&fh->lock);
	if (now.steps - before.steps > fh->most_steps)
		fh->most_steps = now.steps - before.steps;
	if (now.discarded - before.discarded > fh->most_discarded)
		fh->most_discarded = now.discarded - before.discarded;
	pthread_mutex_unlock(&fh->lock);
}

/* ---- Time and work --------------------------------------------------- */

uint64_t fakeclock_now_ms(struct host *host)
{
	return __atomic_load_n(&fake_of(host)->now_ms, __ATOMIC_RELAXED);
}

void fakeclock_timer_arm(struct host *host, struct host_timer *timer, uint64_t delay_ms)
{
	struct fakehost *fh = fake_of(host);
	pthread_mutex_lock(&fh->lock);
	fakelist_arm_timer(&fh->timers, timer, fakeclock_now_ms(host) + delay_ms);
	fh->timer_arms++;
	pthread_mutex_unlock(&fh->lock);
}

void fakeclock_timer_cancel(struct host *host, struct host_timer *timer)
{
	struct fakehost *fh = fake_of(host);
	pthread_mutex_lock(&fh->lock);
	fakelist_unlink_timer(&fh->timers, timer);
	pthread_mutex_unlock(&fh->lock);
}

/* It may be armed anew at once: its deadline is read while it cannot be. */
static struct host_timer *take_due(struct fakehost *fh, uint64_t until_ms, uint64_t *deadline_ms)
{
	pthread_mutex_lock(&fh->lock);
	struct host_timer *due = NULL;
	for (struct host_timer *t = fh->timers; t; t = t->next)
		if (t->deadline_ms <= until_ms && (!due || t->deadline_ms < due->deadline_ms))
			due = t;
	if (due) {
		*deadline_ms = due->deadline_ms;
		fakelist_unlink_timer(&fh->timers, due);
	}
	pthread_mutex_unlock(&fh->lock);
	return due;
}

void fakehost_advance(struct fakehost *fh, uint64_t ms)
{
	uint64_t until_ms = fh->now_ms + ms, deadline_ms;
	for (struct host_timer *due; (due = take_due(fh, until_ms, &deadline_ms));) {
		if (deadline_ms > fh->now_ms)
			__atomic_store_n(&fh->now_ms, deadline_ms, __ATOMIC_RELAXED);
		due->fn(due->opaque);
	}
	__atomic_store_n(&fh->now_ms, until_ms, __ATOMIC_RELAXED);
}

bool fakehost_has_timer(const struct fakehost *fh)
{
	return fh->timers;
}

void fakeclock_defer(struct host *host, struct host_work *work)
{
	struct fakehost *fh = fake_of(host);
	pthread_mutex_lock(&fh->lock);
	fakelist_add_work(&fh->work, work);
	pthread_mutex_unlock(&fh->lock);
}

unsigned fakehost_run_work(struct fakehost *fh)
{
	pthread_mutex_lock(&fh->lock);
	struct host_work *list = fh->work;
	fh->work = NULL;
	pthread_mutex_unlock(&fh->lock);

	unsigned n = 0;
	for (struct host_work *next; list; list = next, n++) {
		pthread_mutex_lock(&fh->lock);
		next = list->next;
		list->queued = false;
		pthread_mutex_unlock(&fh->lock);
		struct work_done before = fakeclock_work_so_far(fh);
		list->fn(list->opaque);
		fakeclock_note_work(fh, before);
	}
	return n;
}

bool fakehost_settle(struct fakehost *fh, unsigned limit)
{
	while (limit-- && fakehost_run_work(fh))
		;
	return !fh->work;
}
