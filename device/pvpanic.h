/*
 * pvpanic on an I/O port (QEMU's docs/specs/pvpanic.rst; driven by Linux
 * drivers/misc/pvpanic, found through ACPI id QEMU0001). A read says which
 * events are understood: PVPANIC_PANICKED | PVPANIC_CRASH_LOADED. A write of
 * such a bit becomes HOST_EVENT_PANIC or HOST_EVENT_CRASH_LOADED; other bits
 * mean nothing.
 */
#ifndef DEVICE_PVPANIC_H
#define DEVICE_PVPANIC_H

#include <stdint.h>

#include "device/device.h"

#define PVPANIC_PANICKED 1u
#define PVPANIC_CRASH_LOADED 2u

struct pvpanic_config {
	uint64_t port;
};

/* Config: struct pvpanic_config. */
extern const struct device_class pvpanic_class;

#endif
