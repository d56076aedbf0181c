/*
 * The balloon driver (VIRTIO 1.4, section 5.5). Pages are named by 4 KiB page
 * numbers.
 */
#ifndef TESTS_GUEST_BALLOON_H
#define TESTS_GUEST_BALLOON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/guest/virtio.h"

#define BALLOON_BUFFER_PAGES 256 /* page numbers in a buffer, as many as Linux sends */
#define BALLOON_REPORT_RANGES 32 /* ranges in a report, as many as Linux sends */

/*
 * How queues are numbered. The specification gives each role an index of its
 * own, Linux counts the queues whose features it accepted; a device has to
 * understand both.
 */
enum balloon_numbering { NUMBERING_SPEC, NUMBERING_LINUX };

/*
 * When a page that was given away may be used again: as soon as its inflate
 * request was returned, whatever the host still wanted to do with it; or, with
 * MUST_TELL_HOST, when the deflate request that names it was.
 */
enum balloon_promise { USES_AT_ONCE, TELLS_FIRST };

struct balloon {
	struct virtio_device dev;
	struct virtq inflate, deflate, stats, hint, report;
	bool has_stats, has_hint, has_report, has_poison;
	uint32_t actual_pages; /* as told to the host */
};

/* The first balloon on the bus, reset; false if there is none. */
bool balloon_find(struct balloon *b);

/*
 * Brings the device up, and says so unless quietly. With statistics negotiated, primes the first buffer.
 * poison: what free pages hold, word by word; NULL leaves PAGE_POISON out.
 */
void balloon_start(struct balloon *b, enum balloon_numbering numbering, enum balloon_promise promise, const uint32_t *poison);
void balloon_start_quietly(struct balloon *b, enum balloon_numbering numbering, enum balloon_promise promise, const uint32_t *poison);

/* Resets the device; the balloon is empty then. */
void balloon_stop(struct balloon *b);

/* What the host asks for, in pages. */
uint32_t balloon_target_pages(const struct balloon *b);

/*
 * Gives n pages to the host, takes them back. The page numbers are read by the
 * device where they are, and all of its requests are returned when these end.
 * In buffers of BALLOON_BUFFER_PAGES, up to `depth` of
 * which the device has at a time; `actual` is written after each batch.
 */
void balloon_inflate(struct balloon *b, const uint32_t *pfns, size_t n, unsigned depth);
void balloon_deflate(struct balloon *b, const uint32_t *pfns, size_t n, unsigned depth);

/* Reports n free ranges, at most balloon_report_max, as one chain, and waits until the device is done with it. */
void balloon_report(struct balloon *b, const struct virtq_buffer *ranges, size_t n);
size_t balloon_report_max(const struct balloon *b);

/* Free page hinting: the command that the host shows, what the driver says (an id or BALLOON_HINT_STOP), and hints, each awaited. */
#define BALLOON_HINT_STOP 0
#define BALLOON_HINT_DONE 1
uint32_t balloon_hint_command(const struct balloon *b);
void balloon_hint_say(struct balloon *b, uint32_t command);
void balloon_hint_pages(struct balloon *b, uint64_t gpa, uint32_t len);

/* Answers the host's question for statistics if there is one. Bytes. */
void balloon_answer_stats(struct balloon *b, uint64_t free_bytes, uint64_t total_bytes);

/* Ends the run if the device asks for a reset. */
void balloon_check_status(const struct balloon *b);

#endif
