#include "tests/guest/hostile.h"

#include "tests/guest/clock.h"
#include "tests/guest/modes.h"
#include "tests/guest/pages.h"
#include "tests/guest/power.h"
#include "tests/guest/report.h"
#include "tests/guest/ring0.h"
#include "tests/guest/x86.h"

#define ACTS_PER_PROOF 16
#define SAY_EVERY_MS 5000
#define MAX_ACTS 128
#define KEPT_PAGES 256 /* that no act names */
#define PROOF_PAGES 32 /* given away and taken back by a proof */
#define SEED_KEPT 21
#define SEED_GIVEN 22

static struct hostile_act acts[MAX_ACTS];
static uint32_t counts[MAX_ACTS];
static unsigned n_acts;
static uint32_t kept[KEPT_PAGES], given[PROOF_PAGES], neighbours[PROOF_PAGES];

static void add_acts(const struct hostile_act *table)
{
	for (; table->row; table++) {
		if (n_acts == MAX_ACTS)
			fail("more than %u hostile acts", MAX_ACTS);
		acts[n_acts++] = *table;
	}
}

static void keep_pages(void)
{
	uint64_t at = (uintptr_t)mem_alloc(KEPT_PAGES * PAGE_LEN);
	for (unsigned i = 0; i < KEPT_PAGES; i++)
		kept[i] = PFN(at) + i;
	pages_fill(kept, KEPT_PAGES, SEED_KEPT);
}

static void act(struct hostile *h)
{
	unsigned nth = hostile_random(h, n_acts);
	if (acts[nth].fresh || hostile_random(h, 2))
		hostile_up(h, acts[nth].fresh ? F_USUAL : hostile_random64(h) & F_USUAL);
	h->row = acts[nth].row;
	acts[nth].act(h);
	counts[nth]++;
	h->n_acts++;
}

/* After whatever the acts left behind: a reset, and the device serves a driver that plays by the rules. No act reached other memory. */
static void prove(struct hostile *h)
{
	struct balloon *b = h->balloon;
	uint32_t pages[2 * PROOF_PAGES];
	h->row = "a proper driver afterwards";
	hostile_restore_bar(h);
	virtio_reset(&b->dev);
	hostile_some_pages(h, pages, 2 * PROOF_PAGES);
	for (unsigned i = 0; i < PROOF_PAGES; i++) {
		given[i] = pages[2 * i];
		neighbours[i] = pages[2 * i + 1];
	}
	pages_fill(pages, 2 * PROOF_PAGES, SEED_GIVEN);
	balloon_start_quietly(b, hostile_random(h, 2) ? NUMBERING_SPEC : NUMBERING_LINUX, USES_AT_ONCE, NULL);
	balloon_inflate(b, given, PROOF_PAGES, 4);
	balloon_deflate(b, given, PROOF_PAGES, 4);
	pages_check_zero(given, PROOF_PAGES, SEED_GIVEN, false, "after deflating");
	pages_check(neighbours, PROOF_PAGES, SEED_GIVEN, "beside inflated ones");
	struct virtq_buffer range = {neighbours[0] * PAGE_LEN, PAGE_LEN};
	balloon_report(b, &range, 1);
	pages_check_zero(neighbours, 1, SEED_GIVEN, false, "after its report");
	balloon_check_status(b);
	balloon_stop(b);
	pages_check(kept, KEPT_PAGES, SEED_KEPT, "that no act named");
	pages_fill_value(pages, 2 * PROOF_PAGES, 0); /* patterns are no noise */
}

static void say_counts(const struct hostile *h, uint32_t n_proofs)
{
	for (unsigned i = 0; i < n_acts; i++)
		say("%s: %u times", acts[i].row, counts[i]);
	say("seed %u: %u hostile acts, %u proofs that the device serves", h->seed, h->n_acts, n_proofs);
}

void hostile_run(struct balloon *b, const struct options *options)
{
	static struct hostile h;
	uint64_t start = read_tsc(), said = start;
	uint32_t n_proofs = 0;
	add_acts(hostile_regs);
	add_acts(hostile_rings);
	add_acts(hostile_pages);
	add_acts(hostile_queues);
	add_acts(hostile_pci);
	keep_pages();
	hostile_init(&h, b, options->seed);
	power_enable_button();
	say("ready: %u hostile acts for %u s, seed %u", n_acts, options->seconds, options->seed);
	while (clock_ms_since(start) < 1000ULL * options->seconds && !power_button_is_pressed()) {
		act(&h);
		if (h.n_acts % ACTS_PER_PROOF == 0) {
			prove(&h);
			n_proofs++;
			if (options->pause_ms)
				ring0_sleep_ms(options->pause_ms);
		}
		if (clock_ms_since(said) >= SAY_EVERY_MS) {
			said = read_tsc();
			say("%u hostile acts so far", h.n_acts);
		}
	}
	prove(&h);
	say_counts(&h, n_proofs + 1);
}
