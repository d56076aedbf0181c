/*
 * MSI-X (PCI Local Bus 3.0, section 6.8.2): a capability, a table of 16-byte
 * entries and an array of pending bits. A message that is masked, by its
 * vector, by the function or because the function is no bus master, is held as
 * a pending bit and sent once when nothing masks it any more.
 *
 * All calls are made with the function's lock held.
 */
#ifndef DEVICE_MSIX_H
#define DEVICE_MSIX_H

#include "device/pci_function.h"

#define MSIX_MAX_VECTORS 64
#define MSIX_ENTRY_LEN UINT64_C(16)
#define MSIX_PBA_LEN 8u /* bytes: one quadword holds all pending bits */

struct msix {
	struct pci_function *fn;
	struct host *host;
	unsigned cap; /* offset of the capability */
	unsigned n_vectors;
	uint8_t table[MSIX_MAX_VECTORS * MSIX_ENTRY_LEN];
	uint64_t pending;
	uint64_t sent;	  /* messages taken by the host */
	uint64_t refused; /* messages that the host did not take: dropped */
};

/* Adds the capability. Table and PBA lie at these offsets of BAR `bar`, both multiples of 8. n_vectors is 1 to MSIX_MAX_VECTORS. */
void msix_init(struct msix *msix, struct pci_function *fn, struct host *host, unsigned n_vectors, unsigned bar, uint32_t table_offset, uint32_t pba_offset);

/* Power-on state: every vector masked, nothing pending. Configuration space is the function's to reset. */
void msix_reset(struct msix *msix);

/* Whether the guest has switched MSI-X on, and INTx off with it. */
bool msix_is_enabled(const struct msix *msix);

/* Sends the vector's message or holds it. Out-of-range vectors are ignored. */
void msix_notify(struct msix *msix, unsigned vector);

/* Sends what is pending and no longer masked: for after Command or the capability were written. */
void msix_flush(struct msix *msix);

/* Aligned accesses of 4 and 8 bytes; others read 0 and write nothing. Offsets count from the table's, the PBA's start; past the end reads 0. */
uint64_t msix_table_read(const struct msix *msix, uint64_t offset, unsigned size);
void msix_table_write(struct msix *msix, uint64_t offset, unsigned size, uint64_t value);
uint64_t msix_pba_read(const struct msix *msix, uint64_t offset, unsigned size);

#endif
