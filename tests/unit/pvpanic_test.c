#include "device/pvpanic.h"

#include <CUnit/CUnit.h>

#include "tests/unit/fakeloop.h"
#include "tests/unit/suite.h"

#define PORT 0x505

static struct fakeloop loop;
static struct device *dev;

static void begin(void)
{
	static const struct pvpanic_config config = {.port = PORT};

	fakeloop_init(&loop);
	dev = fakeloop_create(&loop, &pvpanic_class, "pvpanic", &config);
}

static void says_what_it_understands(void)
{
	begin();
	CU_ASSERT_EQUAL(fakeloop_in(&loop, PORT, 1), 3);
	device_destroy(dev);
	CU_ASSERT_EQUAL(fakeloop_in(&loop, PORT, 1), 0xff);
}

static void reports_each_event(void)
{
	begin();
	fakeloop_out(&loop, PORT, 1, 1);
	CU_ASSERT_EQUAL(loop.n_events, 1);
	CU_ASSERT_EQUAL(loop.events[0].kind, HOST_EVENT_PANIC);
	CU_ASSERT_STRING_EQUAL(loop.events[0].device_id, "pvpanic");
	fakeloop_out(&loop, PORT, 1, 2);
	CU_ASSERT_EQUAL(loop.n_events, 2);
	CU_ASSERT_EQUAL(loop.events[1].kind, HOST_EVENT_CRASH_LOADED);
	device_destroy(dev);
}

static void ignores_bits_that_it_does_not_know(void)
{
	begin();
	fakeloop_out(&loop, PORT, 1, 0xfc);
	CU_ASSERT_EQUAL(loop.n_events, 0);
	device_destroy(dev);
}

static const struct test_case cases[] = {
	{"says what it understands", says_what_it_understands},
	{"reports each event", reports_each_event},
	{"ignores bits that it does not know", ignores_bits_that_it_does_not_know},
};

TEST_SUITE(pvpanic, cases);
