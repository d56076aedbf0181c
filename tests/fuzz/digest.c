#include "tests/fuzz/digest.h"

#include "tests/fuzz/machine.h"

/* What the host was asked for before the input, where that is counted from the machine's creation on. */
static struct {
	struct fakehost fh;
	struct balloon_state state;
} before;
static uint64_t digest;

void digest_begin(struct fuzz_machine *m)
{
	before.fh = *m->fg.fh;
	balloon_get_state(m->fg.dev, &before.state);
}

static void mix(const void *bytes, size_t len)
{
	const uint8_t *p = bytes;
	for (size_t i = 0; i < len; i++)
		digest = (digest ^ p[i]) * 0x100000001B3ULL;
}

static void mix_number(uint64_t n)
{
	mix(&n, sizeof n);
}

static void mix_registers(struct fuzz_machine *m)
{
	for (unsigned i = 0; i < FG_N_QUEUES; i++)
		for (unsigned offset = CC_Q_SIZE; offset < CC_LEN; offset += 2)
			mix_number(fg_q(&m->fg, i, offset, 2));
	for (unsigned offset = 0; offset < CC_Q_SELECT; offset++)
		mix_number(fg_cc(&m->fg, offset, 1));
	for (unsigned offset = 0; offset < 16; offset += 4)
		mix_number(fg_dc(&m->fg, offset));
	for (unsigned offset = 0; offset < m->fg.n_vectors * 16; offset += 4)
		mix_number(fg_bar(&m->fg, m->fg.msix_table + offset, 4));
	mix_number(fg_bar(&m->fg, m->fg.msix_pba, 8));
	for (unsigned offset = 0; offset < 256; offset += 4)
		mix_number(fg_pcicfg(&m->fg, offset, 4));
}

void digest_end(struct fuzz_machine *m)
{
	const struct fakehost *fh = m->fg.fh, *fh0 = &before.fh;
	struct balloon_state state;

	digest = 0xCBF29CE484222325ULL;
	mix(fuzz_memory_window(), FUZZ_WINDOW_LEN);
	mix_number(fh->irq_raised[FG_GSI] - fh0->irq_raised[FG_GSI]);
	mix_number(fh->n_msis - fh0->n_msis);
	mix_number(fh->discard_calls - fh0->discard_calls);
	mix_number(fh->timer_arms - fh0->timer_arms);
	mix_number(fh->now_ms - fh0->now_ms);
	for (unsigned i = 0; i < FAKE_N_EVENT_KINDS; i++)
		mix_number(fh->event_count[i] - fh0->event_count[i]);
	balloon_get_state(m->fg.dev, &state);
	mix_number(state.target_bytes ^ state.actual_bytes ^ state.stats_interval_s ^ state.stalled);
	mix_number(state.oom_deflations - before.state.oom_deflations);
	mix(state.stats, sizeof state.stats);
	mix(state.other_stats, state.n_other_stats * sizeof state.other_stats[0]);
	mix_number(state.held_bytes ^ state.hint.id ^ state.hint.phase ^ state.hint.runs ^ state.hint.holds);
	mix_number(state.hint.hinted_bytes ^ state.hint.discarded_bytes ^ state.hint.written_bytes ^ state.hint.failed_bytes);
	for (unsigned i = 0; i < BALLOON_N_QUEUES; i++) {
		const struct balloon_queue_counters *c = &state.queues[i], *c0 = &before.state.queues[i];
		mix_number(c->buffers - c0->buffers);
		mix_number(c->pages - c0->pages);
		mix_number(c->ranges - c0->ranges);
		mix_number(c->discarded_bytes - c0->discarded_bytes);
		mix_number(c->failed_bytes - c0->failed_bytes);
		mix_number(c->written_bytes - c0->written_bytes);
		for (unsigned k = 0; k < BALLOON_N_FAULTS; k++)
			mix_number(c->faults[k] - c0->faults[k]);
		mix_number(c->bad_pages - c0->bad_pages);
		mix_number(c->bad_buffers - c0->bad_buffers);
	}
	mix_registers(m);
}

uint64_t fuzz_digest(void)
{
	return digest;
}
