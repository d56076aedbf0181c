/* Rows HOS-23 to HOS-41: rings and chains that are broken, or mean. */
#include "tests/guest/clock.h"
#include "tests/guest/hostile.h"
#include "tests/guest/x86.h"

#define NEXT VRING_DESC_F_NEXT
#define WRITE VRING_DESC_F_WRITE
#define INDIRECT VRING_DESC_F_INDIRECT

/* Where tables of indirect descriptors lie: behind the requests' first part. */
static uint64_t table_of(const struct hostile *h)
{
	return h->q[DEFLATE].data + 0x8000;
}

static void put_entry(uint64_t table, unsigned index, uint64_t gpa, uint32_t len, uint16_t flags, uint16_t next)
{
	((struct vring_desc *)table)[index] = (struct vring_desc){gpa, len, flags, next};
}

static unsigned any_queue(struct hostile *h)
{
	return hostile_random(h, HOSTILE_N_QUEUES);
}

static void jump(struct hostile *h)
{
	unsigned queue = any_queue(h);
	h->q[queue].avail[1] = hos_23_jumps[hostile_random(h, HOS_COUNT(hos_23_jumps))];
	hostile_kick(h, queue);
	hostile_wait_broken(h);
}

static void loop(struct hostile *h)
{
	static const uint16_t lengths[] = {1, 2, 3, HOSTILE_QUEUE_SIZE};
	unsigned queue = any_queue(h);
	uint16_t n = lengths[hostile_random(h, HOS_COUNT(lengths))];
	uint64_t table = table_of(h);
	bool is_indirect = hostile_random(h, 2) && h->features & F_INDIRECT;
	for (uint16_t i = 0; i < n; i++) {
		hostile_desc(h, queue, i, h->q[queue].data, 0, NEXT, (uint16_t)((i + 1) % n));
		put_entry(table, i, h->q[queue].data, 0, NEXT, (uint16_t)((i + 1) % n));
	}
	if (is_indirect)
		hostile_desc(h, queue, 0, table, 16u * n, INDIRECT, 0);
	hostile_publish(h, queue, 0);
	hostile_kick(h, queue);
	hostile_wait_broken(h);
}

static void beyond(struct hostile *h)
{
	unsigned queue = any_queue(h);
	uint16_t index = hos_25_beyond[hostile_random(h, HOS_COUNT(hos_25_beyond))];
	hostile_desc(h, queue, 0, h->q[queue].data, 0, NEXT, index);
	hostile_publish(h, queue, hostile_random(h, 2) ? index : 0);
	hostile_kick(h, queue);
	hostile_wait_broken(h);
}

static void same_head(struct hostile *h)
{
	unsigned queue = hostile_random(h, 2);
	hostile_desc(h, queue, 3, h->q[queue].data, 0, 0, 0);
	for (unsigned i = 0; i < 3; i++)
		hostile_publish(h, queue, 3);
	hostile_kick(h, queue);
	hostile_wait_used(h, queue);
}

/* The device's next index is its own, whatever lies in memory. */
static void used_overwritten(struct hostile *h)
{
	hostile_send(h, INFLATE, h->q[INFLATE].data, 0, 0);
	hostile_wait_used(h, INFLATE);
	memset((void *)h->q[INFLATE].used, 0xEE, 4 + 8 * HOSTILE_QUEUE_SIZE);
	hostile_send(h, INFLATE, h->q[INFLATE].data, 0, 0);
	hostile_wait_used(h, INFLATE);
}

