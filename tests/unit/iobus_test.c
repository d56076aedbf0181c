#include "kvm/iobus.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/suite.h"

/* A device that notes what it was asked and answers with its own digit in each byte. */
struct probe {
	struct io_region region;
	uint8_t digit;
	char log[256];
};

static uint64_t probe_read(void *opaque, uint64_t offset, unsigned size)
{
	struct probe *probe = opaque;
	size_t used = strlen(probe->log);
	snprintf(probe->log + used, sizeof probe->log - used, "r%u@%llx ", size, (unsigned long long)offset);
	return probe->digit * 0x0101010101010101ULL;
}

static void probe_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
	struct probe *probe = opaque;
	size_t used = strlen(probe->log);
	snprintf(probe->log + used, sizeof probe->log - used, "w%u@%llx=%llx ", size, (unsigned long long)offset, (unsigned long long)value);
}

static const struct io_ops probe_ops = {probe_read, probe_write};

static void probe_init(struct probe *probe, enum io_space space, uint64_t base, uint64_t len, uint8_t digit)
{
	*probe = (struct probe){.region = {.space = space, .base = base, .len = len, .ops = &probe_ops, .opaque = probe}, .digit = digit};
}

static uint64_t read_value(struct iobus *bus, uint64_t address, unsigned size)
{
	uint64_t value = 0;
	iobus_read(bus, address, &value, size);
	return value;
}

static struct iobus bus;

static void nobody_reads_as_ones(void)
{
	iobus_init(&bus, IO_MMIO);
	CU_ASSERT_EQUAL(read_value(&bus, 0x1000, 1), 0xFF);
	CU_ASSERT_EQUAL(read_value(&bus, 0x1000, 4), 0xFFFFFFFF);
	CU_ASSERT_EQUAL(read_value(&bus, UINT64_MAX - 3, 8), UINT64_MAX);
	uint32_t value = 5;
	iobus_write(&bus, 0x1000, &value, 4);
	iobus_finish(&bus);
}

static void access_reaches_its_owner(void)
{
	struct probe low, high;
	probe_init(&low, IO_MMIO, 0x1000, 0x100, 1);
	probe_init(&high, IO_MMIO, 0x3000, 0x100, 2);
	iobus_init(&bus, IO_MMIO);
	CU_ASSERT_EQUAL(iobus_map(&bus, &high.region), 0);
	CU_ASSERT_EQUAL(iobus_map(&bus, &low.region), 0);
	CU_ASSERT_EQUAL(read_value(&bus, 0x1000, 1), 0x01);
	CU_ASSERT_EQUAL(read_value(&bus, 0x10F8, 8), 0x0101010101010101);
	CU_ASSERT_EQUAL(read_value(&bus, 0x3002, 2), 0x0202);
	CU_ASSERT_EQUAL(read_value(&bus, 0x0FFF, 1), 0xFF);
	CU_ASSERT_EQUAL(read_value(&bus, 0x1100, 1), 0xFF);
	uint64_t value = 0x8877665544332211;
	iobus_write(&bus, 0x3010, &value, 4);
	CU_ASSERT_STRING_EQUAL(low.log, "r1@0 r8@f8 ");
	CU_ASSERT_STRING_EQUAL(high.log, "r2@2 w4@10=44332211 ");
	iobus_finish(&bus);
}

static void first_mapped_wins(void)
{
	struct probe inner, outer, tail;
	probe_init(&inner, IO_MMIO, 0x1400, 0x100, 1);
	probe_init(&outer, IO_MMIO, 0x1000, 0x1000, 2);
	probe_init(&tail, IO_MMIO, 0x1F00, 0x200, 3);
	iobus_init(&bus, IO_MMIO);
	iobus_map(&bus, &inner.region);
	iobus_map(&bus, &outer.region);
	iobus_map(&bus, &tail.region);
	CU_ASSERT_EQUAL(bus.n_segments, 4);
	CU_ASSERT_EQUAL(read_value(&bus, 0x13FF, 1), 2);
	CU_ASSERT_EQUAL(read_value(&bus, 0x1400, 1), 1);
	CU_ASSERT_EQUAL(read_value(&bus, 0x1500, 1), 2);
	CU_ASSERT_EQUAL(read_value(&bus, 0x1FFF, 1), 2);
	CU_ASSERT_EQUAL(read_value(&bus, 0x2000, 1), 3);
	CU_ASSERT_STRING_EQUAL(outer.log, "r1@3ff r1@500 r1@fff ");
	CU_ASSERT_STRING_EQUAL(tail.log, "r1@100 ");

	iobus_unmap(&bus, &inner.region);
	CU_ASSERT_EQUAL(read_value(&bus, 0x1400, 1), 2);
	/* Mapped anew it comes last. */
	CU_ASSERT_EQUAL(iobus_map(&bus, &inner.region), 0);
	CU_ASSERT_EQUAL(read_value(&bus, 0x1400, 1), 2);
	iobus_unmap(&bus, &outer.region);
	CU_ASSERT_EQUAL(read_value(&bus, 0x1400, 1), 1);
	CU_ASSERT_EQUAL(read_value(&bus, 0x1500, 1), 0xFF);
	iobus_finish(&bus);
}

