/* Rows HOS-01 to HOS-21, HOS-57, HOS-58, HOS-80: registers misused. HOS-22 takes two vCPUs: mode=race. */
#include "tests/guest/hostile.h"
#include "tests/guest/x86.h"

#define MANY 2000 /* of something that a storm is made of */

static void sizes(struct hostile *h)
{
	hostile_negotiate(h, F_USUAL);
	uint64_t before = hostile_q(h, INFLATE, VIRTIO_PCI_COMMON_Q_SIZE, 2);
	for (unsigned i = 0; i < HOS_COUNT(hos_01_sizes); i++) {
		hostile_q_write(h, INFLATE, VIRTIO_PCI_COMMON_Q_SIZE, 2, hos_01_sizes[i]);
		hostile_expect(h, hostile_q(h, INFLATE, VIRTIO_PCI_COMMON_Q_SIZE, 2) == before, "a bad queue size is not taken");
	}
}

static void enable_at(struct hostile *h, uint64_t desc, uint64_t avail, uint64_t used)
{
	unsigned queue = hostile_random(h, HOSTILE_N_QUEUES);
	hostile_queue_on_at(h, queue, HOSTILE_QUEUE_SIZE, desc, avail, used);
	hostile_expect(h, hostile_q(h, queue, VIRTIO_PCI_COMMON_Q_ENABLE, 2) == 0, "a queue with bad addresses is not enabled");
}

static void misaligned(struct hostile *h)
{
	uint64_t at = hostile_random_page(h);
	hostile_negotiate(h, F_USUAL);
	enable_at(h, at + 1 + hostile_random(h, 15), at, at);
	enable_at(h, at, at + 1, at);
	enable_at(h, at, at, at + 1 + hostile_random(h, 3));
}

static void outside(struct hostile *h)
{
	uint64_t at = h->arena, bad = hos_03_no_ram[hostile_random(h, HOS_COUNT(hos_03_no_ram))];
	hostile_negotiate(h, F_USUAL);
	enable_at(h, bad, at, at);
	enable_at(h, at, bad, at);
	enable_at(h, at, at, bad);
	enable_at(h, h->arena_end - 16, at, at);
	enable_at(h, at, h->arena_end - 2, at);
	enable_at(h, at, at, h->arena_end - 4);
}

static void wraps(struct hostile *h)
{
	uint64_t bad = -16ULL * (1 + hostile_random(h, 16));
	hostile_negotiate(h, F_USUAL);
	enable_at(h, bad, h->arena, h->arena);
	enable_at(h, h->arena, bad, h->arena);
	enable_at(h, h->arena, h->arena, bad);
}

/*
 * Rings that lie over one another in a page of noise. Only used rings are kept
 * off the descriptors: what the device writes there would name this guest.
 */
static void overlap(struct hostile *h)
{
	uint64_t at = h->q[INFLATE].data;
	hostile_negotiate(h, F_USUAL);
	hostile_noise(h, at, PAGE_LEN);
	for (unsigned i = 0x400; i < PAGE_LEN; i += 2)
		*(volatile uint16_t *)(at + i) = (uint16_t)hostile_random(h, 18);
	for (unsigned i = 0; i < HOSTILE_N_QUEUES; i++)
		hostile_queue_on_at(h, i, 16, at + 16 * hostile_random(h, 8), at + 2 * hostile_random(h, 1024), at + 0x400 + 4 * hostile_random(h, 512));
	hostile_set_status(h, STATUS_UP);
	for (unsigned i = 0; i < 20; i++) {
		++*(volatile uint16_t *)(at + 0x400 + 2 * hostile_random(h, 512));
		hostile_kick(h, hostile_random(h, HOSTILE_N_QUEUES));
	}
}

