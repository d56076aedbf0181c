#include <CUnit/CUnit.h>

#include "tests/unit/failalloc.h"
#include "tests/unit/fakeguest.h"
#include "tests/unit/suite.h"
#include "util/bytes.h"

/*
 * No request allocates memory: it could not be had when it is needed most. All
 * allocations fail while the requests of every queue are served.
 */

#define MIB (1ULL << 20)
#define BLOCK 512u /* pages */
#define BUFFER 256u
#define STATISTICS_S 1
#define ROUNDS 3

enum { INFLATE, DEFLATE, STATS, HINT, REPORT };

static struct fakeguest fg;

static void begin(uint64_t features, uint64_t page_size, uint64_t block_size)
{
	const struct balloon_config config = {.free_page_hinting = true, .free_page_reporting = true, .statistics = STATISTICS_S};
	struct fakehost *fh = fakehost_create(page_size);
	fh->host.gmem.block_size = block_size;
	fh->discards_unrecorded = true; /* the fake would allocate for it */
	fg_create_on(&fg, &config, fh);
	fg_init(&fg, features | F_STATS | F_HINT | F_REPORT | F_POISON);
}

/* Every `step`th page of four blocks, so that there are many pieces. */
static void send_pages(unsigned queue, uint32_t step)
{
	uint32_t pfns[BUFFER];
	size_t n = 0;
	for (uint32_t page = 0; page < 4 * BLOCK; page += step) {
		pfns[n++] = (uint32_t)(FG_PAGES >> 12) + page;
		if (n == BUFFER || page + step >= 4 * BLOCK) {
			fg_send_pfns(&fg, queue, pfns, n);
			n = 0;
		}
	}
}

static void post_stats(void)
{
	uint8_t *data = fakehost_ram(fg.fh, FG_DATA(STATS), 20);
	store_le16(data, 4);
	store_le64(data + 2, 12345);
	store_le16(data + 10, 500); /* no such tag */
	fg_send(&fg, STATS, FG_DATA(STATS), 20, 0);
	fakehost_advance(fg.fh, STATISTICS_S * 1000);
	fakehost_settle(fg.fh, 100);
}

static void send_hint_command(uint32_t command)
{
	store_le32(fakehost_ram(fg.fh, FG_DATA(HINT), 4), command);
	fg_send(&fg, HINT, FG_DATA(HINT), 4, 0);
}

static void hint_and_report(uint32_t run)
{
	send_hint_command(run);
	fg_send(&fg, HINT, FG_PAGES + 32 * MIB, 4 * MIB, D_WRITE);
	send_hint_command(0);
	fakehost_settle(fg.fh, 100);
	fg_send(&fg, REPORT, FG_PAGES + 40 * MIB, 2 * MIB, D_WRITE);
	fg_send(&fg, REPORT, FG_PAGES + 44 * MIB, 12345, D_WRITE); /* not whole pages */
	fg_send(&fg, REPORT, FG_PAGES, 4096, 0);		   /* not writable */
}

static void serve_everything(uint32_t run)
{
	for (uint32_t step = 1; step <= 3; step++) {
		send_pages(INFLATE, step);
		fakehost_advance(fg.fh, 1);
		send_pages(DEFLATE, step);
		send_pages(DEFLATE, step); /* was not in the balloon any more */
		fakehost_settle(fg.fh, 100);
		fakehost_advance(fg.fh, 200);
		fg_dc_write(&fg, DC_ACTUAL, step);
	}
	post_stats();
	hint_and_report(run);
}

static void check_serves_without_memory(uint64_t features, uint64_t page_size, uint64_t block_size)
{
	begin(features, page_size, block_size);
	fakehost_capture_log();
	for (unsigned round = 0; round < ROUNDS; round++) {
		/* A client's command, not a request of the guest. */
		CU_ASSERT_EQUAL_FATAL(balloon_hint_start(fg.dev), 0);
		uint32_t run = fg_dc(&fg, DC_CMD_ID);
		long before = failalloc_in_use();
		failalloc_begin(0, true);
		serve_everything(run);
		CU_ASSERT_FALSE(failalloc_end());
		CU_ASSERT_EQUAL(failalloc_in_use(), before);
	}
	fakehost_end_log();
	static struct balloon_state state;
	balloon_get_state(fg.dev, &state);
	for (enum balloon_queue_role role = 0; role < BALLOON_N_QUEUES; role++)
		CU_ASSERT_TRUE(state.queues[role].buffers > 0);
	CU_ASSERT_TRUE(state.queues[BALLOON_Q_INFLATE].discarded_bytes > 0);
	CU_ASSERT_EQUAL(state.hint.phase, BALLOON_HINT_DONE);
	CU_ASSERT_EQUAL(fg_destroy(&fg), 0);
}

static void test_pages_of_4_kib(void)
{
	check_serves_without_memory(0, 4096, 4096);
}

static void test_pages_that_wait(void)
{
	check_serves_without_memory(F_MUST_TELL_HOST, 4096, 2 * MIB);
}

static void test_huge_pages(void)
{
	check_serves_without_memory(F_MUST_TELL_HOST, 2 * MIB, 2 * MIB);
}

static const struct test_case cases[] = {
	{"pages of 4 KiB", test_pages_of_4_kib},
	{"pages that wait for their block", test_pages_that_wait},
	{"huge pages", test_huge_pages},
};

TEST_SUITE(balloon_requests, cases);