/* Descriptors, indexes and page numbers change while the device reads them. */
static void change_under_way(struct hostile *h)
{
	uint64_t start = read_tsc(), noise = h->q[DEFLATE].data;
	hostile_noise(h, noise, PAGE_LEN);
	for (uint16_t i = 0; i < HOSTILE_QUEUE_SIZE; i++)
		hostile_desc(h, INFLATE, i, noise, PAGE_LEN, i % 8 == 7 ? 0 : NEXT, i + 1);
	for (unsigned i = 0; clock_ms_since(start) < 3; i++) {
		struct vring_desc *desc = &h->q[INFLATE].desc[hostile_random(h, HOSTILE_QUEUE_SIZE)];
		if (i % 32 == 0) {
			hostile_publish(h, INFLATE, (uint16_t)(i / 4 % HOSTILE_QUEUE_SIZE));
			hostile_kick(h, INFLATE);
		}
		((volatile struct vring_desc *)desc)->len = hostile_random(h, PAGE_LEN);
		((volatile struct vring_desc *)desc)->next = (uint16_t)hostile_random(h, HOSTILE_QUEUE_SIZE + 1);
		((volatile struct vring_desc *)desc)->flags = (uint16_t)hostile_random(h, 8);
		*(volatile uint64_t *)(noise + 8 * hostile_random(h, 512)) ^= 0xFFFF;
	}
}

static void indirect_row(struct hostile *h, unsigned queue, uint64_t table, uint32_t len, uint16_t flags)
{
	hostile_desc(h, queue, 0, table, len, INDIRECT | flags, 1);
	hostile_publish(h, queue, 0);
	hostile_kick(h, queue);
	hostile_wait_broken(h);
}

static void indirect_unasked(struct hostile *h)
{
	hostile_up(h, F_USUAL & ~F_INDIRECT);
	put_entry(table_of(h), 0, h->q[INFLATE].data, 0, 0, 0);
	indirect_row(h, any_queue(h), table_of(h), 16, 0);
}

static void indirect_nested(struct hostile *h)
{
	uint64_t table = table_of(h);
	put_entry(table, 0, table, 32, INDIRECT | (hostile_random(h, 2) ? NEXT : 0), 1);
	put_entry(table, 1, table, 0, 0, 0);
	indirect_row(h, any_queue(h), table, 32, hostile_random(h, 2) ? NEXT : 0);
}

static void indirect_lengths(struct hostile *h)
{
	indirect_row(h, any_queue(h), table_of(h), hos_31_lens[hostile_random(h, HOS_COUNT(hos_31_lens))], 0);
	hostile_up(h, F_USUAL);
	indirect_row(h, any_queue(h), hos_03_no_ram[hostile_random(h, HOS_COUNT(hos_03_no_ram))], 32, 0);
	hostile_up(h, F_USUAL);
	indirect_row(h, any_queue(h), h->arena_end - 1 - hostile_random(h, 31), 32, 0);
}

static void indirect_beyond(struct hostile *h)
{
	put_entry(table_of(h), 0, h->q[INFLATE].data, 0, NEXT, (uint16_t)(2 + hostile_random(h, 0xFFFE)));
	indirect_row(h, any_queue(h), table_of(h), 32, 0);
}

static void mixed_directions(struct hostile *h)
{
	unsigned queue = any_queue(h);
	uint32_t pfn = (uint32_t)(hostile_random_page(h) / PAGE_LEN);
	*(volatile uint32_t *)h->q[queue].data = pfn;
	for (uint16_t i = 0; i < 8; i++)
		hostile_desc(h, queue, i, h->q[queue].data, 4, (i < 7 ? NEXT : 0) | (hostile_random(h, 2) ? WRITE : 0), i + 1);
	hostile_publish(h, queue, 0);
	hostile_kick(h, queue);
}

static void buffer_outside(struct hostile *h)
{
	unsigned queue = hostile_random(h, 2);
	uint64_t places[] = {h->arena_end - 2, h->arena_end, h->arena_end - PAGE_LEN, -2ULL, hos_03_no_ram[hostile_random(h, HOS_COUNT(hos_03_no_ram))]};
	for (unsigned i = 0; i < HOS_COUNT(places); i++)
		hostile_send(h, queue, places[i], i == 2 ? 0xFFFFFFFF : 4, 0);
	hostile_wait_used(h, queue);
}

static void empty_descriptors(struct hostile *h)
{
	unsigned queue = hostile_random(h, 2);
	for (uint16_t i = 0; i < 5; i++)
		hostile_desc(h, queue, i, hostile_random64(h), 0, i < 4 ? NEXT : 0, i + 1);
	hostile_publish(h, queue, 0);
	hostile_kick(h, queue);
	hostile_wait_used(h, queue);
}

