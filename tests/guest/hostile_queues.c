/* Rows HOS-59 to HOS-71: statistics, hints and reports that lie. */
#include "tests/guest/clock.h"
#include "tests/guest/hostile.h"
#include "tests/guest/x86.h"

#define WRITE VRING_DESC_F_WRITE
#define NEXT VRING_DESC_F_NEXT

static void stats_lengths(struct hostile *h)
{
	hostile_noise(h, h->q[STATS].data, 2 * PAGE_LEN);
	for (unsigned i = 0; i < 400; i++)
		*(volatile uint16_t *)(h->q[STATS].data + 10 * i) = (uint16_t)hostile_random(h, 20);
	hostile_send(h, STATS, h->q[STATS].data, hos_59_lens[hostile_random(h, HOS_COUNT(hos_59_lens))], 0);
}

static void stats_outstanding(struct hostile *h)
{
	for (uint16_t i = 0; i < 100; i++) {
		hostile_desc(h, STATS, i, h->q[STATS].data, 10, 0, 0);
		hostile_publish(h, STATS, hostile_random(h, 4) ? i : 5);
	}
	hostile_kick(h, STATS);
	/* The last stays until the host asks, which may be now. */
	uint64_t start = read_tsc();
	while ((uint16_t)(h->q[STATS].avail_idx - h->q[STATS].used[1]) > 1)
		hostile_expect(h, clock_ms_since(start) < 20000, "old statistics buffers come back");
}

static void stats_huge(struct hostile *h)
{
	hostile_send(h, STATS, h->q[STATS].data, 0xFFFFFFFF, 0);
	hostile_send(h, STATS, h->q[STATS].data, PAGE_LEN, WRITE);
	hostile_send(h, STATS, h->noise, HOSTILE_NOISE_LEN, 0);
}

/* Nothing is given to the host's questions. */
static void stats_silent(struct hostile *h)
{
	clock_wait_ms(1 + hostile_random(h, 5));
	hostile_send(h, STATS, h->q[STATS].data, 10, 0);
}

static void say_hint(struct hostile *h, uint32_t word, uint32_t len)
{
	*(volatile uint32_t *)h->q[HINT].data = word;
	hostile_send(h, HINT, h->q[HINT].data, len, 0);
}

static uint32_t hint_word(struct hostile *h)
{
	return (uint32_t)hostile_read(h->balloon->dev.config + 8, 4);
}

static void hint_ids(struct hostile *h)
{
	uint32_t id = hint_word(h);
	const uint32_t words[] = {id, id - 1, id + 1, 0, 1, 0xFFFFFFFF, (uint32_t)hostile_random64(h)};
	for (unsigned i = 0; i < 16; i++) {
		say_hint(h, words[hostile_random(h, HOS_COUNT(words))], hostile_random(h, 2) ? 4 : hos_63_lens[hostile_random(h, HOS_COUNT(hos_63_lens))]);
		hostile_desc(h, HINT, 1, hostile_random_page(h), PAGE_LEN, WRITE, 0);
		hostile_publish(h, HINT, 1);
		hostile_kick(h, HINT);
	}
	hostile_wait_used(h, HINT);
}

static void hint_flood(struct hostile *h)
{
	if (hostile_random(h, 2))
		say_hint(h, hint_word(h), 4);
	for (unsigned i = 0; i < 200; i++) {
		hostile_send(h, HINT, hostile_random_page(h), PAGE_LEN, WRITE);
		hostile_wait_used(h, HINT);
	}
	if (hostile_random(h, 2))
		say_hint(h, hostile_random(h, 2), 4);
}

/* A block at an odd place; it begins in the arena, so that however long it is, this guest is not in it. */
static void send_block(struct hostile *h, unsigned queue, uint16_t flags)
{
	const uint64_t places[] = {hostile_random_page(h),
				   hostile_random_page(h) + 1 + hostile_random(h, 4095),
				   h->arena_end - PAGE_LEN,
				   hos_03_no_ram[hostile_random(h, HOS_COUNT(hos_03_no_ram))],
				   h->arena_end,
				   -PAGE_LEN};
	static const uint32_t lens[] = {0, 1, 4095, 4096, 8192, 65536, 1 << 20, 0xFFFFFFFF};
	hostile_send(h, queue, places[hostile_random(h, HOS_COUNT(places))], lens[hostile_random(h, HOS_COUNT(lens))], flags);
}

