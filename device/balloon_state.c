#include <linux/virtio_config.h>
#include <string.h>

#include "device/balloon_impl.h"

/*
 * What users see is a copy behind a lock of its own, made at the end of each
 * piece of work: whoever asks waits for neither guest nor host, even while a
 * discard takes long under the device's lock. Ages are kept as moments and
 * become ages when somebody asks.
 */

const char *balloon_fault_name(enum balloon_fault fault)
{
	static const char *const names[BALLOON_N_FAULTS] = {
		[BALLOON_FAULT_OUTSIDE] = "outside-memory",	  [BALLOON_FAULT_PARTIAL] = "partial-page",	[BALLOON_FAULT_DIRECTION] = "wrong-direction",
		[BALLOON_FAULT_UNREADABLE] = "unreadable-buffer", [BALLOON_FAULT_LEFTOVER] = "left-over-bytes", [BALLOON_FAULT_PROTOCOL] = "out-of-turn",
		[BALLOON_FAULT_DISCARD] = "discard-refused",
	};
	return names[fault];
}

const char *balloon_hint_phase_name(enum balloon_hint_phase phase)
{
	static const char *const names[] = {
		[BALLOON_HINT_NONE] = "none",		[BALLOON_HINT_RUNNING] = "running", [BALLOON_HINT_DONE] = "done",
		[BALLOON_HINT_TIMED_OUT] = "timed-out", [BALLOON_HINT_ABORTED] = "aborted",
	};
	return names[phase];
}

void balloon_publish(struct balloon *b)
{
	struct balloon_view *view = &b->view;
	struct balloon_state *state = &view->state;
	pthread_mutex_lock(&view->lock);
	view->stats_ms = b->stats_ms;
	view->hint_begin_ms = b->hint_begin_ms;
	state->target_bytes = (uint64_t)b->target_pages << PFN_SHIFT;
	state->actual_bytes = (uint64_t)b->actual_pages << PFN_SHIFT;
	state->held_bytes = balloon_map_held_bytes(&b->map);
	state->offered_features = b->vpci.offered;
	state->negotiated_features = vpci_features(&b->vpci);
	state->status = b->vpci.status;
	state->driver_ok = b->vpci.status & VIRTIO_CONFIG_S_DRIVER_OK;
	state->suspended = vpci_is_suspended(&b->vpci);
	state->dense_queues = b->dense_queues;
	state->poison_val = b->poison_val;
	state->stalled = b->stalled;
	state->stall_timeout_s = b->stall_ms / 1000;
	state->oom_deflations = b->oom_deflations;
	state->stats_time_s = b->stats_time_s;
	state->stats_asked = b->stats_asked;
	state->stats_interval_s = b->stats_interval_s;
	state->hint = b->hint;
	memcpy(state->stats, b->stats, sizeof b->stats);
	memcpy(state->other_stats, b->other_stats, b->n_other_stats * sizeof b->other_stats[0]);
	state->n_other_stats = b->n_other_stats;
	for (unsigned i = 0; i < BALLOON_N_QUEUES; i++)
		state->queues[i] = b->queues[i].counters;
	pthread_mutex_unlock(&view->lock);
}

void balloon_get_state(struct device *dev, struct balloon_state *state)
{
	struct balloon *b = container_of(dev, struct balloon, dev);
	struct balloon_view *view = &b->view;
	pthread_mutex_lock(&view->lock);
	uint64_t now_ms = dev->host->ops->now_ms(dev->host);
	*state = view->state;
	if (state->stats_time_s)
		state->stats_age_ms = now_ms - view->stats_ms;
	if (state->hint.phase == BALLOON_HINT_RUNNING)
		state->hint.duration_ms = now_ms - view->hint_begin_ms;
	pthread_mutex_unlock(&view->lock);
}