/* 128 MiB of page numbers, none of them good; other queues get their turn. */
static void endless(struct hostile *h)
{
	for (uint16_t i = 0; i < HOSTILE_QUEUE_SIZE; i++)
		hostile_desc(h, INFLATE, i, h->noise, HOSTILE_NOISE_LEN, i < HOSTILE_QUEUE_SIZE - 1 ? NEXT : 0, i + 1);
	hostile_publish(h, INFLATE, 0);
	hostile_kick(h, INFLATE);
	for (unsigned i = 0; i < 16; i++) {
		hostile_send(h, DEFLATE, h->q[DEFLATE].data, 0, 0);
		hostile_wait_used(h, DEFLATE);
	}
}

static void reserved_flags(struct hostile *h)
{
	hostile_send(h, INFLATE, h->q[INFLATE].data, 0, 0xFFF8);
	hostile_wait_used(h, INFLATE);
}

/* The queue never gets empty while we are at it. */
static void refill(struct hostile *h)
{
	static const unsigned queues[] = {INFLATE, STATS, HINT, REPORT};
	uint64_t start = read_tsc();
	unsigned queue = queues[hostile_random(h, HOS_COUNT(queues))];
	while (clock_ms_since(start) < 3) {
		if ((uint16_t)(h->q[queue].avail_idx - h->q[queue].used[1]) < HOSTILE_QUEUE_SIZE)
			hostile_publish(h, queue, 0);
		hostile_kick(h, queue);
		hostile_send(h, DEFLATE, h->q[DEFLATE].data, 0, 0);
		hostile_wait_used(h, DEFLATE);
	}
}

static void suppression(struct hostile *h)
{
	hostile_up(h, F_USUAL | F_EVENT_IDX);
	for (unsigned i = 0; i < 64; i++) {
		h->q[INFLATE].avail[0] = (uint16_t)hostile_random64(h);
		h->q[INFLATE].avail[2 + HOSTILE_QUEUE_SIZE] = (uint16_t)hostile_random64(h);
		hostile_send(h, INFLATE, h->q[INFLATE].data, 0, 0);
		hostile_wait_used(h, INFLATE);
	}
}

/* With INTx that nobody acknowledges. */
static void used_unread(struct hostile *h)
{
	for (unsigned i = 0; i < HOSTILE_QUEUE_SIZE; i++)
		hostile_publish(h, INFLATE, 0);
	hostile_kick(h, INFLATE);
	hostile_wait_used(h, INFLATE);
}

static void always_due(struct hostile *h)
{
	hostile_up(h, F_USUAL | F_EVENT_IDX);
	for (unsigned i = 0; i < 256; i++) {
		h->q[INFLATE].avail[2 + HOSTILE_QUEUE_SIZE] = h->q[INFLATE].used[1];
		hostile_publish(h, INFLATE, 0);
		hostile_kick(h, INFLATE);
		hostile_wait_used(h, INFLATE);
	}
}

const struct hostile_act hostile_rings[] = {
	{"HOS-23", jump, true},
	{"HOS-24", loop, true},
	{"HOS-25", beyond, true},
	{"HOS-26", same_head, true},
	{"HOS-27", used_overwritten, true},
	{"HOS-28", change_under_way, true},
	{"HOS-29", indirect_unasked, false},
	{"HOS-30", indirect_nested, true},
	{"HOS-31", indirect_lengths, true},
	{"HOS-32", indirect_beyond, true},
	{"HOS-33", mixed_directions, true},
	{"HOS-34", buffer_outside, true},
	{"HOS-35", empty_descriptors, true},
	{"HOS-36", endless, true},
	{"HOS-37", reserved_flags, true},
	{"HOS-38", refill, true},
	{"HOS-39", suppression, false},
	{"HOS-40", used_unread, true},
	{"HOS-41", always_due, false},
	{NULL, NULL, false},
};
