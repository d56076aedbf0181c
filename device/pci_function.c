#include "device/pci_function.h"

#include <assert.h>
#include <string.h>

#include "device/pci_root.h"
#include "util/bytes.h"

/* Below it is the header (PCI Local Bus 3.0, section 6.1). */
#define FIRST_CAP_OFFSET 0x40

void pci_function_init(struct pci_function *fn, const struct pci_function_ops *ops, pthread_mutex_t *lock, const struct pci_ids *ids)
{
	memset(fn, 0, sizeof *fn);
	fn->ops = ops;
	fn->lock = lock;
	fn->caps_end = FIRST_CAP_OFFSET;

	uint8_t *c = fn->config;
	store_le16(c + PCI_VENDOR_ID, ids->vendor);
	store_le16(c + PCI_DEVICE_ID, ids->device);
	store_le32(c + PCI_CLASS_REVISION, ids->class_code << 8 | ids->revision);
	c[PCI_HEADER_TYPE] = PCI_HEADER_TYPE_NORMAL;
	store_le16(c + PCI_SUBSYSTEM_VENDOR_ID, ids->subsystem_vendor);
	store_le16(c + PCI_SUBSYSTEM_ID, ids->subsystem);

	store_le16(fn->writable + PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	fn->writable[PCI_CACHE_LINE_SIZE] = 0xFF;
	if (ids->intx) {
		c[PCI_INTERRUPT_PIN] = 1;
		fn->writable[PCI_INTERRUPT_LINE] = 0xFF;
		store_le16(fn->writable + PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE);
	}
}

void pci_function_add_bar(struct pci_function *fn, unsigned index, uint32_t len_bytes, const struct io_ops *ops, void *opaque)
{
	assert(index < PCI_N_BARS && len_bytes >= 4096 && (len_bytes & (len_bytes - 1)) == 0);
	struct pci_bar *bar = &fn->bars[index];
	bar->len = len_bytes;
	bar->region = (struct io_region){.space = IO_MMIO, .len = len_bytes, .ops = ops, .opaque = opaque};
	/* Sizing: the bits below the length, type bits among them, stay zero (PCI 3.0, section 6.2.5.1). */
	store_le32(fn->writable + PCI_BASE_ADDRESS_0 + sizeof(uint32_t) * index, ~(len_bytes - 1));
}

unsigned pci_function_add_cap(struct pci_function *fn, uint8_t id, unsigned len_bytes)
{
	unsigned at = fn->caps_end;
	fn->caps_end = (at + len_bytes + 3) & ~3u;
	assert(len_bytes >= 2 && fn->caps_end <= PCI_CONFIG_LEN);
	fn->config[at + PCI_CAP_LIST_ID] = id;
	if (fn->last_cap)
		fn->config[fn->last_cap + PCI_CAP_LIST_NEXT] = (uint8_t)at;
	else
		fn->config[PCI_CAPABILITY_LIST] = (uint8_t)at;
	fn->config[PCI_STATUS] |= PCI_STATUS_CAP_LIST;
	fn->last_cap = at;
	return at;
}

void pci_function_update_line(struct pci_function *fn)
{
	bool line = (fn->config[PCI_STATUS] & PCI_STATUS_INTERRUPT) && !(load_le16(fn->config + PCI_COMMAND) & PCI_COMMAND_INTX_DISABLE);
	if (line == fn->line || !fn->root)
		return;
	fn->line = line;
	pci_root_drive_line(fn->root, fn->slot, line);
}

void pci_function_set_intx(struct pci_function *fn, bool pending)
{
	if (pending)
		fn->config[PCI_STATUS] |= PCI_STATUS_INTERRUPT;
	else
		fn->config[PCI_STATUS] &= (uint8_t)~PCI_STATUS_INTERRUPT;
	pci_function_update_line(fn);
}

bool pci_function_is_master(const struct pci_function *fn)
{
	return fn->config[PCI_COMMAND] & PCI_COMMAND_MASTER;
}
