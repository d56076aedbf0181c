/*
 * How long memory still waits for the rest of its huge page after the driver
 * has fallen silent: from its last kick until the last discard, by the clock on
 * the wall, with the program's own event loop. For the most that may wait
 * (device/balloon_lazy.c), on each kind of memory, beside what the kernel takes
 * to discard the same pages in one go. Memory that the host might have put on
 * huge pages, and did not, waits as well, so all kinds do here. Fails when
 * something is left, never on time.
 *
 * usage: drain [--json] [--quick] [--false-discards] [MEMORY]
 *
 * The options are those of reclaim.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "kvm/discard.h"
#include "kvm/loop.h"
#include "tests/bench/area.h"
#include "tests/bench/arguments.h"
#include "tests/bench/rows.h"
#include "tests/unit/fakeguest.h"
#include "util/bytes.h"

#define INFLATE 0
#define DEFLATE 1
#define ARRAYS 0x400000ULL /* guest address of the page numbers */
#define PER_REQUEST 256u   /* page numbers, as Linux has them */
#define BLOCK 512u	   /* pages */
#define MAX_ROUNDS 5u
#define GIVE_UP_MS 10000

/* Pages that wait: `run` of them from the start of every `step` pages, `n` runs. None fills a block. */
static const struct set {
	const char *name;
	unsigned n, run, step;
} sets[] = {
	{"64 MiB, a page short of huge ones", 32, BLOCK - 1, BLOCK},
	{"64 MiB in 1024 pieces", 1024, 16, 32},
	{"1024 pages in 4 huge ones", 1024, 1, 2},
	{"1024 pages in 256 huge ones", 1024, 1, 128},
};
#define AREA_PAGES (256u * BLOCK)

static struct arguments asked;
static unsigned rounds = MAX_ROUNDS;
static bool all_ok = true;
static unsigned n_measured;

static struct area area;
static struct fakeguest fg;
static struct loop loop;
static struct host_ops ops;
static uint64_t waiting_bytes; /* not yet discarded */
static double done_ms;	       /* when nothing was left, or it was given up */

struct figure {
	const char *memory;
	const struct set *set;
	double ms[MAX_ROUNDS], limit_ms[MAX_ROUNDS]; /* of each round */
	uint64_t left_bytes;			     /* the most of all rounds */
	uint64_t kept_bytes;			     /* in RSS, likewise */
};

static double now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* ---- The host -------------------------------------------------------- */

static uint64_t op_now_ms(struct host *host)
{
	(void)host;
	return loop_now_ms();
}

static void op_timer_arm(struct host *host, struct host_timer *timer, uint64_t delay_ms)
{
	(void)host;
	loop_timer_arm(&loop, timer, delay_ms);
}

static void op_timer_cancel(struct host *host, struct host_timer *timer)
{
	(void)host;
	loop_timer_cancel(&loop, timer);
}

static void discard(struct fakehost *fh, const struct gmem_range *ranges, size_t n, struct discard_result *result)
{
	(void)fh;
	if (!asked.lies)
		discard_ranges(area.ram, ranges, n, result);
	for (size_t i = 0; i < n; i++)
		waiting_bytes -= ranges[i].len;
	if (waiting_bytes)
		return;
	done_ms = now_ms();
	loop_end(&loop);
}

static void give_up(void *opaque)
{
	(void)opaque;
	done_ms = now_ms();
	loop_end(&loop);
}

/* ---- A round --------------------------------------------------------- */

static size_t n_pages(const struct set *set)
{
	return (size_t)set->n * set->run;
}

static uint32_t page_of(const struct set *set, size_t i)
{
	return (uint32_t)(i / set->run * set->step + i % set->run);
}

static double limit_ms(const struct set *set)
{
	static struct gmem_range ranges[1024];
	struct discard_result result = {0};
	for (unsigned i = 0; i < set->n; i++)
		ranges[i] = (struct gmem_range){.gpa = area_gpa(&area, (size_t)i * set->step), .len = set->run * AREA_PAGE};
	double begin = now_ms();
	discard_ranges(area.ram, ranges, set->n, &result);
	return now_ms() - begin;
}

/* To both queues alike; returns when the last kick was. */
static double send(const struct set *set, unsigned queue)
{
	size_t n = n_pages(set);
	double kicked_ms = 0;
	for (size_t at = 0; at < n; at += PER_REQUEST) {
		size_t in_request = n - at < PER_REQUEST ? n - at : PER_REQUEST;
		fg_desc(&fg, queue, 0, ARRAYS + at * 4, (uint32_t)in_request * 4, 0, 0);
		fg_publish(&fg, queue, 0);
		kicked_ms = now_ms();
		fg_kick(&fg, queue);
		while (fg_used_idx(&fg, queue) != fg.q[queue].avail_idx)
			if (!fakehost_run_work(fg.fh))
				abort();
	}
	return kicked_ms;
}

static void write_numbers(const struct set *set)
{
	uint8_t *array = fakehost_ram(fg.fh, ARRAYS, n_pages(set) * 4);
	for (size_t i = 0; i < n_pages(set); i++)
		store_le32(array + 4 * i, (uint32_t)(area_gpa(&area, page_of(set, i)) / AREA_PAGE));
}

/* Until nothing waits. */
static void run_loop(void)
{
	struct host_timer timeout = {.fn = give_up};
	loop_timer_arm(&loop, &timeout, GIVE_UP_MS);
	if (loop_run(&loop) < 0)
		abort();
	loop_timer_cancel(&loop, &timeout);
	loop.ended = false; /* for the next round */
}

