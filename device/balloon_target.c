#include <linux/virtio_balloon.h>

#include "device/balloon_impl.h"

/* The driver's notifier for want of memory gives back this much at most at a time. */
#define OOM_STEP_PAGES 256

static uint64_t to_bytes(uint32_t pages)
{
	return (uint64_t)pages << PFN_SHIFT;
}

static bool is_driver_ok(const struct balloon *b)
{
	return b->vpci.status & VIRTIO_CONFIG_S_DRIVER_OK;
}

/* ---- Progress -------------------------------------------------------- */

/* The timer runs only while there is a target to reach, and stops once the stall was told: an idle VM is never woken. */
static void watch_progress(struct balloon *b, uint64_t delay_ms)
{
	struct host *host = b->dev.host;
	b->watching = true;
	host->ops->timer_arm(host, &b->stall_timer, delay_ms);
}

static void stop_watching(struct balloon *b)
{
	if (!b->watching)
		return;
	b->watching = false;
	b->dev.host->ops->timer_cancel(b->dev.host, &b->stall_timer);
}

/* Actual came nearer to the target, or the target is a new one. */
static void note_progress(struct balloon *b)
{
	b->stalled = false;
	b->progress_ms = b->dev.host->ops->now_ms(b->dev.host);
	if (!b->watching)
		watch_progress(b, b->stall_ms);
}

static void on_stall_timer(void *opaque)
{
	struct balloon *b = opaque;
	pthread_mutex_lock(&b->dev.lock);
	if (b->watching) {
		uint64_t quiet_ms = b->dev.host->ops->now_ms(b->dev.host) - b->progress_ms;
		b->watching = false;
		if (quiet_ms < b->stall_ms) {
			watch_progress(b, b->stall_ms - quiet_ms);
		} else {
			b->stalled = true;
			balloon_tell(b, HOST_EVENT_BALLOON_STALLED, to_bytes(b->actual_pages));
		}
		balloon_publish(b);
	}
	pthread_mutex_unlock(&b->dev.lock);
}

static void reached(struct balloon *b)
{
	b->stalled = false;
	stop_watching(b);
	balloon_tell(b, HOST_EVENT_BALLOON_REACHED, to_bytes(b->target_pages));
}

static uint32_t distance(uint32_t x, uint32_t y)
{
	return x < y ? y - x : x - y;
}

/* ---- The driver's side ----------------------------------------------- */

/*
 * Whether the guest took pages back on its own: below a target that it knows.
 * A drop to nothing in one long step is not that: it is a driver that leaves,
 * for unbind or suspend.
 */
static bool is_own_deflation(const struct balloon *b, uint32_t before, uint32_t now)
{
	return vpci_has_feature(&b->vpci, VIRTIO_BALLOON_F_DEFLATE_ON_OOM) && now < before && now < b->target_pages && b->target_was_read &&
	       (now || before <= OOM_STEP_PAGES);
}

void balloon_actual_written(struct balloon *b, uint32_t pages)
{
	uint32_t before = b->actual_pages;
	if (pages == before)
		return;
	b->actual_pages = pages;
	balloon_tell(b, HOST_EVENT_BALLOON_CHANGE, to_bytes(pages));
	if (!is_driver_ok(b))
		return;

	if (pages == b->target_pages)
		reached(b);
	else if (distance(pages, b->target_pages) < distance(before, b->target_pages) || before == b->target_pages)
		note_progress(b);
	if (is_own_deflation(b, before, pages)) {
		b->oom_deflations++;
		balloon_tell(b, HOST_EVENT_BALLOON_OOM, to_bytes(pages));
	}
}

void balloon_target_driver_ok(struct balloon *b)
{
	balloon_tell(b, HOST_EVENT_BALLOON_READY, to_bytes(b->actual_pages));
	balloon_target_resumed(b);
}

/* A driver that sleeps makes no progress, and that is no stall. */
void balloon_target_suspended(struct balloon *b)
{
	stop_watching(b);
}

void balloon_target_resumed(struct balloon *b)
{
	if (b->actual_pages != b->target_pages)
		note_progress(b);
}

void balloon_target_forget(struct balloon *b)
{
	stop_watching(b);
	b->stalled = false;
	b->target_was_read = false;
	if (!b->actual_pages)
		return;
	b->actual_pages = 0;
	balloon_tell(b, HOST_EVENT_BALLOON_CHANGE, to_bytes(0));
}

/* ---- The host's side ------------------------------------------------- */

void balloon_target_init(struct balloon *b, uint32_t target_pages, uint64_t stall_timeout_s)
{
	b->stall_timer = (struct host_timer){.fn = on_stall_timer, .opaque = b};
	b->stall_ms = stall_timeout_s * 1000;
	b->target_pages = b->shown.num_pages = target_pages;
}

void balloon_target_set(struct balloon *b, uint32_t pages)
{
	if (pages != b->target_pages)
		b->target_was_read = false;
	/*
	 * The target that the driver has already is told to it again while it is
	 * not there: Linux, once it deflated for want of memory, inflates again
	 * only when the configuration changes.
	 */
	if (pages != b->target_pages || pages != b->actual_pages) {
		b->target_pages = pages;
		balloon_config_changed(b);
	}
	if (!is_driver_ok(b))
		return;
	if (pages == b->actual_pages)
		reached(b);
	else
		note_progress(b);
}
