#include <CUnit/CUnit.h>
#include <errno.h>
#include <string.h>
#include <time.h>

#include "tests/unit/fakeguest.h"
#include "tests/unit/suite.h"
#include "util/bytes.h"

static struct fakeguest fg;
static struct balloon_state state;

static void begin(void)
{
	fg_create(&fg, NULL, 4096);
}

static void end(void)
{
	CU_ASSERT_EQUAL(fg_destroy(&fg), 0);
}

static const struct balloon_queue_counters *counters(enum balloon_queue_role role)
{
	balloon_get_state(fg.dev, &state);
	return &state.queues[role];
}

static void test_offers(void)
{
	const uint64_t transport = F_VERSION_1 | F_INDIRECT | F_EVENT_IDX | F_RING_RESET | F_SUSPEND;
	const uint64_t always = transport | F_MUST_TELL_HOST | F_STATS | F_POISON;
	const struct {
		struct balloon_config config;
		uint64_t want;
	} rows[] = {
		{{0}, always},
		{{.deflate_on_oom = true}, always | F_OOM},
		{{.free_page_hinting = true}, always | F_HINT},
		{{.free_page_reporting = true}, always | F_REPORT},
		{{.deflate_on_oom = true, .free_page_hinting = true, .free_page_reporting = true}, always | F_OOM | F_HINT | F_REPORT},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		fg_create(&fg, &rows[i].config, 4096);
		CU_ASSERT_EQUAL(fg_offered(&fg), rows[i].want);
		end();
	}
}

/* Brings up queues with these indices only; MSI-X on. */
static void bring_up(uint64_t features, const char *indices)
{
	fg_negotiate(&fg, features);
	fg_msix_on(&fg);
	for (; *indices; indices++)
		fg_queue_on(&fg, (unsigned)(*indices - '0'), 64);
	fg_status_write(&fg, 0xF);
}

/* Whether queue `index` serves reports, and no other queue above 1 does anything with them. */
static void expect_reports_on(unsigned index)
{
	uint64_t before = counters(BALLOON_Q_REPORT)->pages;
	fg_send(&fg, index, FG_PAGES, 4096, D_WRITE);
	CU_ASSERT_EQUAL(counters(BALLOON_Q_REPORT)->pages, before + 1);
}

static void expect_stats_on(unsigned index)
{
	uint8_t *data = fakehost_ram(fg.fh, FG_DATA(2), 10);
	store_le16(data, 4);
	store_le64(data + 2, 4242 + index);
	fg_send(&fg, index, FG_DATA(2), 10, 0);
	balloon_get_state(fg.dev, &state);
	CU_ASSERT_EQUAL(state.stats[4], 4242 + index);
}

static void test_both_numberings(void)
{
	const struct {
		uint64_t features;
		const char *indices;
		unsigned stats, report; /* 0: not there */
	} rows[] = {
		{F_REPORT, "012", 0, 2},	    /* Linux */
		{F_REPORT, "014", 0, 4},	    /* the specification */
		{F_STATS | F_REPORT, "0123", 2, 3}, /* Linux */
		{F_STATS | F_REPORT, "0124", 2, 4},
		{F_STATS, "012", 2, 0},
		{F_HINT | F_REPORT, "0123", 0, 3},
		{F_HINT | F_REPORT, "0134", 0, 4},
		{F_STATS | F_HINT | F_REPORT, "01234", 2, 4},
		{F_REPORT, "24", 0, 4}, /* both enabled: the specification's */
		{F_REPORT, "2", 0, 2},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		begin();
		bring_up(rows[i].features, rows[i].indices);
		CU_ASSERT_EQUAL(fg_status(&fg), 0xF);
		if (rows[i].stats)
			expect_stats_on(rows[i].stats);
		if (rows[i].report)
			expect_reports_on(rows[i].report);
		end();
	}
}

static void test_queue_without_a_role_is_dead(void)
{
	begin();
	bring_up(F_REPORT, "0124");
	fg_send(&fg, 2, FG_PAGES, 4096, D_WRITE);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, 2), 0);
	CU_ASSERT_EQUAL(fg.fh->n_discards, 0);
	end();
}

/* The numbering is decided anew with each driver. */
static void test_numbering_after_reset(void)
{
	begin();
	bring_up(F_REPORT, "012");
	expect_reports_on(2);
	bring_up(F_REPORT, "014");
	expect_reports_on(4);
	end();
}

