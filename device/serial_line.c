#include "device/serial_line.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

/* The driver is told to wait above the one and to go on at the other: many bytes for each interrupt. */
#define PACE_ABOVE (SERIAL_OUT_BUFFER / 2)
#define PACE_UNTIL (SERIAL_OUT_BUFFER / 4)

static void lock(struct serial_line *line)
{
	pthread_mutex_lock(&line->dev->lock);
}

static void unlock(struct serial_line *line)
{
	pthread_mutex_unlock(&line->dev->lock);
}

static size_t ring_room(const struct byte_ring *ring)
{
	return ring->cap - ring->len;
}

/* The rest is for bytes that come back. */
static size_t in_room(const struct serial_line *line)
{
	return line->in.len < SERIAL_IN_BUFFER ? SERIAL_IN_BUFFER - line->in.len : 0;
}

static void ring_push(struct byte_ring *ring, uint8_t byte)
{
	ring->data[(ring->head + ring->len) % ring->cap] = byte;
	ring->len++;
}

static void ring_drop(struct byte_ring *ring, size_t n)
{
	ring->head = (ring->head + n) % ring->cap;
	ring->len -= n;
}

/* ---- Output ---------------------------------------------------------- */

void serial_line_put(struct serial_line *line, uint8_t byte)
{
	struct host *host = line->dev->host;

	if (line->out_dead)
		return;
	if (ring_room(&line->out) == 0) {
		line->lost_bytes++;
		return;
	}
	ring_push(&line->out, byte);
	if (line->out.len > PACE_ABOVE && !line->stalled)
		line->paced = true;
	if (!line->out_waiting)
		host->ops->defer(host, &line->out_work);
}

bool serial_line_wants_more(const struct serial_line *line)
{
	return !line->paced;
}

static void go_on(struct serial_line *line)
{
	if (!line->paced)
		return;
	line->paced = false;
	line->changed(line->dev);
}

/*
 * Locked. Says how much was lost. Not while the fd is stuck: standard error may
 * be the same terminal.
 */
static void report_lost(struct serial_line *line)
{
	struct host *host = line->dev->host;
	uint64_t suppressed;

	if (line->lost_bytes > line->reported_bytes && log_limit_pass(&line->lost_limit, host->ops->now_ms(host), &suppressed)) {
		log_line(LOG_LEVEL_WARN, line->dev->id, "%" PRIu64 " bytes of the guest's output were lost so far", line->lost_bytes);
		line->reported_bytes = line->lost_bytes;
	}
}

/* Locked. What is buffered is lost; with `forever`, so is all that comes. */
static void give_up(struct serial_line *line, int error, bool forever)
{
	struct host *host = line->dev->host;
	uint64_t suppressed;
	char text[128];

	if (forever || log_limit_pass(&line->error_limit, host->ops->now_ms(host), &suppressed))
		log_line(LOG_LEVEL_WARN, line->dev->id, "cannot write the guest's output: %s%s", strerror_r(error, text, sizeof text),
			 forever ? "; it is dropped from now on" : "");
	line->lost_bytes += line->out.len;
	line->out_dead = forever;
	ring_drop(&line->out, line->out.len);
	go_on(line);
}

/* A disk that is full today may have room tomorrow; a reader that is gone stays so. */
static bool is_for_ever(int error)
{
	return error != ENOSPC && error != EDQUOT;
}

enum write_outcome {
	WRITE_DONE,    /* something was written, or given up */
	WRITE_EMPTY,   /* there was nothing to write */
	WRITE_BLOCKED, /* the fd takes nothing now */
};

/*
 * Writes once. The bytes are written without the lock: others only append
 * behind them. After WRITE_EMPTY there may be bytes again by the time that the
 * caller looks: a vCPU does not wait for the loop.
 */
static enum write_outcome write_once(struct serial_line *line)
{
	struct host *host = line->dev->host;

	lock(line);
	size_t contiguous = line->out.cap - line->out.head;
	size_t len = line->out.len < contiguous ? line->out.len : contiguous;
	const uint8_t *bytes = line->out.data + line->out.head;
	unlock(line);
	if (len == 0)
		return WRITE_EMPTY;

