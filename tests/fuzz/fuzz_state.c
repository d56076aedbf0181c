/*
 * The input is the life of drivers, one after the other, and of the host beside
 * them: status, features, queues that come and go, resets while work is left,
 * interrupts masked and unmasked, targets, statistics, time. The requests
 * themselves are canned; what is in them is for fuzz_virtq.
 */
#include <linux/pci_regs.h>

#include "tests/fuzz/driver.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define MAX_STEPS 128

/* ---- Requests -------------------------------------------------------- */

static const struct request {
	uint64_t gpa;
	uint32_t len;
	uint16_t flags;
	unsigned chain; /* descriptors, each with one more copy of the buffer */
} requests[] = {
	{DRIVER_DATA(0), 64, 0, 1},
	{0, UINT32_MAX, D_WRITE, DRIVER_MAX_SIZE}, /* more hints than are looked at in one go */
	{DRIVER_DATA(0), 0x4010, 0, 1},		   /* more pages than one wakeup serves */
	{DRIVER_DATA(0), 128, 0, 16},		   /* in pieces */
	{DRIVER_DATA(0), 61, 0, 16},		   /* page numbers cut between buffers */
	{DRIVER_DATA(2), 160, 0, 1},		   /* statistics, if anything */
	{DRIVER_DATA(2), 7, 0, 2},
	{FAKE_HIGH_GPA, 2 << 20, D_WRITE, 1}, /* a free block */
	{FAKE_HIGH_GPA, 4096, D_WRITE, 32},
	{0, UINT32_MAX, D_WRITE, 1}, /* far more than one wakeup takes */
	{FUZZ_REGION_LEN - 4096, 1 << 20, D_WRITE, 1},
	{FG_MMIO_BASE, 64, 0, 1},
	{DRIVER_DATA(0), 0, 0, 1},
	{DRIVER_DATA(0), 64, D_WRITE, 1},
	{DRIVER_DATA(0), 64, D_INDIRECT, 1},
	{DRIVER_DATA(0), 64, 0, DRIVER_MAX_SIZE + 1}, /* a loop */
};

static void request(struct fuzz_machine *m, struct fuzz_input *in)
{
	uint8_t how = fuzz_u8(in);
	unsigned queue = how % 8 % FG_N_QUEUES;
	const struct request *r = &requests[(how >> 3) % (sizeof requests / sizeof requests[0])];
	for (unsigned i = 0; i < r->chain && i < DRIVER_MAX_SIZE; i++)
		driver_desc(m->q[queue].desc, i, r->gpa, r->len, r->flags | (i + 1 < r->chain ? D_NEXT : 0), (uint16_t)((i + 1) % DRIVER_MAX_SIZE));
	driver_publish(m, queue, 0);
	if (!(how & 0x80))
		fg_kick(&m->fg, queue);
}

/* As many heads as there are, or one more than there can be. */
static void flood(struct fuzz_machine *m, struct fuzz_input *in)
{
	uint8_t how = fuzz_u8(in);
	unsigned queue = how % 8 % FG_N_QUEUES;
	driver_set_avail_idx(m, queue, (uint16_t)(m->q[queue].avail_idx + m->q[queue].size + (how >> 7)));
	fg_kick(&m->fg, queue);
}

/* ---- Registers ------------------------------------------------------- */

static void next_status(struct fakeguest *fg)
{
	uint8_t status = fg_status(fg);
	fg_status_write(fg, !(status & S_ACK)		? S_ACK
			    : !(status & S_DRIVER)	? status | S_DRIVER
			    : !(status & S_FEATURES_OK) ? status | S_FEATURES_OK
							: status | S_DRIVER_OK);
}

static void accept_features(struct fuzz_machine *m, struct fuzz_input *in)
{
	uint8_t select = fuzz_u8(in);
	fg_cc_write(&m->fg, CC_DRV_FEAT_SEL, 4, select % 3);
	fg_cc_write(&m->fg, CC_DRV_FEAT, 4, select & 0x80 ? fuzz_u32(in) : select % 3 == 1 ? 0x101 : fuzz_u8(in));
}

