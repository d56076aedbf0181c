#include "tests/fuzz/machine.h"

#include <assert.h>
#include <errno.h>
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>

#include "device/balloon_impl.h"
#include "tests/fuzz/digest.h"
#include "tests/fuzz/driver.h"
#include "util/bytes.h"
#include "util/log.h"

/* Deferred work that is waited for at an input's end: what then is left meets the reset. */
#define ROUNDS 1
#define THOROUGH_ROUNDS 32

/* The first byte, but for the machine's kind, when the checks are to be thorough; no number that mutations are fond of. */
#define THOROUGH 0x2A

static struct fuzz_machine *current;

static bool wants_digest;

/* ---- Rings ----------------------------------------------------------- */

/* Where a queue's used ring is; len 0 when it has none. */
static struct fuzz_ring used_ring(const struct gmem *gmem, const struct virtq *vq)
{
	struct fuzz_ring ring = {0};
	for (size_t i = 0; i < gmem->n_regions && vq->enabled; i++) {
		const struct gmem_region *r = &gmem->regions[i];
		uint64_t offset = (uint64_t)((const uint8_t *)vq->used - r->hva);
		if (offset < r->len)
			ring = (struct fuzz_ring){.gpa = r->gpa + offset, .len = 4 + 8U * vq->size + (vq->event_idx ? 2 : 0)};
	}
	return ring;
}

static struct balloon *balloon_of(const struct fuzz_machine *m)
{
	return container_of(m->fg.dev, struct balloon, dev);
}

void fuzz_machine_step(struct fuzz_machine *m)
{
	const struct vpci *vpci = &balloon_of(m)->vpci;
	for (unsigned i = 0; i < FG_N_QUEUES; i++) {
		const struct virtq *vq = &vpci->queues[i].vq;
		fuzz_expect((uint16_t)(vq->last_avail - vq->used_idx) <= vq->size, "more chains were returned than taken");
		struct fuzz_ring ring = used_ring(&m->fg.fh->host.gmem, vq);
		if (ring.gpa == m->used[i].gpa && ring.len == m->used[i].len)
			continue;
		fuzz_memory_accept(&m->used[i]);
		m->used[i] = ring;
	}
}

static void check_memory(struct fuzz_machine *m)
{
	for (unsigned i = 0; i < FG_N_QUEUES; i++)
		fuzz_memory_accept(&m->used[i]);
	fuzz_expect(fuzz_memory_is_as_expected(), "the device wrote to memory that is not its own");
}

/* ---- The host -------------------------------------------------------- */

/* The fake checked the ranges before it calls this. */
static void discard(struct fakehost *fh, const struct gmem_range *ranges, size_t n, struct discard_result *result)
{
	(void)fh;
	for (size_t i = 0; i < n; i++) {
		bool refused = current->discard == FUZZ_DISCARD_REFUSED || (current->discard == FUZZ_DISCARD_HALF && i % 2);
		if (refused)
			result->failed_bytes += ranges[i].len;
		else
			result->discarded_bytes += ranges[i].len;
		if (current->discard == FUZZ_DISCARD_ZEROES)
			fuzz_memory_zero(ranges[i].gpa, ranges[i].len);
	}
	if (result->failed_bytes)
		result->error = EIO;
	if (current->discard == FUZZ_DISCARD_RACES)
		fuzz_ram_write(current->race.gpa, current->race.bytes, sizeof current->race.bytes);
}

/* In place of the fake's own, which protect memory and wait for faults. */
static int watch_writes(struct host *host, bool on)
{
	(void)host;
	int err = on ? current->watch_error : 0;
	current->is_watching = on && !err;
	return err;
}

static void meanwhile(enum fuzz_meanwhile *what)
{
	enum fuzz_meanwhile now = *what;
	*what = FUZZ_MEANWHILE_NOTHING;
	driver_meanwhile(current, now);
}

static void hold_vcpus(struct host *host)
{
	(void)host;
	fuzz_expect(!current->is_holding, "the vCPUs are held twice");
	fuzz_expect(pthread_mutex_trylock(&current->fg.dev->lock) == 0, "the vCPUs are held under the device's lock");
	pthread_mutex_unlock(&current->fg.dev->lock);
	meanwhile(&current->at_hold);
	current->is_holding = true;
}

static uint64_t release_vcpus(struct host *host)
{
	(void)host;
	fuzz_expect(current->is_holding, "the vCPUs are released, but not held");
	current->is_holding = false;
	meanwhile(&current->at_release);
	return 1;
}

