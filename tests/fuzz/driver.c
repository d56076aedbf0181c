#include "tests/fuzz/driver.h"

#include <linux/pci_regs.h>

#include "util/bytes.h"

#define F_UNKNOWN FG_BIT(50)

/* ---- Told what to do ------------------------------------------------- */

void driver_negotiate(struct fuzz_machine *m, uint64_t features)
{
	struct fakeguest *fg = &m->fg;
	if (fg_status(fg))
		fg_status_write(fg, 0);
	fg_status_write(fg, S_ACK | S_DRIVER);
	fg_accept(fg, features);
	fg_status_write(fg, S_ACK | S_DRIVER | S_FEATURES_OK);
}

static void queue_on_at(struct fuzz_machine *m, unsigned i, uint16_t size, uint64_t desc, uint64_t avail, uint64_t used)
{
	struct fakeguest *fg = &m->fg;
	m->q[i].size = size;
	m->q[i].avail_idx = 0;
	m->q[i].desc = desc;
	m->q[i].avail = avail;
	fg_q_write(fg, i, CC_Q_SIZE, 2, size);
	fg_cc_write(fg, CC_Q_VEC, 2, i + 1);
	fg_cc_write(fg, CC_Q_DESC, 8, desc);
	fg_cc_write(fg, CC_Q_DRIVER, 8, avail);
	fg_cc_write(fg, CC_Q_DEVICE, 8, used);
	fg_cc_write(fg, CC_Q_ENABLE, 2, 1);
}

void driver_queue_on(struct fuzz_machine *m, unsigned i, uint16_t size)
{
	static const uint8_t empty[DRIVER_DESC(1) - DRIVER_DESC(0)];
	fuzz_ram_write(DRIVER_DESC(i), empty, sizeof empty);
	queue_on_at(m, i, size, DRIVER_DESC(i), DRIVER_AVAIL(i), DRIVER_USED(i));
}

void driver_desc(uint64_t table, unsigned index, uint64_t gpa, uint32_t len, uint16_t flags, uint16_t next)
{
	uint8_t d[16];
	store_le64(d, gpa);
	store_le32(d + 8, len);
	store_le16(d + 12, flags);
	store_le16(d + 14, next);
	fuzz_ram_write(table + index * sizeof d, d, sizeof d);
}

static void write_u16(uint64_t gpa, uint16_t value)
{
	uint8_t bytes[2];
	store_le16(bytes, value);
	fuzz_ram_write(gpa, bytes, sizeof bytes);
}

void driver_set_avail_idx(struct fuzz_machine *m, unsigned i, uint16_t idx)
{
	m->q[i].avail_idx = idx;
	write_u16(m->q[i].avail + 2, idx);
}

void driver_publish(struct fuzz_machine *m, unsigned i, uint16_t head)
{
	if (!m->q[i].size)
		return;
	write_u16(m->q[i].avail + 4 + 2 * (m->q[i].avail_idx % m->q[i].size), head);
	driver_set_avail_idx(m, i, m->q[i].avail_idx + 1);
}

static void msix_on(struct fakeguest *fg)
{
	for (unsigned v = 0; v < fg->n_vectors; v++) {
		fg_bar_write(fg, fg->msix_table + v * 16, 8, FG_MSI_ADDRESS);
		fg_bar_write(fg, fg->msix_table + v * 16 + 8, 8, v);
	}
	fg_pcicfg_write(fg, fg->msix_cap + PCI_MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE);
}