static void rewrite_live(struct hostile *h)
{
	hostile_q_write(h, INFLATE, VIRTIO_PCI_COMMON_Q_SIZE, 2, 8);
	hostile_cc_write(h, VIRTIO_PCI_COMMON_Q_DESCLO, 8, hostile_random_page(h));
	hostile_cc_write(h, VIRTIO_PCI_COMMON_Q_AVAILLO, 4, 0);
	hostile_cc_write(h, VIRTIO_PCI_COMMON_Q_USEDHI, 4, 0xFFFFFFFF);
	hostile_expect(h, hostile_q(h, INFLATE, VIRTIO_PCI_COMMON_Q_DESCLO, 8) == (uintptr_t)h->q[INFLATE].desc, "a live queue keeps its address");
	hostile_send(h, INFLATE, h->q[INFLATE].data, 0, 0);
	hostile_wait_used(h, INFLATE);
}

static void enable_again(struct hostile *h)
{
	for (unsigned i = 0; i < HOS_COUNT(hos_07_enables); i++) {
		hostile_q_write(h, INFLATE, VIRTIO_PCI_COMMON_Q_ENABLE, 2, hos_07_enables[i]);
		hostile_expect(h, hostile_q(h, INFLATE, VIRTIO_PCI_COMMON_Q_ENABLE, 2) == 1, "an enabled queue stays so");
	}
	hostile_send(h, INFLATE, h->q[INFLATE].data, 0, 0);
	hostile_wait_used(h, INFLATE);
}

static void enable_early_and_late(struct hostile *h)
{
	hostile_set_status(h, 0);
	hostile_queue_on(h, INFLATE, 64);
	hostile_set_status(h, 3);
	hostile_accept(h, F_VERSION_1);
	hostile_queue_on(h, DEFLATE, 64);
	hostile_set_status(h, STATUS_UP);
	hostile_queue_on(h, INFLATE, 64);
	hostile_expect(h, hostile_q(h, INFLATE, VIRTIO_PCI_COMMON_Q_ENABLE, 2) == 0, "a queue cannot be enabled but after FEATURES_OK, before DRIVER_OK");
	hostile_kick(h, INFLATE);
}

static void some_queues(struct hostile *h)
{
	hostile_negotiate(h, hostile_random64(h) & F_USUAL);
	if (hostile_random(h, 2))
		hostile_queue_on(h, hostile_random(h, HOSTILE_N_QUEUES), 64);
	hostile_set_status(h, STATUS_UP);
	for (unsigned i = 0; i < HOSTILE_N_QUEUES; i++)
		hostile_kick(h, i);
	hostile_expect(h, hostile_status(h) == STATUS_UP, "a device without queues is live");
}

static void select_nothing(struct hostile *h)
{
	uint16_t queue = hos_10_selects[hostile_random(h, HOS_COUNT(hos_10_selects))];
	for (unsigned offset = VIRTIO_PCI_COMMON_Q_SIZE; offset < 64; offset += 2) {
		uint64_t want = offset == VIRTIO_PCI_COMMON_Q_MSIX ? 0xFFFF : 0;
		hostile_q_write(h, queue, offset, 2u << hostile_random(h, 2), hostile_random64(h));
		hostile_expect(h, hostile_q(h, queue, offset, 2) == want, "a queue that is not there reads 0");
	}
}

static void kick_out_of_turn(struct hostile *h)
{
	hostile_negotiate(h, F_USUAL);
	hostile_queue_on(h, INFLATE, HOSTILE_QUEUE_SIZE);
	hostile_send(h, INFLATE, h->q[INFLATE].data, 0, 0);
	hostile_expect(h, h->q[INFLATE].used[1] == 0, "nothing is used before DRIVER_OK");
	hostile_set_status(h, STATUS_UP);
	hostile_wait_used(h, INFLATE);
	hostile_set_status(h, STATUS_UP | VIRTIO_CONFIG_S_FAILED);
	hostile_send(h, INFLATE, h->q[INFLATE].data, 0, 0);
	hostile_expect(h, h->q[INFLATE].used[1] == 1, "nothing is used after FAILED");
}

