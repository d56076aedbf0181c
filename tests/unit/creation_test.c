/* Every device of a board that cannot be made: no memory, ports that are taken. Nothing is left of it. */
#include <CUnit/CUnit.h>
#include <errno.h>

#include "device/acpi_pm.h"
#include "device/kbd_reset.h"
#include "device/pvpanic.h"
#include "device/serial.h"
#include "tests/unit/failalloc.h"
#include "tests/unit/fakeloop.h"
#include "tests/unit/suite.h"

static const struct acpi_pm_config pm = {.evt_port = 0x600, .cnt_port = 0x604, .reset_port = 0x60C, .reset_value = 0x52, .sci_gsi = 9};
static const struct kbd_reset_config kbd = {.port = 0x64};
static const struct pvpanic_config panic = {.port = 0x505};
static const struct serial_config_board serial = {.port = 0x3F8, .gsi = 4, .fd_in = -1, .fd_out = -1};

static const struct {
	const struct device_class *class;
	const void *config;
} devices[] = {{&acpi_pm_class, &pm}, {&kbd_reset_class, &kbd}, {&pvpanic_class, &panic}, {&serial_class, &serial}};
#define N_DEVICES (sizeof devices / sizeof devices[0])

static struct fakeloop loop;

static int create(size_t i, struct device **dev)
{
	const struct device_init init = {.id = "it", .config = devices[i].config, .host = &loop.host};

	return devices[i].class->create(&init, dev);
}

static void ports_that_are_taken(void)
{
	for (size_t i = 0; i < N_DEVICES; i++) {
		struct device *dev = NULL;
		fakeloop_init(&loop);
		loop.map_error = -EEXIST;
		long before = failalloc_in_use();
		CU_ASSERT_EQUAL(create(i, &dev), -EEXIST);
		CU_ASSERT_PTR_NULL(dev);
		CU_ASSERT_EQUAL(loop.n_regions, 0);
		CU_ASSERT_EQUAL(loop.n_watches, 0);
		CU_ASSERT_EQUAL(failalloc_in_use(), before);
	}
}

static void no_memory(void)
{
	for (size_t i = 0; i < N_DEVICES; i++) {
		bool failed = true;
		for (long nth = 0; failed; nth++) {
			struct device *dev = NULL;
			fakeloop_init(&loop);
			long before = failalloc_in_use();
			failalloc_begin(nth, false);
			int error = create(i, &dev);
			failed = failalloc_end();
			CU_ASSERT_EQUAL(error, failed ? -ENOMEM : 0);
			CU_ASSERT_EQUAL(!dev, failed);
			if (dev)
				device_destroy(dev);
			CU_ASSERT_EQUAL(loop.n_regions, 0);
			CU_ASSERT_EQUAL(failalloc_in_use(), before);
		}
	}
}

static const struct test_case cases[] = {
	{"ports that are taken", ports_that_are_taken},
	{"no memory", no_memory},
};

TEST_SUITE(creation, cases);