void driver_meanwhile(struct fuzz_machine *m, enum fuzz_meanwhile what)
{
	struct fakeguest *fg = &m->fg;
	switch (what) {
	case FUZZ_MEANWHILE_NOTHING:
	case FUZZ_N_MEANWHILE:
		return;
	case FUZZ_MEANWHILE_RESET:
		fg_status_write(fg, 0);
		break;
	case FUZZ_MEANWHILE_QUEUE_RESET:
		fg_q_write(fg, 3, CC_Q_RESET, 2, 1);
		break;
	case FUZZ_MEANWHILE_KICK:
		fg_kick(fg, 3);
		break;
	case FUZZ_MEANWHILE_SUSPEND:
		fg_status_write(fg, S_ACK | S_DRIVER | S_FEATURES_OK | S_SUSPEND);
		break;
	case FUZZ_MEANWHILE_RUN:
		balloon_hint_start(fg->dev);
		break;
	case FUZZ_MEANWHILE_RESET_AND_RUN:
		driver_negotiate(m, m->offered);
		for (unsigned i = 0; i < FG_N_QUEUES; i++)
			driver_queue_on(m, i, DRIVER_MAX_SIZE);
		fg_status_write(fg, S_ACK | S_DRIVER | S_FEATURES_OK | S_DRIVER_OK);
		balloon_hint_start(fg->dev);
		break;
	}
	fuzz_machine_step(m);
}

void driver_is_served(struct fuzz_machine *m)
{
	struct fakeguest *fg = &m->fg;
	uint8_t pfns[8], used[4];

	fg_probe(fg);
	m->discard = FUZZ_DISCARD_DONE;
	fg->fh->msi_error = 0;
	fuzz_expect(fg_status(fg) == 0 && fg_dc(fg, DC_ACTUAL) == 0, "state is left after power-on");
	driver_negotiate(m, F_STATS | F_VERSION_1);
	msix_on(fg);
	for (unsigned i = 0; i < 3; i++)
		driver_queue_on(m, i, DRIVER_MAX_SIZE);
	fg_status_write(fg, S_ACK | S_DRIVER | S_FEATURES_OK | S_DRIVER_OK);

	uint64_t irqs = fg_irqs(fg, 1), bytes = fg->fh->discarded_bytes;
	store_le32(pfns, 0x101);
	store_le32(pfns + 4, 0x100);
	fuzz_ram_write(DRIVER_DATA(0), pfns, sizeof pfns);
	driver_desc(DRIVER_DESC(0), 0, DRIVER_DATA(0), sizeof pfns, 0, 0);
	driver_publish(m, 0, 0);
	fg_kick(fg, 0);
	fuzz_machine_step(m);
	memcpy(used, fakehost_ram(fg->fh, DRIVER_USED(0), sizeof used), sizeof used);
	fuzz_expect(fg_status(fg) == 0xF && load_le16(used + 2) == 1 && fg_irqs(fg, 1) == irqs + 1, "a proper driver is not served");
	fuzz_expect(fg->fh->discarded_bytes == bytes + (fg->fh->host.gmem.page_size == 4096 ? 8192 : 0), "a proper request is not carried out");
}

/* ---- From the input -------------------------------------------------- */

uint64_t driver_take_address(struct fuzz_input *in)
{
	uint8_t kind = fuzz_u8(in);
	uint64_t offset = fuzz_u8(in);
	switch (kind & 0xF) {
	case 0:
	case 1:
	case 2:
		return DRIVER_DATA((kind >> 4) % FG_N_QUEUES) + offset * 4;
	case 3:
		return DRIVER_DATA((kind >> 4) % FG_N_QUEUES) + offset;
	case 4:
		return DRIVER_DESC((kind >> 4) % FG_N_QUEUES) + offset * 4;
	case 5:
		return DRIVER_TABLE + offset;
	case 6:
		return offset * 4096;
	case 7:
		return FAKE_HIGH_GPA + offset * 4096;
	case 8:
		return (kind >> 4) * (1ULL << 20) + offset * 16;
	case 9:
		return FUZZ_REGION_LEN - offset;
	case 10:
		return FAKE_HIGH_GPA + FUZZ_REGION_LEN - offset;
	case 11:
		return FAKE_HIGH_GPA - offset;
	case 12:
		return FG_MMIO_BASE + offset;
	case 13:
		return UINT64_MAX - offset;
	default:
		return fuzz_u64(in);
	}
}

