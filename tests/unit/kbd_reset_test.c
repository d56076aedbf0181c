#include "device/kbd_reset.h"

#include <CUnit/CUnit.h>

#include "tests/unit/fakeloop.h"
#include "tests/unit/suite.h"

#define PORT 0x64

static struct fakeloop loop;
static struct device *dev;

static void begin(void)
{
	static const struct kbd_reset_config config = {.port = PORT};

	fakeloop_init(&loop);
	dev = fakeloop_create(&loop, &kbd_reset_class, "kbd", &config);
}

static void pulse_of_line_0_resets(void)
{
	begin();
	fakeloop_out(&loop, PORT, 1, 0xfe);
	fakeloop_out(&loop, PORT, 1, 0xf0);
	CU_ASSERT_EQUAL(fakeloop_count_events(&loop, HOST_EVENT_RESET), 2);
	device_destroy(dev);
}

static void other_commands_do_nothing(void)
{
	begin();
	for (unsigned command = 0; command < 0x100; command++)
		if (command < 0xf0 || command & 1)
			fakeloop_out(&loop, PORT, 1, command);
	CU_ASSERT_EQUAL(loop.n_events, 0);
	device_destroy(dev);
}

/* Linux i8042_flush() gives up when it cannot empty the output buffer; kb_wait() goes on when the input buffer is empty. */
static void a_probe_ends_and_a_reset_need_not_wait(void)
{
	begin();
	for (int i = 0; i < 100; i++) {
		CU_ASSERT_EQUAL(fakeloop_in(&loop, PORT, 1) & 1, 1);
		CU_ASSERT_EQUAL(fakeloop_in(&loop, PORT, 1) & 2, 0);
	}
	device_destroy(dev);
}

static const struct test_case cases[] = {
	{"pulse of line 0 resets", pulse_of_line_0_resets},
	{"other commands do nothing", other_commands_do_nothing},
	{"a probe ends and a reset need not wait", a_probe_ends_and_a_reset_need_not_wait},
};

TEST_SUITE(kbd_reset, cases);