static void discard_unwritten(struct host *host, const struct gmem_range *ranges, size_t n, struct discard_result *result)
{
	fuzz_expect(current->is_holding && current->is_watching, "hints are discarded without watching or holding");
	host->ops->discard(host, ranges, n, result);
	/* What was refused could as well have been written by the guest. */
	if (current->discard == FUZZ_DISCARD_HALF) {
		result->written_bytes = result->failed_bytes;
		result->failed_bytes = 0;
		result->error = 0;
	}
}

/* ---- Life ------------------------------------------------------------ */

enum { KIND_ALL, KIND_POLLS, KIND_PLAIN, KIND_HUGE, N_KINDS };

static struct fuzz_machine *create(unsigned kind)
{
	static struct host_ops ops;
	struct fuzz_machine *m = calloc(1, sizeof *m);
	assert(m);
	current = m;
	m->poll_s = kind == KIND_POLLS ? 1 : 0;
	const struct balloon_config config = {
		.deflate_on_oom = kind != KIND_PLAIN,
		.free_page_reporting = kind != KIND_PLAIN,
		.free_page_hinting = kind != KIND_PLAIN,
		.statistics = m->poll_s,
	};
	struct fakehost *fh = fakehost_create_sized(kind == KIND_HUGE ? 2 << 20 : 4096, FUZZ_REGION_LEN, FUZZ_REGION_LEN);
	/* Pieces of huge pages wait for the rest of them, where the driver allows it. */
	fh->host.gmem.block_size = kind == KIND_ALL || kind == KIND_POLLS ? 2 << 20 : 0;
	fh->discard = discard;
	fh->discards_unrecorded = true;
	ops = *fh->host.ops;
	ops.watch_writes = watch_writes;
	ops.hold_vcpus = hold_vcpus;
	ops.release_vcpus = release_vcpus;
	ops.discard_unwritten = discard_unwritten;
	fh->host.ops = &ops;
	fuzz_memory_alias(&fh->host.gmem);
	fg_create_on(&m->fg, &config, fh);
	m->offered = fg_offered(&m->fg);
	return m;
}

/* ---- What must hold -------------------------------------------------- */

/* Grows with everything that is done for the driver. */
static uint64_t progress(struct fuzz_machine *m)
{
	struct balloon_state state;
	uint64_t done = 0;
	balloon_get_state(m->fg.dev, &state);
	for (unsigned i = 0; i < BALLOON_N_QUEUES; i++) {
		const struct balloon_queue_counters *c = &state.queues[i];
		done += c->buffers + c->pages + c->ranges + c->bad_pages + c->bad_buffers;
	}
	return done + state.hint.holds + state.hint.runs + state.hint.phase;
}

static void settle(struct fuzz_machine *m)
{
	struct fakehost *fh = m->fg.fh;
	for (unsigned left = m->is_thorough ? THOROUGH_ROUNDS : ROUNDS; fh->work && left; left--) {
		uint64_t done = progress(m);
		fakehost_run_work(fh);
		fuzz_machine_step(m);
		fuzz_expect(!fh->work || progress(m) != done, "deferred work does not get on");
	}
}

static void check_line(struct fuzz_machine *m)
{
	const struct vpci *vpci = &balloon_of(m)->vpci;
	bool is_disabled = load_le16(vpci->fn.config + PCI_COMMAND) & PCI_COMMAND_INTX_DISABLE;
	fuzz_expect(m->fg.fh->irq_level[FG_GSI] == (vpci->isr && !msix_is_enabled(&vpci->msix) && !is_disabled), "INTx does not follow the ISR status");
}

