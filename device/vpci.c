#include "device/vpci.h"

#include <assert.h>
#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "device/pci_root.h"
#include "device/vpci_regs.h"
#include "util/bytes.h"

#define PCI_VENDOR_VIRTIO 0x1AF4
#define PCI_DEVICE_MODERN 0x1040 /* plus the device type (section 4.1.2.1) */
#define ISR_QUEUE 1
#define ISR_CONFIG 2
#define TRANSPORT_FEATURES \
	(1ULL << VIRTIO_F_VERSION_1 | 1ULL << VIRTIO_RING_F_INDIRECT_DESC | 1ULL << VIRTIO_RING_F_EVENT_IDX | 1ULL << F_RING_RESET | 1ULL << F_SUSPEND)
/* Kernel headers know them late or not yet. */
#define F_RING_RESET 40 /* VIRTIO_F_RING_RESET */
#define F_SUSPEND 43	/* VIRTIO_F_SUSPEND, VIRTIO 1.4 section 6 */
#define S_SUSPEND 16	/* device status bit, section 2.1 */

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

static bool is_running(const struct vpci *vpci)
{
	return (vpci->status & (VIRTIO_CONFIG_S_DRIVER_OK | VIRTIO_CONFIG_S_NEEDS_RESET | VIRTIO_CONFIG_S_FAILED)) == VIRTIO_CONFIG_S_DRIVER_OK;
}

bool vpci_is_live(const struct vpci *vpci)
{
	return is_running(vpci) && pci_function_is_master(&vpci->fn);
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

/* ---- Interrupts ------------------------------------------------------ */

static void update_intx(struct vpci *vpci)
{
	pci_function_set_intx(&vpci->fn, vpci->isr && !msix_is_enabled(&vpci->msix));
}

void vpci_signal_queue(struct vpci *vpci, unsigned index)
{
	if (!virtq_should_signal(&vpci->queues[index].vq))
		return;
	if (msix_is_enabled(&vpci->msix)) {
		msix_notify(&vpci->msix, vpci->queues[index].vector); /* NO_VECTOR is out of range: silent */
		return;
	}
	vpci->isr |= ISR_QUEUE;
	update_intx(vpci);
}

/* The ISR bit is set even with MSI-X: section 4.1.4.5.1 makes no exception for it. */
static void signal_config(struct vpci *vpci)
{
	vpci->isr |= ISR_CONFIG;
	if (msix_is_enabled(&vpci->msix))
		msix_notify(&vpci->msix, vpci->config_vector);
	else
		update_intx(vpci);
}

uint8_t vpci_take_isr(struct vpci *vpci)
{
	uint8_t isr = vpci->isr;
	vpci->isr = 0;
	update_intx(vpci);
	return isr;
}

/*
 * The generation need only move if the driver read something since it last
 * moved; moving it at every change could take it round 256 steps to the same
 * value between two reads of the driver.
 */
void vpci_config_changed(struct vpci *vpci)
{
	if (vpci_is_suspended(vpci)) {
		vpci->config_is_late = true;
		return;
	}
	if (vpci->config_was_read) {
		vpci->generation++;
		vpci->config_was_read = false;
	}
	if (is_running(vpci))
		signal_config(vpci);
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
	assert(is_running(vpci)); /* only live queues are run, so DRIVER_OK is set and this is told once */
	vpci->status |= VIRTIO_CONFIG_S_NEEDS_RESET;
	signal_config(vpci);
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
	run_queue(vpci, index);
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
	vpci->status = (uint8_t)((vpci->status & ~VIRTIO_CONFIG_S_DRIVER_OK) | S_SUSPEND);
	if (vpci->type->suspended)
		vpci->type->suspended(vpci);
}

/* Deferred work; also when the driver made the function a bus master. */
static void run_pending(void *opaque)
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
	if (!(vpci->status & VIRTIO_CONFIG_S_FEATURES_OK) || ((vpci->status & VIRTIO_CONFIG_S_DRIVER_OK) && !vpci_has_feature(vpci, F_RING_RESET)))
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
	if (!vpci_has_feature(vpci, F_RING_RESET))
		return;
	vpci->type->queue_reset(vpci, index);
	queue_to_default(vpci, index);
	vpci_settle(vpci);
}

