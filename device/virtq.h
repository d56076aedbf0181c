/*
 * The device's side of a split virtqueue (VIRTIO 1.4, section 2.7).
 *
 * Driver and device share three arrays in guest memory. The driver describes
 * buffers in the descriptor table (address, length, direction, next: buffers
 * are linked into chains) and puts the number of a chain's first descriptor,
 * its head, into the available ring. The device takes heads from there and,
 * when it is done with a chain, puts its head into the used ring together with
 * the number of bytes that it wrote. Both rings have an index that counts
 * freely modulo 65536; slot = index % size. Each side writes only its own ring.
 *
 *   descriptors  16 * size bytes, aligned to 16
 *   available    flags, idx, ring[size], used_event: when the driver wants an interrupt
 *   used         flags, idx, ring[size], avail_event: when the device wants a kick
 *
 * All three lie in memory that the guest can change at any moment. So they are
 * checked and turned into pointers once, when the queue is enabled; each field
 * is read once; the device's own indices are private and never read back. A
 * chain is copied out and checked as a whole before anybody looks at a buffer.
 * When the structure is broken the position in the ring can no longer be
 * trusted: the queue stays broken until it is enabled anew.
 *
 * A queue belongs to one device; calls are made with the device's lock held.
 */
#ifndef DEVICE_VIRTQ_H
#define DEVICE_VIRTQ_H

#include "device/host.h"

#define VIRTQ_MAX_SIZE 1024 /* descriptors; the most that any queue of ours offers */

/* One buffer of a chain. Nothing has been checked of where it lies. */
struct virtq_buf {
	uint64_t gpa;
	uint32_t len;  /* bytes, may be 0 */
	bool writable; /* by the device; else only readable */
};

struct virtq_chain {
	uint16_t head;
	uint16_t n_bufs; /* 1 up to the queue's size, those of an indirect table included */
	struct virtq_buf bufs[VIRTQ_MAX_SIZE];
};

/* What the driver wrote into the transport's registers. */
struct virtq_setup {
	uint16_t size; /* a power of two up to VIRTQ_MAX_SIZE */
	uint64_t desc, avail, used;
	bool event_idx; /* VIRTIO_F_EVENT_IDX was negotiated */
	bool indirect;	/* VIRTIO_F_INDIRECT_DESC was negotiated */
};

struct vring_desc;
struct vring_avail;
struct vring_used;

struct virtq {
	const struct gmem *gmem;
	uint16_t size;
	bool event_idx, indirect;
	bool enabled, broken;
	const struct vring_desc *desc;
	const struct vring_avail *avail;
	struct vring_used *used;
	uint16_t last_avail; /* next available slot to look at, free-running */
	uint16_t used_idx;   /* next used slot to fill, free-running */
	uint16_t signalled;  /* used_idx when virtq_should_signal() was asked last */
	const char *why;     /* what is broken, for a log line */
};

/* Checks the rings and starts at position 0. -EINVAL when a ring is misaligned or not wholly inside one RAM region. */
int virtq_enable(struct virtq *vq, const struct gmem *gmem, const struct virtq_setup *setup);

/* Back to the state of a zeroed struct: nothing is read or written any more. */
void virtq_disable(struct virtq *vq);

/* Takes the next available chain: 1 and *chain filled in, 0 when there is none, -EPROTO when the queue is, or just got, broken. */
int virtq_next(struct virtq *vq, struct virtq_chain *chain);

/* Returns a chain to the driver, which sees it at once. len_bytes: how much was written, from the first writable byte on. */
void virtq_push(struct virtq *vq, uint16_t head, uint32_t len_bytes);

/* Asks the driver not to kick, for while the device polls the ring anyway. A hint. */
void virtq_suppress_kicks(struct virtq *vq);

/*
 * Asks for a kick at the next chain. Returns true when chains arrived in the
 * meantime, for which no kick need ever come: call virtq_next() again.
 */
bool virtq_want_kicks(struct virtq *vq);

/* Whether the driver wants to be interrupted for what was pushed since the last call of virtq_should_signal(). */
bool virtq_wants_signal(const struct virtq *vq);
/* The same, and the interrupt is sent, or is not due. */
bool virtq_should_signal(struct virtq *vq);

#endif
