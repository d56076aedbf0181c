/*
 * How a balloon gets on: distance, speed, time left, and a bar that shows it.
 * Knows nothing of VMs or terminals.
 */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <stddef.h>
#include <stdint.h>

/* The speed is that of the last so many samples. */
#define PROGRESS_SAMPLES 16

struct progress {
	uint64_t from, to; /* bytes */
	struct {
		int64_t ms;
		uint64_t bytes;
	} samples[PROGRESS_SAMPLES];
	size_t n;	  /* that were ever added */
	int64_t moved_ms; /* when it last came nearer */
	uint64_t nearest; /* least distance so far */
};

void progress_init(struct progress *progress, uint64_t from, uint64_t to, int64_t now_ms);

/* One a sampling interval, at times that never go back. */
void progress_add(struct progress *progress, uint64_t bytes, int64_t now_ms);

/* Bytes a second towards the target; 0 when it does not come nearer. */
uint64_t progress_rate(const struct progress *progress);

/* Seconds to go at that speed, rounded up; UINT64_MAX when it stands still. */
uint64_t progress_left_s(const struct progress *progress);

/* Milliseconds since it last came nearer. */
int64_t progress_idle_ms(const struct progress *progress, int64_t now_ms);

/* "310M of 512M, 1.2G/s, 3 s left" of what grows; of what shrinks, "returned 202M of 512M, ...". Returns buf. */
#define PROGRESS_LINE_MAX 256
const char *progress_text(const struct progress *progress, char buf[PROGRESS_LINE_MAX]);

/* "[####----] 310M of 512M, 1.2G/s, 3 s left", at most `columns` wide, all ASCII: what does not fit is left out, the bar first. Returns buf. */
const char *progress_line(const struct progress *progress, size_t columns, char buf[PROGRESS_LINE_MAX]);

#endif
