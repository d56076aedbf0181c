/*
 * ACPI fixed hardware (ACPI 6.5, section 4.8): the PM1a event and control
 * registers and the reset register. SCI_EN always reads as set, so FADT's
 * SMI_CMD is 0 and a guest has no mode to switch. Status and enable know the
 * power button (bit 8); the SCI's level is status & enable.
 *
 * The guest's writes become events: SLP_TYP = ACPI_PM_SLP_TYP_S5 with SLP_EN
 * HOST_EVENT_POWEROFF, reset_value HOST_EVENT_RESET.
 */
#ifndef DEVICE_ACPI_PM_H
#define DEVICE_ACPI_PM_H

#include <stdint.h>

#include "device/device.h"

/* What the DSDT's \_S5 package must say. */
#define ACPI_PM_SLP_TYP_S5 5

/* Lengths of the blocks in bytes, as FADT's PM1_EVT_LEN and PM1_CNT_LEN. */
#define ACPI_PM_EVT_LEN 4 /* status word, then enable word */
#define ACPI_PM_CNT_LEN 2

struct acpi_pm_config {
	uint64_t evt_port;   /* ACPI_PM_EVT_LEN ports */
	uint64_t cnt_port;   /* ACPI_PM_CNT_LEN ports */
	uint64_t reset_port; /* one port */
	uint8_t reset_value;
	uint32_t sci_gsi;
};

/* Config: struct acpi_pm_config. */
extern const struct device_class acpi_pm_class;

/*
 * Presses the power button: the status bit is set until the guest clears it,
 * and interrupts the guest as soon as it has the button enabled. Any thread.
 */
void acpi_pm_press_power_button(struct device *dev);

#endif