static void note_most(uint64_t *most, uint64_t value)
{
	*most = value > *most ? value : *most;
}

static void round_of(struct figure *f, unsigned round)
{
	area_renew(&area);
	f->limit_ms[round] = limit_ms(f->set);

	area_renew(&area);
	uint64_t bytes = n_pages(f->set) * AREA_PAGE, before = backing_rss(area.ram);
	waiting_bytes = bytes;
	double kicked_ms = send(f->set, INFLATE);
	run_loop();
	f->ms[round] = done_ms - kicked_ms;
	note_most(&f->left_bytes, waiting_bytes);
	uint64_t after = backing_rss(area.ram) + bytes;
	note_most(&f->kept_bytes, after > before ? after - before : 0);
	send(f->set, DEFLATE);
}

static int by_size(const void *x, const void *y)
{
	double a = *(const double *)x, b = *(const double *)y;
	return (a > b) - (a < b);
}

static struct figure measure(const char *memory, const struct set *set)
{
	struct figure f = {.memory = memory, .set = set};
	area.n_pages = (size_t)set->n * set->step;
	write_numbers(set);
	for (unsigned i = 0; i < rounds; i++)
		round_of(&f, i);
	qsort(f.ms, rounds, sizeof f.ms[0], by_size);
	qsort(f.limit_ms, rounds, sizeof f.limit_ms[0], by_size);
	return f;
}

/* The kernel makes pieces of huge pages whole again by itself, a few at a time. */
static bool is_ok(const struct figure *f)
{
	return !f->left_bytes && f->kept_bytes <= n_pages(f->set) * AREA_PAGE / 64;
}

/* ---- Output ---------------------------------------------------------- */

static void print_row(const struct figure *f)
{
	printf("  %-12s %-34s | %7.2f %7.2f %7.2f | %7.2f %7.2f%s\n", f->memory, f->set->name, f->ms[0], f->ms[rounds / 2], f->ms[rounds - 1], f->limit_ms[0],
	       f->limit_ms[rounds / 2], is_ok(f) ? "" : "  FAILED: memory did not go back");
}

static void add_row(struct rows *rows, const struct figure *f)
{
	rows_add(rows, json_pack("{ss ss sI sI sf sf sf sf sf sI sI sb}", "memory", f->memory, "set", f->set->name, "pages", (json_int_t)n_pages(f->set),
				 "pieces", (json_int_t)f->set->n, "least-ms", f->ms[0], "median-ms", f->ms[rounds / 2], "most-ms", f->ms[rounds - 1],
				 "limit-least-ms", f->limit_ms[0], "limit-median-ms", f->limit_ms[rounds / 2], "left-bytes", (json_int_t)f->left_bytes,
				 "kept-bytes", (json_int_t)f->kept_bytes, "ok", is_ok(f)));
}

/* ---- All of it ------------------------------------------------------- */

/* The device over the RAM. Returns the fake host's own memory, for its end. */
static struct gmem begin(struct guest_ram *ram)
{
	struct fakehost *fh = fakehost_create(ram->gmem.page_size);
	struct gmem own = fh->host.gmem;
	area = (struct area){.ram = ram, .n_pages = AREA_PAGES};
	ram->gmem.block_size = BLOCK * AREA_PAGE;
	fh->host.gmem = ram->gmem;
	ops = *fh->host.ops;
	ops.now_ms = op_now_ms;
	ops.timer_arm = op_timer_arm;
	ops.timer_cancel = op_timer_cancel;
	fh->host.ops = &ops;
	fh->discards_unrecorded = fh->discards_unchecked = true;
	fh->discard = discard;
	area_mark(&area);
	fg_create_on(&fg, NULL, fh);
	fg_init(&fg, F_EVENT_IDX | F_MUST_TELL_HOST);
	return own;
}

static void run_backing(const struct backing *backing, struct rows *rows)
{
	struct guest_ram ram;
	const char *missing = backing_open(backing, AREA_PAGES * AREA_PAGE + FG_PAGES, &ram);
	if (missing) {
		fprintf(stderr, "  %-12s left out: %s\n", backing->name, missing);
		return;
	}
	const struct gmem own = begin(&ram);
	for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++) {
		const struct figure f = measure(backing->name, &sets[i]);
		if (asked.as_json)
			add_row(rows, &f);
		else
			print_row(&f);
		fflush(stdout);
		all_ok &= is_ok(&f);
		n_measured++;
	}
	fg.fh->host.gmem = own;
	if (fg_destroy(&fg))
		abort();
	ram_finish(&ram);
}

/* Whole pages of hugetlb never wait. */
static void run_all(void)
{
	struct rows rows = {0};
	if (!asked.as_json)
		printf("Drain: milliseconds from the driver's last kick until nothing waits; limit: the discards alone\n"
		       "  %-12s %-34s | %7s %7s %7s | %7s %7s\n",
		       "memory", "what waits", "least", "median", "most", "limit", "median");
	for (size_t i = 0; i < n_backings; i++)
		if (!backings[i].config.hugepages && (!asked.memory || asked.memory == &backings[i]))
			run_backing(&backings[i], &rows);
	if (asked.as_json)
		rows_end(&rows);
}

int main(int argc, char **argv)
{
	struct fail why;
	if (!arguments_read(&asked, "drain", argc, argv))
		return 2;
	if (asked.is_quick)
		rounds = 1;
	if (loop_init(&loop, &why) < 0) {
		fprintf(stderr, "drain: %s\n", why.text);
		return 1;
	}
	run_all();
	loop_finish(&loop);
	return !all_ok || !n_measured;
}
