/*
 * The driver of mode=hostile, and the tables of what it does. An act is one
 * row of the hostile behaviours HOS-01 to HOS-82 that tests/conformance knows
 * (hos_*.c tries them one by one on a fake host). It finds a device that is up
 * with rings in the arena, or, unless its row says `fresh`, in the state that
 * the act before left behind; it may leave any state behind itself.
 *
 * Memory above h->arena belongs to the acts and may be lost. What lies below
 * belongs to the guest: no act names it.
 */
#ifndef TESTS_GUEST_HOSTILE_H
#define TESTS_GUEST_HOSTILE_H

#include <linux/virtio_balloon.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>

#include "tests/conformance/hos_values.h"
#include "tests/guest/balloon.h"
#include "tests/guest/memory.h"
#include "tests/guest/options.h"

#define HOSTILE_N_QUEUES 5
#define HOSTILE_QUEUE_SIZE 128

/* Queues, numbered as the specification does. */
enum { INFLATE, DEFLATE, STATS, HINT, REPORT };

#define BIT(n) (1UL << (n))
#define F_INDIRECT BIT(28)
#define F_EVENT_IDX BIT(29)
#define F_VERSION_1 BIT(VIRTIO_F_VERSION_1)
#define F_RING_RESET BIT(40)
#define F_SUSPEND BIT(43)
/* All that the device offers, without what makes it suppress kicks and interrupts. */
#define F_USUAL (~F_EVENT_IDX)

#define STATUS_UP 0xF
#define STATUS_SUSPEND 0x10

/* A queue of the acts. */
struct hostile_ring {
	struct vring_desc *desc;
	volatile uint16_t *avail; /* flags, idx, ring */
	volatile uint16_t *used;  /* flags, idx, ring of 8 bytes each */
	uint64_t data;		  /* HOSTILE_DATA_LEN bytes for requests */
	uint16_t avail_idx;	  /* as published */
};

#define HOSTILE_DATA_LEN 0x10000
#define HOSTILE_MAX_PFNS 4096 /* in one request */
#define HOSTILE_NOISE_LEN (1 << 20)

#define PFN(gpa) ((uint32_t)((gpa) / PAGE_LEN))

struct hostile {
	struct balloon *balloon;
	unsigned slot;
	uint64_t bar; /* BAR 0, which has all registers */
	unsigned window_cap, msix_cap;
	uint64_t msix_table;
	uint64_t features; /* of the last bring-up */
	uint64_t random;
	const char *row; /* in work */
	uint32_t n_acts;
	uint32_t seed;
	uint64_t arena, arena_end; /* first the queues and their data, then */
	uint64_t pages;		   /* those to inflate, hint at and report; of them */
	uint64_t noise;		   /* HOSTILE_NOISE_LEN bytes at the end are hostile_noise(), or zero where the host had them */
	struct hostile_ring q[HOSTILE_N_QUEUES];
};

struct hostile_act {
	const char *row;
	void (*act)(struct hostile *h);
	bool fresh; /* looks at what the device does, and so wants it up */
};

/* In the file of the same name each. The last row is NULL. */
extern const struct hostile_act hostile_regs[], hostile_rings[], hostile_pages[], hostile_queues[], hostile_pci[];

/* ---- hostile_driver.c ---- */

/* Finds the capabilities and lays out the arena, all of RAM that is free. */
void hostile_init(struct hostile *h, struct balloon *b, uint32_t seed);

/* Ends the run, naming row and seed, if the device does not do what its row says. */
void hostile_expect(const struct hostile *h, bool is_true, const char *what);

/* Below n. */
uint32_t hostile_random(struct hostile *h, uint32_t n);
uint64_t hostile_random64(struct hostile *h);
/* One of h->pages. */
uint64_t hostile_random_page(struct hostile *h);
/* n in a row of h->pages, by their numbers. */
void hostile_some_pages(struct hostile *h, uint32_t pfns[], unsigned n);

/* Fills memory with bytes that are no page number, block or descriptor in RAM, wherever the device begins to read. */
void hostile_noise(struct hostile *h, uint64_t gpa, uint64_t len);

/* One access of 1, 2, 4 or 8 bytes, at any address. */
uint64_t hostile_read(uint64_t gpa, unsigned size);
void hostile_write(uint64_t gpa, unsigned size, uint64_t value);

/* Common configuration, by VIRTIO_PCI_COMMON_*; the same after queue_select; the status. */
uint64_t hostile_cc(struct hostile *h, unsigned offset, unsigned size);
void hostile_cc_write(struct hostile *h, unsigned offset, unsigned size, uint64_t value);
uint64_t hostile_q(struct hostile *h, unsigned queue, unsigned offset, unsigned size);
void hostile_q_write(struct hostile *h, unsigned queue, unsigned offset, unsigned size, uint64_t value);
uint8_t hostile_status(struct hostile *h);
void hostile_set_status(struct hostile *h, uint8_t status);

/* Decodes the BAR where it belongs, as a bus master. */
void hostile_restore_bar(struct hostile *h);
/* Reset, then those of `features` that are offered, up to FEATURES_OK; queues with rings; all of it up to DRIVER_OK. */
void hostile_negotiate(struct hostile *h, uint64_t features);
void hostile_accept(struct hostile *h, uint64_t features);
void hostile_queue_on(struct hostile *h, unsigned queue, uint16_t size);
void hostile_queue_on_at(struct hostile *h, unsigned queue, uint16_t size, uint64_t desc, uint64_t avail, uint64_t used);
void hostile_up(struct hostile *h, uint64_t features);

/* Rings; `index` wraps at the queue's size. */
void hostile_desc(struct hostile *h, unsigned queue, uint16_t index, uint64_t gpa, uint32_t len, uint16_t flags, uint16_t next);
void hostile_publish(struct hostile *h, unsigned queue, uint16_t head);
void hostile_kick(struct hostile *h, unsigned queue);
/* One descriptor, published and kicked; the same for n page numbers. */
void hostile_send(struct hostile *h, unsigned queue, uint64_t gpa, uint32_t len, uint16_t flags);
void hostile_send_pfns(struct hostile *h, unsigned queue, const uint32_t *pfns, size_t n);
/* Waits until all that was published is used, or until the device asks for a reset; ends the run if neither comes. */
void hostile_wait_used(struct hostile *h, unsigned queue);
void hostile_wait_broken(struct hostile *h);

#endif
