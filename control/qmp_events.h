/*
 * Events on their way to the clients. Those that a guest can provoke are held
 * back to one a second each, so that it can neither flood a client nor have it
 * dropped for reading too slowly: the first goes at once, of those that follow
 * within the second the last goes when it is over.
 */
#ifndef CONTROL_QMP_EVENTS_H
#define CONTROL_QMP_EVENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "device/host.h"

#define QMP_EVENT_INTERVAL_MS 1000

enum qmp_event {
	QMP_EVENT_BALLOON_CHANGE,
	QMP_EVENT_STOP,
	QMP_EVENT_RESUME,
	QMP_EVENT_RESET,
	QMP_EVENT_POWERDOWN,
	QMP_EVENT_SHUTDOWN,
	QMP_EVENT_GUEST_PANICKED,
	QMP_EVENT_GUEST_CRASHLOADED,
	QMP_EVENT_X_BALLOON_TARGET_REACHED,
	QMP_EVENT_X_BALLOON_STALLED,
	QMP_EVENT_X_BALLOON_OOM_DEFLATE,
	QMP_EVENT_X_BALLOON_HINT_DONE,
	QMP_N_EVENTS,
};

#define QMP_EVENT_DATA_MAX 160

struct qmp_event_slot {
	struct qmp_events *events;
	enum qmp_event event;
	struct host_timer timer; /* armed for a second after each one that was sent */
	bool waiting;		 /* data and time are those of one that was held back */
	char data[QMP_EVENT_DATA_MAX];
	struct timespec time;
};

struct qmp_events {
	struct host *host;
	void (*send)(void *opaque, const char *line, size_t len); /* to all clients that negotiated */
	void *opaque;
	struct qmp_event_slot slots[QMP_N_EVENTS];
};

void qmp_events_init(struct qmp_events *events, struct host *host, void (*send)(void *opaque, const char *line, size_t len), void *opaque);

/* What was held back is sent now. Before the end, so that no timer is left; SHUTDOWN does it too, to be the last. */
void qmp_events_flush(struct qmp_events *events);

/* `data` is the text of a JSON object shorter than QMP_EVENT_DATA_MAX, or NULL. */
void qmp_emit(struct qmp_events *events, enum qmp_event event, const char *data);

/* As they come from machine and devices, see qmp_server.h. `ram_bytes`: of the guest. */
void qmp_emit_host_event(struct qmp_events *events, const struct host_event *event, uint64_t ram_bytes);

#endif