	ssize_t n = write(line->out_watch.fd, bytes, len);
	int error = n < 0 ? errno : 0;
	if (error == EINTR)
		return WRITE_DONE;
	if (error == EAGAIN)
		return WRITE_BLOCKED;

	lock(line);
	if (n < 0) {
		give_up(line, error, is_for_ever(error));
	} else {
		ring_drop(&line->out, (size_t)n);
		line->stalled = false;
		report_lost(line);
		if (line->out_waiting)
			host->ops->timer_arm(host, &line->stall_timer, SERIAL_STALL_MS);
		if (line->out.len <= PACE_UNTIL)
			go_on(line);
	}
	unlock(line);
	return WRITE_DONE;
}

/* Locked. Has the loop call when the fd takes more. */
static void wait_for_room(struct serial_line *line)
{
	struct host *host = line->dev->host;

	if (line->out_waiting)
		return;
	int ret = host->ops->watch(host, &line->out_watch, EPOLLOUT);
	if (ret < 0) {
		give_up(line, -ret, true);
		return;
	}
	line->out_waiting = true;
	host->ops->timer_arm(host, &line->stall_timer, SERIAL_STALL_MS);
}

/* Locked. Nothing is left to write. */
static void rest(struct serial_line *line)
{
	struct host *host = line->dev->host;

	if (!line->out_waiting)
		return;
	host->ops->unwatch(host, &line->out_watch);
	host->ops->timer_cancel(host, &line->stall_timer);
	line->out_waiting = false;
}

/* Two writes empty a ring. A guest that writes faster than that gets its next turn after the others of the loop. */
static void write_out(void *opaque)
{
	struct serial_line *line = opaque;
	struct host *host = line->dev->host;
	enum write_outcome outcome = WRITE_DONE;

	for (int i = 0; i < 2 && outcome == WRITE_DONE; i++)
		outcome = write_once(line);
	lock(line);
	if (line->out.len == 0)
		rest(line);
	else if (outcome == WRITE_BLOCKED)
		wait_for_room(line);
	else if (!line->out_waiting)
		host->ops->defer(host, &line->out_work);
	unlock(line);
}

static void out_ready(void *opaque, uint32_t events)
{
	(void)events; /* an error or a hangup shows in write(2) */
	write_out(opaque);
}

static void out_stalled(void *opaque)
{
	struct serial_line *line = opaque;

	lock(line);
	line->stalled = true;
	go_on(line);
	unlock(line);
}

/* The last words of a guest are worth a moment, but not the end of the program. */
static void drain(struct serial_line *line)
{
	struct host *host = line->dev->host;
	uint64_t until_ms = host->ops->now_ms(host) + SERIAL_STALL_MS;

	while (line->out.len > 0) {
		if (write_once(line) != WRITE_BLOCKED)
			continue;
		uint64_t now_ms = host->ops->now_ms(host);
		struct pollfd fd = {.fd = line->out_watch.fd, .events = POLLOUT};
		if (now_ms >= until_ms || poll(&fd, 1, (int)(until_ms - now_ms)) <= 0)
			break;
	}
}

/* ---- Input ----------------------------------------------------------- */

bool serial_line_get(struct serial_line *line, uint8_t *byte)
{
	struct host *host = line->dev->host;

	if (line->in.len == 0)
		return false;
	*byte = line->in.data[line->in.head];
	ring_drop(&line->in, 1);
	if (line->in_paused && line->in.len <= SERIAL_IN_BUFFER / 2) {
		line->in_paused = false;
		host->ops->defer(host, &line->in_work);
	}
	return true;
}

void serial_line_unget(struct serial_line *line, uint8_t byte)
{
	assert(ring_room(&line->in) > 0);
	line->in.head = (line->in.head + line->in.cap - 1) % line->in.cap;
	line->in.data[line->in.head] = byte;
	line->in.len++;
}

