#include "device/virtq.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <linux/virtio_ring.h>
#include <string.h>

/* A field of guest memory: exactly one load or store, whatever the compiler thinks. Alignment was checked with the ring's. */
#define READ_GUEST(field) __atomic_load_n(&(field), __ATOMIC_RELAXED)
#define WRITE_GUEST(field, value) __atomic_store_n(&(field), (value), __ATOMIC_RELAXED)

/*
 * Each side stores what the other waits for, then loads whether the other asked
 * for a notification: one of the two must see the other's store. So these take
 * part in one order of all. A store like that is as dear as the barrier that it
 * saves, a load is free, and the thread sanitizer understands both.
 */
#define READ_GUEST_IN_ORDER(field) __atomic_load_n(&(field), __ATOMIC_SEQ_CST)
#define WRITE_GUEST_IN_ORDER(field, value) __atomic_store_n(&(field), (value), __ATOMIC_SEQ_CST)

static uint16_t *avail_event(const struct virtq *vq)
{
	return (uint16_t *)(void *)&vq->used->ring[vq->size];
}

static const uint16_t *used_event(const struct virtq *vq)
{
	return &vq->avail->ring[vq->size];
}

int virtq_enable(struct virtq *vq, const struct gmem *gmem, const struct virtq_setup *setup)
{
	uint64_t size = setup->size;
	/* The event words at the ends exist only when they were negotiated (sections 2.7.6 and 2.7.8). */
	uint64_t event_len = setup->event_idx ? sizeof(uint16_t) : 0;
	void *desc = gmem_at(gmem, setup->desc, size * sizeof(struct vring_desc));
	void *avail = gmem_at(gmem, setup->avail, sizeof(struct vring_avail) + size * sizeof(uint16_t) + event_len);
	void *used = gmem_at(gmem, setup->used, sizeof(struct vring_used) + size * sizeof(struct vring_used_elem) + event_len);

	if (!size || size > VIRTQ_MAX_SIZE || (size & (size - 1)) || !desc || !avail || !used)
		return -EINVAL;
	if (setup->desc % VRING_DESC_ALIGN_SIZE || setup->avail % VRING_AVAIL_ALIGN_SIZE || setup->used % VRING_USED_ALIGN_SIZE)
		return -EINVAL;
	*vq = (struct virtq){
		.gmem = gmem,
		.size = setup->size,
		.event_idx = setup->event_idx,
		.indirect = setup->indirect,
		.enabled = true,
		.desc = desc,
		.avail = avail,
		.used = used,
	};
	return 0;
}

void virtq_disable(struct virtq *vq)
{
	memset(vq, 0, sizeof *vq);
}

static int broken(struct virtq *vq, const char *why)
{
	vq->broken = true;
	vq->why = why;
	return -EPROTO;
}

/* One descriptor in host byte order. */
struct desc {
	uint64_t gpa;
	uint32_t len;
	uint16_t flags;
	uint16_t next;
};

/*
 * An indirect table may lie at any address (section 2.7.5.3 asks for no alignment), so the entry is copied as bytes: in two halves,
 * which stay in registers. A chain is walked one load after the other, and whoever cuts a copy in memory up waits for its store.
 */
static struct desc read_desc(const void *table, uint16_t index)
{
	uint64_t half[2];
	static_assert(sizeof half == sizeof(struct vring_desc), "address, then length, flags and next");
	memcpy(half, (const uint8_t *)table + index * sizeof half, sizeof half);
	__asm__ volatile("" : "+r"(half[0]), "+r"(half[1])); /* the checks see the bytes that are used: no second load */
	uint64_t rest = le64toh(half[1]);
	return (struct desc){.gpa = le64toh(half[0]), .len = (uint32_t)rest, .flags = (uint16_t)(rest >> 32), .next = (uint16_t)(rest >> 48)};
}

static int append(struct virtq *vq, struct virtq_chain *chain, const struct desc *d)
{
	if (chain->n_bufs == vq->size)
		return broken(vq, "chain is longer than the queue, or a loop");
	chain->bufs[chain->n_bufs++] = (struct virtq_buf){.gpa = d->gpa, .len = d->len, .writable = d->flags & VRING_DESC_F_WRITE};
	return 0;
}

