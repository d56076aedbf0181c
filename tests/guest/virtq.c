#include "tests/guest/virtio.h"

#include <linux/virtio_config.h>

#include "tests/guest/clock.h"
#include "tests/guest/report.h"
#include "tests/guest/x86.h"

#define USED_MAX_MS 20000

bool virtq_has_room(const struct virtq *q, size_t n)
{
	return q->n_put + n <= q->size;
}

void virtq_put(struct virtq *q, const struct virtq_buffer *buffers, size_t n, bool writable)
{
	uint16_t head = q->n_put;
	for (size_t i = 0; i < n; i++) {
		struct vring_desc *desc = &q->desc[head + i];
		desc->addr = buffers[i].gpa;
		desc->len = buffers[i].len;
		desc->flags = (writable ? VRING_DESC_F_WRITE : 0) | (i + 1 < n ? VRING_DESC_F_NEXT : 0);
		desc->next = (uint16_t)(head + i + 1);
	}
	q->n_put += (uint16_t)n;
	q->n_pending++;
	q->is_pending[head] = true;
	q->avail.ring[q->avail_idx++ % q->size] = head;
}

void virtq_kick(struct virtq *q)
{
	compiler_barrier();
	*(volatile uint16_t *)&q->avail.idx = q->avail_idx;
	full_barrier();
	if (!(*(volatile uint16_t *)&q->used.flags & VRING_USED_F_NO_NOTIFY))
		mmio_write16(q->notify, q->index);
}

static void take_used(struct virtq *q)
{
	const struct vring_used_elem *used = &q->used.ring[q->used_idx++ % q->size];
	if (used->id >= q->size || !q->is_pending[used->id])
		fail("queue %u: the device used descriptor %u, which was not given to it", q->index, used->id);
	if (used->len)
		fail("queue %u: the device says that it wrote %u bytes", q->index, used->len);
	q->is_pending[used->id] = false;
	q->n_pending--;
}

bool virtq_poll(struct virtq *q)
{
	while (q->used.idx != q->used_idx) {
		compiler_barrier();
		take_used(q);
	}
	if (!q->n_pending)
		q->n_put = 0;
	return !q->n_pending;
}

void virtq_wait(struct virtq *q)
{
	uint64_t start = read_tsc();
	while (!virtq_poll(q)) {
		pause();
		if (clock_ms_since(start) > USED_MAX_MS)
			fail("queue %u: %u buffers are not used after %u seconds", q->index, q->n_pending, USED_MAX_MS / 1000);
	}
}
