#include "device/vpci_impl.h"

#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <stddef.h>

#include "util/bytes.h"

/* ---- Common configuration (VIRTIO 1.4, section 4.1.4.3) --------------- */

/* Offsets of struct virtio_pci_common_cfg and of the fields that came after it. */
enum {
	DEVICE_FEATURE_SELECT = VIRTIO_PCI_COMMON_DFSELECT,
	DEVICE_FEATURE = VIRTIO_PCI_COMMON_DF,
	DRIVER_FEATURE_SELECT = VIRTIO_PCI_COMMON_GFSELECT,
	DRIVER_FEATURE = VIRTIO_PCI_COMMON_GF,
	CONFIG_VECTOR = VIRTIO_PCI_COMMON_MSIX,
	NUM_QUEUES = VIRTIO_PCI_COMMON_NUMQ,
	STATUS = VIRTIO_PCI_COMMON_STATUS,
	GENERATION = VIRTIO_PCI_COMMON_CFGGENERATION,
	QUEUE_SELECT = VIRTIO_PCI_COMMON_Q_SELECT,
	QUEUE_SIZE = VIRTIO_PCI_COMMON_Q_SIZE,
	QUEUE_VECTOR = VIRTIO_PCI_COMMON_Q_MSIX,
	QUEUE_ENABLE = VIRTIO_PCI_COMMON_Q_ENABLE,
	QUEUE_NOTIFY_OFF = VIRTIO_PCI_COMMON_Q_NOFF,
	QUEUE_DESC = VIRTIO_PCI_COMMON_Q_DESCLO,
	QUEUE_AVAIL = VIRTIO_PCI_COMMON_Q_AVAILLO,
	QUEUE_USED = VIRTIO_PCI_COMMON_Q_USEDLO,
	QUEUE_RESET = 58, /* 56 is queue_notif_config_data, 60 and 62 are of the admin queue: features that are not offered, read 0 */
};

static uint32_t feature_word(uint64_t features, uint32_t select)
{
	return select < 2 ? (uint32_t)(features >> 32 * select) : 0;
}

/* The structure as the driver sees it now. Reads of any width and alignment are cut out of it. */
static void common_image(struct vpci *vpci, uint8_t *c)
{
	memset(c, 0, VPCI_COMMON_LEN);
	store_le32(c + DEVICE_FEATURE_SELECT, vpci->device_feature_select);
	store_le32(c + DEVICE_FEATURE, feature_word(vpci->offered, vpci->device_feature_select));
	store_le32(c + DRIVER_FEATURE_SELECT, vpci->driver_feature_select);
	store_le32(c + DRIVER_FEATURE, feature_word(vpci->driver_features, vpci->driver_feature_select));
	store_le16(c + CONFIG_VECTOR, vpci->config_vector);
	store_le16(c + NUM_QUEUES, (uint16_t)vpci->type->n_queues);
	c[STATUS] = vpci->status;
	c[GENERATION] = vpci->generation;
	store_le16(c + QUEUE_SELECT, vpci->queue_select);
	store_le16(c + QUEUE_VECTOR, VIRTIO_MSI_NO_VECTOR);

	const struct vpci_queue *q = vpci_selected_queue(vpci);
	if (!q)
		return;
	store_le16(c + QUEUE_SIZE, q->size);
	store_le16(c + QUEUE_VECTOR, q->vector);
	store_le16(c + QUEUE_ENABLE, q->vq.enabled);
	store_le16(c + QUEUE_NOTIFY_OFF, vpci->queue_select);
	store_le64(c + QUEUE_DESC, q->desc);
	store_le64(c + QUEUE_AVAIL, q->avail);
	store_le64(c + QUEUE_USED, q->used);
	/* queue_reset reads 0: a reset is over when the write returns. */
}

static uint64_t common_read(struct vpci *vpci, uint32_t offset)
{
	uint8_t image[VPCI_COMMON_LEN + 8] = {0};
	common_image(vpci, image);
	return load_le64(image + offset);
}

