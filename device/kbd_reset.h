/*
 * The one thing of a PS/2 controller that a PC without keyboard needs: a
 * command that pulses the CPU's reset line (0xFE; any of 0xF0 to 0xFF with bit
 * 0 clear) becomes HOST_EVENT_RESET. Linux uses it with reboot=k and as its last resort.
 *
 * Status reads as 0xFD: the output buffer is full for ever, so that a probe
 * gives up after a few reads ("No controller found") instead of waiting for an
 * answer; the input buffer is empty, so that one who wants to reset need not
 * wait before the command. The data port is not there.
 */
#ifndef DEVICE_KBD_RESET_H
#define DEVICE_KBD_RESET_H

#include <stdint.h>

#include "device/device.h"

struct kbd_reset_config {
	uint64_t port; /* status and command, one port */
};

/* Config: struct kbd_reset_config. */
extern const struct device_class kbd_reset_class;

#endif
