/* The PCI function of a virtio device: its capabilities, the window in its configuration space, its life. */
#include <assert.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>
#include <string.h>

#include "device/pci_root.h"
#include "device/vpci_impl.h"
#include "util/bytes.h"

#define PCI_VENDOR_VIRTIO 0x1AF4
#define PCI_DEVICE_MODERN 0x1040 /* plus the device type (section 4.1.2.1) */
#define TRANSPORT_FEATURES                                                                                                                \
	(1ULL << VIRTIO_F_VERSION_1 | 1ULL << VIRTIO_RING_F_INDIRECT_DESC | 1ULL << VIRTIO_RING_F_EVENT_IDX | 1ULL << VPCI_F_RING_RESET | \
	 1ULL << VPCI_F_SUSPEND)

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
	vpci_update_intx(vpci);
	vpci_command_written(vpci);
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
	vpci->work = (struct host_work){.fn = vpci_run_pending, .opaque = vpci};
	vpci->hold_timer = (struct host_timer){.fn = vpci_end_hold, .opaque = vpci};

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
	vpci_reset(vpci);
	return pci_root_add(root, &vpci->fn, slot);
}

void vpci_finish(struct vpci *vpci)
{
	pci_root_remove(vpci->root, &vpci->fn);
	vpci_forget_held(vpci);
}

void vpci_power_on_reset(struct vpci *vpci)
{
	pci_root_reset_function(vpci->root, &vpci->fn);
	pthread_mutex_lock(&vpci->dev->lock);
	vpci->is_master = false;
	msix_reset(&vpci->msix);
	vpci_reset(vpci);
	vpci_settle(vpci);
	pthread_mutex_unlock(&vpci->dev->lock);
}