/* The WRITE flag of the descriptor that points to the table means nothing (section 2.7.5.3.2). */
static int walk_indirect(struct virtq *vq, const struct desc *pointer, struct virtq_chain *chain)
{
	if (!vq->indirect)
		return broken(vq, "indirect descriptor without the feature");
	if (pointer->flags & VRING_DESC_F_NEXT)
		return broken(vq, "indirect descriptor with a next one");
	uint32_t n = pointer->len / sizeof(struct vring_desc);
	if (!n || pointer->len % sizeof(struct vring_desc) || n > vq->size)
		return broken(vq, "indirect table of an impossible length");
	const void *table = gmem_at(vq->gmem, pointer->gpa, pointer->len);
	if (!table)
		return broken(vq, "indirect table outside memory");

	for (uint16_t index = 0;;) {
		struct desc d = read_desc(table, index);
		if (d.flags & VRING_DESC_F_INDIRECT)
			return broken(vq, "indirect table inside an indirect table");
		int err = append(vq, chain, &d);
		if (err || !(d.flags & VRING_DESC_F_NEXT))
			return err;
		if (d.next >= n)
			return broken(vq, "next descriptor beyond the indirect table");
		index = d.next;
	}
}

static int walk(struct virtq *vq, struct virtq_chain *chain)
{
	chain->n_bufs = 0;
	for (uint16_t index = chain->head;;) {
		if (index >= vq->size)
			return broken(vq, "descriptor number beyond the table");
		struct desc d = read_desc(vq->desc, index);
		if (d.flags & VRING_DESC_F_INDIRECT)
			return walk_indirect(vq, &d, chain);
		int err = append(vq, chain, &d);
		if (err || !(d.flags & VRING_DESC_F_NEXT))
			return err;
		index = d.next;
	}
}

/* Pairs with the driver's release of idx: what it points to is visible. */
static uint16_t avail_idx(const struct virtq *vq)
{
	return le16toh(READ_GUEST_IN_ORDER(vq->avail->idx));
}

int virtq_next(struct virtq *vq, struct virtq_chain *chain)
{
	if (!vq->enabled)
		return 0;
	if (vq->broken)
		return -EPROTO;
	uint16_t ready = avail_idx(vq) - vq->last_avail;
	if (!ready)
		return 0;
	if (ready > vq->size)
		return broken(vq, "available index jumped");
	chain->head = le16toh(READ_GUEST(vq->avail->ring[vq->last_avail & (vq->size - 1)]));
	int err = walk(vq, chain);
	if (err)
		return err;
	vq->last_avail++;
	return 1;
}

void virtq_push(struct virtq *vq, uint16_t head, uint32_t len_bytes)
{
	struct vring_used_elem *elem = &vq->used->ring[vq->used_idx & (vq->size - 1)];
	WRITE_GUEST(elem->id, htole32(head));
	WRITE_GUEST(elem->len, htole32(len_bytes));
	vq->used_idx++;
	/* The element, and all that was done to the buffer, before the index (section 2.7.8.2). */
	WRITE_GUEST_IN_ORDER(vq->used->idx, htole16(vq->used_idx));
}

void virtq_suppress_kicks(struct virtq *vq)
{
	/* With event indices flags stays 0 (section 2.7.10.1), and an avail_event left behind keeps kicks away as well. */
	if (vq->enabled && !vq->event_idx)
		WRITE_GUEST(vq->used->flags, htole16(VRING_USED_F_NO_NOTIFY));
}

bool virtq_want_kicks(struct virtq *vq)
{
	if (!vq->enabled || vq->broken)
		return false;
	if (vq->event_idx)
		WRITE_GUEST_IN_ORDER(*avail_event(vq), htole16(vq->last_avail));
	else
		WRITE_GUEST_IN_ORDER(vq->used->flags, 0);
	/* Either the driver sees the request and kicks, or its index is seen here. */
	return avail_idx(vq) != vq->last_avail;
}

bool virtq_wants_signal(const struct virtq *vq)
{
	if (!vq->enabled || vq->used_idx == vq->signalled)
		return false;
	if (vq->event_idx)
		return vring_need_event(le16toh(READ_GUEST_IN_ORDER(*used_event(vq))), vq->used_idx, vq->signalled);
	return !(le16toh(READ_GUEST_IN_ORDER(vq->avail->flags)) & VRING_AVAIL_F_NO_INTERRUPT);
}

bool virtq_should_signal(struct virtq *vq)
{
	bool wants = virtq_wants_signal(vq);
	vq->signalled = vq->used_idx;
	return wants;
}
