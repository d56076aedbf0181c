#include "tests/guest/clock.h"
#include "tests/guest/memory.h"
#include "tests/guest/modes.h"
#include "tests/guest/pages.h"
#include "tests/guest/report.h"
#include "tests/guest/x86.h"

#define DEFAULT_PAGES 16384
#define SEED 5
#define N_DOORBELLS 1000
#define REPORT_BLOCK_PAGES 512

static struct page_set pages;

/* What one notification costs: an exit to the VMM and a look at an empty queue. Nothing that goes through a queue is cheaper. */
static void measure_doorbell(struct balloon *b)
{
	uint64_t start = read_tsc();
	for (unsigned i = 0; i < N_DOORBELLS; i++)
		virtq_kick(&b->inflate);
	say("bench doorbell=%lu unit=%s", clock_since(start) / N_DOORBELLS, clock_unit());
}

static uint64_t fill_time(void)
{
	uint64_t start = read_tsc();
	pages_fill(pages.pfns, pages.n, SEED);
	return clock_since(start) / pages.n;
}

/* per page: writing it while it is there, giving it away, taking it back, writing it again */
static void measure_order(struct balloon *b, const char *order)
{
	fill_time();
	uint64_t write = fill_time();
	uint64_t start = read_tsc();
	balloon_inflate(b, pages.pfns, pages.n, 1);
	uint64_t inflate = clock_since(start) / pages.n;
	start = read_tsc();
	balloon_deflate(b, pages.pfns, pages.n, 1);
	uint64_t deflate = clock_since(start) / pages.n;
	uint64_t refill = fill_time();
	say("bench order=%s pages=%lu inflate=%lu deflate=%lu refill=%lu write=%lu unit=%s/page", order, pages.n, inflate, deflate, refill, write,
	    clock_unit());
}

static void measure_report(struct balloon *b)
{
	struct virtq_buffer ranges[BALLOON_REPORT_RANGES];
	size_t in_chain = 0, n = 0;
	fill_time();
	uint64_t start = read_tsc();
	for (size_t at = 0; at + REPORT_BLOCK_PAGES <= pages.n; at++) {
		if (pages.pfns[at] % REPORT_BLOCK_PAGES || pages.pfns[at + REPORT_BLOCK_PAGES - 1] != pages.pfns[at] + REPORT_BLOCK_PAGES - 1)
			continue;
		ranges[in_chain++] = (struct virtq_buffer){pages.pfns[at] * PAGE_LEN, REPORT_BLOCK_PAGES * PAGE_LEN};
		n++;
		if (in_chain == balloon_report_max(b)) {
			balloon_report(b, ranges, in_chain);
			in_chain = 0;
		}
	}
	if (in_chain)
		balloon_report(b, ranges, in_chain);
	if (n)
		say("bench order=report pages=%lu report=%lu unit=%s/page", n * REPORT_BLOCK_PAGES, clock_since(start) / (n * REPORT_BLOCK_PAGES),
		    clock_unit());
}

void bench_run(struct balloon *b)
{
	if (!b)
		fail("mode=bench needs a balloon");
	uint32_t target_pages = balloon_target_pages(b);
	size_t want = target_pages ? target_pages : DEFAULT_PAGES;
	if (want > mem_free_pages())
		want = mem_free_pages();
	pages_first(&pages, want);
	balloon_start(b, NUMBERING_LINUX, USES_AT_ONCE, NULL);
	measure_doorbell(b);
	measure_order(b, "ascending");
	if (b->has_report)
		measure_report(b);
	pages_reverse(pages.pfns, pages.n);
	measure_order(b, "descending");
	pages_shuffle(pages.pfns, pages.n);
	measure_order(b, "random");
	balloon_check_status(b);
	balloon_stop(b);
}
