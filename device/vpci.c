#include "device/vpci_impl.h"

#include <assert.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define S_SUSPEND 16 /* device status bit, section 2.1 */

/* What a driver may set; NEEDS_RESET is the device's. */
#define DRIVER_STATUS (VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_DRIVER_OK | VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_FAILED)

/* ---- Features and liveness ------------------------------------------- */

uint64_t vpci_features(const struct vpci *vpci)
{
	return vpci->status & VIRTIO_CONFIG_S_FEATURES_OK ? vpci->driver_features : 0;
}

bool vpci_has_feature(const struct vpci *vpci, unsigned bit)
{
	return vpci_features(vpci) >> bit & 1;
}

bool vpci_is_running(const struct vpci *vpci)
{
	return (vpci->status & (VIRTIO_CONFIG_S_DRIVER_OK | VIRTIO_CONFIG_S_NEEDS_RESET | VIRTIO_CONFIG_S_FAILED)) == VIRTIO_CONFIG_S_DRIVER_OK;
}

bool vpci_is_live(const struct vpci *vpci)
{
	return vpci_is_running(vpci) && pci_function_is_master(&vpci->fn);
}

bool vpci_is_suspending(const struct vpci *vpci)
{
	return vpci->suspending;
}

bool vpci_is_suspended(const struct vpci *vpci)
{
	return vpci->status & S_SUSPEND;
}

void vpci_settle(struct vpci *vpci)
{
	if (vpci->type->settled)
		vpci->type->settled(vpci);
}

void vpci_log_guest(struct vpci *vpci, const char *fmt, ...)
{
	struct host *host = vpci->dev->host;
	uint64_t suppressed;
	if (!log_limit_pass(&vpci->guest_limit, host->ops->now_ms(host), &suppressed))
		return;

	char text[256];
	va_list args;
	va_start(args, fmt);
	vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	if (suppressed)
		log_line(LOG_LEVEL_WARN, vpci->dev->id, "guest driver: %s (and %llu lines left out)", text, (unsigned long long)suppressed);
	else
		log_line(LOG_LEVEL_WARN, vpci->dev->id, "guest driver: %s", text);
}

void vpci_queue_broken(struct vpci *vpci, unsigned index)
{
	vpci_log_guest(vpci, "queue %u: %s; needs a reset", index, vpci->queues[index].vq.why);
	assert(vpci_is_running(vpci)); /* only live queues are run, so DRIVER_OK is set and this is told once */
	vpci->status |= VIRTIO_CONFIG_S_NEEDS_RESET;
	vpci_signal_config(vpci);
}

/* ---- Queues ---------------------------------------------------------- */

static bool has_queue(const struct vpci *vpci, unsigned index)
{
	return index < vpci->type->n_queues && (!(vpci->status & VIRTIO_CONFIG_S_FEATURES_OK) || vpci->type->has_queue(vpci, index));
}

struct vpci_queue *vpci_selected_queue(struct vpci *vpci)
{
	return has_queue(vpci, vpci->queue_select) ? &vpci->queues[vpci->queue_select] : NULL;
}

static void run_later(struct vpci *vpci, uint32_t queues)
{
	struct host *host = vpci->dev->host;
	vpci->pending |= queues;
	if (vpci->pending)
		host->ops->defer(host, &vpci->work);
}

static void run_queue(struct vpci *vpci, unsigned index)
{
	if (vpci_is_live(vpci) && vpci->queues[index].vq.enabled && vpci->type->queue_run(vpci, index))
		run_later(vpci, 1u << index);
}

/* A queue that waits for the event loop is left to it, so that a guest that kicks on and on cannot add to its share. */
void vpci_kick(struct vpci *vpci, unsigned index)
{
	if (vpci->pending >> index & 1)
		return;
	vpci->is_kicked = true;
	run_queue(vpci, index);
	vpci->is_kicked = false;
	vpci_settle(vpci);
}

void vpci_kick_later(struct vpci *vpci, unsigned index)
{
	struct host *host = vpci->dev->host;
	__atomic_fetch_or(&vpci->kicked, 1u << index, __ATOMIC_RELEASE);
	host->ops->defer(host, &vpci->work);
}

/* Nothing is in work any more: the driver sees that the device is suspended. */
static void suspend_when_idle(struct vpci *vpci)
{
	if (!vpci->suspending || (vpci->type->is_busy && vpci->type->is_busy(vpci)))
		return;
	vpci->suspending = false;
	vpci->pending = 0;
	vpci_signal_held(vpci);
	vpci->status = (uint8_t)((vpci->status & ~VIRTIO_CONFIG_S_DRIVER_OK) | S_SUSPEND);
	if (vpci->type->suspended)
		vpci->type->suspended(vpci);
}

/* Deferred work; also when the driver made the function a bus master. */
void vpci_run_pending(void *opaque)
{
	struct vpci *vpci = opaque;
	pthread_mutex_lock(&vpci->dev->lock);
	uint32_t queues = vpci->pending | __atomic_exchange_n(&vpci->kicked, 0, __ATOMIC_ACQUIRE);
	vpci->pending = 0;
	for (; queues; queues &= queues - 1)
		run_queue(vpci, (unsigned)__builtin_ctz(queues));
	suspend_when_idle(vpci);
	vpci_settle(vpci);
	pthread_mutex_unlock(&vpci->dev->lock);
}

