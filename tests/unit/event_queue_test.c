#include "kvm/event_queue.h"

#include <CUnit/CUnit.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/suite.h"

static struct event_queue queue;

static bool put(enum host_event_kind kind, const char *device_id, uint64_t value)
{
	return event_queue_put(&queue, &(struct host_event){.kind = kind, .device_id = device_id, .value = value});
}

static void events_come_out_in_order(void)
{
	struct queued_event event;
	event_queue_init(&queue);
	char id[] = "balloon0";
	CU_ASSERT_TRUE(put(HOST_EVENT_BALLOON_CHANGE, id, 7));
	memset(id, 'x', 3); /* it was copied */
	CU_ASSERT_TRUE(put(HOST_EVENT_POWEROFF, NULL, 0));
	CU_ASSERT_TRUE(event_queue_take(&queue, &event));
	CU_ASSERT_EQUAL(event.kind, HOST_EVENT_BALLOON_CHANGE);
	CU_ASSERT_EQUAL(event.value, 7);
	CU_ASSERT_STRING_EQUAL(event.device_id, "balloon0");
	CU_ASSERT_TRUE(event_queue_take(&queue, &event));
	CU_ASSERT_EQUAL(event.kind, HOST_EVENT_POWEROFF);
	CU_ASSERT_STRING_EQUAL(event.device_id, "");
	CU_ASSERT_FALSE(event_queue_take(&queue, &event));
	event_queue_finish(&queue);
}

static void newer_event_replaces_its_like(void)
{
	struct queued_event event;
	event_queue_init(&queue);
	put(HOST_EVENT_BALLOON_CHANGE, "balloon0", 1);
	put(HOST_EVENT_BALLOON_CHANGE, "balloon1", 2);
	put(HOST_EVENT_BALLOON_REACHED, "balloon0", 3);
	put(HOST_EVENT_BALLOON_CHANGE, "balloon0", 4);
	CU_ASSERT_EQUAL(queue.n, 3);
	event_queue_take(&queue, &event);
	CU_ASSERT_EQUAL(event.value, 2);
	event_queue_take(&queue, &event);
	CU_ASSERT_EQUAL(event.value, 3);
	event_queue_take(&queue, &event);
	CU_ASSERT_EQUAL(event.value, 4);
	event_queue_finish(&queue);
}

/* However many a guest provokes, nothing is lost while every device speaks of everything. */
static void flood_is_bounded(void)
{
	event_queue_init(&queue);
	for (unsigned round = 0; round < 3; round++)
		for (unsigned device = 0; device < 31; device++)
			for (int kind = HOST_EVENT_BALLOON_CHANGE; kind <= HOST_EVENT_BALLOON_READY; kind++) {
				char id[16];
				snprintf(id, sizeof id, "balloon%u", device);
				CU_ASSERT_TRUE(put((enum host_event_kind)kind, id, round));
			}
	CU_ASSERT_EQUAL(queue.n, 31 * 5);
	CU_ASSERT_TRUE(put(HOST_EVENT_POWEROFF, "acpi-pm", 0));
	for (unsigned i = 0; queue.n < EVENT_QUEUE_MAX; i++) {
		char id[16];
		snprintf(id, sizeof id, "other%u", i);
		CU_ASSERT_TRUE(put(HOST_EVENT_PANIC, id, 0));
	}
	CU_ASSERT_FALSE(put(HOST_EVENT_PANIC, "one-too-many", 0));
	CU_ASSERT_TRUE(put(HOST_EVENT_POWEROFF, "acpi-pm", 0));
	CU_ASSERT_EQUAL(queue.n, EVENT_QUEUE_MAX);
	event_queue_clear(&queue);
	CU_ASSERT_EQUAL(queue.n, 0);
	event_queue_finish(&queue);
}

static const struct test_case cases[] = {
	{"events_come_out_in_order", events_come_out_in_order},
	{"newer_event_replaces_its_like", newer_event_replaces_its_like},
	{"flood_is_bounded", flood_is_bounded},
};

TEST_SUITE(event_queue, cases);