static void test_queue_that_came_back(void)
{
	begin();
	bring_up(F_REPORT | F_RING_RESET, "012");
	fg_q_write(&fg, 2, CC_Q_RESET, 2, 1);
	fg_queue_on(&fg, 2, 32);
	expect_reports_on(2);
	end();
}

/* A parked statistics buffer is not returned into a ring that it did not come from. */
static void test_queue_reset_forgets_the_parked_buffer(void)
{
	begin();
	bring_up(F_STATS | F_RING_RESET, "012");
	expect_stats_on(2);
	fg_q_write(&fg, 2, CC_Q_RESET, 2, 1);
	CU_ASSERT_EQUAL(balloon_request_stats(fg.dev), -EBUSY);
	fg_queue_on(&fg, 2, 32);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, 2), 0);
	end();
}

static void test_config_space(void)
{
	const struct balloon_config config = {.size = 0x1234000, .free_page_reporting = true};
	fg_create(&fg, &config, 4096);
	CU_ASSERT_EQUAL(fg_dc(&fg, DC_NUM_PAGES), 0x1234);
	CU_ASSERT_EQUAL(fg_dc(&fg, DC_ACTUAL), 0);
	CU_ASSERT_EQUAL(fg_dc(&fg, DC_CMD_ID), 0);
	fg_dc_write(&fg, DC_NUM_PAGES, 7);
	fg_dc_write(&fg, DC_CMD_ID, 7);
	CU_ASSERT_EQUAL(fg_dc(&fg, DC_NUM_PAGES), 0x1234);
	CU_ASSERT_EQUAL(fg_dc(&fg, DC_CMD_ID), 0);
	/* Single bytes of actual, and a write that spans num_pages and actual. */
	fg_bar_write(&fg, fg.device + DC_ACTUAL + 1, 1, 0x12);
	CU_ASSERT_EQUAL(fg_dc(&fg, DC_ACTUAL), 0x1200);
	fg_bar_write(&fg, fg.device, 8, 0x0000567899999999);
	CU_ASSERT_EQUAL(fg_dc(&fg, DC_NUM_PAGES), 0x1234);
	CU_ASSERT_EQUAL(fg_dc(&fg, DC_ACTUAL), 0x5678);
	CU_ASSERT_EQUAL(fg_bar(&fg, fg.device, 8), 0x0000567800001234);
	end();
}

static void test_poison_is_fixed_at_driver_ok(void)
{
	begin();
	fg_dc_write(&fg, DC_POISON, 1); /* not negotiated yet */
	CU_ASSERT_EQUAL(fg_dc(&fg, DC_POISON), 0);
	fg_negotiate(&fg, F_POISON | F_REPORT);
	fg_dc_write(&fg, DC_POISON, 0xAAAAAAAA);
	CU_ASSERT_EQUAL(fg_dc(&fg, DC_POISON), 0xAAAAAAAA);
	fg_status_write(&fg, 0xF);
	fg_dc_write(&fg, DC_POISON, 0);
	CU_ASSERT_EQUAL(fg_dc(&fg, DC_POISON), 0xAAAAAAAA);
	fg_negotiate(&fg, F_REPORT);
	fg_dc_write(&fg, DC_POISON, 0xBBBBBBBB);
	CU_ASSERT_EQUAL(fg_dc(&fg, DC_POISON), 0);
	end();
}

/* More pages than one wakeup collects, and more than one discards. */
static void test_budget(void)
{
	static uint32_t pfns[40000];
	begin();
	fg_init(&fg, 0);
	for (size_t i = 0; i < sizeof pfns / sizeof pfns[0]; i++)
		pfns[i] = 0x100000 + (uint32_t)(i % 0x4000);
	fg_send_pfns(&fg, 0, pfns, 40000);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, 0), 0);
	CU_ASSERT_EQUAL(counters(BALLOON_Q_INFLATE)->pages, 32768);
	CU_ASSERT_EQUAL(fg.fh->discarded_bytes, 4096 * 4096);
	unsigned rounds = 0;
	while (fakehost_run_work(fg.fh))
		rounds++;
	CU_ASSERT_EQUAL(rounds, 4);
	CU_ASSERT_EQUAL(counters(BALLOON_Q_INFLATE)->pages, 40000);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, 0), 1);
	CU_ASSERT_EQUAL(fg_irqs(&fg, 1), 1);
	CU_ASSERT_EQUAL(fg.fh->discard_calls, 6);
	end();
}