static void kick_nobody(struct hostile *h)
{
	hostile_q_write(h, INFLATE, VIRTIO_PCI_COMMON_Q_RESET, 2, 1);
	for (unsigned i = 0; i < 64; i++)
		hostile_write(h->balloon->dev.notify + h->balloon->dev.notify_multiplier * hostile_random(h, 16), 2, hostile_random64(h));
}

static void kick_oddly(struct hostile *h)
{
	for (unsigned i = 0; i < 256; i++) {
		uint64_t at = h->balloon->dev.notify + hostile_random(h, 0x100);
		hostile_write(at, 1u << hostile_random(h, 4), hostile_random64(h));
		hostile_expect(h, hostile_read(at, 2) == 0, "doorbells read 0");
	}
}

static void kick_storm(struct hostile *h)
{
	for (unsigned i = 0; i < MANY; i++)
		hostile_kick(h, i % HOSTILE_N_QUEUES);
}

static void accept_anything(struct hostile *h)
{
	hostile_set_status(h, 0);
	hostile_set_status(h, 3);
	for (unsigned i = 0; i < 8; i++) {
		hostile_cc_write(h, VIRTIO_PCI_COMMON_GFSELECT, 4, 2u << hostile_random(h, 31));
		hostile_cc_write(h, VIRTIO_PCI_COMMON_GF, 4, hostile_random64(h));
	}
	uint64_t features = F_VERSION_1 | BIT(hostile_random(h, 64));
	hostile_accept(h, features);
	hostile_set_status(h, 0xB);
	hostile_expect(h, hostile_status(h) == (features & ~h->balloon->dev.features ? 3 : 0xB), "features are taken if they are offered");
}

static void go_on_unheard(struct hostile *h)
{
	hostile_set_status(h, 0);
	hostile_accept(h, F_VERSION_1 | BIT(20));
	hostile_set_status(h, 7);
	hostile_set_status(h, 0xB);
	hostile_set_status(h, STATUS_UP);
	hostile_expect(h, hostile_status(h) == 3, "DRIVER_OK is not taken without FEATURES_OK");
	hostile_kick(h, INFLATE);
}

static void statuses(struct hostile *h)
{
	hostile_up(h, F_USUAL & ~F_SUSPEND);
	for (unsigned i = 0; i < HOS_COUNT(hos_17_statuses); i++) {
		hostile_set_status(h, hos_17_statuses[i]);
		hostile_expect(h, hostile_status(h) == STATUS_UP, "status bits cannot be taken back, nor the device's own be set");
	}
	for (unsigned i = 0; i < 16; i++)
		hostile_set_status(h, (uint8_t)hostile_random(h, 256));
}

static void failed(struct hostile *h)
{
	hostile_set_status(h, VIRTIO_CONFIG_S_FAILED);
	for (unsigned i = 0; i < HOSTILE_N_QUEUES; i++)
		hostile_send(h, i, h->q[i].data, 64, 0);
}

/* Resets in the middle of a large request. */
static void reset_storm(struct hostile *h)
{
	for (unsigned i = 0; i < 16; i++) {
		hostile_up(h, hostile_random64(h) & F_USUAL);
		memset((void *)h->q[INFLATE].data, 0xFF, HOSTILE_DATA_LEN);
		hostile_send(h, INFLATE, h->q[INFLATE].data, HOSTILE_DATA_LEN, 0);
		for (unsigned k = hostile_random(h, 64); k; k--)
			hostile_set_status(h, 0);
	}
}

static void queue_resets(struct hostile *h)
{
	memset((void *)h->q[INFLATE].data, 0xFF, HOSTILE_DATA_LEN);
	for (unsigned i = 0; i < 32; i++) {
		unsigned queue = hostile_random(h, HOSTILE_N_QUEUES + 1);
		hostile_q_write(h, queue, VIRTIO_PCI_COMMON_Q_RESET, 2, hostile_random(h, 3));
		if (queue < HOSTILE_N_QUEUES && hostile_random(h, 2)) {
			hostile_queue_on(h, queue, HOSTILE_QUEUE_SIZE);
			hostile_send(h, queue, h->q[INFLATE].data, HOSTILE_DATA_LEN, 0);
		}
	}
}

