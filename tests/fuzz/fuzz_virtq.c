/*
 * The input is a driver's life: registers, rings, descriptors, payloads,
 * kicks, with the host's calls in between. Each step is a byte for what and
 * some bytes for how.
 */
#include <linux/pci_regs.h>

#include "tests/fuzz/machine.h"
#include "util/bytes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct fakeguest fg;

/* Addresses that mean something, and any other. */
static uint64_t take_address(struct fuzz_input *in)
{
	uint8_t kind = fuzz_u8(in);
	uint16_t offset = fuzz_u16(in);
	switch (kind & 0xF) {
	case 0:
	case 1:
		return FG_DATA((kind >> 4) % 5) + offset;
	case 2:
		return FG_RING((kind >> 4) % 5) + offset;
	case 3:
		return FG_PAGES + offset * 4096ULL;
	case 4:
		return FAKE_HIGH_GPA + offset * 512ULL;
	case 5:
		return FAKE_REGION_LEN - offset;
	case 6:
		return FAKE_HIGH_GPA + FAKE_REGION_LEN - offset;
	case 7:
		return 0xC0000000 + offset;
	case 8:
		return UINT64_MAX - offset;
	default:
		return fuzz_u64(in);
	}
}

static uint32_t take_len(struct fuzz_input *in)
{
	uint16_t n = fuzz_u16(in);
	switch (n & 7) {
	case 0:
		return n >> 3;
	case 1:
		return (n >> 3) * 4;
	case 2:
		return (n >> 3) * 16;
	case 3:
		return (n >> 3) * 4096;
	case 4:
		return UINT32_MAX - (n >> 3);
	case 5:
		return (n >> 3) * 10;
	case 6:
		return (uint32_t)(n >> 3) << 19;
	default:
		return fuzz_u32(in);
	}
}

static const uint64_t feature_bits[8] = {F_MUST_TELL_HOST, F_STATS, F_OOM, F_POISON, F_REPORT, F_INDIRECT, F_EVENT_IDX, F_RING_RESET};

static void bring_up(struct fuzz_input *in)
{
	uint8_t features = fuzz_u8(in), queues = fuzz_u8(in), size = fuzz_u8(in) % 9;
	uint64_t accepted = 0;
	for (unsigned i = 0; i < 8; i++)
		if (features >> i & 1)
			accepted |= feature_bits[i];
	fg_negotiate(&fg, accepted & fg_offered(&fg));
	if (queues & 0x20)
		fg_msix_on(&fg);
	if (queues & 0x40)
		fg_dc_write(&fg, DC_POISON, fuzz_u32(in));
	for (unsigned i = 0; i < FG_N_QUEUES; i++)
		if (queues >> i & 1)
			fg_queue_on(&fg, i, (uint16_t)(1 << size));
	if (!(queues & 0x80))
		fg_status_write(&fg, 0xF);
}

/* Rings anywhere; what the fake driver remembers of them must be RAM for it to write there. */
static void queue_anywhere(struct fuzz_input *in)
{
	uint8_t i = fuzz_u8(in) % FG_N_QUEUES;
	uint64_t desc = take_address(in), avail = take_address(in), used = take_address(in);
	struct fakeguest_queue before = fg.q[i];
	fg_queue_on_at(&fg, i, (uint16_t)(1 << fuzz_u8(in) % 9), desc, avail, used);
	fg.q[i] = before;
}

static void write_desc(struct fuzz_input *in)
{
	uint8_t where = fuzz_u8(in), index = fuzz_u8(in), flags = fuzz_u8(in), next = fuzz_u8(in);
	uint64_t gpa = take_address(in);
	uint32_t len = take_len(in);
	uint64_t table = where & 8 ? FG_DATA(4) : FG_RING(where % FG_N_QUEUES);
	fg_desc_at(&fg, table, index, gpa, len, flags & 0x80 ? flags : flags & 7, next);
}

/* A run of page numbers, ascending or descending. */
static void write_pages(struct fuzz_input *in)
{
	uint8_t queue = fuzz_u8(in) % FG_N_QUEUES, n = fuzz_u8(in);
	uint32_t first = fuzz_u32(in), step = fuzz_u8(in) - 128U;
	for (uint32_t i = 0; i < n; i++)
		store_le32(fakehost_ram(fg.fh, FG_DATA(queue) + 4 * i, 4), first + step * i);
}

static void poke(struct fuzz_input *in)
{
	uint32_t where = fuzz_u32(in);
	uint64_t gpa = where & 0x80000000 ? FG_DATA(0) + (where & 0x7FFFFFFF) % 0x500000 : FG_RING(0) + where % 0x50000;
	uint8_t *at = fakehost_ram(fg.fh, gpa, 8);
	for (uint8_t n = fuzz_u8(in) % 8; n; n--)
		*at++ = fuzz_u8(in);
}

static void publish(struct fuzz_input *in)
{
	uint8_t queue = fuzz_u8(in) % FG_N_QUEUES, head = fuzz_u8(in);
	if (!fg.q[queue].size)
		return;
	fg_publish(&fg, queue, head);
	if (head & 0x80)
		fg_kick(&fg, queue);
}

static void registers(struct fuzz_input *in)
{
	uint8_t how = fuzz_u8(in);
	uint16_t offset = fuzz_u16(in) % 0x2000;
	unsigned size = 1u << (how & 3);
	if (offset + size > 0x2000)
		return;
	if (how & 4)
		fg_bar_write(&fg, offset, size, fuzz_u64(in));
	else
		fg_bar(&fg, offset, size);
}

static void host_call(struct fuzz_input *in)
{
	struct balloon_state state;
	switch (fuzz_u8(in) % 6) {
	case 0:
		balloon_set_target(fg.dev, fuzz_u16(in) * 4096ULL);
		break;
	case 1:
		balloon_set_stats_interval(fg.dev, fuzz_u8(in));
		break;
	case 2:
		balloon_request_stats(fg.dev);
		break;
	case 3:
		balloon_get_state(fg.dev, &state);
		break;
	case 4:
		fakehost_advance(fg.fh, fuzz_u16(in));
		break;
	default:
		fakehost_run_work(fg.fh);
	}
}

static void step(struct fuzz_input *in)
{
	switch (fuzz_u8(in) % 16) {
	case 0:
		bring_up(in);
		break;
	case 1:
		queue_anywhere(in);
		break;
	case 2:
	case 3:
	case 4:
		write_desc(in);
		break;
	case 5:
		write_pages(in);
		break;
	case 6:
		poke(in);
		break;
	case 7:
	case 8:
		publish(in);
		break;
	case 9:
		fg_kick(&fg, fuzz_u8(in) % 6);
		break;
	case 10:
		registers(in);
		break;
	case 11:
		host_call(in);
		break;
	case 12:
		fg_status_write(&fg, fuzz_u8(in));
		break;
	case 13:
		fg_q_write(&fg, fuzz_u8(in) % 6, CC_Q_RESET, 2, 1);
		break;
	case 14:
		fg_dc_write(&fg, DC_ACTUAL, fuzz_u16(in));
		break;
	default:
		fg_pcicfg_write(&fg, PCI_COMMAND, 2, fuzz_u8(in) | PCI_COMMAND_MEMORY);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct fuzz_input in = {data, len};
	fuzz_machine_begin(&fg, &in);
	while (in.left)
		step(&in);
	fuzz_machine_end(&fg);
	return 0;
}