/* While a long inflate goes on from the event loop, a deflate is answered at its kick. */
static void test_deflate_overtakes(void)
{
	static uint32_t pfns[8192];
	begin();
	fg_init(&fg, F_OOM);
	for (size_t i = 0; i < sizeof pfns / sizeof pfns[0]; i++)
		pfns[i] = 0x100000 + (uint32_t)i;
	fg_send_pfns(&fg, 0, pfns, 8192);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, 0), 0);
	fg_send_pfns(&fg, 1, pfns, 16);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, 1), 1);
	fakehost_settle(fg.fh, 100);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, 0), 1);
	end();
}

static void test_reset_in_the_middle(void)
{
	static uint32_t pfns[8192];
	begin();
	fg_init(&fg, 0);
	for (size_t i = 0; i < sizeof pfns / sizeof pfns[0]; i++)
		pfns[i] = 0x100000 + (uint32_t)i;
	fg_send_pfns(&fg, 0, pfns, 8192);
	fg_init(&fg, 0);
	fakehost_forget_discards(fg.fh);
	fakehost_settle(fg.fh, 100);
	CU_ASSERT_EQUAL(fg.fh->n_discards, 0);
	fg_send_pfns(&fg, 0, pfns, 1);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, 0), 1);
	CU_ASSERT_EQUAL(fg.fh->n_discards, 1);
	end();
}

static void test_queue_reset_in_the_middle(void)
{
	static uint32_t pfns[8192];
	begin();
	fg_init(&fg, F_RING_RESET);
	for (size_t i = 0; i < sizeof pfns / sizeof pfns[0]; i++)
		pfns[i] = 0x100000 + (uint32_t)i;
	fg_send_pfns(&fg, 0, pfns, 8192);
	fg_q_write(&fg, 0, CC_Q_RESET, 2, 1);
	fakehost_forget_discards(fg.fh);
	fg_queue_on(&fg, 0, 64);
	fakehost_settle(fg.fh, 100);
	CU_ASSERT_EQUAL(fg.fh->n_discards, 0);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, 0), 0);
	end();
}

/* A driver on another CPU refills the ring as fast as it is emptied. */
static void refill(struct fakehost *fh)
{
	(void)fh;
	fg_publish(&fg, 0, 0);
}

static void test_endless_refill(void)
{
	const uint32_t pfn = 0x1000;
	begin();
	fg_init(&fg, 0);
	fg.fh->before_discard = refill;
	fg_send_pfns(&fg, 0, &pfn, 1);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, 0), 256);
	fakehost_run_work(fg.fh);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, 0), 512);
	fg.fh->before_discard = NULL;
	end();
}

/* What users see does not wait for a discard that takes long. */
static void look(struct fakehost *fh)
{
	(void)fh;
	balloon_get_state(fg.dev, &state);
}

static void test_state_is_seen_in_the_middle(void)
{
	const uint32_t pfn = 0x1000;
	begin();
	fg_init(&fg, F_STATS);
	fg.fh->before_discard = look;
	fg_send_pfns(&fg, 0, &pfn, 1); /* would deadlock */
	CU_ASSERT_EQUAL(state.negotiated_features, F_STATS | F_VERSION_1);
	CU_ASSERT_EQUAL(state.queues[BALLOON_Q_INFLATE].buffers, 0);
	CU_ASSERT_EQUAL(counters(BALLOON_Q_INFLATE)->buffers, 1);
	end();
}

