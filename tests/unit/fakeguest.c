#include "tests/unit/fakeguest.h"

#include <assert.h>
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>

#include "util/bytes.h"

/* ---- Life ------------------------------------------------------------ */

void fg_create_class(struct fakeguest *fg, const struct device_class *class, const void *config, struct fakehost *fh)
{
	memset(fg, 0, sizeof *fg);
	fg->fh = fh;
	const struct pci_root_params params = {
		.host = &fh->host,
		.port = 0xCF8,
		.ecam_base = FG_ECAM_BASE,
		.ecam_len = 1 << 20,
		.mmio_base = FG_MMIO_BASE,
		.mmio_len = FG_MMIO_LEN,
		.gsi_base = FG_GSI_BASE,
		.n_gsi = 8,
	};
	int err = pci_root_create(&params, &fg->root);
	assert(!err);
	const struct device_init init = {.id = "balloon0", .config = config, .host = &fh->host, .pci = fg->root};
	err = class->create(&init, &fg->dev);
	assert(!err);
	(void)err;
	fg_probe(fg);
}

void fg_create_on(struct fakeguest *fg, const struct balloon_config *config, struct fakehost *fh)
{
	struct balloon_config with_slot = {.deflate_on_oom = true, .free_page_reporting = true, .free_page_hinting = true};
	if (config)
		with_slot = *config;
	if (!with_slot.stall_timeout)
		with_slot.stall_timeout = 10;
	with_slot.pci_device_id = FG_SLOT;
	fg_create_class(fg, &balloon_class, &with_slot, fh);
}

void fg_create(struct fakeguest *fg, const struct balloon_config *config, uint64_t page_size_bytes)
{
	fg_create_on(fg, config, fakehost_create(page_size_bytes));
}

unsigned fg_destroy(struct fakeguest *fg)
{
	fakehost_settle(fg->fh, 1000000);
	device_destroy(fg->dev);
	pci_root_destroy(fg->root);
	unsigned errors = fg->fh->contract_errors + (fg->fh->n_regions != 0) + fakehost_has_timer(fg->fh);
	fakehost_destroy(fg->fh);
	return errors;
}

/* ---- PCI ------------------------------------------------------------- */

uint32_t fg_pcicfg(struct fakeguest *fg, unsigned offset, unsigned size)
{
	return (uint32_t)fakehost_read(fg->fh, IO_MMIO, FG_ECAM_BASE + (FG_SLOT << 15) + offset, size);
}

void fg_pcicfg_write(struct fakeguest *fg, unsigned offset, unsigned size, uint32_t value)
{
	fakehost_write(fg->fh, IO_MMIO, FG_ECAM_BASE + (FG_SLOT << 15) + offset, size, value);
}

uint32_t fg_window(struct fakeguest *fg, uint8_t bar, uint32_t offset, uint32_t len)
{
	fg_pcicfg_write(fg, fg->window_cap + 4, 1, bar);
	fg_pcicfg_write(fg, fg->window_cap + 8, 4, offset);
	fg_pcicfg_write(fg, fg->window_cap + 12, 4, len);
	return fg_pcicfg(fg, fg->window_cap + 16, 4);
}

static void take_virtio_cap(struct fakeguest *fg, unsigned at)
{
	uint32_t offset = fg_pcicfg(fg, at + 8, 4), len = fg_pcicfg(fg, at + 12, 4);
	switch (fg_pcicfg(fg, at + 3, 1)) {
	case 1:
		fg->common = offset;
		break;
	case 2:
		fg->notify = offset;
		fg->notify_len = len;
		fg->multiplier = fg_pcicfg(fg, at + 16, 4);
		break;
	case 3:
		fg->isr = offset;
		break;
	case 4:
		fg->device = offset;
		break;
	case 5:
		fg->window_cap = at;
		break;
	}
}