/* Kicks that came while the function was no bus master were not served. */
void vpci_command_written(struct vpci *vpci)
{
	bool was_master = vpci->is_master;
	vpci->is_master = pci_function_is_master(&vpci->fn);
	if (!was_master && vpci_is_live(vpci))
		run_later(vpci, (1u << vpci->type->n_queues) - 1);
}

static void queue_to_default(struct vpci *vpci, unsigned index)
{
	struct vpci_queue *q = &vpci->queues[index];
	memset(q, 0, sizeof *q);
	q->size = vpci->type->queue_sizes[index];
	q->vector = VIRTIO_MSI_NO_VECTOR;
	vpci->pending &= ~(1u << index);
}

/*
 * Taken between FEATURES_OK and DRIVER_OK, and after DRIVER_OK where RING_RESET
 * allows it; rings that are not wholly in RAM are not taken. queue_enable then
 * goes on reading 0.
 */
void vpci_enable_queue(struct vpci *vpci, struct vpci_queue *queue)
{
	if (!(vpci->status & VIRTIO_CONFIG_S_FEATURES_OK) || ((vpci->status & VIRTIO_CONFIG_S_DRIVER_OK) && !vpci_has_feature(vpci, VPCI_F_RING_RESET)))
		return;
	struct virtq_setup setup = {
		.size = queue->size,
		.desc = queue->desc,
		.avail = queue->avail,
		.used = queue->used,
		.event_idx = vpci_has_feature(vpci, VIRTIO_RING_F_EVENT_IDX),
		.indirect = vpci_has_feature(vpci, VIRTIO_RING_F_INDIRECT_DESC),
	};
	if (virtq_enable(&queue->vq, &vpci->dev->host->gmem, &setup) < 0)
		return;
	run_queue(vpci, (unsigned)(queue - vpci->queues));
	vpci_settle(vpci);
}

void vpci_reset_queue(struct vpci *vpci, struct vpci_queue *queue)
{
	unsigned index = (unsigned)(queue - vpci->queues);
	if (!vpci_has_feature(vpci, VPCI_F_RING_RESET))
		return;
	vpci->type->queue_reset(vpci, index);
	queue_to_default(vpci, index);
	vpci_settle(vpci);
}

/* ---- Status (section 2.1) -------------------------------------------- */

void vpci_reset(struct vpci *vpci)
{
	for (unsigned i = 0; i < vpci->type->n_queues; i++)
		queue_to_default(vpci, i);
	vpci_forget_held(vpci);
	vpci->driver_features = 0;
	vpci->device_feature_select = vpci->driver_feature_select = 0;
	vpci->queue_select = 0;
	vpci->config_vector = VIRTIO_MSI_NO_VECTOR;
	vpci->msix.pending = 0; /* of the table and of MSI-X itself nothing changes: they are PCI's */
	vpci->suspending = vpci->config_is_late = false;
	vpci->status &= (uint8_t)~S_SUSPEND; /* what the type changes now is no late change */
	vpci->type->reset(vpci);
	vpci->status = 0;
	vpci->isr = 0;
	vpci_update_intx(vpci);
}

static bool is_acceptable(const struct vpci *vpci)
{
	return !(vpci->driver_features & ~vpci->offered) && (vpci->driver_features >> VIRTIO_F_VERSION_1 & 1);
}

static void run_all(struct vpci *vpci)
{
	for (unsigned i = 0; i < vpci->type->n_queues; i++)
		run_queue(vpci, i);
}

/* Kicks went unheard and changes untold. */
static void resume(struct vpci *vpci)
{
	bool is_late = vpci->config_is_late;
	vpci->status = (uint8_t)((vpci->status & ~S_SUSPEND) | VIRTIO_CONFIG_S_DRIVER_OK);
	vpci->config_is_late = false;
	if (vpci->type->resumed)
		vpci->type->resumed(vpci);
	if (is_late)
		vpci_config_changed(vpci);
	run_all(vpci);
}

/*
 * Bits are only ever added, until 0 resets; a step that is not allowed yet is
 * left out. The exception is suspension, which takes DRIVER_OK away until the
 * driver sets it again; before DRIVER_OK its bit means nothing (section 2.9).
 */
static void take_status(struct vpci *vpci, uint8_t value)
{
	if (value == 0) {
		vpci_reset(vpci);
		return;
	}
	if (vpci_is_suspended(vpci)) {
		vpci->status |= value & VIRTIO_CONFIG_S_FAILED;
		if ((value & VIRTIO_CONFIG_S_DRIVER_OK) && !(vpci->status & VIRTIO_CONFIG_S_FAILED))
			resume(vpci);
		return;
	}
	uint8_t added = value & DRIVER_STATUS & ~vpci->status;
	if ((added & VIRTIO_CONFIG_S_FEATURES_OK) && !is_acceptable(vpci))
		added &= (uint8_t)~VIRTIO_CONFIG_S_FEATURES_OK;
	if (!((vpci->status | added) & VIRTIO_CONFIG_S_FEATURES_OK))
		added &= (uint8_t)~VIRTIO_CONFIG_S_DRIVER_OK;
	bool suspend = (value & S_SUSPEND) && vpci_is_running(vpci) && vpci_has_feature(vpci, VPCI_F_SUSPEND);
	vpci->status |= added;

	if (added & VIRTIO_CONFIG_S_DRIVER_OK) {
		vpci->type->driver_ok(vpci);
		run_all(vpci);
	} else if (suspend) {
		vpci->suspending = true;
		suspend_when_idle(vpci);
	}
}

void vpci_write_status(struct vpci *vpci, uint8_t value)
{
	take_status(vpci, value);
	vpci_settle(vpci);
}
