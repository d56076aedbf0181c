/* Interrupts that may not be needed: a driver that looks at the ring after its kick gets none, one that sleeps gets them all. */
#include <CUnit/CUnit.h>

#include "tests/unit/fakeguest.h"
#include "tests/unit/suite.h"

#define HOLD_MS 10

enum { INFLATE, DEFLATE };

static struct fakeguest fg;

static void begin(uint64_t features)
{
	fg_create(&fg, NULL, 4096);
	fg_init(&fg, features);
	fg_used_event(&fg, INFLATE, 0);
	fg_used_event(&fg, DEFLATE, 0);
}

static void end(void)
{
	CU_ASSERT_EQUAL(fg_destroy(&fg), 0);
}

static void send(unsigned queue)
{
	uint32_t pfn = (uint32_t)(FG_PAGES >> 12);
	fg_send_pfns(&fg, queue, &pfn, 1);
}

/* As Linux does when it takes a buffer back: the next one is to be told. */
static void look(unsigned queue)
{
	fg_used_event(&fg, queue, fg_used_idx(&fg, queue));
}

/* It sends a request, sleeps until it is told, and then looks. How many ms it slept. */
static unsigned send_and_sleep(unsigned queue)
{
	uint64_t irqs = fg_irqs(&fg, queue + 1);
	unsigned ms = 0;
	for (send(queue); ms < 100 && fg_irqs(&fg, queue + 1) == irqs; ms++)
		fakehost_advance(fg.fh, 1);
	CU_ASSERT_EQUAL(fg_irqs(&fg, queue + 1), irqs + 1);
	look(queue);
	return ms;
}

static void test_driver_that_looks(void)
{
	begin(F_EVENT_IDX);
	for (unsigned i = 0; i < 3000; i++) {
		send(i % 2);
		look(i % 2);
		fakehost_advance(fg.fh, i % 3);
	}
	fakehost_advance(fg.fh, HOLD_MS);
	CU_ASSERT_EQUAL(fg_irqs(&fg, INFLATE + 1), 0);
	CU_ASSERT_EQUAL(fg_irqs(&fg, DEFLATE + 1), 0);
	CU_ASSERT_FALSE(fakehost_has_timer(fg.fh));
	end();
}

/* It waits for the first; for 16, 32, ... after that it does not. */
static void test_driver_that_sleeps(void)
{
	begin(F_EVENT_IDX);
	for (unsigned prompt = 16; prompt <= 64; prompt *= 2) {
		CU_ASSERT_EQUAL(send_and_sleep(INFLATE), HOLD_MS);
		for (unsigned i = 0; i < prompt; i++)
			CU_ASSERT_EQUAL(send_and_sleep(INFLATE), 0);
	}
	/* The other queue is another matter. */
	CU_ASSERT_EQUAL(send_and_sleep(DEFLATE), HOLD_MS);
	end();
}

/* Once it is seen to look again, one sleep costs it as little as the first. */
static void test_driver_that_sleeps_now_and_then(void)
{
	begin(F_EVENT_IDX);
	for (unsigned round = 0; round < 3; round++) {
		CU_ASSERT_EQUAL(send_and_sleep(INFLATE), HOLD_MS);
		uint64_t irqs = fg_irqs(&fg, INFLATE + 1);
		for (unsigned i = 0; i < 20; i++) {
			send(INFLATE);
			look(INFLATE);
		}
		fakehost_advance(fg.fh, HOLD_MS);
		CU_ASSERT_EQUAL(fg_irqs(&fg, INFLATE + 1), irqs + 16);
	}
	end();
}

/* Several requests, then sleep: while it goes on it is not asleep, and when it stops it is told. */
static void test_driver_that_goes_on(void)
{
	begin(F_EVENT_IDX);
	for (unsigned i = 0; i < 50; i++) {
		send(INFLATE);
		fakehost_advance(fg.fh, HOLD_MS / 2);
	}
	CU_ASSERT_EQUAL(fg_irqs(&fg, INFLATE + 1), 0);
	fakehost_advance(fg.fh, 2 * HOLD_MS);
	CU_ASSERT_EQUAL(fg_irqs(&fg, INFLATE + 1), 1);
	end();
}

/* Indices must not go round before it is told. */
static void test_driver_that_goes_on_for_long(void)
{
	begin(F_EVENT_IDX);
	fg.fh->discards_unrecorded = true;
	for (unsigned i = 0; i < 0x4000; i++)
		send(INFLATE);
	CU_ASSERT_EQUAL(fg_irqs(&fg, INFLATE + 1), 1);
	end();
}

/* Without event indices nothing shows whether it has looked. */
static void test_flags(void)
{
	begin(0);
	send(INFLATE);
	CU_ASSERT_EQUAL(fg_irqs(&fg, INFLATE + 1), 1);
	CU_ASSERT_FALSE(fakehost_has_timer(fg.fh));
	end();
}

static void test_suspension_ends_it(void)
{
	begin(F_EVENT_IDX | F_SUSPEND);
	send(INFLATE);
	CU_ASSERT_EQUAL(fg_irqs(&fg, INFLATE + 1), 0);
	fg_status_write(&fg, 0xF | 16);
	CU_ASSERT_EQUAL(fg_irqs(&fg, INFLATE + 1), 1);
	fakehost_advance(fg.fh, HOLD_MS);
	CU_ASSERT_EQUAL(fg_irqs(&fg, INFLATE + 1), 1);
	end();
}

static void test_resets_end_it(void)
{
	begin(F_EVENT_IDX | F_RING_RESET);
	send(INFLATE);
	send(DEFLATE);
	fg_q_write(&fg, INFLATE, CC_Q_RESET, 2, 1);
	fakehost_advance(fg.fh, HOLD_MS);
	CU_ASSERT_EQUAL(fg_irqs(&fg, INFLATE + 1), 0);
	CU_ASSERT_EQUAL(fg_irqs(&fg, DEFLATE + 1), 1);
	look(DEFLATE);
	for (unsigned i = 0; i < 16; i++)
		CU_ASSERT_EQUAL(send_and_sleep(DEFLATE), 0);
	send(DEFLATE);
	CU_ASSERT_TRUE(fakehost_has_timer(fg.fh));
	fg_status_write(&fg, 0);
	CU_ASSERT_FALSE(fakehost_has_timer(fg.fh));
	end();
}

static const struct test_case cases[] = {
	{"driver that looks", test_driver_that_looks},
	{"driver that sleeps", test_driver_that_sleeps},
	{"driver that sleeps now and then", test_driver_that_sleeps_now_and_then},
	{"driver that goes on", test_driver_that_goes_on},
	{"driver that goes on for long", test_driver_that_goes_on_for_long},
	{"flags", test_flags},
	{"suspension ends it", test_suspension_ends_it},
	{"resets end it", test_resets_end_it},
};

TEST_SUITE(vpci_irq, cases);
