/*
 * Log lines on stderr: "vmm-balloon: warn: balloon0: ...".
 *
 * Any thread. A line is written with one write(2), so lines of several threads
 * never mix. Control characters and bytes that are not ASCII are escaped as
 * \xNN: text that a guest had a hand in cannot drive a terminal.
 */
#ifndef UTIL_LOG_H
#define UTIL_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Lines above `level` are dropped. The initial level is LOG_LEVEL_WARN. Set it before threads start. */
void log_set_level(enum log_level level);

/* `who` names the part that speaks ("balloon0", "vcpu3"), NULL for the program itself. */
__attribute__((format(printf, 3, 4))) void log_line(enum log_level level, const char *who, const char *fmt, ...);

/*
 * Rate limit for lines that a guest can provoke: at most one a second for each
 * limit, the rest is counted. Zero-initialise. The owner's lock guards it.
 */
struct log_limit {
	uint64_t last_ms;
	uint64_t suppressed;
	bool started;
};

/*
 * Whether the line may be written at `now_ms` (host->now_ms). When it returns
 * true, *suppressed is the number of lines swallowed since the last one.
 */
bool log_limit_pass(struct log_limit *limit, uint64_t now_ms, uint64_t *suppressed);

#endif