uint32_t driver_take_len(struct fuzz_input *in)
{
	uint8_t n = fuzz_u8(in);
	switch (n & 7) {
	case 0:
		return n >> 3;
	case 1:
	case 2:
		return (n >> 2) * 4;
	case 3:
		return (n >> 3) * 16;
	case 4:
		return (n >> 3) * 10;
	case 5:
		return (n >> 6) * 0x810;
	case 6:
		return (uint32_t)(n >> 3) << 21;
	default:
		return fuzz_u32(in);
	}
}

static const uint64_t feature_bits[] = {
	F_MUST_TELL_HOST, F_STATS, F_OOM, F_HINT, F_POISON, F_REPORT, F_INDIRECT, F_EVENT_IDX, F_RING_RESET, F_SUSPEND,
};

#define FEATURES_NO_VERSION_1 0x2000
#define FEATURES_UNKNOWN 0x4000
#define FEATURES_NOT_OFFERED 0x8000

static uint64_t take_features(struct fuzz_machine *m, struct fuzz_input *in)
{
	uint16_t bits = fuzz_u16(in);
	uint64_t features = 0;
	for (unsigned i = 0; i < sizeof feature_bits / sizeof feature_bits[0]; i++)
		if (bits >> i & 1)
			features |= feature_bits[i];
	if (!(bits & FEATURES_NOT_OFFERED))
		features &= m->offered;
	if (!(bits & FEATURES_NO_VERSION_1))
		features |= F_VERSION_1;
	if (bits & FEATURES_UNKNOWN)
		features |= F_UNKNOWN;
	return features;
}

/* Which queues are enabled says which numbering is meant. */
void driver_bring_up(struct fuzz_machine *m, struct fuzz_input *in)
{
	uint64_t features = take_features(m, in);
	uint8_t queues = fuzz_u8(in), how = fuzz_u8(in);

	driver_negotiate(m, features);
	if (queues & 0x20)
		msix_on(&m->fg);
	if (queues & 0x40)
		fg_dc_write(&m->fg, DC_POISON, fuzz_u8(in));
	for (unsigned i = 0; i < FG_N_QUEUES; i++)
		if (queues >> i & 1)
			driver_queue_on(m, i, (uint16_t)(DRIVER_MAX_SIZE >> how % 6));
	if (!(queues & 0x80))
		fg_status_write(&m->fg, S_ACK | S_DRIVER | S_FEATURES_OK | S_DRIVER_OK);
}

void driver_queue_anywhere(struct fuzz_machine *m, struct fuzz_input *in)
{
	uint8_t how = fuzz_u8(in);
	uint64_t desc = driver_take_address(in), avail = driver_take_address(in), used = driver_take_address(in);
	queue_on_at(m, how % 8 % FG_N_QUEUES, (uint16_t)(1 << (how >> 3) % 11), desc, avail, used);
}

void driver_write_desc(struct fuzz_machine *m, struct fuzz_input *in)
{
	uint8_t where = fuzz_u8(in), flags = fuzz_u8(in), next = fuzz_u8(in);
	uint64_t gpa = driver_take_address(in);
	uint32_t len = driver_take_len(in);
	/* Long arrays of page numbers take their time: not too many of them. */
	if (!(flags & D_WRITE) && !(next & 0x80))
		len %= 0x1000;
	unsigned queue = where % 8 % FG_N_QUEUES;
	uint64_t table = where % 8 < FG_N_QUEUES ? m->q[queue].desc : DRIVER_TABLE;
	driver_desc(table, where >> 3, gpa, len, flags & 0x80 ? flags : flags & 7, next & 0x7F);
}