static uint16_t valid_vector(const struct vpci *vpci, uint64_t vector)
{
	return vector < vpci->msix.n_vectors ? (uint16_t)vector : VIRTIO_MSI_NO_VECTOR;
}

static void write_driver_feature(struct vpci *vpci, uint32_t value)
{
	if (vpci->driver_feature_select > 1 || (vpci->status & VIRTIO_CONFIG_S_FEATURES_OK))
		return;
	unsigned shift = 32 * vpci->driver_feature_select;
	vpci->driver_features = (vpci->driver_features & ~(0xFFFFFFFFULL << shift)) | (uint64_t)value << shift;
}

/* Ring addresses and size are latched when the queue is enabled: until then they can be changed. */
static void write_queue(struct vpci *vpci, uint32_t offset, uint64_t value)
{
	struct vpci_queue *q = vpci_selected_queue(vpci);
	if (!q)
		return;
	if (offset == QUEUE_VECTOR)
		q->vector = valid_vector(vpci, value);
	else if (offset == QUEUE_RESET && value == 1)
		vpci_reset_queue(vpci, q);
	else if (q->vq.enabled)
		return;
	else if (offset == QUEUE_ENABLE && value == 1)
		vpci_enable_queue(vpci, q);
	else if (offset == QUEUE_SIZE && value && value <= vpci->type->queue_sizes[vpci->queue_select] && !(value & (value - 1)))
		q->size = (uint16_t)value;
}

/* The three 64-bit registers are written by halves. */
static void write_address(struct vpci *vpci, uint32_t offset, uint32_t value)
{
	struct vpci_queue *q = vpci_selected_queue(vpci);
	if (!q || q->vq.enabled)
		return;
	uint64_t *reg = offset < QUEUE_AVAIL ? &q->desc : offset < QUEUE_USED ? &q->avail : &q->used;
	unsigned shift = offset % 8 ? 32 : 0;
	*reg = (*reg & ~(0xFFFFFFFFULL << shift)) | (uint64_t)value << shift;
}

/* A write counts only at a field's own offset and width; while the device is suspended, only the status. */
static void common_write(struct vpci *vpci, uint32_t offset, unsigned size, uint64_t value)
{
	bool is_address = offset >= QUEUE_DESC && offset < QUEUE_USED + 8;
	if (vpci_is_suspended(vpci) && offset != STATUS)
		return;
	if (is_address && size == 8 && offset % 8 == 0) {
		write_address(vpci, offset, (uint32_t)value);
		write_address(vpci, offset + 4, (uint32_t)(value >> 32));
	} else if (is_address && size == 4 && offset % 4 == 0) {
		write_address(vpci, offset, (uint32_t)value);
	} else if (size == 4 && offset == DEVICE_FEATURE_SELECT) {
		vpci->device_feature_select = (uint32_t)value;
	} else if (size == 4 && offset == DRIVER_FEATURE_SELECT) {
		vpci->driver_feature_select = (uint32_t)value;
	} else if (size == 4 && offset == DRIVER_FEATURE) {
		write_driver_feature(vpci, (uint32_t)value);
	} else if (size == 2 && offset == CONFIG_VECTOR) {
		vpci->config_vector = valid_vector(vpci, value);
	} else if (size == 2 && offset == QUEUE_SELECT) {
		vpci->queue_select = (uint16_t)value;
	} else if (size == 1 && offset == STATUS) {
		vpci_write_status(vpci, (uint8_t)value);
	} else if (size == 2) {
		write_queue(vpci, offset, value & 0xFFFF);
	}
}

/* ---- The BAR --------------------------------------------------------- */

static bool is_inside(uint64_t offset, unsigned size, uint32_t base, uint32_t len)
{
	return offset >= base && offset - base < len && size <= len - (offset - base);
}

static uint64_t device_config_read(struct vpci *vpci, uint32_t offset, unsigned size)
{
	uint8_t bytes[8] = {0};
	vpci->config_was_read = true;
	vpci->type->config_read(vpci, offset, bytes, size);
	return load_le64(bytes);
}

