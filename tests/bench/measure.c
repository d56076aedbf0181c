#include "tests/bench/measure.h"

#include <assert.h>
#include <linux/virtio_balloon.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kvm/board.h"
#include "kvm/discard.h"
#include "util/bytes.h"

#define INFLATE 0
#define DEFLATE 1
#define HINT 3
#define REPORT 4
#define ARRAYS 0x400000ULL /* guest address of the page numbers, up to FG_PAGES */
#define COMMAND FG_DATA(1) /* that of a hint run */
#define BLOCKS_PER_REPORT 32u
#define KICKS_PER_LOOK 16u /* at the clock, which takes as long as some pages */
#define GIB ((double)(1ULL << 30))

static struct measure *current; /* whose RAM the fake host's discards reach */

static double clock_ns(clockid_t clock)
{
	struct timespec t;
	clock_gettime(clock, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* Of this process alone: it never waits, so what else the machine does costs it nothing but cache and memory bandwidth. */
static double cpu_ns(void)
{
	return clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

/* ---- Limits ---------------------------------------------------------- */

/* The fewest ranges of whole host pages that cover the pages, sorted, into m->ranges. */
static size_t cover(struct measure *m, const uint32_t *pages, size_t n, size_t pages_each)
{
	size_t step = m->area.ram->gmem.page_size / AREA_PAGE, n_ranges = 0, first = m->area.n_pages, last = 0;
	for (size_t i = 0; i < n; i++) {
		memset(m->marks + pages[i], 1, pages_each);
		first = pages[i] < first ? pages[i] : first;
		last = pages[i] > last ? pages[i] : last;
	}
	for (size_t page = first / step * step; page < last + pages_each; page += step) {
		if (memchr(m->marks + page, 0, step))
			continue;
		uint64_t gpa = area_gpa(&m->area, page);
		struct gmem_range *before = n_ranges ? &m->ranges[n_ranges - 1] : NULL;
		if (before && before->gpa + before->len == gpa)
			before->len += step * AREA_PAGE;
		else
			m->ranges[n_ranges++] = (struct gmem_range){.gpa = gpa, .len = step * AREA_PAGE};
	}
	for (size_t i = 0; i < n; i++)
		memset(m->marks + pages[i], 0, pages_each);
	return n_ranges;
}

/* Nanoseconds of the fewest discards that cover the pages. *bytes: what they cover. */
static double limit(struct measure *m, const uint32_t *pages, size_t n, size_t pages_each, uint64_t *bytes)
{
	struct discard_result result = {0};
	size_t n_ranges = cover(m, pages, n, pages_each);
	double begin = cpu_ns();
	if (n_ranges)
		discard_ranges(m->area.ram, m->ranges, n_ranges, &result);
	double end = cpu_ns();
	if (result.failed_bytes)
		abort();
	*bytes = result.discarded_bytes;
	return end - begin;
}

static double request_limit(struct measure *m, const uint32_t *pages, size_t n, size_t pages_each, size_t per_request)
{
	double sum = 0;
	uint64_t bytes;
	for (size_t i = 0; i < n; i += per_request)
		sum += limit(m, pages + i, n - i < per_request ? n - i : per_request, pages_each, &bytes);
	return sum;
}

/* ---- The device ------------------------------------------------------ */

static void discard(struct fakehost *fh, const struct gmem_range *ranges, size_t n, struct discard_result *result)
{
	(void)fh;
	discard_ranges(current->area.ram, ranges, n, result);
}

/* Says that all went well, so that somebody must notice. */
static void discard_falsely(struct fakehost *fh, const struct gmem_range *ranges, size_t n, struct discard_result *result)
{
	(void)fh;
	for (size_t i = 0; i < n; i++)
		result->discarded_bytes += ranges[i].len;
}

static void discard_nothing(struct fakehost *fh, const struct gmem_range *ranges, size_t n, struct discard_result *result)
{
	(void)fh;
	(void)ranges;
	(void)n;
	(void)result;
}

static uint64_t cpu_ms(void)
{
	return (uint64_t)(cpu_ns() / 1e6);
}

/* Lets the fake host's clock follow and the device work until what was sent is back. */
static void wait_used(struct measure *m, unsigned queue)
{
	struct fakehost *fh = m->fg.fh;
	while (fg_used_idx(&m->fg, queue) != m->fg.q[queue].avail_idx)
		if (!fakehost_run_work(fh))
			abort();
	if (++m->n_kicks % KICKS_PER_LOOK)
		return;
	uint64_t now_ms = cpu_ms(), passed_ms = now_ms - m->last_ms;
	m->last_ms = now_ms;
	if (passed_ms)
		fakehost_advance(fh, passed_ms);
}

/* Whatever the device put off. */
static void wait_idle(struct measure *m)
{
	fakehost_settle(m->fg.fh, 1000000);
	fakehost_advance(m->fg.fh, 20);
	fakehost_settle(m->fg.fh, 1000000);
}

/* Nanoseconds until all n pages went through the queue. */
static double send_arrays(struct measure *m, unsigned queue, size_t n, unsigned per_kick)
{
	double begin = cpu_ns();
	m->last_ms = cpu_ms();
	for (size_t at = 0; at < n;) {
		for (uint16_t i = 0; i < per_kick && at < n; i++) {
			size_t in_buffer = n - at < MEASURE_PAGES_PER_BUFFER ? n - at : MEASURE_PAGES_PER_BUFFER;
			fg_desc(&m->fg, queue, i, ARRAYS + at * 4, (uint32_t)in_buffer * 4, 0, 0);
			fg_publish(&m->fg, queue, i);
			at += in_buffer;
		}
		fg_kick(&m->fg, queue);
		wait_used(m, queue);
	}
	wait_idle(m);
	return cpu_ns() - begin;
}

static double send_reports(struct measure *m, const uint32_t *first, size_t n, size_t pages_per_block)
{
	double begin = cpu_ns();
	m->last_ms = cpu_ms();
	for (size_t at = 0; at < n;) {
		size_t in_chain = n - at < BLOCKS_PER_REPORT ? n - at : BLOCKS_PER_REPORT;
		for (size_t i = 0; i < in_chain; i++)
			fg_desc(&m->fg, REPORT, (uint16_t)i, area_gpa(&m->area, first[at + i]), (uint32_t)(pages_per_block * AREA_PAGE),
				i + 1 < in_chain ? D_WRITE | D_NEXT : D_WRITE, (uint16_t)(i + 1));
		fg_publish(&m->fg, REPORT, 0);
		fg_kick(&m->fg, REPORT);
		wait_used(m, REPORT);
		at += in_chain;
	}
	wait_idle(m);
	return cpu_ns() - begin;
}

/* A buffer of the hint queue, of which each has a notification of its own. */
static void send_hint(struct measure *m, uint64_t gpa, uint32_t len, uint16_t flags)
{
	fg_send(&m->fg, HINT, gpa, len, flags);
	wait_used(m, HINT);
}

static void send_command(struct measure *m, uint32_t command)
{
	store_le32(fakehost_ram(m->fg.fh, COMMAND, sizeof command), command);
	send_hint(m, COMMAND, sizeof command, 0);
}

/* A whole run, from the host's asking to its end, as Linux answers it: the command, each block by itself, STOP. */
static double send_hints(struct measure *m, const uint32_t *first, size_t n, size_t pages_per_block)
{
	double begin = cpu_ns();
	m->last_ms = cpu_ms();
	if (balloon_hint_start(m->fg.dev) < 0)
		abort();
	send_command(m, fg_dc(&m->fg, DC_CMD_ID));
	for (size_t i = 0; i < n; i++)
		send_hint(m, area_gpa(&m->area, first[i]), (uint32_t)(pages_per_block * AREA_PAGE), D_WRITE);
	send_command(m, VIRTIO_BALLOON_CMD_ID_STOP);
	wait_idle(m);
	if (fg_dc(&m->fg, DC_CMD_ID) != VIRTIO_BALLOON_CMD_ID_DONE)
		abort();
	return cpu_ns() - begin;
}

/* ---- Rounds ---------------------------------------------------------- */

/* What is sent: page numbers, or blocks. */
struct load {
	const uint32_t *pages;
	size_t n, pages_each, per_request;
	unsigned per_kick;
	unsigned queue;
};

static double send(struct measure *m, const struct load *load)
{
	switch (load->queue) {
	case REPORT:
		return send_reports(m, load->pages, load->n, load->pages_each);
	case HINT:
		return send_hints(m, load->pages, load->n, load->pages_each);
	default:
		return send_arrays(m, INFLATE, load->n, load->per_kick);
	}
}

/* Reported and hinted pages are the guest's all the time. */
static void deflate(struct measure *m, const struct load *load)
{
	if (load->queue == INFLATE)
		send_arrays(m, DEFLATE, load->n, 1);
}

static double refill(const struct measure *m, uint64_t bytes)
{
	double begin = cpu_ns();
	area_touch(&m->area, 0, m->area.n_pages);
	return (double)bytes / GIB / ((cpu_ns() - begin) / 1e9);
}

static void round_of(struct measure *m, const struct load *load, struct figure *f)
{
	struct fakehost *fh = m->fg.fh;
	double n_pages = (double)f->named_pages;

	area_renew(&m->area);
	f->limit_ns = limit(m, load->pages, load->n, load->pages_each, &f->expected_bytes) / n_pages;
	f->refill_limit_gib_s = refill(m, f->expected_bytes);
	f->huge_share_limit = area_huge_share(&m->area);

	area_renew(&m->area);
	fh->discard = m->lies ? discard_falsely : discard;
	uint64_t before = backing_rss(m->area.ram);
	f->device_ns = send(m, load) / n_pages;
	uint64_t after = backing_rss(m->area.ram);
	f->returned_bytes = before > after ? before - after : 0;
	deflate(m, load);
	f->refill_gib_s = refill(m, f->expected_bytes);
	f->huge_share = area_huge_share(&m->area);

	area_renew(&m->area);
	f->request_limit_ns = request_limit(m, load->pages, load->n, load->pages_each, load->per_request) / n_pages;

	fh->discard = discard_nothing;
	f->work_ns = send(m, load) / n_pages;
	deflate(m, load);
}

static int by_size(const void *x, const void *y)
{
	double a = *(const double *)x, b = *(const double *)y;
	return (a > b) - (a < b);
}

/* Of each figure the middle one of the rounds; of the bytes that went back the fewest. */
static struct figure middle(const struct figure *rounds, unsigned n)
{
	static const size_t offsets[] = {
		offsetof(struct figure, device_ns),  offsetof(struct figure, limit_ns),		offsetof(struct figure, request_limit_ns),
		offsetof(struct figure, work_ns),    offsetof(struct figure, refill_gib_s),	offsetof(struct figure, refill_limit_gib_s),
		offsetof(struct figure, huge_share), offsetof(struct figure, huge_share_limit),
	};
	assert(n);
	struct figure f = rounds[0];
	for (size_t i = 0; i < sizeof offsets / sizeof offsets[0]; i++) {
		double values[MEASURE_MAX_ROUNDS] = {0};
		for (unsigned k = 0; k < n; k++)
			memcpy(&values[k], (const char *)&rounds[k] + offsets[i], sizeof values[k]);
		qsort(values, n, sizeof values[0], by_size);
		memcpy((char *)&f + offsets[i], &values[n / 2], sizeof values[0]);
	}
	for (unsigned k = 1; k < n; k++)
		if (rounds[k].returned_bytes < f.returned_bytes)
			f.returned_bytes = rounds[k].returned_bytes;
	return f;
}

static struct figure measure(struct measure *m, const struct load *load)
{
	struct figure rounds[MEASURE_MAX_ROUNDS];
	unsigned i = 0;
	current = m;
	do {
		rounds[i] = (struct figure){.per_kick = load->per_kick,
					    .area_bytes = m->area.n_pages * AREA_PAGE,
					    .may_grow = m->area.ram->gmem.block_size,
					    .named_pages = load->n * load->pages_each};
		round_of(m, load, &rounds[i]);
	} while (++i < m->rounds);
	return middle(rounds, m->rounds);
}

struct figure measure_inflate(struct measure *m, const uint32_t *pages, size_t n, unsigned per_kick)
{
	uint8_t *arrays = fakehost_ram(m->fg.fh, ARRAYS, n * 4);
	for (size_t i = 0; i < n; i++)
		store_le32(arrays + 4 * i, (uint32_t)(area_gpa(&m->area, pages[i]) / AREA_PAGE));
	return measure(
		m, &(struct load){.pages = pages, .n = n, .pages_each = 1, .per_kick = per_kick, .per_request = (size_t)per_kick * MEASURE_PAGES_PER_BUFFER});
}

struct figure measure_report(struct measure *m, const uint32_t *first, size_t n, size_t pages_per_block)
{
	return measure(m, &(struct load){
				  .pages = first,
				  .n = n,
				  .pages_each = pages_per_block,
				  .per_kick = 1,
				  .per_request = BLOCKS_PER_REPORT,
				  .queue = REPORT,
			  });
}

struct figure measure_hints(struct measure *m, const uint32_t *first, size_t n, size_t pages_per_block)
{
	return measure(m, &(struct load){
				  .pages = first,
				  .n = n,
				  .pages_each = pages_per_block,
				  .per_kick = 1,
				  .per_request = n,
				  .queue = HINT,
			  });
}

bool figure_is_ok(const struct figure *figure)
{
	return figure->returned_bytes >= figure->expected_bytes - (figure->may_grow ? figure->expected_bytes / 64 : 0);
}

/* ---- Life ------------------------------------------------------------ */

void measure_open(struct measure *m, struct guest_ram *ram, size_t area_pages, unsigned rounds)
{
	*m = (struct measure){.area = {.ram = ram, .n_pages = area_pages}, .rounds = rounds};
	m->ranges = calloc(area_pages, sizeof *m->ranges);
	m->marks = calloc(area_pages + BOARD_RAM_LOW_MAX / AREA_PAGE, 1);
	if (!m->ranges || !m->marks || area_pages > MEASURE_MAX_PAGES || rounds > MEASURE_MAX_ROUNDS)
		abort();
	struct fakehost *fh = fakehost_create(ram->gmem.page_size);
	m->fake_gmem = fh->host.gmem;
	fh->host.gmem = ram->gmem;
	area_mark(&m->area);
	fh->discards_unrecorded = fh->discards_unchecked = true;
	fg_create_on(&m->fg, NULL, fh);
	fg_init(&m->fg, F_EVENT_IDX | F_MUST_TELL_HOST | F_HINT | F_REPORT);
	store_le32(fakehost_ram(fh, COMMAND, 4), 0); /* there before any RSS is looked at */
}

void measure_close(struct measure *m)
{
	m->fg.fh->host.gmem = m->fake_gmem;
	if (fg_destroy(&m->fg))
		abort();
	free(m->ranges);
	free(m->marks);
}
