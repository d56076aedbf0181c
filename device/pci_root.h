/*
 * A PCI host bridge with one bus: bus 0, slot 0 is the bridge itself, slots 1
 * to 31 are free for functions. Configuration space is reached by the ports
 * 0xCF8 and 0xCFC (PCI Local Bus 3.0, section 3.2.2.3.2; 256 bytes a function)
 * and by ECAM (PCI Express 5.0, section 7.2.2; 4 KiB a function, of which the
 * upper 3840 bytes are absent and read all-ones).
 *
 * Locks. The root's own lock guards the slots and which BAR is decoded where.
 * It is taken before a function's lock. The interrupt lines have a lock of
 * their own, a leaf: it is the only one that a function may take under its own
 * lock, through pci_function_set_intx().
 */
#ifndef DEVICE_PCI_ROOT_H
#define DEVICE_PCI_ROOT_H

#include <stdint.h>

#include "device/host.h"
#include "device/pci_function.h"

struct pci_root;

#define PCI_N_SLOTS 32

struct pci_root_params {
	struct host *host;
	uint16_t port;	    /* CONFIG_ADDRESS, 0xCF8 on a PC; CONFIG_DATA is 4 above */
	uint64_t ecam_base; /* of bus 0 */
	uint64_t ecam_len;  /* bytes: at least 1 MiB, or 0 for no ECAM. Buses above 0 are empty */
	uint64_t mmio_base; /* window for BARs, below 4 GiB. A BAR outside it is not decoded */
	uint64_t mmio_len;
	uint32_t gsi_base; /* INTA of slot s is GSI gsi_base + s % n_gsi, INTB the next, and so on */
	uint32_t n_gsi;	   /* 1 to PCI_MAX_GSI */
};

#define PCI_MAX_GSI 16

/* 0, -EINVAL for parameters that make no sense, -ENOMEM, or what host io_map says. */
int pci_root_create(const struct pci_root_params *params, struct pci_root **out);

/* Every function has been removed before (device_destroy does it). NULL is fine. */
void pci_root_destroy(struct pci_root *root);

/* Power-on state of the bridge and of CONFIG_ADDRESS. Functions are reset by their devices. No vCPU runs. */
void pci_root_reset(struct pci_root *root);

/*
 * Puts a function that is set up (IDs, capabilities, BARs) into a slot, 0 for
 * the first free one, gives its BARs addresses in the window as firmware would,
 * and makes its present configuration space the power-on state. -EEXIST when
 * the slot is taken, -ENOSPC when no slot or no address space is left, -EINVAL
 * for a slot above 31. Without the function's lock.
 */
int pci_root_add(struct pci_root *root, struct pci_function *fn, unsigned slot);

/* Takes the function off the bus. NULL root or a function that is on no bus: nothing to do. Without the function's lock. */
void pci_root_remove(struct pci_root *root, struct pci_function *fn);

/* The function's configuration space back to power-on, its BARs no longer decoded, its INTx low. Without the function's lock. */
void pci_root_reset_function(struct pci_root *root, struct pci_function *fn);

/*
 * A function of `slot` begins (true) or ceases (false) to drive INTA; for
 * pci_function.c, which calls it once per change. The level of the line is the
 * OR of all functions on it. Takes the leaf lock only.
 */
void pci_root_drive_line(struct pci_root *root, unsigned slot, bool active);

#endif
