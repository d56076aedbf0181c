/*
 * A driver for the virtio-balloon of a fakehost, as hostile or as well-behaved
 * as the test wants it: configuration space, registers by their offset, ring
 * builders. It finds the device by its PCI capabilities, as a guest does.
 * One balloon in slot 3 of a PCI root laid out like the real board.
 */
#ifndef TESTS_UNIT_FAKEGUEST_H
#define TESTS_UNIT_FAKEGUEST_H

#include "device/balloon.h"
#include "device/pci_root.h"
#include "tests/unit/fakehost.h"

#define FG_SLOT 3
#define FG_N_QUEUES 5
#define FG_GSI_BASE 16
#define FG_GSI (FG_GSI_BASE + FG_SLOT)
#define FG_MMIO_BASE 0xC0000000ULL
#define FG_MMIO_LEN 0x20000000ULL
#define FG_ECAM_BASE 0xE0000000ULL
#define FG_MSI_ADDRESS 0xFEE00000ULL

/* Feature bits by their number. */
#define FG_BIT(n) (1ULL << (n))
#define F_MUST_TELL_HOST FG_BIT(0)
#define F_STATS FG_BIT(1)
#define F_OOM FG_BIT(2)
#define F_HINT FG_BIT(3)
#define F_POISON FG_BIT(4)
#define F_REPORT FG_BIT(5)
#define F_INDIRECT FG_BIT(28)
#define F_EVENT_IDX FG_BIT(29)
#define F_VERSION_1 FG_BIT(32)
#define F_RING_RESET FG_BIT(40)
#define F_SUSPEND FG_BIT(43)

/* Device status bits. */
enum { S_ACK = 1, S_DRIVER = 2, S_DRIVER_OK = 4, S_FEATURES_OK = 8, S_SUSPEND = 0x10, S_NEEDS_RESET = 0x40, S_FAILED = 0x80 };

/* Common configuration, by offset. */
enum {
	CC_DEV_FEAT_SEL = 0,
	CC_DEV_FEAT = 4,
	CC_DRV_FEAT_SEL = 8,
	CC_DRV_FEAT = 12,
	CC_CFG_VEC = 16,
	CC_NUM_QUEUES = 18,
	CC_STATUS = 20,
	CC_GENERATION = 21,
	CC_Q_SELECT = 22,
	CC_Q_SIZE = 24,
	CC_Q_VEC = 26,
	CC_Q_ENABLE = 28,
	CC_Q_NOTIFY_OFF = 30,
	CC_Q_DESC = 32,
	CC_Q_DRIVER = 40,
	CC_Q_DEVICE = 48,
	CC_Q_NOTIF_DATA = 56,
	CC_Q_RESET = 58,
	CC_LEN = 64,
};

/* Device configuration, by offset. */
enum { DC_NUM_PAGES = 0, DC_ACTUAL = 4, DC_CMD_ID = 8, DC_POISON = 12 };

/* Descriptor flags. */
enum { D_NEXT = 1, D_WRITE = 2, D_INDIRECT = 4 };

/* Where the rings and the scratch memory of the tests lie; RAM from FG_PAGES on is free for balloon pages. */
#define FG_RING(i) (0x100000ULL + (i)*0x10000ULL)
#define FG_DATA(i) (0x200000ULL + (i)*0x100000ULL)
#define FG_PAGES 0x1000000ULL

struct fakeguest_queue {
	uint16_t size;
	uint64_t desc, avail, used;
	uint16_t avail_idx; /* as published */
	uint16_t seen;	    /* used entries that were looked at */
};

struct fakeguest {
	struct fakehost *fh;
	struct pci_root *root;
	struct device *dev;
	uint64_t bar; /* 0 while memory decoding is off */
	uint32_t common, isr, device, notify, multiplier, notify_len;
	uint32_t msix_table, msix_pba;
	unsigned msix_cap, window_cap, n_vectors;
	struct fakeguest_queue q[FG_N_QUEUES];
};

/* Asserts that all is well. config NULL: size 0, everything on. page_size_bytes as for fakehost_create(). */
void fg_create(struct fakeguest *fg, const struct balloon_config *config, uint64_t page_size_bytes);
void fg_create_on(struct fakeguest *fg, const struct balloon_config *config, struct fakehost *fh);
/* A virtio device of any class, whose config says FG_SLOT. */
void fg_create_class(struct fakeguest *fg, const struct device_class *class, const void *config, struct fakehost *fh);
/* Ends with contract_errors, which is 0 for a device that keeps to device/host.h. */
unsigned fg_destroy(struct fakeguest *fg);

