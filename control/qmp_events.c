#include "control/qmp_events.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "control/qmp_balloon_state.h"
#include "control/qmp_server.h"

static const struct {
	const char *name;
	bool is_limited; /* the guest can provoke it as often as it likes */
} descriptions[] = {
	[QMP_EVENT_BALLOON_CHANGE] = {"BALLOON_CHANGE", true},
	[QMP_EVENT_STOP] = {"STOP", false},
	[QMP_EVENT_RESUME] = {"RESUME", false},
	[QMP_EVENT_RESET] = {"RESET", false},
	[QMP_EVENT_POWERDOWN] = {"POWERDOWN", false},
	[QMP_EVENT_SHUTDOWN] = {"SHUTDOWN", false},
	[QMP_EVENT_GUEST_PANICKED] = {"GUEST_PANICKED", true},
	[QMP_EVENT_GUEST_CRASHLOADED] = {"GUEST_CRASHLOADED", true},
	[QMP_EVENT_X_BALLOON_TARGET_REACHED] = {"X_BALLOON_TARGET_REACHED", true},
	[QMP_EVENT_X_BALLOON_STALLED] = {"X_BALLOON_STALLED", true},
	[QMP_EVENT_X_BALLOON_OOM_DEFLATE] = {"X_BALLOON_OOM_DEFLATE", true},
	[QMP_EVENT_X_BALLOON_HINT_DONE] = {"X_BALLOON_HINT_DONE", true},
};

static void send_line(struct qmp_event_slot *slot, const char *data, const struct timespec *time)
{
	struct qmp_events *events = slot->events;
	char line[QMP_EVENT_DATA_MAX + 160];
	int len = snprintf(line, sizeof line, "{\"event\":\"%s\",%s%s%s\"timestamp\":{\"seconds\":%lld,\"microseconds\":%ld}}\r\n",
			   descriptions[slot->event].name, *data ? "\"data\":" : "", data, *data ? "," : "", (long long)time->tv_sec, time->tv_nsec / 1000);

	assert(len > 0 && (size_t)len < sizeof line);
	events->send(events->opaque, line, (size_t)len);
}

static void second_is_over(void *opaque)
{
	struct qmp_event_slot *slot = opaque;
	struct host *host = slot->events->host;

	if (!slot->waiting)
		return;
	slot->waiting = false;
	host->ops->timer_arm(host, &slot->timer, QMP_EVENT_INTERVAL_MS);
	send_line(slot, slot->data, &slot->time);
}

void qmp_events_init(struct qmp_events *events, struct host *host, void (*send)(void *opaque, const char *line, size_t len), void *opaque)
{
	memset(events, 0, sizeof *events);
	events->host = host;
	events->send = send;
	events->opaque = opaque;
	for (unsigned i = 0; i < QMP_N_EVENTS; i++) {
		struct qmp_event_slot *slot = &events->slots[i];
		slot->events = events;
		slot->event = i;
		slot->timer = (struct host_timer){.fn = second_is_over, .opaque = slot};
	}
}

void qmp_events_flush(struct qmp_events *events)
{
	struct host *host = events->host;

	for (unsigned i = 0; i < QMP_N_EVENTS; i++) {
		struct qmp_event_slot *slot = &events->slots[i];
		host->ops->timer_cancel(host, &slot->timer);
		if (slot->waiting)
			send_line(slot, slot->data, &slot->time);
		slot->waiting = false;
	}
}

void qmp_emit(struct qmp_events *events, enum qmp_event event, const char *data)
{
	struct qmp_event_slot *slot = &events->slots[event];
	struct host *host = events->host;
	struct timespec now;

	if (!data)
		data = "";
	size_t len = strlen(data);
	assert(len < QMP_EVENT_DATA_MAX);
	clock_gettime(CLOCK_REALTIME, &now);
	if (event == QMP_EVENT_SHUTDOWN)
		qmp_events_flush(events);
	if (slot->timer.armed) {
		slot->waiting = true;
		memcpy(slot->data, data, len + 1);
		slot->time = now;
		return;
	}
	if (descriptions[event].is_limited)
		host->ops->timer_arm(host, &slot->timer, QMP_EVENT_INTERVAL_MS);
	send_line(slot, data, &now);
}

/* ---- What the VM reports --------------------------------------------- */

static void emit_balloon(struct qmp_events *events, enum qmp_event event, uint64_t balloon_bytes, uint64_t ram_bytes)
{
	uint64_t left_bytes = qmp_left_bytes(ram_bytes, balloon_bytes);
	char data[QMP_EVENT_DATA_MAX];

	if (event == QMP_EVENT_BALLOON_CHANGE)
		snprintf(data, sizeof data, "{\"actual\":%" PRIu64 "}", left_bytes);
	else
		snprintf(data, sizeof data, "{\"actual\":%" PRIu64 ",\"balloon-actual\":%" PRIu64 "}", left_bytes, balloon_bytes);
	qmp_emit(events, event, data);
}

static void emit_hint(struct qmp_events *events, uint64_t discarded_bytes)
{
	char data[QMP_EVENT_DATA_MAX];
	snprintf(data, sizeof data, "{\"discarded\":%" PRIu64 "}", discarded_bytes);
	qmp_emit(events, QMP_EVENT_X_BALLOON_HINT_DONE, data);
}

void qmp_emit_host_event(struct qmp_events *events, const struct host_event *event, uint64_t ram_bytes)
{
	switch (event->kind) {
	case HOST_EVENT_PANIC: /* the VM ends soon after; the crash kernel goes on */
		qmp_emit(events, QMP_EVENT_GUEST_PANICKED, "{\"action\":\"poweroff\"}");
		break;
	case HOST_EVENT_CRASH_LOADED:
		qmp_emit(events, QMP_EVENT_GUEST_CRASHLOADED, "{\"action\":\"run\"}");
		break;
	case HOST_EVENT_BALLOON_CHANGE:
		emit_balloon(events, QMP_EVENT_BALLOON_CHANGE, event->value, ram_bytes);
		break;
	case HOST_EVENT_BALLOON_REACHED:
		emit_balloon(events, QMP_EVENT_X_BALLOON_TARGET_REACHED, event->value, ram_bytes);
		break;
	case HOST_EVENT_BALLOON_STALLED:
		emit_balloon(events, QMP_EVENT_X_BALLOON_STALLED, event->value, ram_bytes);
		break;
	case HOST_EVENT_BALLOON_OOM:
		emit_balloon(events, QMP_EVENT_X_BALLOON_OOM_DEFLATE, event->value, ram_bytes);
		break;
	case HOST_EVENT_BALLOON_HINTED:
		emit_hint(events, event->value);
		break;
	case HOST_EVENT_POWEROFF: /* what became of these is told in a note */
	case HOST_EVENT_RESET:
	case HOST_EVENT_BALLOON_READY:
		break;
	}
}
