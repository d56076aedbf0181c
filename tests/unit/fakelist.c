#include "tests/unit/fakelist.h"

void fakelist_unlink_timer(struct host_timer **list, struct host_timer *timer)
{
	while (*list && *list != timer)
		list = &(*list)->next;
	if (*list)
		*list = timer->next;
	timer->armed = false;
}

void fakelist_arm_timer(struct host_timer **list, struct host_timer *timer, uint64_t deadline_ms)
{
	fakelist_unlink_timer(list, timer);
	timer->deadline_ms = deadline_ms;
	timer->armed = true;
	timer->next = *list;
	*list = timer;
}

void fakelist_add_work(struct host_work **list, struct host_work *work)
{
	if (work->queued)
		return;
	while (*list)
		list = &(*list)->next;
	*list = work;
	work->next = NULL;
	work->queued = true;
}
