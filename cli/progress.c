#include "cli/progress.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cli/vm_client.h"

#define MAX_BAR_CELLS 40
#define MIN_BAR_CELLS 8
/* Without coming nearer for so long it has no speed, whatever it had before. */
#define STILL_MS 1000

static uint64_t distance(uint64_t a, uint64_t b)
{
	return a > b ? a - b : b - a;
}

void progress_init(struct progress *progress, uint64_t from, uint64_t to, int64_t now_ms)
{
	*progress = (struct progress){.from = from, .to = to, .moved_ms = now_ms, .nearest = distance(from, to)};
	progress_add(progress, from, now_ms);
}

void progress_add(struct progress *progress, uint64_t bytes, int64_t now_ms)
{
	size_t slot = progress->n++ % PROGRESS_SAMPLES;

	progress->samples[slot].ms = now_ms;
	progress->samples[slot].bytes = bytes;
	if (distance(bytes, progress->to) < progress->nearest) {
		progress->nearest = distance(bytes, progress->to);
		progress->moved_ms = now_ms;
	}
}

/* The n-th newest sample. */
static size_t slot_of(const struct progress *progress, size_t n)
{
	return (progress->n - 1 - n) % PROGRESS_SAMPLES;
}

int64_t progress_idle_ms(const struct progress *progress, int64_t now_ms)
{
	return now_ms - progress->moved_ms;
}

uint64_t progress_rate(const struct progress *progress)
{
	size_t last = slot_of(progress, 0);
	size_t first = slot_of(progress, progress->n < PROGRESS_SAMPLES ? progress->n - 1 : PROGRESS_SAMPLES - 1);
	uint64_t before = distance(progress->samples[first].bytes, progress->to);
	uint64_t after = distance(progress->samples[last].bytes, progress->to);
	int64_t ms = progress->samples[last].ms - progress->samples[first].ms;
	bool stands_still = progress_idle_ms(progress, progress->samples[last].ms) >= STILL_MS;

	return ms <= 0 || after >= before || stands_still ? 0 : (uint64_t)((double)(before - after) * 1000 / (double)ms);
}

uint64_t progress_left_s(const struct progress *progress)
{
	uint64_t left = distance(progress->samples[slot_of(progress, 0)].bytes, progress->to);
	uint64_t rate = progress_rate(progress);

	if (left == 0)
		return 0;
	return rate == 0 ? UINT64_MAX : (left - 1) / rate + 1;
}

/* ", 3 s left"; nothing when it stands still. */
static const char *time_left(const struct progress *progress, char *buf, size_t size)
{
	uint64_t s = progress_left_s(progress);

	buf[0] = '\0';
	if (s < 120)
		snprintf(buf, size, ", %" PRIu64 " s left", s);
	else if (s < 7200)
		snprintf(buf, size, ", %" PRIu64 " min left", (s + 59) / 60);
	else if (s < UINT64_MAX)
		snprintf(buf, size, ", %" PRIu64 " h left", (s + 3599) / 3600);
	return buf;
}

/* How much of the bar is done. */
static size_t cells_done(const struct progress *progress, size_t cells)
{
	uint64_t way = distance(progress->from, progress->to);
	uint64_t left = distance(progress->samples[slot_of(progress, 0)].bytes, progress->to);

	if (left == 0)
		return cells;
	return left >= way ? 0 : (size_t)((double)(way - left) / (double)way * (double)cells);
}

const char *progress_text(const struct progress *progress, char buf[PROGRESS_LINE_MAX])
{
	char done[CLIENT_SIZE_MAX], all[CLIENT_SIZE_MAX], rate[CLIENT_SIZE_MAX], left[32];
	uint64_t bytes = progress->samples[slot_of(progress, 0)].bytes;
	bool shrinks = progress->from > progress->to;
	uint64_t done_bytes = shrinks ? progress->from - (bytes < progress->from ? bytes : progress->from) : bytes;

	snprintf(buf, PROGRESS_LINE_MAX, "%s%s of %s, %s/s%s", shrinks ? "returned " : "", client_size(done, done_bytes),
		 client_size(all, shrinks ? progress->from - progress->to : progress->to), client_size(rate, progress_rate(progress)),
		 time_left(progress, left, sizeof left));
	return buf;
}

const char *progress_line(const struct progress *progress, size_t columns, char buf[PROGRESS_LINE_MAX])
{
	char text[PROGRESS_LINE_MAX], bar[MAX_BAR_CELLS + 1];
	size_t len = strlen(progress_text(progress, text));
	size_t cells = columns > len + 3 ? columns - len - 3 : 0;

	if (cells > MAX_BAR_CELLS)
		cells = MAX_BAR_CELLS;
	memset(bar, '-', cells);
	memset(bar, '#', cells_done(progress, cells));
	bar[cells] = '\0';
	if (cells >= MIN_BAR_CELLS)
		snprintf(buf, PROGRESS_LINE_MAX, "[%s] %.200s", bar, text);
	else
		snprintf(buf, PROGRESS_LINE_MAX, "%.*s", columns < len ? (int)strcspn(text, ",") : (int)len, text);
	if (columns < strlen(buf))
		buf[columns] = '\0';
	return buf;
}