static void device_config_write(struct vpci *vpci, uint32_t offset, unsigned size, uint64_t value)
{
	uint8_t bytes[8];
	if (vpci_is_suspended(vpci))
		return;
	store_le64(bytes, value);
	vpci->type->config_write(vpci, offset, bytes, size);
	vpci_settle(vpci);
}

static uint64_t cut(uint64_t value, unsigned size)
{
	return size == 8 ? value : value & ((1ULL << 8 * size) - 1);
}

uint64_t vpci_bar_read(struct vpci *vpci, uint64_t offset, unsigned size)
{
	if (is_inside(offset, size, VPCI_COMMON_OFFSET, VPCI_COMMON_LEN))
		return cut(common_read(vpci, (uint32_t)offset - VPCI_COMMON_OFFSET), size);
	if (is_inside(offset, size, VPCI_DEVICE_OFFSET, vpci->type->config_len))
		return cut(device_config_read(vpci, (uint32_t)offset - VPCI_DEVICE_OFFSET, size), size);
	if (offset == VPCI_ISR_OFFSET)
		return vpci_take_isr(vpci);
	if (is_inside(offset, size, VPCI_MSIX_TABLE_OFFSET, VPCI_MSIX_PBA_OFFSET - VPCI_MSIX_TABLE_OFFSET))
		return msix_table_read(&vpci->msix, offset - VPCI_MSIX_TABLE_OFFSET, size);
	if (is_inside(offset, size, VPCI_MSIX_PBA_OFFSET, MSIX_PBA_LEN))
		return msix_pba_read(&vpci->msix, offset - VPCI_MSIX_PBA_OFFSET, size);
	return 0;
}

/* The queue is the one that the address belongs to, whatever the data say. */
static bool is_notify(const struct vpci *vpci, uint64_t offset, unsigned size, unsigned *queue)
{
	*queue = (unsigned)(offset - VPCI_NOTIFY_OFFSET) / VPCI_NOTIFY_MULTIPLIER;
	return is_inside(offset, size, VPCI_NOTIFY_OFFSET, vpci->type->n_queues * VPCI_NOTIFY_MULTIPLIER) && (size == 2 || size == 4) &&
	       offset % VPCI_NOTIFY_MULTIPLIER == 0;
}

void vpci_bar_write(struct vpci *vpci, uint64_t offset, unsigned size, uint64_t value)
{
	unsigned queue;
	if (is_notify(vpci, offset, size, &queue))
		vpci_kick(vpci, queue);
	else if (is_inside(offset, size, VPCI_COMMON_OFFSET, VPCI_COMMON_LEN))
		common_write(vpci, (uint32_t)offset - VPCI_COMMON_OFFSET, size, value);
	else if (is_inside(offset, size, VPCI_DEVICE_OFFSET, vpci->type->config_len))
		device_config_write(vpci, (uint32_t)offset - VPCI_DEVICE_OFFSET, size, value);
	else if (is_inside(offset, size, VPCI_MSIX_TABLE_OFFSET, VPCI_MSIX_PBA_OFFSET - VPCI_MSIX_TABLE_OFFSET))
		msix_table_write(&vpci->msix, offset - VPCI_MSIX_TABLE_OFFSET, size, value);
}

static uint64_t bar_read(void *opaque, uint64_t offset, unsigned size)
{
	struct vpci *vpci = opaque;
	pthread_mutex_lock(&vpci->dev->lock);
	uint64_t value = vpci_bar_read(vpci, offset, size);
	pthread_mutex_unlock(&vpci->dev->lock);
	return value;
}

/* A kick asks for no answer: while another thread is in the device, for as long as a discard perhaps, the vCPU need not wait. */
static void bar_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
	struct vpci *vpci = opaque;
	unsigned queue;
	if (pthread_mutex_trylock(&vpci->dev->lock) != 0) {
		if (is_notify(vpci, offset, size, &queue)) {
			vpci_kick_later(vpci, queue);
			return;
		}
		pthread_mutex_lock(&vpci->dev->lock);
	}
	vpci_bar_write(vpci, offset, size, value);
	pthread_mutex_unlock(&vpci->dev->lock);
}

const struct io_ops vpci_bar_ops = {.read = bar_read, .write = bar_write};