/* ---- Status (section 2.1) -------------------------------------------- */

static void reset_virtio(struct vpci *vpci)
{
	for (unsigned i = 0; i < vpci->type->n_queues; i++)
		queue_to_default(vpci, i);
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
	update_intx(vpci);
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
		reset_virtio(vpci);
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
	bool suspend = (value & S_SUSPEND) && is_running(vpci) && vpci_has_feature(vpci, F_SUSPEND);
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

/* ---- Configuration space --------------------------------------------- */

/* The window (section 4.1.4.9): `length` bytes at `offset` of BAR `bar`, whether or not Command.Memory decodes the BAR. */
static bool window_target(const struct vpci *vpci, uint64_t *offset, unsigned *size)
{
	const uint8_t *cap = vpci->fn.config + vpci->window_cap;
	uint32_t len = load_le32(cap + offsetof(struct virtio_pci_cap, length));
	*offset = load_le32(cap + offsetof(struct virtio_pci_cap, offset));
	*size = len;
	/* Past the BAR's end is for vpci_bar_read() and _write(): 0, and nothing. */
	return cap[offsetof(struct virtio_pci_cap, bar)] == VPCI_BAR && (len == 1 || len == 2 || len == 4) && *offset % len == 0;
}

static unsigned window_data(const struct vpci *vpci)
{
	return vpci->window_cap + (unsigned)offsetof(struct virtio_pci_cfg_cap, pci_cfg_data);
}

static void config_read(struct pci_function *fn, unsigned offset, unsigned size)
{
	struct vpci *vpci = container_of(fn, struct vpci, fn);
	uint64_t target;
	unsigned len;
	(void)size;

	if (offset != window_data(vpci))
		return;
	bool valid = window_target(vpci, &target, &len);
	store_le32(fn->config + offset, valid ? (uint32_t)vpci_bar_read(vpci, target, len) : 0);
}

static void config_written(struct pci_function *fn, unsigned offset, unsigned size)
{
	struct vpci *vpci = container_of(fn, struct vpci, fn);
	uint64_t target;
	unsigned len;

	if (offset == window_data(vpci) && window_target(vpci, &target, &len)) {
		vpci_bar_write(vpci, target, len, load_le32(fn->config + offset));
		return;
	}
	bool is_command = offset < PCI_COMMAND + 2 && offset + size > PCI_COMMAND;
	bool is_msix = offset < vpci->msix.cap + PCI_MSIX_FLAGS + 2 && offset + size > vpci->msix.cap + PCI_MSIX_FLAGS;
	if (!is_command && !is_msix)
		return;
	msix_flush(&vpci->msix);
	update_intx(vpci);
	/* Kicks that came while the function was no bus master were not served. */
	bool was_master = vpci->is_master;
	vpci->is_master = pci_function_is_master(fn);
	if (!was_master && vpci_is_live(vpci))
		run_later(vpci, (1u << vpci->type->n_queues) - 1);
}

static const struct pci_function_ops function_ops = {.config_read = config_read, .config_written = config_written};

/* ---- Life ------------------------------------------------------------ */

static unsigned add_virtio_cap(struct vpci *vpci, uint8_t cfg_type, unsigned cap_len, uint32_t offset, uint32_t len)
{
	unsigned at = pci_function_add_cap(&vpci->fn, PCI_CAP_ID_VNDR, cap_len);
	uint8_t *cap = vpci->fn.config + at;
	cap[offsetof(struct virtio_pci_cap, cap_len)] = (uint8_t)cap_len;
	cap[offsetof(struct virtio_pci_cap, cfg_type)] = cfg_type;
	cap[offsetof(struct virtio_pci_cap, bar)] = VPCI_BAR;
	store_le32(cap + offsetof(struct virtio_pci_cap, offset), offset);
	store_le32(cap + offsetof(struct virtio_pci_cap, length), len);
	return at;
}

static void add_caps(struct vpci *vpci)
{
	const struct vpci_type *type = vpci->type;
	add_virtio_cap(vpci, VIRTIO_PCI_CAP_COMMON_CFG, sizeof(struct virtio_pci_cap), VPCI_COMMON_OFFSET, VPCI_COMMON_LEN);
	add_virtio_cap(vpci, VIRTIO_PCI_CAP_ISR_CFG, sizeof(struct virtio_pci_cap), VPCI_ISR_OFFSET, VPCI_ISR_LEN);
	add_virtio_cap(vpci, VIRTIO_PCI_CAP_DEVICE_CFG, sizeof(struct virtio_pci_cap), VPCI_DEVICE_OFFSET, type->config_len);
	unsigned at = add_virtio_cap(vpci, VIRTIO_PCI_CAP_NOTIFY_CFG, sizeof(struct virtio_pci_notify_cap), VPCI_NOTIFY_OFFSET,
				     type->n_queues * VPCI_NOTIFY_MULTIPLIER);
	store_le32(vpci->fn.config + at + offsetof(struct virtio_pci_notify_cap, notify_off_multiplier), VPCI_NOTIFY_MULTIPLIER);

	at = add_virtio_cap(vpci, VIRTIO_PCI_CAP_PCI_CFG, sizeof(struct virtio_pci_cfg_cap), 0, 0);
	uint8_t *writable = vpci->fn.writable + at;
	writable[offsetof(struct virtio_pci_cap, bar)] = 0xFF;
	memset(writable + offsetof(struct virtio_pci_cap, offset), 0xFF, 12); /* offset, length, pci_cfg_data */
	vpci->window_cap = at;
}

int vpci_init(struct vpci *vpci, struct device *dev, const struct vpci_type *type, uint64_t features, struct pci_root *root, unsigned slot)
{
	assert(type->n_queues && type->n_queues < VPCI_MAX_QUEUES && type->config_len <= VPCI_MAX_CONFIG_LEN);
	assert(type->has_queue && type->driver_ok && type->queue_run && type->queue_reset && type->reset);
	assert(!type->config_len || (type->config_read && type->config_write));
	memset(vpci, 0, sizeof *vpci);
	vpci->dev = dev;
	vpci->type = type;
	vpci->root = root;
	vpci->offered = features | TRANSPORT_FEATURES;
	vpci->work = (struct host_work){.fn = run_pending, .opaque = vpci};

	const struct pci_ids ids = {
		.vendor = PCI_VENDOR_VIRTIO,
		.device = PCI_DEVICE_MODERN + type->device_type,
		.subsystem_vendor = PCI_VENDOR_VIRTIO,
		.subsystem = PCI_DEVICE_MODERN + type->device_type,
		.class_code = type->pci_class,
		.revision = 1,
		.intx = true,
	};
	pci_function_init(&vpci->fn, &function_ops, &dev->lock, &ids);
	pci_function_add_bar(&vpci->fn, VPCI_BAR, VPCI_BAR_LEN, &vpci_bar_ops, vpci);
	msix_init(&vpci->msix, &vpci->fn, dev->host, type->n_queues + 1, VPCI_BAR, VPCI_MSIX_TABLE_OFFSET, VPCI_MSIX_PBA_OFFSET);
	add_caps(vpci);
	reset_virtio(vpci);
	return pci_root_add(root, &vpci->fn, slot);
}

void vpci_finish(struct vpci *vpci)
{
	pci_root_remove(vpci->root, &vpci->fn);
}

void vpci_power_on_reset(struct vpci *vpci)
{
	pci_root_reset_function(vpci->root, &vpci->fn);
	pthread_mutex_lock(&vpci->dev->lock);
	vpci->is_master = false;
	msix_reset(&vpci->msix);
	reset_virtio(vpci);
	vpci_settle(vpci);
	pthread_mutex_unlock(&vpci->dev->lock);
}