/* ---- PCI ------------------------------------------------------------- */

uint32_t fg_pcicfg(struct fakeguest *fg, unsigned offset, unsigned size);
void fg_pcicfg_write(struct fakeguest *fg, unsigned offset, unsigned size, uint32_t value);
/* Aims the window in configuration space and reads through it. */
uint32_t fg_window(struct fakeguest *fg, uint8_t bar, uint32_t offset, uint32_t len);
/* Finds BAR and capabilities, switches memory decoding and bus mastering on. */
void fg_probe(struct fakeguest *fg);
/* Programs every vector v with data v and no mask, and switches MSI-X on. */
void fg_msix_on(struct fakeguest *fg);

/* ---- Registers ------------------------------------------------------- */

uint64_t fg_bar(struct fakeguest *fg, uint64_t offset, unsigned size);
void fg_bar_write(struct fakeguest *fg, uint64_t offset, unsigned size, uint64_t value);
uint64_t fg_cc(struct fakeguest *fg, unsigned offset, unsigned size);
void fg_cc_write(struct fakeguest *fg, unsigned offset, unsigned size, uint64_t value);
uint32_t fg_dc(struct fakeguest *fg, unsigned offset);
void fg_dc_write(struct fakeguest *fg, unsigned offset, uint32_t value);
uint8_t fg_status(struct fakeguest *fg);
void fg_status_write(struct fakeguest *fg, uint8_t value);
uint64_t fg_offered(struct fakeguest *fg);
void fg_accept(struct fakeguest *fg, uint64_t features);
/* A field of queue i: selects it first. */
uint64_t fg_q(struct fakeguest *fg, unsigned i, unsigned offset, unsigned size);
void fg_q_write(struct fakeguest *fg, unsigned i, unsigned offset, unsigned size, uint64_t value);

/* ---- Bring-up -------------------------------------------------------- */

/* Rings at FG_RING(i), zeroed; written to the registers, vector i + 1, enabled. */
void fg_queue_on(struct fakeguest *fg, unsigned i, uint16_t size);
/* The same with rings anywhere. */
void fg_queue_on_at(struct fakeguest *fg, unsigned i, uint16_t size, uint64_t desc, uint64_t avail, uint64_t used);
/* Reset, features | VERSION_1, status 0x0B. */
void fg_negotiate(struct fakeguest *fg, uint64_t features);
/* A whole legal bring-up: MSI-X on, every queue that exists with the fixed numbers on with 128 entries, status 0x0F. */
void fg_init(struct fakeguest *fg, uint64_t features);

/* ---- Rings ----------------------------------------------------------- */

void fg_desc(struct fakeguest *fg, unsigned i, uint16_t index, uint64_t gpa, uint32_t len, uint16_t flags, uint16_t next);
/* Writes an entry of a table anywhere, an indirect one for instance. */
void fg_desc_at(struct fakeguest *fg, uint64_t table, uint16_t index, uint64_t gpa, uint32_t len, uint16_t flags, uint16_t next);
void fg_publish(struct fakeguest *fg, unsigned i, uint16_t head);
void fg_set_avail_idx(struct fakeguest *fg, unsigned i, uint16_t idx);
void fg_avail_flags(struct fakeguest *fg, unsigned i, uint16_t flags);
void fg_used_event(struct fakeguest *fg, unsigned i, uint16_t event);
uint16_t fg_avail_event(struct fakeguest *fg, unsigned i);
uint16_t fg_used_flags(struct fakeguest *fg, unsigned i);
uint16_t fg_used_idx(struct fakeguest *fg, unsigned i);
uint32_t fg_used_id(struct fakeguest *fg, unsigned i, uint16_t slot);
uint32_t fg_used_len(struct fakeguest *fg, unsigned i, uint16_t slot);
void fg_kick(struct fakeguest *fg, unsigned i);

/* One descriptor, head 0: publish and kick. */
void fg_send(struct fakeguest *fg, unsigned i, uint64_t gpa, uint32_t len, uint16_t flags);
/* The same for an array of page numbers, written to FG_DATA(i). */
void fg_send_pfns(struct fakeguest *fg, unsigned i, const uint32_t *pfns, size_t n);

/* Fills pages with a byte; whether they hold nothing but it. */
void fg_fill(struct fakeguest *fg, uint64_t gpa, uint64_t len, uint8_t byte);
bool fg_holds(struct fakeguest *fg, uint64_t gpa, uint64_t len, uint8_t byte);

/* MSI-X messages of a vector so far. */
uint64_t fg_irqs(const struct fakeguest *fg, unsigned vector);

#endif
