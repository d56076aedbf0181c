/* The ACPI power button (ACPI 6.5, section 4.8.3.1), polled. */
#ifndef TESTS_GUEST_POWER_H
#define TESTS_GUEST_POWER_H

#include <stdbool.h>

/* Some boards set no status bit without it; the interrupt stays masked. */
void power_enable_button(void);

/* Whether it was pressed since the last call. */
bool power_button_is_pressed(void);

#endif
