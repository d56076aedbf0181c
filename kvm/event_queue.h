/*
 * Events on their way from any thread to the event loop.
 *
 * Bounded without losing what matters: a new event takes the place of one of
 * the same kind from the same device that has not been delivered yet, so the
 * queue holds the latest of each, in the order of their happening.
 */
#ifndef KVM_EVENT_QUEUE_H
#define KVM_EVENT_QUEUE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "device/device.h"
#include "device/host.h"

/* 31 PCI slots with five kinds each, and the board's kinds. */
#define EVENT_QUEUE_MAX 192

struct event_queue {
	pthread_mutex_t lock;
	size_t n;
	struct queued_event {
		enum host_event_kind kind;
		uint64_t value;
		char device_id[DEVICE_ID_MAX];
	} events[EVENT_QUEUE_MAX]; /* oldest first */
};

void event_queue_init(struct event_queue *queue);
void event_queue_finish(struct event_queue *queue);

/* Any thread; copies the event. False when the queue is full and the event was lost. */
bool event_queue_put(struct event_queue *queue, const struct host_event *event);

/* Takes the oldest. False when there is none. */
bool event_queue_take(struct event_queue *queue, struct queued_event *out);

void event_queue_clear(struct event_queue *queue);

#endif
