#include "tests/guest/power.h"

#include "kvm/board.h"
#include "tests/guest/x86.h"

#define PM1_POWER_BUTTON 0x0100 /* in the status and in the enable word */
#define PORT_PM1_STATUS BOARD_PORT_PM1_EVT
#define PORT_PM1_ENABLE (BOARD_PORT_PM1_EVT + 2)
#define NO_SUCH_PORT 0xFFFF

void power_enable_button(void)
{
	out16(PORT_PM1_ENABLE, PM1_POWER_BUTTON);
}

bool power_button_is_pressed(void)
{
	uint16_t status = in16(PORT_PM1_STATUS);
	if (status == NO_SUCH_PORT || !(status & PM1_POWER_BUTTON))
		return false;
	out16(PORT_PM1_STATUS, PM1_POWER_BUTTON); /* a one clears it */
	return true;
}