/* A run of page numbers, ascending or descending. */
void driver_write_pages(struct fuzz_input *in)
{
	uint8_t queue = fuzz_u8(in) % FG_N_QUEUES, n = fuzz_u8(in);
	uint32_t first = fuzz_u8(in), step = fuzz_u8(in) - 128U;
	uint8_t pfns[0xFF * 4];
	first = first & 0x80 ? fuzz_u32(in) : first * 16;
	for (uint32_t i = 0; i < n; i++)
		store_le32(pfns + 4 * i, first + step * i);
	fuzz_ram_write(DRIVER_DATA(queue), pfns, n * 4U);
}

void driver_write_register(struct fuzz_machine *m, struct fuzz_input *in)
{
	uint16_t where = fuzz_u16(in);
	unsigned size = 1U << (where >> 13 & 3);
	if (where & 0x8000)
		fg_bar_write(&m->fg, where & 0x1FFF, size, fuzz_u32(in));
	else
		fg_bar(&m->fg, where & 0x1FFF, size);
}

void driver_host_call(struct fuzz_machine *m, struct fuzz_input *in)
{
	struct balloon_state state;
	uint8_t how = fuzz_u8(in);
	uint64_t n = how >> 3;
	switch (how & 7) {
	case 0:
		balloon_set_target(m->fg.dev, n << 18);
		break;
	case 1:
		balloon_set_stats_interval(m->fg.dev, n);
		break;
	case 2:
		balloon_request_stats(m->fg.dev);
		break;
	case 3:
		balloon_get_state(m->fg.dev, &state);
		break;
	case 4:
		m->watch_error = n == 31 ? -95 : 0;
		balloon_hint_start(m->fg.dev);
		break;
	case 5:
		fakehost_advance(m->fg.fh, n * n * 16);
		break;
	case 6:
		m->fg.fh->msi_error = n ? -22 : 0;
		break;
	default:
		fakehost_run_work(m->fg.fh);
	}
}

void driver_take_discard(struct fuzz_machine *m, struct fuzz_input *in)
{
	m->discard = fuzz_u8(in) % FUZZ_N_DISCARDS;
	if (m->discard != FUZZ_DISCARD_RACES)
		return;
	m->race.gpa = fuzz_u16(in);
	store_le32(m->race.bytes, fuzz_u32(in));
}

void driver_take_meanwhile(struct fuzz_machine *m, struct fuzz_input *in)
{
	uint8_t how = fuzz_u8(in);
	m->at_hold = how % 16 % FUZZ_N_MEANWHILE;
	m->at_release = how / 16 % FUZZ_N_MEANWHILE;
}

void driver_hint(struct fuzz_machine *m, struct fuzz_input *in)
{
	static const uint64_t places[4] = {0, FAKE_HIGH_GPA, FAKE_HIGH_GPA + (4 << 20), FUZZ_REGION_LEN - (1 << 20)};
	static const uint32_t lens[4] = {4096, 2 << 20, 4 << 20, 0xFFFFF000};
	uint8_t how = fuzz_u8(in), block = fuzz_u8(in), cmd[4];
	unsigned queue = (how >> 3) % FG_N_QUEUES;
	uint32_t shown = fg_dc(&m->fg, DC_CMD_ID);
	const uint32_t cmds[4] = {shown, 0, 1, shown + 1};
	bool has_cmd = how & 4, has_block = block & 0x80;

	store_le32(cmd, cmds[how & 3]);
	fuzz_ram_write(DRIVER_DATA(3), cmd, sizeof cmd);
	if (has_cmd)
		driver_desc(m->q[queue].desc, 0, DRIVER_DATA(3), sizeof cmd, has_block ? D_NEXT : 0, 1);
	if (has_block || !has_cmd)
		driver_desc(m->q[queue].desc, has_cmd, places[block & 3] + (block >> 4 & 7) * 0x1000, lens[block >> 2 & 3], D_WRITE, 0);
	driver_publish(m, queue, 0);
	fg_kick(&m->fg, queue);
}