static void end_input(struct serial_line *line, int error)
{
	struct host *host = line->dev->host;
	char text[128];

	if (error)
		log_line(LOG_LEVEL_WARN, line->dev->id, "cannot read input: %s", strerror_r(error, text, sizeof text));
	host->ops->unwatch(host, &line->in_watch);
	line->in_ended = true;
}

/* Whether input is read even when the guest has no room for it. An fd that is always ready would keep the loop busy for ever. */
static bool reads_always(const struct serial_line *line)
{
	return line->filter && line->in_pollable;
}

/* Hands bytes to the guest; there is room for all of them unless input is read always. */
static void take_in(struct serial_line *line, const uint8_t *bytes, size_t len)
{
	struct host *host = line->dev->host;

	lock(line);
	for (size_t i = 0; i < len && in_room(line) > 0; i++)
		ring_push(&line->in, bytes[i]);
	if (len > 0)
		line->changed(line->dev);
	if (in_room(line) == 0 && !reads_always(line)) {
		line->in_paused = true;
		host->ops->unwatch(host, &line->in_watch);
	}
	unlock(line);
}

/* Reads once. */
static void read_in(struct serial_line *line)
{
	uint8_t bytes[1024];
	size_t want = sizeof bytes;

	lock(line);
	if (!reads_always(line) && in_room(line) < want)
		want = in_room(line);
	unlock(line);
	if (line->in_ended || want == 0)
		return;

	ssize_t n = read(line->in_watch.fd, bytes, want);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	/* A terminal that was hung up says EIO. */
	if (n <= 0) {
		end_input(line, n < 0 && errno != EIO ? errno : 0);
		return;
	}
	size_t len = (size_t)n;
	if (line->filter)
		len = line->filter(line->filter_opaque, bytes, len);
	take_in(line, bytes, len);
}

static void in_ready(void *opaque, uint32_t events)
{
	(void)events; /* an error or a hangup shows in read(2) */
	read_in(opaque);
}

/* Starts reading, or goes on after a pause. */
static void start_in(void *opaque)
{
	struct serial_line *line = opaque;
	struct host *host = line->dev->host;

	if (line->in_ended)
		return;
	if (line->in_pollable) {
		int ret = host->ops->watch(host, &line->in_watch, EPOLLIN);
		if (ret < 0 && ret != -EPERM)
			end_input(line, -ret);
		if (ret != -EPERM)
			return;
		line->in_pollable = false;
	}
	read_in(line);
	lock(line);
	if (!line->in_ended && !line->in_paused)
		host->ops->defer(host, &line->in_work);
	unlock(line);
}

/* ---- Life ------------------------------------------------------------ */

void serial_line_init(struct serial_line *line, struct device *dev, const struct serial_config_board *config, void (*changed)(struct device *dev))
{
	line->dev = dev;
	line->changed = changed;
	line->filter = config->filter;
	line->filter_opaque = config->filter_opaque;

	line->in = (struct byte_ring){.data = line->in_bytes, .cap = sizeof line->in_bytes};
	line->in_watch = (struct host_watch){.fd = config->fd_in, .fn = in_ready, .opaque = line};
	line->in_work = (struct host_work){.fn = start_in, .opaque = line};
	line->in_ended = config->fd_in < 0;
	line->in_pollable = true;

	line->out = (struct byte_ring){.data = line->out_bytes, .cap = sizeof line->out_bytes};
	line->out_watch = (struct host_watch){.fd = config->fd_out, .fn = out_ready, .opaque = line};
	line->out_work = (struct host_work){.fn = write_out, .opaque = line};
	line->stall_timer = (struct host_timer){.fn = out_stalled, .opaque = line};
	line->out_dead = config->fd_out < 0;

	if (!line->in_ended)
		dev->host->ops->defer(dev->host, &line->in_work);
}

void serial_line_finish(struct serial_line *line)
{
	struct host *host = line->dev->host;

	drain(line);
	host->ops->unwatch(host, &line->in_watch);
	host->ops->unwatch(host, &line->out_watch);
	host->ops->timer_cancel(host, &line->stall_timer);
}
