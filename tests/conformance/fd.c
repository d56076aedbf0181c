#include "tests/conformance/fd.h"

#include <assert.h>

#include "util/bytes.h"

struct fakeguest fg;
static bool hostile;

void fd_begin(void)
{
	fg_create(&fg, NULL, 4096);
}

void fd_init(uint64_t features)
{
	fd_begin();
	fg_init(&fg, features);
}

void fd_end(void)
{
	CU_ASSERT_EQUAL(fg_destroy(&fg), 0);
}

void fd_begin_hostile(void)
{
	fd_begin();
	fg_init(&fg, ALL_TYPE | F_INDIRECT | F_RING_RESET);
	assert(!hostile);
	hostile = true;
	fakehost_capture_log();
}

/* After all that, a reset and a proper driver: every queue does its work. */
static void expect_all_works(void)
{
	struct balloon_state state;
	fg_pcicfg_write(&fg, PCI_COMMAND, 2, 0);
	fg_pcicfg_write(&fg, PCI_BASE_ADDRESS_0, 4, (uint32_t)FG_MMIO_BASE);
	fg_probe(&fg);
	fg.fh->discard_error = 0;
	fg.fh->msi_error = 0;
	fg_init(&fg, ALL_TYPE | F_INDIRECT | F_EVENT_IDX | F_RING_RESET);
	CU_ASSERT_EQUAL(fg_status(&fg), 0xF);
	for (unsigned i = 0; i < FG_N_QUEUES; i++)
		fg_used_event(&fg, i, 0);
	fakehost_forget_discards(fg.fh);
	uint64_t irqs[FG_N_QUEUES];
	for (unsigned i = 0; i < FG_N_QUEUES; i++)
		irqs[i] = fg_irqs(&fg, i + 1);

	fg_fill(&fg, FG_PAGES, 4 * 4096, 0x5A);
	fd_inflate(1, 2);
	CU_ASSERT_TRUE(fg_holds(&fg, FG_PAGES + 4096, 2 * 4096, 0));
	CU_ASSERT_TRUE(fg_holds(&fg, FG_PAGES, 4096, 0x5A));
	CU_ASSERT_TRUE(fg_holds(&fg, FG_PAGES + 3 * 4096, 4096, 0x5A));
	fd_deflate(1, 2);
	fg_send(&fg, REPORT, FG_PAGES, 4096, D_WRITE);
	CU_ASSERT_TRUE(fg_holds(&fg, FG_PAGES, 4096, 0));
	fd_post_stats(99);
	CU_ASSERT_EQUAL(balloon_request_stats(fg.dev), 0);
	const unsigned used[] = {INFLATE, DEFLATE, STATS, REPORT};
	for (unsigned i = 0; i < 4; i++) {
		CU_ASSERT_EQUAL(fg_used_idx(&fg, used[i]), 1);
		CU_ASSERT_EQUAL(fg_irqs(&fg, used[i] + 1), irqs[used[i]] + 1);
	}
	balloon_get_state(fg.dev, &state);
	CU_ASSERT_EQUAL(state.stats[4], 99);
	uint64_t config_irqs = fg_irqs(&fg, 0);
	CU_ASSERT_EQUAL(balloon_set_target(fg.dev, state.target_bytes ^ MIB), 0);
	CU_ASSERT_EQUAL(fg_irqs(&fg, 0), config_irqs + 1);
}

void fd_end_hostile(void)
{
	uint64_t seconds = fg.fh->now_ms / 1000;
	fakehost_settle(fg.fh, 100000);
	CU_ASSERT_TRUE(fakehost_end_log() <= 2 + seconds);
	hostile = false;
	expect_all_works();
	fd_end();
}

static void send_pages(unsigned queue, unsigned first, unsigned n)
{
	uint32_t pfns[1024];
	assert(n <= 1024);
	for (unsigned i = 0; i < n; i++)
		pfns[i] = PFN(FG_PAGES) + first + i;
	fg_send_pfns(&fg, queue, pfns, n);
}

void fd_inflate(unsigned first, unsigned n)
{
	send_pages(INFLATE, first, n);
}

void fd_deflate(unsigned first, unsigned n)
{
	send_pages(DEFLATE, first, n);
}

void fd_post_inflate(uint16_t head, unsigned page)
{
	uint64_t gpa = FG_DATA(INFLATE) + head * 4ULL;
	store_le32(fakehost_ram(fg.fh, gpa, 4), PFN(FG_PAGES) + page);
	fg_desc(&fg, INFLATE, head, gpa, 4, 0, 0);
	fg_publish(&fg, INFLATE, head);
}

void fd_post_stats(uint64_t value)
{
	uint8_t *data = fakehost_ram(fg.fh, FG_DATA(STATS), 10);
	store_le16(data, 4);
	store_le64(data + 2, value);
	fg_send(&fg, STATS, FG_DATA(STATS), 10, 0);
}

struct balloon_queue_counters fd_counters(enum balloon_queue_role role)
{
	struct balloon_state state;
	balloon_get_state(fg.dev, &state);
	return state.queues[role];
}

uint64_t fd_messages(void)
{
	return fg.fh->n_msis + fg.fh->irq_raised[FG_GSI];
}
