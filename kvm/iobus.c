#include "kvm/iobus.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "util/bytes.h"

void iobus_init(struct iobus *bus, enum io_space space)
{
	memset(bus, 0, sizeof *bus);
	bus->space = space;
	pthread_rwlock_init(&bus->lock, NULL);
}

void iobus_finish(struct iobus *bus)
{
	pthread_rwlock_destroy(&bus->lock);
}

/* ---- Mapping --------------------------------------------------------- */

static void insert_segment(struct iobus *bus, size_t at, struct iobus_segment segment)
{
	memmove(&bus->segments[at + 1], &bus->segments[at], (bus->n_segments - at) * sizeof bus->segments[0]);
	bus->segments[at] = segment;
	bus->n_segments++;
}

/* Adds those parts of the region that no segment covers yet. */
static void fill_gaps(struct iobus *bus, struct io_region *region)
{
	uint64_t first = region->base;
	uint64_t last = region->base + region->len - 1;
	size_t i = 0;
	while (i < bus->n_segments && bus->segments[i].last < first)
		i++;
	for (;;) {
		if (i == bus->n_segments || bus->segments[i].first > last) {
			insert_segment(bus, i, (struct iobus_segment){first, last, region});
			return;
		}
		uint64_t taken_first = bus->segments[i].first;
		uint64_t taken_last = bus->segments[i].last;
		if (first < taken_first)
			insert_segment(bus, i++, (struct iobus_segment){first, taken_first - 1, region});
		if (taken_last >= last)
			return;
		first = taken_last + 1;
		i++;
	}
}

static void rebuild_segments(struct iobus *bus)
{
	bus->n_segments = 0;
	for (size_t i = 0; i < bus->n_regions; i++)
		fill_gaps(bus, bus->regions[i]);
}

int iobus_map(struct iobus *bus, struct io_region *region)
{
	uint64_t space_last = bus->space == IO_PIO ? UINT16_MAX : UINT64_MAX;
	if (region->space != bus->space || region->len == 0 || region->base > space_last || region->len - 1 > space_last - region->base)
		return -EINVAL;
	int ret = 0;
	pthread_rwlock_wrlock(&bus->lock);
	if (region->mapped) {
		ret = -EEXIST;
	} else if (bus->n_regions == IOBUS_MAX_REGIONS) {
		ret = -ENOSPC;
	} else {
		region->mapped = true;
		bus->regions[bus->n_regions++] = region;
		fill_gaps(bus, region);
	}
	pthread_rwlock_unlock(&bus->lock);
	return ret;
}

void iobus_unmap(struct iobus *bus, struct io_region *region)
{
	pthread_rwlock_wrlock(&bus->lock);
	if (region->mapped) {
		size_t i = 0;
		while (bus->regions[i] != region)
			i++;
		bus->n_regions--;
		for (; i < bus->n_regions; i++)
			bus->regions[i] = bus->regions[i + 1];
		region->mapped = false;
		rebuild_segments(bus);
	}
	pthread_rwlock_unlock(&bus->lock);
}

/* ---- Accesses -------------------------------------------------------- */

/* Who answers: copied out of the table, so that a callback needs no lock. */
struct owner {
	const struct io_ops *ops; /* NULL: nobody */
	void *opaque;
	uint64_t offset;
};

/* The segment that holds the address, NULL for none. Under the lock. */
static const struct iobus_segment *find_segment(const struct iobus *bus, uint64_t address)
{
	size_t low = 0, high = bus->n_segments;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (bus->segments[middle].last < address)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == bus->n_segments || bus->segments[low].first > address)
		return NULL;
	return &bus->segments[low];
}

/* Whether [address, address + size) can go out as one access, to *owner. Otherwise it has to be split. */
static bool is_whole(struct iobus *bus, uint64_t address, unsigned size, struct owner *owner)
{
	*owner = (struct owner){0};
	bool whole = size == 1;
	pthread_rwlock_rdlock(&bus->lock);
	const struct iobus_segment *segment = find_segment(bus, address);
	if (segment) {
		whole = (size == 1 || size == 2 || size == 4 || size == 8) && size - 1 <= segment->last - address;
		*owner = (struct owner){segment->region->ops, segment->region->opaque, address - segment->region->base};
	}
	pthread_rwlock_unlock(&bus->lock);
	return whole;
}

static uint64_t read_owner(const struct owner *owner, unsigned size)
{
	return owner->ops ? owner->ops->read(owner->opaque, owner->offset, size) : UINT64_MAX;
}

void iobus_read(struct iobus *bus, uint64_t address, void *data, unsigned size)
{
	uint8_t *bytes = data;
	struct owner owner;
	if (is_whole(bus, address, size, &owner)) {
		uint8_t value[8];
		store_le64(value, read_owner(&owner, size));
		memcpy(bytes, value, size);
		return;
	}
	for (unsigned i = 0; i < size; i++)
		iobus_read(bus, address + i, bytes + i, 1);
}

void iobus_write(struct iobus *bus, uint64_t address, const void *data, unsigned size)
{
	const uint8_t *bytes = data;
	struct owner owner;
	if (is_whole(bus, address, size, &owner)) {
		uint8_t value[8] = {0};
		memcpy(value, bytes, size);
		if (owner.ops)
			owner.ops->write(owner.opaque, owner.offset, size, load_le64(value));
		return;
	}
	for (unsigned i = 0; i < size; i++)
		iobus_write(bus, address + i, bytes + i, 1);
}
