/*
 * One PCI function with a type 0 header (PCI Local Bus 3.0, section 6.1):
 * configuration space, 32-bit memory BARs, capabilities, INTA.
 *
 * Configuration space is three arrays of bytes: the present values, which bits
 * the guest may write, and the values at power-on. A device writes the bytes
 * of its capabilities straight into `config` and `writable` before it gives
 * the function to pci_root_add().
 *
 * `lock` is the lock of the device that the function belongs to; it guards all
 * of the struct once the function is on a bus.
 */
#ifndef DEVICE_PCI_FUNCTION_H
#define DEVICE_PCI_FUNCTION_H

#include <linux/pci_regs.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "device/host.h"

#define PCI_CONFIG_LEN 256u
#define PCI_N_BARS 6

struct pci_root;
struct pci_function;

/* Both are called with root and function locked. [offset, offset + size) lies within one dword. Either may be NULL. */
struct pci_function_ops {
	/* Before bytes are read: bring `config` up to date. */
	void (*config_read)(struct pci_function *fn, unsigned offset, unsigned size);
	/* After bytes were written, read-only bits excepted, and the BARs follow. */
	void (*config_written)(struct pci_function *fn, unsigned offset, unsigned size);
};

struct pci_bar {
	uint32_t len;	   /* bytes, a power of two from 4096 up; 0: no such BAR */
	uint32_t power_on; /* address that the root assigned */
	bool decoded;	   /* region is mapped */
	struct io_region region;
};

struct pci_function {
	const struct pci_function_ops *ops;
	pthread_mutex_t *lock;
	uint8_t config[PCI_CONFIG_LEN];
	uint8_t writable[PCI_CONFIG_LEN];
	uint8_t power_on[PCI_CONFIG_LEN];
	struct pci_bar bars[PCI_N_BARS];
	unsigned last_cap; /* offset of the last capability's header, 0 for none */
	unsigned caps_end; /* where the next capability goes */
	struct pci_root *root;
	unsigned slot;
	bool line; /* what this function adds to its interrupt line */
};

struct pci_ids {
	uint16_t vendor, device;
	uint16_t subsystem_vendor, subsystem;
	uint32_t class_code; /* base class << 16 | subclass << 8 | programming interface */
	uint8_t revision;
	bool intx; /* it has INTA */
};

/* Header only; ops may be NULL. */
void pci_function_init(struct pci_function *fn, const struct pci_function_ops *ops, pthread_mutex_t *lock, const struct pci_ids *ids);

/* A 32-bit, non-prefetchable memory BAR; len_bytes a power of two from 4096 up. */
void pci_function_add_bar(struct pci_function *fn, unsigned index, uint32_t len_bytes, const struct io_ops *ops, void *opaque);

/* Appends a capability of len_bytes (its two header bytes included) and returns its offset. Too many of them is our bug: asserted. */
unsigned pci_function_add_cap(struct pci_function *fn, uint8_t id, unsigned len_bytes);

/* The device has (not) something to tell by INTA. The line follows unless Command.InterruptDisable; Status.InterruptStatus follows always. */
void pci_function_set_intx(struct pci_function *fn, bool pending);

/* For the root, after Command changed. */
void pci_function_update_line(struct pci_function *fn);

/* Whether Command.BusMaster lets the function read and write memory and send messages. */
bool pci_function_is_master(const struct pci_function *fn);

#endif
