/*
 * Who answers at which port or address: one bus for PIO, one for MMIO.
 *
 * Regions may overlap, the one that was mapped first answers. For lookups they
 * are flattened into disjoint segments, sorted by address, so that finding the
 * owner of an address is a binary search under a read lock; mapping, which is
 * rare, rebuilds the segments. Callbacks run without the lock, so they may map
 * and unmap.
 */
#ifndef KVM_IOBUS_H
#define KVM_IOBUS_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include "device/host.h"

/* 32 PCI functions with a few BARs each, and the board's own. */
#define IOBUS_MAX_REGIONS 128

/* Addresses first to last (inclusive, so that the top of the space can be named) belong to region. */
struct iobus_segment {
	uint64_t first;
	uint64_t last;
	struct io_region *region;
};

struct iobus {
	enum io_space space;
	pthread_rwlock_t lock;
	struct io_region *regions[IOBUS_MAX_REGIONS]; /* in the order of their mapping; not owned */
	size_t n_regions;
	/* Each region added to n disjoint ones adds an edge on either side: at most 2n - 1 pieces. */
	struct iobus_segment segments[2 * IOBUS_MAX_REGIONS];
	size_t n_segments;
};

void iobus_init(struct iobus *bus, enum io_space space);
void iobus_finish(struct iobus *bus);

/* Any thread. 0, or -EEXIST (mapped already), -ENOSPC, -EINVAL (empty, past the end of the space, of the other space). */
int iobus_map(struct iobus *bus, struct io_region *region);
void iobus_unmap(struct iobus *bus, struct io_region *region); /* a region that is not mapped is fine */

/*
 * One access of `size` bytes (at least 1), little-endian in `data`. Any
 * thread. Where nobody answers, a read gives all-ones and a write is lost.
 *
 * A device sees accesses of 1, 2, 4 or 8 bytes that lie within its region. An
 * access of another size, or one that crosses an edge, is done byte by byte,
 * as a bus of byte-wide devices would, so each byte reaches its owner.
 */
void iobus_read(struct iobus *bus, uint64_t address, void *data, unsigned size);
void iobus_write(struct iobus *bus, uint64_t address, const void *data, unsigned size);

#endif
