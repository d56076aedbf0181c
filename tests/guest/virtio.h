/*
 * A virtio device on modern PCI (VIRTIO 1.4, section 4.1) and its split
 * virtqueues (2.7), without interrupts.
 *
 * A queue is used in batches: chains are put, then kicked once, then the
 * driver waits until all of them were used. Descriptors are handed out from
 * the start of the table again for the next batch. What the device does wrong
 * ends the run.
 */
#ifndef TESTS_GUEST_VIRTIO_H
#define TESTS_GUEST_VIRTIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/virtio_ring.h>

#define VIRTQ_MAX_SIZE 128

/* Addresses of the device's register blocks. */
struct virtio_device {
	uint64_t common;
	uint64_t notify;
	uint32_t notify_multiplier;
	uint64_t config;
	uint64_t features; /* offered */
};

struct virtq {
	uint16_t index;
	uint16_t size;	 /* 0: the device has no such queue */
	uint64_t notify; /* address of its doorbell */
	uint16_t n_put;	 /* descriptors of this batch */
	uint16_t n_pending;
	uint16_t avail_idx;
	uint16_t used_idx;
	bool is_pending[VIRTQ_MAX_SIZE]; /* by head */

	struct vring_desc desc[VIRTQ_MAX_SIZE] __attribute__((aligned(16)));
	struct {
		uint16_t flags;
		uint16_t idx;
		uint16_t ring[VIRTQ_MAX_SIZE];
		uint16_t used_event;
	} avail __attribute__((aligned(4)));
	struct {
		uint16_t flags;
		volatile uint16_t idx;
		struct vring_used_elem ring[VIRTQ_MAX_SIZE];
		uint16_t avail_event;
	} used __attribute__((aligned(4)));
};

/* A piece of memory for the device. */
struct virtq_buffer {
	uint64_t gpa;
	uint32_t len;
};

/* Finds the first device of this type, maps its registers and resets it. False if there is none. */
bool virtio_find(struct virtio_device *dev, uint16_t device_type);

/* Accepts `features`, all of them offered, up to FEATURES_OK. */
void virtio_negotiate(struct virtio_device *dev, uint64_t features);

/* Enables queue `index` with as many entries as the device and we can take; size 0 if the device has none. */
void virtio_enable_queue(struct virtio_device *dev, struct virtq *q, uint16_t index);

/* DRIVER_OK. */
void virtio_start(struct virtio_device *dev);

/* Back to status 0. */
void virtio_reset(struct virtio_device *dev);

uint8_t virtio_status(const struct virtio_device *dev);

/* Device configuration; a read is repeated until the generation holds still. */
uint32_t virtio_config_read(const struct virtio_device *dev, unsigned offset);
void virtio_config_write(const struct virtio_device *dev, unsigned offset, uint32_t value);

/* True if `n` more descriptors fit into this batch. */
bool virtq_has_room(const struct virtq *q, size_t n);

/* One chain of n buffers, all device-writable or all device-readable. */
void virtq_put(struct virtq *q, const struct virtq_buffer *buffers, size_t n, bool writable);

/* Shows the batch to the device and rings its doorbell. */
void virtq_kick(struct virtq *q);

/* Takes what the device has used so far; true once nothing of the batch is left. The bytes it says it wrote have to be 0. */
bool virtq_poll(struct virtq *q);

/* Polls until the batch is used. Ends the run after 20 seconds. */
void virtq_wait(struct virtq *q);

#endif
