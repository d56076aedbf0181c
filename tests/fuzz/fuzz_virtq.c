/*
 * The input is a driver's features and queues, and then what lies in guest
 * memory: rings, descriptors, payloads, kicks, with the host's calls in
 * between. Each step is a byte for what and some bytes for how.
 */
#include <linux/pci_regs.h>

#include "tests/fuzz/driver.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define MAX_STEPS 64

static void write_bytes(struct fuzz_input *in)
{
	uint16_t where = fuzz_u16(in);
	uint8_t n = fuzz_u8(in) % 64;
	n = n < in->left ? n : (uint8_t)in->left;
	fuzz_ram_write(where, in->at, n);
	in->at += n;
	in->left -= n;
}

static void publish(struct fuzz_machine *m, struct fuzz_input *in)
{
	uint8_t how = fuzz_u8(in);
	unsigned queue = how % 8 % FG_N_QUEUES;
	driver_publish(m, queue, how >> 3);
	if (how % 8 < FG_N_QUEUES)
		fg_kick(&m->fg, queue);
}

static void write_ring_word(struct fuzz_machine *m, struct fuzz_input *in)
{
	uint8_t how = fuzz_u8(in);
	unsigned queue = how % 8 % FG_N_QUEUES;
	uint8_t bytes[2] = {fuzz_u8(in), fuzz_u8(in)};
	switch (how >> 3 & 3) {
	case 0: /* flags */
		fuzz_ram_write(m->q[queue].avail, bytes, 2);
		break;
	case 1: /* used_event */
		fuzz_ram_write(m->q[queue].avail + 4 + 2U * m->q[queue].size, bytes, 2);
		break;
	case 2: /* a head */
		fuzz_ram_write(m->q[queue].avail + 4 + 2U * (how >> 5), bytes, 2);
		break;
	default:
		driver_set_avail_idx(m, queue, (uint16_t)(bytes[0] | bytes[1] << 8));
	}
}

/* A chain that goes on in the table of indirect descriptors. */
static void write_indirect(struct fuzz_machine *m, struct fuzz_input *in)
{
	uint8_t where = fuzz_u8(in), n = fuzz_u8(in);
	driver_desc(m->q[where % 8 % FG_N_QUEUES].desc, where >> 3, DRIVER_TABLE, (n & 0x3F) * 16 + (n >> 7), D_INDIRECT | (n >> 6 & 1), 0);
}

static void step(struct fuzz_machine *m, struct fuzz_input *in)
{
	switch (fuzz_u8(in) % 18) {
	case 0:
	case 1:
		driver_write_desc(m, in);
		break;
	case 2:
		write_bytes(in);
		break;
	case 3:
		driver_write_pages(in);
		break;
	case 4:
	case 5:
		publish(m, in);
		break;
	case 6:
		fg_kick(&m->fg, fuzz_u8(in) % (FG_N_QUEUES + 1));
		break;
	case 7:
		write_ring_word(m, in);
		break;
	case 8:
		write_indirect(m, in);
		break;
	case 9:
		driver_queue_anywhere(m, in);
		break;
	case 10:
		driver_host_call(m, in);
		break;
	case 11:
		driver_write_register(m, in);
		break;
	case 12:
		fg_q_write(&m->fg, fuzz_u8(in) % (FG_N_QUEUES + 1), CC_Q_RESET, 2, 1);
		break;
	case 13:
		driver_bring_up(m, in);
		break;
	case 14:
		driver_take_discard(m, in);
		break;
	case 15:
		fg_pcicfg_write(&m->fg, PCI_COMMAND, 2, fuzz_u8(in) | PCI_COMMAND_MEMORY);
		break;
	case 16:
		driver_hint(m, in);
		break;
	default:
		driver_take_meanwhile(m, in);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct fuzz_input in = {data, len};
	struct fuzz_machine *m = fuzz_machine_begin(&in);
	driver_bring_up(m, &in);
	fuzz_machine_step(m);
	for (unsigned left = MAX_STEPS; in.left && left; left--) {
		step(m, &in);
		fuzz_machine_step(m);
	}
	fuzz_machine_end(m);
	return 0;
}
