/* Rows VQ-10 to VQ-15 and VQ-18 to VQ-27: when to interrupt, when to kick, indices that wrap. */
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "tests/conformance/fd.h"
#include "tests/conformance/threads.h"

static void vq_10_11_12(void)
{
	fd_init(0);
	srandom(1);
	for (unsigned i = 0; i < 100; i++) {
		bool quiet = i % 3 == 0;
		uint64_t irqs = fg_irqs(&fg, 1);
		fg_used_event(&fg, INFLATE, (uint16_t)random());
		fg_avail_flags(&fg, INFLATE, quiet);
		fd_inflate(i, 1);
		CU_ASSERT_EQUAL(fg_irqs(&fg, 1) - irqs, !quiet);
	}
	CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), 100);
	fd_end();
}

static void vq_13_14(void)
{
	fd_init(F_EVENT_IDX);
	fg_used_event(&fg, INFLATE, 3);
	for (unsigned i = 0; i < 6; i++) {
		fd_inflate(i, 1);
		fakehost_advance(fg.fh, FD_HOLD_MS);
		CU_ASSERT_EQUAL(fg_irqs(&fg, 1), i >= 3);
	}
	fg_used_event(&fg, INFLATE, 9);
	for (uint16_t i = 0; i < 6; i++)
		fd_post(INFLATE, i, i);
	fg_kick(&fg, INFLATE);
	fakehost_advance(fg.fh, FD_HOLD_MS);
	CU_ASSERT_EQUAL(fg_irqs(&fg, 1), 2);
	fg_used_event(&fg, INFLATE, fg_used_idx(&fg, INFLATE) + 1000);
	for (unsigned i = 0; i < 10; i++)
		fd_inflate(i, 1);
	fakehost_advance(fg.fh, FD_HOLD_MS);
	CU_ASSERT_EQUAL(fg_irqs(&fg, 1), 2);
	fd_end();
}

static void vq_15(void)
{
	fd_init(F_EVENT_IDX);
	fg_avail_flags(&fg, INFLATE, 1);
	fg_used_event(&fg, INFLATE, 0);
	fd_inflate(0, 1);
	fakehost_advance(fg.fh, FD_HOLD_MS);
	CU_ASSERT_EQUAL(fg_irqs(&fg, 1), 1);
	fd_end();
}

static void vq_18_27(void)
{
	fd_begin();
	fg_negotiate(&fg, F_EVENT_IDX);
	fg_msix_on(&fg);
	fg_queue_on(&fg, INFLATE, 8);
	fg_status_write(&fg, 0xF);
	fg.fh->discards_unrecorded = true;
	uint64_t irqs = 0;
	for (uint32_t i = 0; i < 70000; i++) {
		uint16_t idx = (uint16_t)i;
		bool wanted = i % 5 == 0;
		fg_used_event(&fg, INFLATE, wanted ? idx : idx - 1);
		irqs += wanted;
		fd_post(INFLATE, i % 8, i % 512);
		fg_kick(&fg, INFLATE);
		CU_ASSERT_EQUAL_FATAL(fg_used_idx(&fg, INFLATE), (uint16_t)(i + 1));
		CU_ASSERT_EQUAL_FATAL(fg_used_id(&fg, INFLATE, i % 8), i % 8);
		fakehost_advance(fg.fh, FD_HOLD_MS);
	}
	CU_ASSERT_EQUAL(fg_irqs(&fg, 1), irqs);
	fd_end();
}

static uint16_t flags_seen[2]; /* how often 0 and 1, while a request is in work */

static void sample_flags(struct fakehost *fh)
{
	(void)fh;
	uint16_t flags = fg_used_flags(&fg, INFLATE);
	CU_ASSERT_TRUE_FATAL(flags < 2);
	flags_seen[flags]++;
}

static void vq_19_20(void)
{
	for (unsigned event_idx = 0; event_idx < 2; event_idx++) {
		fd_init(event_idx ? F_EVENT_IDX : 0);
		fg.fh->before_discard = sample_flags;
		flags_seen[0] = flags_seen[1] = 0;
		for (unsigned i = 0; i < 200; i++) {
			fd_inflate(i, 1);
			CU_ASSERT_EQUAL(fg_used_flags(&fg, INFLATE), 0); /* idle: kicks are wanted */
		}
		CU_ASSERT_EQUAL(flags_seen[0] + flags_seen[1], 200);
		CU_ASSERT_TRUE(!event_idx || !flags_seen[1]);
		fd_end();
	}
}