/* The target stands still for a driver that sleeps, work in hand is finished before, and kicks are heard afterwards. */
static void test_suspend(void)
{
	static uint32_t pfns[8192];
	for (uint32_t i = 0; i < 8192; i++)
		pfns[i] = 0x1000 + i;
	begin();
	fg_init(&fg, F_SUSPEND | F_STATS | F_RING_RESET);
	fg_send_pfns(&fg, 0, pfns, 8192); /* more than one wakeup does */
	CU_ASSERT_EQUAL(fg_used_idx(&fg, 0), 0);
	fg_status_write(&fg, 0x1F);
	CU_ASSERT_EQUAL(fg_status(&fg), 0xF);
	fg_publish(&fg, 0, 0);
	fakehost_settle(fg.fh, 100);
	CU_ASSERT_EQUAL(fg_status(&fg), 0x1B);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, 0), 1);

	uint64_t irqs = fg_irqs(&fg, 0);
	CU_ASSERT_EQUAL(balloon_set_target(fg.dev, 4096 * 4096), 0);
	fg_kick(&fg, 0);
	fg_dc_write(&fg, DC_ACTUAL, 77);
	fg_q_write(&fg, 1, CC_Q_RESET, 2, 1);
	CU_ASSERT_EQUAL(fg_dc(&fg, DC_NUM_PAGES), 0);
	CU_ASSERT_EQUAL(fg_dc(&fg, DC_ACTUAL), 0);
	CU_ASSERT_EQUAL(fg_irqs(&fg, 0), irqs);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, 0), 1);
	CU_ASSERT_FALSE(fakehost_has_timer(fg.fh));
	balloon_get_state(fg.dev, &state);
	CU_ASSERT_TRUE(state.suspended && !state.driver_ok);

	fg_status_write(&fg, 0xF);
	CU_ASSERT_EQUAL(fg_status(&fg), 0xF);
	CU_ASSERT_EQUAL(fg_dc(&fg, DC_NUM_PAGES), 4096);
	CU_ASSERT_EQUAL(fg_irqs(&fg, 0), irqs + 1);
	fakehost_settle(fg.fh, 100);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, 0), 2);
	end();
}

static pthread_t kicker;
static int kicker_late;

static void *kick_deflate(void *arg)
{
	(void)arg;
	fg_kick(&fg, 1);
	return NULL;
}

static void kick_meanwhile(struct fakehost *fh)
{
	struct timespec limit;
	fh->before_discard = NULL;
	CU_ASSERT_EQUAL_FATAL(pthread_create(&kicker, NULL, kick_deflate, NULL), 0);
	clock_gettime(CLOCK_REALTIME, &limit);
	limit.tv_sec += 10;
	kicker_late = pthread_timedjoin_np(kicker, NULL, &limit);
}

/* A vCPU that kicks while another one is in a discard goes on at once; the event loop sees to its queue. */
static void test_kick_amid_a_discard(void)
{
	begin();
	fg_init(&fg, 0);
	const uint32_t pfn = (uint32_t)(FG_PAGES >> 12);
	store_le32(fakehost_ram(fg.fh, FG_DATA(1), 4), pfn + 1);
	fg_desc(&fg, 1, 0, FG_DATA(1), 4, 0, 0);
	fg_publish(&fg, 1, 0);
	fg.fh->before_discard = kick_meanwhile;
	kicker_late = -1;
	fg_send_pfns(&fg, 0, &pfn, 1);
	CU_ASSERT_EQUAL(kicker_late, 0);
	if (kicker_late > 0)
		pthread_join(kicker, NULL);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, 0), 1);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, 1), 0);
	CU_ASSERT_EQUAL(fakehost_run_work(fg.fh), 1);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, 1), 1);
	CU_ASSERT_EQUAL(counters(BALLOON_Q_DEFLATE)->pages, 1);
	end();
}

static const struct test_case cases[] = {
	{"kick amid a discard", test_kick_amid_a_discard},
	{"state is seen in the middle", test_state_is_seen_in_the_middle},
	{"suspend", test_suspend},
	{"offers", test_offers},
	{"both numberings", test_both_numberings},
	{"queue without a role is dead", test_queue_without_a_role_is_dead},
	{"numbering after reset", test_numbering_after_reset},
	{"queue that came back", test_queue_that_came_back},
	{"queue reset forgets the parked buffer", test_queue_reset_forgets_the_parked_buffer},
	{"config space", test_config_space},
	{"poison is fixed at DRIVER_OK", test_poison_is_fixed_at_driver_ok},
	{"budget", test_budget},
	{"deflate overtakes", test_deflate_overtakes},
	{"reset in the middle", test_reset_in_the_middle},
	{"queue reset in the middle", test_queue_reset_in_the_middle},
	{"endless refill", test_endless_refill},
};

TEST_SUITE(balloon_virtio, cases);