/* Edges that fall together leave no segment without an address. */
static void common_edges_make_no_empty_segments(void)
{
	struct probe middle, whole, last, same;
	probe_init(&middle, IO_MMIO, 0x1400, 0x100, 1);
	probe_init(&whole, IO_MMIO, 0x1000, 0x500, 2);
	probe_init(&last, IO_MMIO, 0x14FF, 2, 3);
	probe_init(&same, IO_MMIO, 0x1400, 0x100, 4);
	iobus_init(&bus, IO_MMIO);
	iobus_map(&bus, &middle.region);
	iobus_map(&bus, &whole.region);
	iobus_map(&bus, &last.region);
	iobus_map(&bus, &same.region);
	CU_ASSERT_EQUAL(bus.n_segments, 3);
	for (size_t i = 0; i < bus.n_segments; i++)
		CU_ASSERT(bus.segments[i].first <= bus.segments[i].last);
	CU_ASSERT_EQUAL(bus.segments[2].first, 0x1500);
	iobus_finish(&bus);
}

/* Against the obvious model: for each address the first of the list that covers it. */
static void flattening_agrees_with_a_scan(void)
{
	static struct probe probes[24];
	uint32_t seed = 1;
	iobus_init(&bus, IO_PIO);
	for (unsigned i = 0; i < 24; i++) {
		seed = seed * 1103515245 + 12345;
		uint64_t base = (seed >> 16) % 100;
		seed = seed * 1103515245 + 12345;
		probe_init(&probes[i], IO_PIO, base, 1 + (seed >> 16) % 40, (uint8_t)i);
		CU_ASSERT_EQUAL(iobus_map(&bus, &probes[i].region), 0);
	}
	for (unsigned gone = 0; gone < 24; gone += 5)
		iobus_unmap(&bus, &probes[gone].region);
	for (uint64_t address = 0; address < 160; address++) {
		uint8_t expected = 0xFF;
		for (unsigned i = 24; i-- > 0;)
			if (probes[i].region.mapped && address >= probes[i].region.base && address - probes[i].region.base < probes[i].region.len)
				expected = (uint8_t)i;
		CU_ASSERT_EQUAL(read_value(&bus, address, 1), expected);
	}
	iobus_finish(&bus);
}

static void crossing_access_is_split(void)
{
	struct probe first, second;
	probe_init(&first, IO_PIO, 0x3F8, 8, 1);
	probe_init(&second, IO_PIO, 0x400, 2, 2);
	iobus_init(&bus, IO_PIO);
	iobus_map(&bus, &first.region);
	iobus_map(&bus, &second.region);
	CU_ASSERT_EQUAL(read_value(&bus, 0x3FE, 4), 0x02020101);
	CU_ASSERT_EQUAL(read_value(&bus, 0x401, 4), 0xFFFFFF02);
	CU_ASSERT_EQUAL(read_value(&bus, 0x3F7, 2), 0x01FF);
	uint32_t value = 0xDDCCBBAA;
	iobus_write(&bus, 0x3FF, &value, 4);
	CU_ASSERT_STRING_EQUAL(first.log, "r1@6 r1@7 r1@0 w1@7=aa ");
	CU_ASSERT_STRING_EQUAL(second.log, "r1@0 r1@1 r1@1 w1@0=bb w1@1=cc ");
	iobus_finish(&bus);
}

static void odd_sizes_are_split(void)
{
	struct probe probe;
	probe_init(&probe, IO_MMIO, 0, 0x10, 7);
	iobus_init(&bus, IO_MMIO);
	iobus_map(&bus, &probe.region);
	CU_ASSERT_EQUAL(read_value(&bus, 4, 3), 0x070707);
	CU_ASSERT_STRING_EQUAL(probe.log, "r1@4 r1@5 r1@6 ");
	iobus_finish(&bus);
}

static void end_of_space_does_not_wrap(void)
{
	struct probe top, bottom;
	probe_init(&top, IO_MMIO, UINT64_MAX - 0xFF, 0x100, 1);
	probe_init(&bottom, IO_MMIO, 0, 0x10, 2);
	iobus_init(&bus, IO_MMIO);
	CU_ASSERT_EQUAL(iobus_map(&bus, &top.region), 0);
	CU_ASSERT_EQUAL(iobus_map(&bus, &bottom.region), 0);
	CU_ASSERT_EQUAL(read_value(&bus, UINT64_MAX, 1), 1);
	CU_ASSERT_EQUAL(read_value(&bus, UINT64_MAX - 7, 8), 0x0101010101010101);
	iobus_finish(&bus);
}

