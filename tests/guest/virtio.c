#include "tests/guest/virtio.h"

#include <linux/pci_regs.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>

#include "tests/guest/clock.h"
#include "tests/guest/memory.h"
#include "tests/guest/pci.h"
#include "tests/guest/report.h"
#include "tests/guest/x86.h"

#define PCI_VENDOR_VIRTIO 0x1AF4
#define PCI_DEVICE_VIRTIO_MODERN 0x1040 /* plus the device type (VIRTIO 1.4, section 4.1.2.1) */

#define RESET_MAX_MS 5000

/* The vendor capability of a register block (VIRTIO 1.4, section 4.1.4), read 4 bytes at a time. */
static void note_capability(struct virtio_device *dev, unsigned slot, unsigned at, const uint64_t bars[6])
{
	unsigned type = pci_read(slot, at) >> 24;
	unsigned bar = pci_read(slot, at + offsetof(struct virtio_pci_cap, bar)) & 0xFF;
	if (bar >= 6 || !bars[bar])
		return;
	uint64_t gpa = bars[bar] + pci_read(slot, at + offsetof(struct virtio_pci_cap, offset));
	if (type == VIRTIO_PCI_CAP_COMMON_CFG && !dev->common)
		dev->common = gpa;
	if (type == VIRTIO_PCI_CAP_DEVICE_CFG && !dev->config)
		dev->config = gpa;
	if (type == VIRTIO_PCI_CAP_NOTIFY_CFG && !dev->notify) {
		dev->notify = gpa;
		dev->notify_multiplier = pci_read(slot, at + offsetof(struct virtio_pci_notify_cap, notify_off_multiplier));
	}
}

static void read_capabilities(struct virtio_device *dev, unsigned slot, const uint64_t bars[6])
{
	unsigned at = pci_read(slot, PCI_CAPABILITY_LIST) & 0xFC;
	for (unsigned steps = 0; at; steps++) {
		if (steps == 48) /* as many as fit */
			fail("PCI slot %u: the capability list has no end", slot);
		uint32_t head = pci_read(slot, at);
		if ((head & 0xFF) == PCI_CAP_ID_VNDR)
			note_capability(dev, slot, at, bars);
		at = head >> 8 & 0xFC;
	}
	if (!dev->common || !dev->notify || !dev->config)
		fail("PCI slot %u: a virtio capability is missing: common %#lx, notify %#lx, device %#lx", slot, dev->common, dev->notify, dev->config);
}

static uint64_t offered_features(const struct virtio_device *dev)
{
	uint64_t features = 0;
	for (uint32_t word = 0; word < 2; word++) {
		mmio_write32(dev->common + VIRTIO_PCI_COMMON_DFSELECT, word);
		features |= (uint64_t)mmio_read32(dev->common + VIRTIO_PCI_COMMON_DF) << 32 * word;
	}
	return features;
}

bool virtio_find(struct virtio_device *dev, uint16_t device_type)
{
	unsigned slot;
	uint64_t bars[6];
	if (!pci_find(PCI_VENDOR_VIRTIO, PCI_DEVICE_VIRTIO_MODERN + device_type, &slot))
		return false;
	pci_enable(slot, bars);
	read_capabilities(dev, slot, bars);
	virtio_reset(dev);
	dev->features = offered_features(dev);
	return true;
}

uint8_t virtio_status(const struct virtio_device *dev)
{
	return mmio_read8(dev->common + VIRTIO_PCI_COMMON_STATUS);
}

static void add_status(struct virtio_device *dev, uint8_t bits)
{
	mmio_write8(dev->common + VIRTIO_PCI_COMMON_STATUS, virtio_status(dev) | bits);
}

void virtio_reset(struct virtio_device *dev)
{
	uint64_t start = read_tsc();
	mmio_write8(dev->common + VIRTIO_PCI_COMMON_STATUS, 0);
	while (virtio_status(dev))
		if (clock_ms_since(start) > RESET_MAX_MS)
			fail("the device does not finish its reset: status %#x", virtio_status(dev));
}

void virtio_negotiate(struct virtio_device *dev, uint64_t features)
{
	if (features & ~dev->features)
		fail("features %#lx are not offered", features & ~dev->features);
	add_status(dev, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	add_status(dev, VIRTIO_CONFIG_S_DRIVER);
	for (uint32_t word = 0; word < 2; word++) {
		mmio_write32(dev->common + VIRTIO_PCI_COMMON_GFSELECT, word);
		mmio_write32(dev->common + VIRTIO_PCI_COMMON_GF, (uint32_t)(features >> 32 * word));
	}
	add_status(dev, VIRTIO_CONFIG_S_FEATURES_OK);
	if (!(virtio_status(dev) & VIRTIO_CONFIG_S_FEATURES_OK))
		fail("the device refuses features %#lx of its %#lx", features, dev->features);
}

static void write_address(struct virtio_device *dev, unsigned reg, const volatile void *part)
{
	mmio_write32(dev->common + reg, (uint32_t)(uintptr_t)part);
	mmio_write32(dev->common + reg + 4, (uint32_t)((uintptr_t)part >> 32));
}

void virtio_enable_queue(struct virtio_device *dev, struct virtq *q, uint16_t index)
{
	memset(q, 0, sizeof *q);
	q->index = index;
	q->avail.flags = VRING_AVAIL_F_NO_INTERRUPT;
	mmio_write16(dev->common + VIRTIO_PCI_COMMON_Q_SELECT, index);
	q->size = mmio_read16(dev->common + VIRTIO_PCI_COMMON_Q_SIZE);
	if (!q->size)
		return;
	if (q->size > VIRTQ_MAX_SIZE) {
		q->size = VIRTQ_MAX_SIZE;
		mmio_write16(dev->common + VIRTIO_PCI_COMMON_Q_SIZE, q->size);
	}
	q->notify = dev->notify + (uint64_t)mmio_read16(dev->common + VIRTIO_PCI_COMMON_Q_NOFF) * dev->notify_multiplier;
	write_address(dev, VIRTIO_PCI_COMMON_Q_DESCLO, q->desc);
	write_address(dev, VIRTIO_PCI_COMMON_Q_AVAILLO, &q->avail);
	write_address(dev, VIRTIO_PCI_COMMON_Q_USEDLO, &q->used);
	mmio_write16(dev->common + VIRTIO_PCI_COMMON_Q_ENABLE, 1);
}

void virtio_start(struct virtio_device *dev)
{
	add_status(dev, VIRTIO_CONFIG_S_DRIVER_OK);
}

uint32_t virtio_config_read(const struct virtio_device *dev, unsigned offset)
{
	uint8_t before, after;
	uint32_t value;
	do {
		before = mmio_read8(dev->common + VIRTIO_PCI_COMMON_CFGGENERATION);
		value = mmio_read32(dev->config + offset);
		after = mmio_read8(dev->common + VIRTIO_PCI_COMMON_CFGGENERATION);
	} while (before != after);
	return value;
}

void virtio_config_write(const struct virtio_device *dev, unsigned offset, uint32_t value)
{
	mmio_write32(dev->config + offset, value);
}
