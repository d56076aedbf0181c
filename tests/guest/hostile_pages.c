/* Rows HOS-42 to HOS-56: page numbers that lie. HOS-54 is the host's doing: tests/conformance/hos_pages.c. */
#include "tests/guest/clock.h"
#include "tests/guest/hostile.h"

#define WRITE VRING_DESC_F_WRITE
#define LOW_PAGES 0xA0

static uint32_t pages[HOSTILE_MAX_PFNS]; /* for one act */

static unsigned either(struct hostile *h)
{
	return hostile_random(h, 2) ? INFLATE : DEFLATE;
}

static void send_and_wait(struct hostile *h, unsigned queue, const uint32_t *pfns, size_t n)
{
	hostile_send_pfns(h, queue, pfns, n);
	hostile_wait_used(h, queue);
}

static void pages_outside(struct hostile *h)
{
	const uint32_t outside[] = {
		PFN(h->arena_end), 0xC0000, 0xE0000, 0xFEE00, 0xFFFFF, 0xFFFFFFFF, 0x80100000, PFN(h->bar), PFN(hostile_random_page(h)), 0x7FFFFFFF,
	};
	send_and_wait(h, either(h), outside, HOS_COUNT(outside));
}

static void edge_pages(struct hostile *h)
{
	const uint32_t edges[] = {0, PFN(h->arena_end) - 1, PFN(h->arena_end), 0x9F};
	send_and_wait(h, INFLATE, edges, HOS_COUNT(edges));
	send_and_wait(h, DEFLATE, edges, HOS_COUNT(edges));
}

/* The data behind the page numbers is noise. */
static void odd_lengths(struct hostile *h)
{
	unsigned queue = either(h);
	hostile_noise(h, h->q[queue].data, 2 * PAGE_LEN);
	hostile_send(h, queue, h->q[queue].data, hos_44_lens[hostile_random(h, HOS_COUNT(hos_44_lens))], 0);
	hostile_wait_used(h, queue);
}

static void odd_address(struct hostile *h)
{
	unsigned queue = either(h);
	uint64_t at = h->q[queue].data + 1 + hostile_random(h, 15);
	for (unsigned i = 0; i < 256; i++)
		*(volatile uint32_t *)(at + 4 * i) = PFN(hostile_random_page(h));
	hostile_send(h, queue, at, 4 * 256, 0);
	hostile_wait_used(h, queue);
}

static void nothing_to_read(struct hostile *h)
{
	unsigned queue = either(h);
	hostile_send(h, queue, h->q[queue].data, PAGE_LEN, WRITE);
	hostile_wait_used(h, queue);
}

static void same_page(struct hostile *h)
{
	const uint32_t pfn = PFN(hostile_random_page(h)), same[] = {pfn, pfn, pfn};
	send_and_wait(h, INFLATE, same, 3);
	send_and_wait(h, INFLATE, same, 3);
}

static void never_inflated(struct hostile *h)
{
	const uint32_t pfn = PFN(hostile_random_page(h)), same[] = {pfn, pfn};
	send_and_wait(h, DEFLATE, same, 2);
	send_and_wait(h, DEFLATE, same, 2);
}

static void unacknowledged(struct hostile *h)
{
	hostile_some_pages(h, pages, HOSTILE_MAX_PFNS);
	hostile_send_pfns(h, INFLATE, pages, HOSTILE_MAX_PFNS);
	hostile_send_pfns(h, DEFLATE, pages, HOSTILE_MAX_PFNS);
	hostile_wait_used(h, INFLATE);
	hostile_wait_used(h, DEFLATE);
	send_and_wait(h, DEFLATE, pages, HOSTILE_MAX_PFNS); /* whichever of the two came last */
	volatile uint64_t *word = (uint64_t *)(pages[hostile_random(h, HOSTILE_MAX_PFNS)] * PAGE_LEN);
	uint64_t value = hostile_random64(h) | 0x8080808080808080;
	*word = value;
	clock_wait_ms(hostile_random(h, 15));
	hostile_expect(h, *word == value, "nothing happens to a page once its deflate is used");
	*word = 0;
}

static void rings_inflated(struct hostile *h)
{
	unsigned n = PFN(h->pages - h->arena);
	for (unsigned i = 0; i < n; i++)
		pages[i] = PFN(h->arena) + i;
	hostile_send_pfns(h, INFLATE, pages, n);
	for (unsigned i = 0; i < 10; i++) {
		hostile_publish(h, i % HOSTILE_N_QUEUES, 0);
		hostile_kick(h, i % HOSTILE_N_QUEUES);
	}
}

/* What was put below 640 KiB for the start: tables, memory map, command line. This guest's own code would end it at once. */
static void boot_tables(struct hostile *h)
{
	for (unsigned i = 0; i < LOW_PAGES; i++)
		pages[i] = i;
	send_and_wait(h, INFLATE, pages, LOW_PAGES);
}

/* All but what this guest needs to live. */
static void everything(struct hostile *h)
{
	uint32_t first = PFN(h->pages), end = PFN(h->arena_end);
	while (first < end) {
		unsigned n = 0;
		while (n < HOSTILE_MAX_PFNS && first < end)
			pages[n++] = first++;
		send_and_wait(h, INFLATE, pages, n);
	}
}

static void alternating(struct hostile *h)
{
	hostile_some_pages(h, pages, HOSTILE_MAX_PFNS);
	for (unsigned i = 0; i < HOSTILE_MAX_PFNS / 2; i++)
		pages[i] = pages[2 * i];
	send_and_wait(h, INFLATE, pages, HOSTILE_MAX_PFNS / 2);
}

static void used_without_deflate(struct hostile *h)
{
	hostile_some_pages(h, pages, 64);
	send_and_wait(h, INFLATE, pages, 64);
	for (unsigned i = 0; i < 64; i++) {
		*(volatile uint64_t *)(pages[i] * PAGE_LEN) = ~0ULL;
		*(volatile uint64_t *)(pages[i] * PAGE_LEN) = 0;
	}
}

static void ping_pong(struct hostile *h)
{
	hostile_some_pages(h, pages, 64);
	for (unsigned i = 0; i < 32; i++)
		send_and_wait(h, i % 2 ? DEFLATE : INFLATE, pages, 64);
}

const struct hostile_act hostile_pages[] = {
	{"HOS-42", pages_outside, true},	{"HOS-43", edge_pages, true},	   {"HOS-44", odd_lengths, true},
	{"HOS-45", odd_address, true},		{"HOS-46", nothing_to_read, true}, {"HOS-47", same_page, true},
	{"HOS-48", never_inflated, true},	{"HOS-49", unacknowledged, true},  {"HOS-50", rings_inflated, true},
	{"HOS-51", boot_tables, true},		{"HOS-52", everything, true},	   {"HOS-53", alternating, true},
	{"HOS-55", used_without_deflate, true}, {"HOS-56", ping_pong, true},	   {NULL, NULL, false},
};
