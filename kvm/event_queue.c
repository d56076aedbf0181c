#include "kvm/event_queue.h"

#include <stdio.h>
#include <string.h>

void event_queue_init(struct event_queue *queue)
{
	pthread_mutex_init(&queue->lock, NULL);
	queue->n = 0;
}

void event_queue_finish(struct event_queue *queue)
{
	pthread_mutex_destroy(&queue->lock);
}

/* Under the lock. */
static void remove_at(struct event_queue *queue, size_t at)
{
	queue->n--;
	memmove(&queue->events[at], &queue->events[at + 1], (queue->n - at) * sizeof queue->events[0]);
}

static bool is_same(const struct queued_event *a, const struct queued_event *b)
{
	return a->kind == b->kind && strcmp(a->device_id, b->device_id) == 0;
}

bool event_queue_put(struct event_queue *queue, const struct host_event *event)
{
	struct queued_event copy = {.kind = event->kind, .value = event->value};
	snprintf(copy.device_id, sizeof copy.device_id, "%s", event->device_id ? event->device_id : "");
	pthread_mutex_lock(&queue->lock);
	for (size_t i = 0; i < queue->n; i++)
		if (is_same(&queue->events[i], &copy)) {
			remove_at(queue, i);
			break;
		}
	bool has_room = queue->n < EVENT_QUEUE_MAX;
	if (has_room)
		queue->events[queue->n++] = copy;
	pthread_mutex_unlock(&queue->lock);
	return has_room;
}

bool event_queue_take(struct event_queue *queue, struct queued_event *out)
{
	pthread_mutex_lock(&queue->lock);
	bool any = queue->n;
	if (any) {
		*out = queue->events[0];
		remove_at(queue, 0);
	}
	pthread_mutex_unlock(&queue->lock);
	return any;
}

void event_queue_clear(struct event_queue *queue)
{
	pthread_mutex_lock(&queue->lock);
	queue->n = 0;
	pthread_mutex_unlock(&queue->lock);
}