void fg_probe(struct fakeguest *fg)
{
	fg->bar = fg_pcicfg(fg, PCI_BASE_ADDRESS_0, 4) & ~0xFu;
	fg_pcicfg_write(fg, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	for (unsigned at = fg_pcicfg(fg, PCI_CAPABILITY_LIST, 1); at; at = fg_pcicfg(fg, at + 1, 1)) {
		uint32_t id = fg_pcicfg(fg, at, 1);
		if (id == PCI_CAP_ID_VNDR)
			take_virtio_cap(fg, at);
		if (id != PCI_CAP_ID_MSIX)
			continue;
		fg->msix_cap = at;
		fg->n_vectors = (fg_pcicfg(fg, at + PCI_MSIX_FLAGS, 2) & PCI_MSIX_FLAGS_QSIZE) + 1;
		fg->msix_table = fg_pcicfg(fg, at + PCI_MSIX_TABLE, 4) & PCI_MSIX_TABLE_OFFSET;
		fg->msix_pba = fg_pcicfg(fg, at + PCI_MSIX_PBA, 4) & PCI_MSIX_PBA_OFFSET;
	}
}

void fg_msix_on(struct fakeguest *fg)
{
	for (unsigned v = 0; v < fg->n_vectors; v++) {
		uint64_t entry = fg->msix_table + v * 16ULL;
		fg_bar_write(fg, entry, 4, (uint32_t)FG_MSI_ADDRESS);
		fg_bar_write(fg, entry + 4, 4, 0);
		fg_bar_write(fg, entry + 8, 4, v);
		fg_bar_write(fg, entry + 12, 4, 0);
	}
	fg_pcicfg_write(fg, fg->msix_cap + PCI_MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE);
}

/* ---- Registers ------------------------------------------------------- */

uint64_t fg_bar(struct fakeguest *fg, uint64_t offset, unsigned size)
{
	return fakehost_read(fg->fh, IO_MMIO, fg->bar + offset, size);
}

void fg_bar_write(struct fakeguest *fg, uint64_t offset, unsigned size, uint64_t value)
{
	fakehost_write(fg->fh, IO_MMIO, fg->bar + offset, size, value);
}

uint64_t fg_cc(struct fakeguest *fg, unsigned offset, unsigned size)
{
	return fg_bar(fg, fg->common + offset, size);
}

void fg_cc_write(struct fakeguest *fg, unsigned offset, unsigned size, uint64_t value)
{
	fg_bar_write(fg, fg->common + offset, size, value);
}

uint32_t fg_dc(struct fakeguest *fg, unsigned offset)
{
	return (uint32_t)fg_bar(fg, fg->device + offset, 4);
}

void fg_dc_write(struct fakeguest *fg, unsigned offset, uint32_t value)
{
	fg_bar_write(fg, fg->device + offset, 4, value);
}

uint8_t fg_status(struct fakeguest *fg)
{
	return (uint8_t)fg_cc(fg, CC_STATUS, 1);
}

void fg_status_write(struct fakeguest *fg, uint8_t value)
{
	fg_cc_write(fg, CC_STATUS, 1, value);
}

uint64_t fg_offered(struct fakeguest *fg)
{
	fg_cc_write(fg, CC_DEV_FEAT_SEL, 4, 0);
	uint64_t low = fg_cc(fg, CC_DEV_FEAT, 4);
	fg_cc_write(fg, CC_DEV_FEAT_SEL, 4, 1);
	return low | fg_cc(fg, CC_DEV_FEAT, 4) << 32;
}

void fg_accept(struct fakeguest *fg, uint64_t features)
{
	fg_cc_write(fg, CC_DRV_FEAT_SEL, 4, 0);
	fg_cc_write(fg, CC_DRV_FEAT, 4, (uint32_t)features);
	fg_cc_write(fg, CC_DRV_FEAT_SEL, 4, 1);
	fg_cc_write(fg, CC_DRV_FEAT, 4, features >> 32);
}

uint64_t fg_q(struct fakeguest *fg, unsigned i, unsigned offset, unsigned size)
{
	fg_cc_write(fg, CC_Q_SELECT, 2, i);
	return fg_cc(fg, offset, size);
}

void fg_q_write(struct fakeguest *fg, unsigned i, unsigned offset, unsigned size, uint64_t value)
{
	fg_cc_write(fg, CC_Q_SELECT, 2, i);
	fg_cc_write(fg, offset, size, value);
}

/* ---- Bring-up -------------------------------------------------------- */

void fg_queue_on_at(struct fakeguest *fg, unsigned i, uint16_t size, uint64_t desc, uint64_t avail, uint64_t used)
{
	fg->q[i] = (struct fakeguest_queue){.size = size, .desc = desc, .avail = avail, .used = used};
	fg_q_write(fg, i, CC_Q_SIZE, 2, size);
	fg_q_write(fg, i, CC_Q_VEC, 2, i + 1);
	fg_q_write(fg, i, CC_Q_DESC, 8, desc);
	fg_q_write(fg, i, CC_Q_DRIVER, 8, avail);
	fg_q_write(fg, i, CC_Q_DEVICE, 8, used);
	fg_q_write(fg, i, CC_Q_ENABLE, 2, 1);
}

void fg_queue_on(struct fakeguest *fg, unsigned i, uint16_t size)
{
	uint64_t desc = FG_RING(i), avail = desc + 0x6000, used = desc + 0x8000;
	memset(fakehost_ram(fg->fh, desc, 16ULL * size), 0, 16ULL * size);
	memset(fakehost_ram(fg->fh, avail, 6 + 2ULL * size), 0, 6 + 2ULL * size);
	memset(fakehost_ram(fg->fh, used, 6 + 8ULL * size), 0, 6 + 8ULL * size);
	fg_queue_on_at(fg, i, size, desc, avail, used);
}

void fg_negotiate(struct fakeguest *fg, uint64_t features)
{
	fg_status_write(fg, 0);
	fg_status_write(fg, S_ACK);
	fg_status_write(fg, S_ACK | S_DRIVER);
	fg_accept(fg, features | F_VERSION_1);
	fg_status_write(fg, S_ACK | S_DRIVER | S_FEATURES_OK);
}

void fg_init(struct fakeguest *fg, uint64_t features)
{
	static const uint64_t needs[FG_N_QUEUES] = {0, 0, F_STATS, F_HINT, F_REPORT};
	fg_negotiate(fg, features);
	fg_msix_on(fg);
	fg_cc_write(fg, CC_CFG_VEC, 2, 0);
	for (unsigned i = 0; i < FG_N_QUEUES; i++)
		if ((features & needs[i]) == needs[i])
			fg_queue_on(fg, i, 128);
	fg_status_write(fg, S_ACK | S_DRIVER | S_FEATURES_OK | S_DRIVER_OK);
}

/* ---- Rings ----------------------------------------------------------- */

void fg_desc_at(struct fakeguest *fg, uint64_t table, uint16_t index, uint64_t gpa, uint32_t len, uint16_t flags, uint16_t next)
{
	uint8_t *d = fakehost_ram(fg->fh, table + index * 16ULL, 16);
	store_le64(d, gpa);
	store_le32(d + 8, len);
	store_le16(d + 12, flags);
	store_le16(d + 14, next);
}

void fg_desc(struct fakeguest *fg, unsigned i, uint16_t index, uint64_t gpa, uint32_t len, uint16_t flags, uint16_t next)
{
	fg_desc_at(fg, fg->q[i].desc, index, gpa, len, flags, next);
}

/* Ring words are shared with a device that may run in another thread. One order of all stores and loads: what a driver's barriers are for. */
static uint16_t *ring_word(struct fakeguest *fg, uint64_t gpa)
{
	return fakehost_ram(fg->fh, gpa, 2);
}

static uint16_t ring_load(struct fakeguest *fg, uint64_t gpa)
{
	return le16toh(__atomic_load_n(ring_word(fg, gpa), __ATOMIC_SEQ_CST));
}

static void ring_store(struct fakeguest *fg, uint64_t gpa, uint16_t value)
{
	__atomic_store_n(ring_word(fg, gpa), htole16(value), __ATOMIC_SEQ_CST);
}

void fg_set_avail_idx(struct fakeguest *fg, unsigned i, uint16_t idx)
{
	fg->q[i].avail_idx = idx;
	ring_store(fg, fg->q[i].avail + 2, idx);
}

void fg_publish(struct fakeguest *fg, unsigned i, uint16_t head)
{
	struct fakeguest_queue *q = &fg->q[i];
	ring_store(fg, q->avail + 4 + 2 * (q->avail_idx % q->size), head);
	fg_set_avail_idx(fg, i, q->avail_idx + 1);
}

void fg_avail_flags(struct fakeguest *fg, unsigned i, uint16_t flags)
{
	ring_store(fg, fg->q[i].avail, flags);
}

void fg_used_event(struct fakeguest *fg, unsigned i, uint16_t event)
{
	ring_store(fg, fg->q[i].avail + 4 + 2 * fg->q[i].size, event);
}

uint16_t fg_avail_event(struct fakeguest *fg, unsigned i)
{
	return ring_load(fg, fg->q[i].used + 4 + 8 * fg->q[i].size);
}

uint16_t fg_used_flags(struct fakeguest *fg, unsigned i)
{
	return ring_load(fg, fg->q[i].used);
}

uint16_t fg_used_idx(struct fakeguest *fg, unsigned i)
{
	return ring_load(fg, fg->q[i].used + 2);
}

uint32_t fg_used_id(struct fakeguest *fg, unsigned i, uint16_t slot)
{
	return load_le32(fakehost_ram(fg->fh, fg->q[i].used + 4 + 8 * slot, 4));
}

uint32_t fg_used_len(struct fakeguest *fg, unsigned i, uint16_t slot)
{
	return load_le32(fakehost_ram(fg->fh, fg->q[i].used + 8 + 8 * slot, 4));
}

void fg_kick(struct fakeguest *fg, unsigned i)
{
	fg_bar_write(fg, fg->notify + i * fg->multiplier, 2, i);
}

void fg_send(struct fakeguest *fg, unsigned i, uint64_t gpa, uint32_t len, uint16_t flags)
{
	fg_desc(fg, i, 0, gpa, len, flags, 0);
	fg_publish(fg, i, 0);
	fg_kick(fg, i);
}

void fg_send_pfns(struct fakeguest *fg, unsigned i, const uint32_t *pfns, size_t n)
{
	uint8_t *data = fakehost_ram(fg->fh, FG_DATA(i), n * 4);
	for (size_t k = 0; k < n; k++)
		store_le32(data + 4 * k, pfns[k]);
	fg_send(fg, i, FG_DATA(i), (uint32_t)(n * 4), 0);
}

void fg_fill(struct fakeguest *fg, uint64_t gpa, uint64_t len, uint8_t byte)
{
	memset(fakehost_ram(fg->fh, gpa, len), byte, len);
}

bool fg_holds(struct fakeguest *fg, uint64_t gpa, uint64_t len, uint8_t byte)
{
	const uint8_t *at = fakehost_ram(fg->fh, gpa, len);
	for (uint64_t i = 0; i < len; i++)
		if (at[i] != byte)
			return false;
	return true;
}

uint64_t fg_irqs(const struct fakeguest *fg, unsigned vector)
{
	return __atomic_load_n(&fg->fh->msi_by_data[vector], __ATOMIC_RELAXED);
}