static void enable_queue(struct fuzz_machine *m, struct fuzz_input *in)
{
	uint8_t how = fuzz_u8(in);
	driver_queue_on(m, how % 8 % FG_N_QUEUES, (uint16_t)(DRIVER_MAX_SIZE >> (how >> 3) % 6));
}

static void mask(struct fuzz_machine *m, struct fuzz_input *in)
{
	struct fakeguest *fg = &m->fg;
	uint8_t how = fuzz_u8(in);
	unsigned vector = how % 8;
	if (vector < fg->n_vectors)
		fg_bar_write(fg, fg->msix_table + vector * 16 + 12, 4, how >> 3 & 1);
	else
		fg_pcicfg_write(fg, fg->msix_cap + PCI_MSIX_FLAGS, 2, (uint32_t)(how >> 4) << 12);
}

static void set_vector(struct fuzz_machine *m, struct fuzz_input *in)
{
	uint8_t how = fuzz_u8(in);
	if (how % 8 < FG_N_QUEUES)
		fg_q_write(&m->fg, how % 8, CC_Q_VEC, 2, how >> 3 == 0x1F ? 0xFFFF : how >> 3);
	else
		fg_cc_write(&m->fg, CC_CFG_VEC, 2, how >> 3 == 0x1F ? 0xFFFF : how >> 3);
}

static void set_command(struct fuzz_machine *m, struct fuzz_input *in)
{
	uint8_t how = fuzz_u8(in);
	fg_pcicfg_write(&m->fg, PCI_COMMAND, 2, (how & 7) | (uint32_t)(how & 8) << 7);
}

/* ---- Steps ----------------------------------------------------------- */

static void step(struct fuzz_machine *m, struct fuzz_input *in)
{
	struct fakeguest *fg = &m->fg;
	switch (fuzz_u8(in) % 36) {
	case 0:
	case 1:
		fg_status_write(fg, fuzz_u8(in));
		break;
	case 2:
		next_status(fg);
		break;
	case 3:
		driver_bring_up(m, in);
		break;
	case 4:
	case 5:
		fg_q_write(fg, fuzz_u8(in) % (FG_N_QUEUES + 1), CC_Q_RESET, 2, 1);
		break;
	case 6:
	case 7:
		enable_queue(m, in);
		break;
	case 8:
	case 9:
	case 10:
	case 11:
		request(m, in);
		break;
	case 12:
		flood(m, in);
		break;
	case 13:
		fg_kick(fg, fuzz_u8(in) % FG_N_QUEUES);
		break;
	case 14:
	case 15:
		fakehost_run_work(fg->fh);
		break;
	case 16:
	case 17:
	case 18:
		driver_host_call(m, in);
		break;
	case 19:
		set_command(m, in);
		break;
	case 20:
	case 21:
		mask(m, in);
		break;
	case 22:
		set_vector(m, in);
		break;
	case 23:
		fg_dc_write(fg, DC_ACTUAL, fuzz_u8(in) * 64U);
		break;
	case 24:
		fg_dc_write(fg, DC_POISON, fuzz_u8(in));
		break;
	case 25:
		driver_take_discard(m, in);
		break;
	case 26:
		device_reset(fg->dev);
		break;
	case 27:
		accept_features(m, in);
		break;
	case 28:
		fg_bar(fg, fg->isr, 1);
		break;
	case 29:
		fg_dc(fg, fuzz_u8(in) & 12);
		break;
	case 30:
		driver_write_register(m, in);
		break;
	case 31:
		fg_status_write(fg, 0);
		break;
	case 32:
		driver_hint(m, in);
		break;
	case 33:
		driver_take_meanwhile(m, in);
		break;
	case 34:
		fg_status_write(fg, fg_status(fg) | S_SUSPEND);
		break;
	default:
		fg_status_write(fg, fg_status(fg) | S_DRIVER_OK);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct fuzz_input in = {data, len};
	struct fuzz_machine *m = fuzz_machine_begin(&in);
	for (unsigned left = MAX_STEPS; in.left && left; left--) {
		step(m, &in);
		fuzz_machine_step(m);
	}
	fuzz_machine_end(m);
	return 0;
}