#ifndef IS_TSAN /* whose own code the fault would interrupt */
/*
 * The moment that matters: a driver on another CPU publishes a chain after the
 * device found the ring empty and before it asks for kicks. The word by which it
 * asks is in a page that cannot be written, so the device's store lands in this
 * handler first.
 */
static uint8_t *event_page;
static bool kick_was_wanted;
static unsigned asked;

static void publish_meanwhile(int signo, siginfo_t *info, void *context)
{
	(void)signo;
	(void)context;
	if ((uint8_t *)info->si_addr < event_page || (uint8_t *)info->si_addr >= event_page + 4096)
		abort();
	asked++;
	uint16_t before = fg.q[DEFLATE].avail_idx;
	fg_publish(&fg, DEFLATE, 1);
	kick_was_wanted = (uint16_t)(before + 1 - fg_avail_event(&fg, DEFLATE) - 1) < 1;
	mprotect(event_page, 4096, PROT_READ | PROT_WRITE);
}

static void vq_22(void)
{
	const uint64_t page = 0x900000;
	struct sigaction action = {.sa_sigaction = publish_meanwhile, .sa_flags = SA_SIGINFO}, before;
	fd_begin();
	fg_negotiate(&fg, F_EVENT_IDX);
	fg_msix_on(&fg);
	fg_queue_on_at(&fg, DEFLATE, 128, FG_RING(1), FG_RING(1) + 0x6000, page - 4 - 8 * 128);
	fg_status_write(&fg, 0xF);
	fd_post(DEFLATE, 0, 0);
	fg_kick(&fg, DEFLATE);
	fd_post(DEFLATE, 0, 0);
	fd_post(DEFLATE, 1, 1);
	fg_set_avail_idx(&fg, DEFLATE, 2); /* the second one is only written down */
	asked = 0;
	event_page = fakehost_ram(fg.fh, page, 4096);
	sigaction(SIGSEGV, &action, &before);
	mprotect(event_page, 4096, PROT_READ);
	fg_kick(&fg, DEFLATE);
	sigaction(SIGSEGV, &before, NULL);
	CU_ASSERT_EQUAL(asked, 1);
	CU_ASSERT_FALSE(kick_was_wanted);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, DEFLATE), 3);
	CU_ASSERT_EQUAL(fg_avail_event(&fg, DEFLATE), 3);
	fd_end();
}

#endif

static void vq_23(void)
{
	fd_init(ALL_TYPE);
	fakehost_capture_log();
	for (unsigned i = 0; i < 100000; i++)
		fg_kick(&fg, i % FG_N_QUEUES);
	CU_ASSERT_EQUAL(fakehost_end_log(), 0);
	CU_ASSERT_EQUAL(fd_messages(), 0);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), 0);
	CU_ASSERT_EQUAL(fakehost_run_work(fg.fh), 0);
	fd_end();
}

static void vq_24(void)
{
	fd_init(0);
	fd_post(INFLATE, 0, 0);
	fakehost_advance(fg.fh, 1000);
	fg_kick(&fg, INFLATE);
	fg_kick(&fg, INFLATE);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), 1);
	fd_end();
}

static void vq_25(void)
{
	fd_init(ALL_TYPE);
	fd_post_stats(1);
	for (unsigned i = 0; i < 10; i++) {
		fd_inflate(i, 1);
		fg_send(&fg, REPORT, FG_PAGES, 4096, D_WRITE);
	}
	CU_ASSERT_EQUAL(fg_used_idx(&fg, STATS), 0);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, INFLATE), 10);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, REPORT), 10);
	fd_end();
}

static const struct test_case cases[] = {
	{"VQ-10 VQ-11 VQ-12", vq_10_11_12},
	{"VQ-13 VQ-14", vq_13_14},
	{"VQ-15", vq_15},
	{"VQ-18 VQ-27", vq_18_27},
	{"VQ-19 VQ-20", vq_19_20},

#ifndef IS_TSAN
	{"VQ-22", vq_22},
#endif

	{"VQ-23", vq_23},
	{"VQ-24", vq_24},
	{"VQ-25", vq_25},
};

TEST_SUITE(vq_notify, cases);