static void bad_regions_are_refused(void)
{
	struct probe probe;
	iobus_init(&bus, IO_PIO);
	probe_init(&probe, IO_PIO, 0x100, 0, 1);
	CU_ASSERT_EQUAL(iobus_map(&bus, &probe.region), -EINVAL);
	probe_init(&probe, IO_PIO, 0xFFF8, 9, 1);
	CU_ASSERT_EQUAL(iobus_map(&bus, &probe.region), -EINVAL);
	probe_init(&probe, IO_PIO, 0x10000, 1, 1);
	CU_ASSERT_EQUAL(iobus_map(&bus, &probe.region), -EINVAL);
	probe_init(&probe, IO_MMIO, 0x100, 8, 1);
	CU_ASSERT_EQUAL(iobus_map(&bus, &probe.region), -EINVAL);
	probe_init(&probe, IO_PIO, 0xFFF8, 8, 1);
	CU_ASSERT_EQUAL(iobus_map(&bus, &probe.region), 0);
	CU_ASSERT_EQUAL(iobus_map(&bus, &probe.region), -EEXIST);
	iobus_unmap(&bus, &probe.region);
	iobus_unmap(&bus, &probe.region);
	CU_ASSERT_EQUAL(bus.n_segments, 0);
	iobus_finish(&bus);
}

static void table_fills_up_and_stays_right(void)
{
	static struct probe probes[IOBUS_MAX_REGIONS + 1];
	iobus_init(&bus, IO_MMIO);
	/* One that all others cut into pieces comes last: as many segments as there can be. */
	for (unsigned i = 0; i < IOBUS_MAX_REGIONS - 1; i++) {
		probe_init(&probes[i], IO_MMIO, 0x1000 + i * 0x20, 0x10, 1);
		CU_ASSERT_EQUAL(iobus_map(&bus, &probes[i].region), 0);
	}
	probe_init(&probes[IOBUS_MAX_REGIONS - 1], IO_MMIO, 0, UINT64_MAX, 2);
	CU_ASSERT_EQUAL(iobus_map(&bus, &probes[IOBUS_MAX_REGIONS - 1].region), 0);
	CU_ASSERT_EQUAL(bus.n_segments, 2 * IOBUS_MAX_REGIONS - 1);
	probe_init(&probes[IOBUS_MAX_REGIONS], IO_MMIO, 0, 1, 3);
	CU_ASSERT_EQUAL(iobus_map(&bus, &probes[IOBUS_MAX_REGIONS].region), -ENOSPC);
	CU_ASSERT_FALSE(probes[IOBUS_MAX_REGIONS].region.mapped);
	CU_ASSERT_EQUAL(read_value(&bus, 0x1010, 1), 2);
	CU_ASSERT_EQUAL(read_value(&bus, 0x1020, 1), 1);
	iobus_finish(&bus);
}

/* A device that moves itself from its own callback, as a PCI BAR does. */
static void remap_on_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
	struct probe *probe = opaque;
	(void)offset;
	(void)size;
	iobus_unmap(&bus, &probe->region);
	probe->region.base = value;
	iobus_map(&bus, &probe->region);
}

static void callback_may_remap(void)
{
	static const struct io_ops ops = {probe_read, remap_on_write};
	struct probe probe;
	probe_init(&probe, IO_MMIO, 0x1000, 0x10, 4);
	probe.region.ops = &ops;
	iobus_init(&bus, IO_MMIO);
	iobus_map(&bus, &probe.region);
	uint32_t target = 0x2000;
	iobus_write(&bus, 0x1000, &target, 4);
	CU_ASSERT_EQUAL(read_value(&bus, 0x1000, 1), 0xFF);
	CU_ASSERT_EQUAL(read_value(&bus, 0x2000, 1), 4);
	iobus_finish(&bus);
}

static const struct test_case cases[] = {
	{"nobody_reads_as_ones", nobody_reads_as_ones},
	{"access_reaches_its_owner", access_reaches_its_owner},
	{"first_mapped_wins", first_mapped_wins},
	{"common_edges_make_no_empty_segments", common_edges_make_no_empty_segments},
	{"flattening_agrees_with_a_scan", flattening_agrees_with_a_scan},
	{"crossing_access_is_split", crossing_access_is_split},
	{"odd_sizes_are_split", odd_sizes_are_split},
	{"end_of_space_does_not_wrap", end_of_space_does_not_wrap},
	{"bad_regions_are_refused", bad_regions_are_refused},
	{"table_fills_up_and_stays_right", table_fills_up_and_stays_right},
	{"callback_may_remap", callback_may_remap},
};

TEST_SUITE(iobus, cases);
