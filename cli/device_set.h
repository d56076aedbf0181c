/*
 * All devices of a VM: the board's own (kvm/board.h says where each sits) and
 * those that the user asked for.
 */
#ifndef CLI_DEVICE_SET_H
#define CLI_DEVICE_SET_H

#include <stdbool.h>
#include <stddef.h>

#include "device/pci_root.h"
#include "device/serial.h"
#include "parser/vmconfig.h"
#include "util/fail.h"

/* Zero-initialise. The event-loop thread's. */
struct device_set {
	struct pci_root *pci;
	struct device *power;	/* ACPI fixed hardware, with the power button */
	struct device *balloon; /* the first of its kind, NULL for none */
	bool balloon_is_named;	/* by the user */
	/* In the order of their creation, all of the above but `pci` among them. */
	struct device *all[VMCONFIG_MAX_DEVICES + 8];
	size_t n;
};

/*
 * Creates them all in `host`. `serial` is the serial port's wiring, without
 * port and line; NULL: no serial port. 0, or -errno with the reason logged or
 * in `why`; device_set_finish() takes back what there is by then.
 */
int device_set_create(struct device_set *set, struct host *host, const struct vm_config *config, const struct serial_config_board *serial, struct fail *why);

/* Power-on state of all. No vCPU runs. */
void device_set_reset(struct device_set *set);

/* Destroys all, last first. No vCPU runs, the event loop neither. Zeroed is fine. */
void device_set_finish(struct device_set *set);

#endif
