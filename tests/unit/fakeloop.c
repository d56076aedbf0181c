#include "tests/unit/fakeloop.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>

#include "tests/unit/fakelist.h"

static struct fakeloop *from_host(struct host *host)
{
	return (struct fakeloop *)host;
}

static int io_map(struct host *host, struct io_region *region)
{
	struct fakeloop *loop = from_host(host);

	if (loop->map_error)
		return loop->map_error;
	assert(loop->n_regions < FAKELOOP_MAX);
	loop->regions[loop->n_regions++] = region;
	region->mapped = true;
	return 0;
}

static void io_unmap(struct host *host, struct io_region *region)
{
	struct fakeloop *loop = from_host(host);

	for (size_t i = 0; i < loop->n_regions; i++)
		if (loop->regions[i] == region)
			loop->regions[i] = loop->regions[--loop->n_regions];
	region->mapped = false;
}

static void irq_set(struct host *host, uint32_t gsi, bool level)
{
	struct fakeloop *loop = from_host(host);

	loop->irq_edges[gsi] += level && !loop->irq[gsi];
	loop->irq[gsi] = level;
}

static uint64_t now_ms(struct host *host)
{
	return from_host(host)->now_ms;
}

static void timer_cancel(struct host *host, struct host_timer *timer)
{
	fakelist_unlink_timer(&from_host(host)->timers, timer);
}

static void timer_arm(struct host *host, struct host_timer *timer, uint64_t delay_ms)
{
	struct fakeloop *loop = from_host(host);

	fakelist_arm_timer(&loop->timers, timer, loop->now_ms + delay_ms);
}

static void defer(struct host *host, struct host_work *work)
{
	fakelist_add_work(&from_host(host)->work, work);
}

static int watch(struct host *host, struct host_watch *w, uint32_t events)
{
	struct fakeloop *loop = from_host(host);
	struct stat st;
	size_t i = 0;

	if (fstat(w->fd, &st) < 0)
		return -errno;
	if (S_ISREG(st.st_mode))
		return -EPERM; /* as epoll does */
	while (i < loop->n_watches && loop->watches[i] != w)
		i++;
	assert(i < FAKELOOP_MAX);
	if (i == loop->n_watches)
		loop->n_watches++;
	loop->watches[i] = w;
	loop->watch_events[i] = events;
	w->active = true;
	return 0;
}

static void unwatch(struct host *host, struct host_watch *w)
{
	struct fakeloop *loop = from_host(host);

	for (size_t i = 0; i < loop->n_watches; i++)
		if (loop->watches[i] == w) {
			loop->n_watches--;
			loop->watches[i] = loop->watches[loop->n_watches];
			loop->watch_events[i] = loop->watch_events[loop->n_watches];
		}
	w->active = false;
}

static void event(struct host *host, const struct host_event *e)
{
	struct fakeloop *loop = from_host(host);

	assert(loop->n_events < FAKELOOP_MAX);
	loop->events[loop->n_events++] = *e;
}

static const struct host_ops ops = {
	.io_map = io_map,
	.io_unmap = io_unmap,
	.irq_set = irq_set,
	.now_ms = now_ms,
	.timer_arm = timer_arm,
	.timer_cancel = timer_cancel,
	.defer = defer,
	.watch = watch,
	.unwatch = unwatch,
	.event = event,
};

void fakeloop_init(struct fakeloop *loop)
{
	memset(loop, 0, sizeof *loop);
	loop->host.ops = &ops;
	loop->now_ms = 5000;
}

static bool run_work(struct fakeloop *loop)
{
	struct host_work *work = loop->work;

	if (!work)
		return false;
	loop->work = work->next;
	work->queued = false;
	work->fn(work->opaque);
	return true;
}

static bool run_timer(struct fakeloop *loop)
{
	for (struct host_timer *timer = loop->timers; timer; timer = timer->next)
		if (timer->deadline_ms <= loop->now_ms) {
			timer_cancel(&loop->host, timer);
			timer->fn(timer->opaque);
			return true;
		}
	return false;
}

static bool run_watch(struct fakeloop *loop)
{
	for (size_t i = 0; i < loop->n_watches; i++) {
		/* poll's and epoll's bits are the same */
		struct pollfd fd = {.fd = loop->watches[i]->fd, .events = (short)loop->watch_events[i]};
		if (poll(&fd, 1, 0) > 0) {
			loop->turns++;
			loop->watches[i]->fn(loop->watches[i]->opaque, (uint32_t)fd.revents);
			return true;
		}
	}
	return false;
}

void fakeloop_run(struct fakeloop *loop)
{
	for (int i = 0; i < 100000; i++)
		if (!run_work(loop) && !run_timer(loop) && !run_watch(loop))
			return;
	assert(!"the loop never comes to rest");
}

void fakeloop_advance(struct fakeloop *loop, uint64_t ms)
{
	loop->now_ms += ms;
	fakeloop_run(loop);
}

static struct io_region *region_at(struct fakeloop *loop, uint64_t port, unsigned size)
{
	for (size_t i = 0; i < loop->n_regions; i++) {
		struct io_region *region = loop->regions[i];
		if (port >= region->base && port - region->base + size <= region->len)
			return region;
	}
	return NULL;
}

uint64_t fakeloop_in(struct fakeloop *loop, uint64_t port, unsigned size)
{
	struct io_region *region = region_at(loop, port, size);

	return region ? region->ops->read(region->opaque, port - region->base, size) : UINT64_MAX >> (64 - 8 * size);
}

void fakeloop_out(struct fakeloop *loop, uint64_t port, unsigned size, uint64_t value)
{
	struct io_region *region = region_at(loop, port, size);

	if (region)
		region->ops->write(region->opaque, port - region->base, size, value);
}

size_t fakeloop_count_events(const struct fakeloop *loop, enum host_event_kind kind)
{
	size_t n = 0;

	for (size_t i = 0; i < loop->n_events; i++)
		n += loop->events[i].kind == kind;
	return n;
}

struct device *fakeloop_create(struct fakeloop *loop, const struct device_class *class, const char *id, const void *config)
{
	struct device_init init = {.id = id, .config = config, .host = &loop->host};
	struct device *dev = NULL;

	int ret = class->create(&init, &dev);
	assert(ret == 0);
	(void)ret;
	return dev;
}
