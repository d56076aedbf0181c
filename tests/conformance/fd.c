#include "tests/conformance/fd.h"

#include <assert.h>

#include "tests/conformance/steps.h"
#include "util/bytes.h"

struct fakeguest fg;

/* A hostile row in work: memory that nobody names, and what the device may need for one access. */
#define CANARY_GPA 0xB00000ULL
#define CANARY_LEN MIB
#define CANARY 0xC5

/*
 * The row's 10 ms in what is counted: a million basic blocks of the device, for
 * a processor that takes 10 ns for each, and 64 MiB that the host is asked to
 * discard, the pace of which is the host's.
 */
#define MOST_STEPS 1000000
#define MOST_DISCARDED (64 * MIB)

static bool hostile, canary_is_named;

void fd_begin(void)
{
	fd_begin_with(NULL, 4096);
}

void fd_begin_with(const struct balloon_config *config, uint64_t page_size_bytes)
{
	fg_create(&fg, config, page_size_bytes);
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
	fd_go_hostile();
}

void fd_go_hostile(void)
{
	assert(!hostile);
	hostile = true;
	canary_is_named = false;
	fg_init(&fg, ALL_TYPE | F_INDIRECT | F_RING_RESET);
	fg_fill(&fg, CANARY_GPA, CANARY_LEN, CANARY);
	fg.fh->steps = steps_of_device;
	fakehost_capture_log();
}

void fd_canary_is_named(void)
{
	canary_is_named = true;
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
	fg_fill(&fg, FG_PAGES, 2 * 4096, 0x5A);
	CU_ASSERT_EQUAL(fd_hint_run(HINT, FG_PAGES, 4096), 1);
	CU_ASSERT_TRUE(fg_holds(&fg, FG_PAGES, 4096, 0));
	CU_ASSERT_TRUE(fg_holds(&fg, FG_PAGES + 4096, 4096, 0x5A));
	fd_post_stats(99);
	CU_ASSERT_EQUAL(balloon_request_stats(fg.dev), 0);
	fakehost_advance(fg.fh, 2 * FD_HOLD_MS);
	for (unsigned i = 0; i < FG_N_QUEUES; i++) {
		CU_ASSERT_EQUAL(fg_used_idx(&fg, i), i == HINT ? 3 : 1);
		CU_ASSERT_EQUAL(fg_irqs(&fg, i + 1), irqs[i] + 1);
	}
	balloon_get_state(fg.dev, &state);
	CU_ASSERT_EQUAL(state.stats[4], 99);
	uint64_t config_irqs = fg_irqs(&fg, 0);
	CU_ASSERT_EQUAL(balloon_set_target(fg.dev, state.target_bytes ^ MIB), 0);
	CU_ASSERT_EQUAL(fg_irqs(&fg, 0), config_irqs + 1);
}

/* In the state that the driver left behind, work and calls have an end, and memory that it did not name is as it was. */
static void expect_unharmed(void)
{
	struct balloon_state state;
	fakehost_settle(fg.fh, 100000);
	balloon_get_state(fg.dev, &state);
	balloon_request_stats(fg.dev);
	CU_ASSERT_EQUAL(balloon_set_target(fg.dev, state.target_bytes ^ MIB), 0);
	CU_ASSERT_EQUAL(balloon_set_target(fg.dev, state.target_bytes), 0);
	CU_ASSERT_TRUE(canary_is_named || fg_holds(&fg, CANARY_GPA, CANARY_LEN, CANARY));
	CU_ASSERT_TRUE(fg.fh->most_steps < MOST_STEPS);
	CU_ASSERT_TRUE(fg.fh->most_discarded <= MOST_DISCARDED);
}

void fd_end_hostile(void)
{
	expect_unharmed();
	fg.fh->steps = NULL;
	CU_ASSERT_TRUE(fakehost_end_log() <= 2 + fg.fh->now_ms / 1000);
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

void fd_post(unsigned queue, uint16_t head, unsigned page)
{
	uint64_t gpa = FG_DATA(queue) + head * 4ULL;
	store_le32(fakehost_ram(fg.fh, gpa, 4), PFN(FG_PAGES) + page);
	fg_desc(&fg, queue, head, gpa, 4, 0, 0);
	fg_publish(&fg, queue, head);
}

void fd_post_stats(uint64_t value)
{
	uint8_t *data = fakehost_ram(fg.fh, FG_DATA(STATS), 10);
	store_le16(data, 4);
	store_le64(data + 2, value);
	fg_send(&fg, STATS, FG_DATA(STATS), 10, 0);
}

void fd_hint_cmd(unsigned queue, uint32_t cmd)
{
	store_le32(fakehost_ram(fg.fh, FG_DATA(queue), 4), cmd);
	fg_send(&fg, queue, FG_DATA(queue), 4, 0);
	fakehost_settle(fg.fh, 1000);
}

void fd_hint(unsigned queue, uint64_t gpa, uint32_t len)
{
	fg_send(&fg, queue, gpa, len, D_WRITE);
	fakehost_settle(fg.fh, 1000);
}

void fd_hint_page(unsigned page)
{
	fd_hint(HINT, FG_PAGES + page * 4096ULL, 4096);
}

uint32_t fd_hint_word(void)
{
	return fg_dc(&fg, DC_CMD_ID);
}

uint32_t fd_hint_start(void)
{
	uint64_t irqs = fg_irqs(&fg, 0);
	CU_ASSERT_EQUAL(balloon_hint_start(fg.dev), 0);
	CU_ASSERT_EQUAL(fg_irqs(&fg, 0), irqs + 1);
	CU_ASSERT_TRUE(fd_hint_word() > HINT_DONE);
	return fd_hint_word();
}

uint32_t fd_hint_run(unsigned queue, uint64_t gpa, uint32_t len)
{
	CU_ASSERT_EQUAL(balloon_hint_start(fg.dev), 0);
	fd_hint_cmd(queue, fd_hint_word());
	fd_hint(queue, gpa, len);
	fd_hint_cmd(queue, HINT_STOP);
	return fd_hint_word();
}

void fd_page_is(unsigned page, uint8_t byte)
{
	CU_ASSERT_TRUE(fg_holds(&fg, FG_PAGES + page * 4096ULL, 4096, byte));
}

const struct balloon_state *fd_state(void)
{
	static struct balloon_state state;
	balloon_get_state(fg.dev, &state);
	return &state;
}

struct balloon_queue_counters fd_counters(unsigned role)
{
	return fd_state()->queues[role];
}

uint64_t fd_messages(void)
{
	return fg.fh->n_msis + fg.fh->irq_raised[FG_GSI];
}

const struct fd_block fd_odd_blocks[FD_N_ODD_BLOCKS] = {
	{FG_PAGES + 1, 8192, 4096},
	{FG_PAGES, 4095, 0},
	{FG_PAGES + 4095, 2, 0},
	{FG_PAGES, 0, 0},
	{FAKE_REGION_LEN - 4096, 0x10000, 4096},
	{FAKE_HIGH_GPA - MIB, 2 * MIB, MIB},
	{FG_MMIO_BASE, 0x100000, 0},
	{0xFFFFFFFFFFFFF000, 0xFFFFFFFF, 0},
	{FAKE_HIGH_GPA + 32 * MIB, 0xFFFFFFFF, 32 * MIB},
};

void fd_window_write(unsigned offset, unsigned size, uint32_t value)
{
	fg_window(&fg, 0, offset, size); /* aims; the read does no harm where it is used */
	fg_pcicfg_write(&fg, fg.window_cap + 16, 4, value);
}