/* The last of them may have had the rings. */
static void hint_blocks(struct hostile *h)
{
	say_hint(h, hint_word(h), 4);
	for (unsigned i = 0; i < 16; i++)
		send_block(h, HINT, WRITE);
	*(volatile uint64_t *)hostile_random_page(h) |= 0;
	say_hint(h, 0, 4);
}

static void report_blocks(struct hostile *h)
{
	for (unsigned i = 0; i < 16; i++)
		send_block(h, REPORT, WRITE);
}

static void report_overlapping(struct hostile *h)
{
	uint64_t at = hostile_random(h, 2) ? h->arena : hostile_random_page(h);
	for (uint16_t i = 0; i < 10; i++)
		hostile_desc(h, REPORT, i, at + (i % 3) * PAGE_LEN, 1 << 20, WRITE | (i < 9 ? NEXT : 0), i + 1);
	hostile_publish(h, REPORT, 0);
	hostile_kick(h, REPORT);
}

static void report_readable(struct hostile *h)
{
	uint64_t *word = (uint64_t *)(h->noise - PAGE_LEN);
	*word = ~0ULL;
	hostile_send(h, REPORT, h->noise - PAGE_LEN, PAGE_LEN, 0);
	hostile_wait_used(h, REPORT);
	hostile_expect(h, *word == ~0ULL, "what is readable is not discarded");
	*word = 0;
}

static void report_poisoned(struct hostile *h)
{
	hostile_negotiate(h, F_USUAL);
	hostile_write(h->balloon->dev.config + 12, 4, 0xAAAAAAAA);
	hostile_queue_on(h, REPORT, HOSTILE_QUEUE_SIZE);
	hostile_set_status(h, STATUS_UP);
	volatile uint64_t *word = (uint64_t *)(h->noise - PAGE_LEN);
	*word = ~0ULL;
	for (unsigned i = 0; i < 4; i++) {
		hostile_write(h->balloon->dev.config + 12 + i, 1, 0);
		hostile_send(h, REPORT, h->noise - PAGE_LEN, PAGE_LEN, WRITE);
		hostile_wait_used(h, REPORT);
		hostile_expect(h, *word == ~0ULL, "poisoned pages are not zeroed");
	}
	*word = 0;
}

static void queues_unasked(struct hostile *h)
{
	hostile_up(h, 0);
	for (unsigned i = STATS; i <= REPORT; i++) {
		hostile_expect(h, hostile_q(h, i, VIRTIO_PCI_COMMON_Q_ENABLE, 2) == 0, "a queue that was not negotiated is not enabled");
		hostile_send(h, i, h->q[i].data, 64, 0);
	}
}

/* A bitmap behind the page numbers, as proposed for a feature that is not offered. */
static void bitmap(struct hostile *h)
{
	uint32_t pfns[32];
	hostile_some_pages(h, pfns, 32);
	memcpy((void *)h->q[INFLATE].data, pfns, sizeof pfns);
	memset((void *)h->q[DEFLATE].data, 0x55, 4);
	hostile_desc(h, INFLATE, 0, h->q[INFLATE].data, sizeof pfns, NEXT, 1);
	hostile_desc(h, INFLATE, 1, h->q[DEFLATE].data, hostile_random(h, 5), WRITE, 0);
	hostile_publish(h, INFLATE, 0);
	hostile_kick(h, INFLATE);
	hostile_wait_used(h, INFLATE);
	hostile_expect(h, *(volatile uint32_t *)h->q[DEFLATE].data == 0x55555555, "nothing is written to a bitmap");
}

const struct hostile_act hostile_queues[] = {
	{"HOS-59", stats_lengths, true},
	{"HOS-60", stats_outstanding, true},
	{"HOS-61", stats_huge, true},
	{"HOS-62", stats_silent, true},
	{"HOS-63", hint_ids, true},
	{"HOS-64", hint_flood, true},
	{"HOS-65", hint_blocks, true},
	{"HOS-66", report_blocks, true},
	{"HOS-67", report_overlapping, true},
	{"HOS-68", report_readable, true},
	{"HOS-69", report_poisoned, true},
	{"HOS-70", queues_unasked, true},
	{"HOS-71", bitmap, true},
	{NULL, NULL, false},
};