/* Any offset, width and value, but no status: with addresses at random no queue is to go on. */
static void any_access(struct hostile *h)
{
	hostile_set_status(h, 0);
	for (unsigned i = 0; i < 256; i++) {
		uint64_t offset = hostile_random(h, 64), value = hostile_random64(h);
		unsigned size = 1u << hostile_random(h, 4);
		if (offset > VIRTIO_PCI_COMMON_STATUS || offset + size <= VIRTIO_PCI_COMMON_STATUS)
			hostile_write(h->balloon->dev.common + offset, size, value);
		hostile_read(h->bar + hostile_random(h, 0x1FF9), size);
	}
	hostile_set_status(h, 0);
}

static void actual(struct hostile *h)
{
	static const uint32_t values[] = {0, 0xFFFFFFFF, 1, 0x80000000};
	for (unsigned i = 0; i < 200; i++)
		hostile_write(h->balloon->dev.config + 4, 4, values[i % 4]);
	for (unsigned i = 0; i < 4; i++)
		hostile_write(h->balloon->dev.config + 4 + i, 1, 0x10 + i);
	hostile_expect(h, hostile_read(h->balloon->dev.config + 4, 4) == 0x13121110, "actual is stored as told, byte by byte");
	if (hostile_random(h, 2))
		hostile_write(h->balloon->dev.config + 4, 4, hostile_random64(h));
}

static void device_config(struct hostile *h)
{
	for (unsigned i = 0; i < 128; i++) {
		uint64_t offset = hostile_random(h, 64);
		unsigned size = 1u << hostile_random(h, 4);
		hostile_write(h->balloon->dev.config + offset, size, hostile_random64(h));
		uint64_t value = hostile_read(h->balloon->dev.config + offset, size);
		hostile_expect(h, offset < 16 || value == 0, "behind the configuration there is nothing");
	}
}

static void suspend(struct hostile *h)
{
	hostile_up(h, hostile_random(h, 2) ? F_USUAL : F_USUAL & ~F_SUSPEND);
	for (unsigned i = 0; i < 8; i++) {
		hostile_set_status(h, STATUS_UP | (hostile_random(h, 3) ? STATUS_SUSPEND : 0));
		hostile_send(h, hostile_random(h, HOSTILE_N_QUEUES), h->q[INFLATE].data, 64, 0);
		hostile_write(h->balloon->dev.config + 4 * hostile_random(h, 4), 4, hostile_random64(h));
	}
	if (hostile_random(h, 2))
		hostile_set_status(h, 0);
}

const struct hostile_act hostile_regs[] = {
	{"HOS-01", sizes, false},
	{"HOS-02", misaligned, false},
	{"HOS-03", outside, false},
	{"HOS-04", wraps, false},
	{"HOS-05", overlap, false},
	{"HOS-06", rewrite_live, true},
	{"HOS-07", enable_again, true},
	{"HOS-08", enable_early_and_late, true},
	{"HOS-09", some_queues, false},
	{"HOS-10", select_nothing, true},
	{"HOS-11", kick_out_of_turn, false},
	{"HOS-12", kick_nobody, false},
	{"HOS-13", kick_oddly, true},
	{"HOS-14", kick_storm, false},
	{"HOS-15", accept_anything, true},
	{"HOS-16", go_on_unheard, true},
	{"HOS-17", statuses, false},
	{"HOS-18", failed, false},
	{"HOS-19", reset_storm, false},
	{"HOS-20", queue_resets, false},
	{"HOS-21", any_access, false},
	{"HOS-57", actual, true},
	{"HOS-58", device_config, true},
	{"HOS-80", suspend, false},
	{NULL, NULL, false},
};