static void check_state(struct fuzz_machine *m)
{
	const struct balloon_state *state = &balloon_of(m)->view.state;
	uint64_t discarded = 0;
	for (unsigned i = 0; i < BALLOON_N_QUEUES; i++)
		discarded += state->queues[i].discarded_bytes;
	fuzz_expect(discarded == m->fg.fh->discarded_bytes, "the counters do not say what was discarded");
	fuzz_expect(!(state->negotiated_features & ~state->offered_features), "features were taken that were not offered");
	fuzz_expect(!(state->status & S_DRIVER_OK) || state->negotiated_features >> 32 & 1, "a driver without VERSION_1 is served");
	fuzz_expect(state->driver_ok == !!(state->status & S_DRIVER_OK), "the status is not the driver's");
	fuzz_expect(state->driver_ok || !(state->status & S_NEEDS_RESET), "NEEDS_RESET without a driver");
	fuzz_expect(state->suspended == !!(state->status & S_SUSPEND) && !(state->suspended && state->driver_ok), "suspended, or not");
	fuzz_expect(state->held_bytes <= 2 * FUZZ_REGION_LEN && state->held_bytes % 4096 == 0, "more is held than there is");
	bool is_running = state->hint.phase == BALLOON_HINT_RUNNING;
	fuzz_expect(m->is_watching ? is_running || m->fg.fh->work : !is_running, "writes are watched without a run, or the other way round");
	fuzz_expect(!m->is_holding, "vCPUs are held after a discard");
	fuzz_expect(state->hint.discarded_bytes + state->hint.written_bytes + state->hint.failed_bytes <= state->hint.hinted_bytes,
		    "more hints were looked at than came");
	fuzz_expect(state->target_bytes < 2 * FUZZ_REGION_LEN, "the target is more than RAM");
	fuzz_expect(!m->fg.fh->contract_errors, "a promise to the host is broken");
}

static void power_on(struct fuzz_machine *m)
{
	struct fakehost *fh = m->fg.fh;
	device_reset(m->fg.dev);
	pci_root_reset(m->fg.root);
	fakehost_run_work(fh);
	fuzz_expect(!fh->work, "work is left after power-on");
	fuzz_expect(!fakehost_has_timer(fh), "a timer is armed after power-on");
	fuzz_expect(!fh->irq_level[FG_GSI], "the interrupt line is high after power-on");
	fuzz_expect(fh->n_regions == 2, "a BAR is decoded after power-on");
	fuzz_machine_step(m);
	for (unsigned i = 0; i < FG_N_QUEUES; i++)
		fuzz_expect(!m->used[i].len, "a queue is enabled after power-on");
}

/* The host's wishes outlive the driver and power-on: they are taken back as a host would. */
static void forget_wishes(struct fuzz_machine *m)
{
	const struct balloon_state *state = &balloon_of(m)->view.state;
	fuzz_expect(!state->status && !state->negotiated_features && !state->actual_bytes && !state->stalled && !state->stats_time_s && !state->held_bytes &&
			    !state->poison_val && !state->dense_queues && state->hint.phase != BALLOON_HINT_RUNNING && !m->is_watching,
		    "state is left after power-on");
	if (state->target_bytes)
		balloon_set_target(m->fg.dev, 0);
	if (state->stats_interval_s != m->poll_s)
		balloon_set_stats_interval(m->fg.dev, m->poll_s);
}

static struct fuzz_machine *machine_of(unsigned kind)
{
	static struct fuzz_machine *machines[N_KINDS];
	if (!machines[kind]) {
		machines[kind] = create(kind);
		power_on(machines[kind]);
	}
	return machines[kind];
}

struct fuzz_machine *fuzz_machine_begin(struct fuzz_input *in)
{
	uint8_t bits = fuzz_u8(in);
	log_set_level(LOG_LEVEL_ERROR);
	struct fuzz_machine *m = machine_of(bits % N_KINDS);
	struct balloon *b = balloon_of(m);
	current = m;
	m->is_thorough = wants_digest || bits / N_KINDS == THOROUGH;
	fuzz_memory_to_power_on();
	memset(m->q, 0, sizeof m->q);
	m->discard = FUZZ_DISCARD_DONE;
	m->watch_error = m->fg.fh->msi_error = 0;
	m->at_hold = m->at_release = FUZZ_MEANWHILE_NOTHING;
	fg_pcicfg_write(&m->fg, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	/* These go on from what they were, but a driver sees them. */
	b->vpci.generation = 0;
	b->vpci.config_was_read = false;
	if (b->hint.id) {
		b->hint = (struct balloon_hint_run){0};
		balloon_publish(b);
	}
	if (wants_digest)
		digest_begin(m);
	return m;
}

void fuzz_machine_end(struct fuzz_machine *m)
{
	settle(m);
	check_state(m);
	check_line(m);
	check_memory(m);
	if (wants_digest)
		digest_end(m);
	power_on(m);
	if (m->is_thorough) {
		driver_is_served(m);
		power_on(m);
	}
	forget_wishes(m);
}

void fuzz_digest_on(void)
{
	wants_digest = true;
}
