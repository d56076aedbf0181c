/* PCI bus 0 through the configuration ports, and the part of a function that virtio needs. */
#ifndef TESTS_GUEST_PCI_H
#define TESTS_GUEST_PCI_H

#include <stdbool.h>
#include <stdint.h>

/* offset: a multiple of 4. */
uint32_t pci_read(unsigned slot, unsigned offset);
void pci_write(unsigned slot, unsigned offset, uint32_t value);

/* The slot of the first function 0 with this vendor and device ID; false if there is none. */
bool pci_find(uint16_t vendor, uint16_t device, unsigned *slot);

/*
 * Gives each memory BAR an address unless it has one, maps it, and switches
 * memory decoding and bus mastering on. bars[i] is BAR i's address, 0 if it is
 * no memory BAR.
 */
void pci_enable(unsigned slot, uint64_t bars[6]);

#endif
