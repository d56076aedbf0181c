#include "device/acpi_pm.h"

#include <CUnit/CUnit.h>
#include <errno.h>

#include "tests/unit/fakeloop.h"
#include "tests/unit/suite.h"

#define EVT 0x600
#define CNT 0x604
#define RST 0x60c
#define SCI 9
#define PWRBTN 0x100

static const struct acpi_pm_config config = {.evt_port = EVT, .cnt_port = CNT, .reset_port = RST, .reset_value = 0x52, .sci_gsi = SCI};

static struct fakeloop loop;
static struct device *dev;

static void begin(void)
{
	fakeloop_init(&loop);
	dev = fakeloop_create(&loop, &acpi_pm_class, "pm", &config);
}

static void end(void)
{
	device_destroy(dev);
	CU_ASSERT_EQUAL(loop.n_regions, 0);
}

static void button_interrupts_until_cleared(void)
{
	begin();
	fakeloop_out(&loop, EVT + 2, 2, PWRBTN);
	CU_ASSERT_FALSE(loop.irq[SCI]);
	acpi_pm_press_power_button(dev);
	CU_ASSERT_TRUE(loop.irq[SCI]);
	CU_ASSERT_EQUAL(fakeloop_in(&loop, EVT, 2), PWRBTN);
	fakeloop_out(&loop, EVT, 2, 0xfeff); /* other bits do not clear it */
	CU_ASSERT_TRUE(loop.irq[SCI]);
	fakeloop_out(&loop, EVT, 2, PWRBTN);
	CU_ASSERT_FALSE(loop.irq[SCI]);
	CU_ASSERT_EQUAL(fakeloop_in(&loop, EVT, 2), 0);
	end();
}

static void early_press_waits_for_the_enable_bit(void)
{
	begin();
	acpi_pm_press_power_button(dev);
	CU_ASSERT_FALSE(loop.irq[SCI]);
	fakeloop_out(&loop, EVT + 2, 2, PWRBTN);
	CU_ASSERT_TRUE(loop.irq[SCI]);
	fakeloop_out(&loop, EVT + 2, 2, 0);
	CU_ASSERT_FALSE(loop.irq[SCI]);
	end();
}

static void event_block_takes_any_access_size(void)
{
	begin();
	fakeloop_out(&loop, EVT + 3, 1, 1); /* high byte of enable */
	CU_ASSERT_EQUAL(fakeloop_in(&loop, EVT + 2, 2), PWRBTN);
	acpi_pm_press_power_button(dev);
	CU_ASSERT_EQUAL(fakeloop_in(&loop, EVT, 4), PWRBTN << 16 | PWRBTN);
	CU_ASSERT_EQUAL(fakeloop_in(&loop, EVT + 1, 1), 1);
	CU_ASSERT_EQUAL(fakeloop_in(&loop, EVT + 1, 2), 1);
	fakeloop_out(&loop, EVT, 4, 0xffffffff); /* clears status, sets what can be enabled */
	CU_ASSERT_EQUAL(fakeloop_in(&loop, EVT, 4), 0x05210000);
	CU_ASSERT_FALSE(loop.irq[SCI]);
	fakeloop_out(&loop, EVT + 1, 1, 0xff); /* leaves enable alone */
	CU_ASSERT_EQUAL(fakeloop_in(&loop, EVT + 2, 2), 0x0521);
	end();
}

static void sci_en_is_always_set(void)
{
	begin();
	CU_ASSERT_EQUAL(fakeloop_in(&loop, CNT, 2), 1);
	fakeloop_out(&loop, CNT, 2, 0);
	CU_ASSERT_EQUAL(fakeloop_in(&loop, CNT, 2), 1);
	end();
}

static void only_s5_with_slp_en_powers_off(void)
{
	begin();
	fakeloop_out(&loop, CNT, 2, 5 << 10); /* no SLP_EN */
	fakeloop_out(&loop, CNT, 2, 1 << 10 | 1 << 13);
	fakeloop_out(&loop, CNT, 1, 5 << 2); /* low byte */
	CU_ASSERT_EQUAL(loop.n_events, 0);
	fakeloop_out(&loop, CNT, 2, 5 << 10 | 1 << 13);
	CU_ASSERT_EQUAL(fakeloop_count_events(&loop, HOST_EVENT_POWEROFF), 1);
	CU_ASSERT_EQUAL(fakeloop_in(&loop, CNT, 2), 5 << 10 | 1); /* SLP_EN reads as 0 */
	fakeloop_out(&loop, CNT + 1, 1, 5 << 2 | 1 << 5);
	CU_ASSERT_EQUAL(fakeloop_count_events(&loop, HOST_EVENT_POWEROFF), 2);
	end();
}

static void reset_register_wants_its_value(void)
{
	begin();
	fakeloop_out(&loop, RST, 1, 0x51);
	CU_ASSERT_EQUAL(loop.n_events, 0);
	fakeloop_out(&loop, RST, 1, 0x52);
	CU_ASSERT_EQUAL(fakeloop_count_events(&loop, HOST_EVENT_RESET), 1);
	end();
}

static void reset_lowers_the_line(void)
{
	begin();
	fakeloop_out(&loop, EVT + 2, 2, PWRBTN);
	acpi_pm_press_power_button(dev);
	device_reset(dev);
	CU_ASSERT_FALSE(loop.irq[SCI]);
	CU_ASSERT_EQUAL(fakeloop_in(&loop, EVT, 4), 0);
	end();
}

static const struct test_case cases[] = {
	{"button interrupts until cleared", button_interrupts_until_cleared},
	{"early press waits for the enable bit", early_press_waits_for_the_enable_bit},
	{"event block takes any access size", event_block_takes_any_access_size},
	{"SCI_EN is always set", sci_en_is_always_set},
	{"only S5 with SLP_EN powers off", only_s5_with_slp_en_powers_off},
	{"reset register wants its value", reset_register_wants_its_value},
	{"reset lowers the line", reset_lowers_the_line},
};

TEST_SUITE(acpi_pm, cases);
