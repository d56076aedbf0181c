#include "util/log.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

/* A line is cut here; what is left still ends with a newline. */
#define LINE_MAX_BYTES 2048

#define LIMIT_INTERVAL_MS 1000
#define STUCK_MS 100

static atomic_int current_level = LOG_LEVEL_WARN;

static const char *const level_names[] = {
	[LOG_LEVEL_ERROR] = "error",
	[LOG_LEVEL_WARN] = "warn",
	[LOG_LEVEL_INFO] = "info",
	[LOG_LEVEL_DEBUG] = "debug",
};

void log_set_level(enum log_level level)
{
	atomic_store_explicit(&current_level, level, memory_order_relaxed);
}

/* Appends `text` with everything but printable ASCII as \xNN; returns the new length, at most `cap`. A backslash is left alone. */
static size_t append_escaped(char *line, size_t len, size_t cap, const char *text)
{
	static const char hex[] = "0123456789abcdef";

	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;
		if (c >= 0x20 && c < 0x7f) {
			if (len + 1 > cap)
				break;
			line[len++] = (char)c;
		} else {
			if (len + 4 > cap)
				break;
			line[len++] = '\\';
			line[len++] = 'x';
			line[len++] = hex[c >> 4];
			line[len++] = hex[c & 15];
		}
	}
	return len;
}

/*
 * stderr may be a pipe or a terminal that takes less than the whole line. When
 * nobody reads it the line is dropped: a vCPU must not wait for a stopped terminal.
 */
static void write_line(const char *line, size_t len)
{
	struct pollfd fd = {.fd = STDERR_FILENO, .events = POLLOUT};

	while (len > 0 && poll(&fd, 1, STUCK_MS) > 0) {
		ssize_t n = write(STDERR_FILENO, line, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		line += n;
		len -= (size_t)n;
	}
}

void log_line(enum log_level level, const char *who, const char *fmt, ...)
{
	if ((int)level > atomic_load_explicit(&current_level, memory_order_relaxed))
		return;

	int saved_errno = errno;
	char text[LINE_MAX_BYTES];
	va_list ap;
	va_start(ap, fmt);
	if (vsnprintf(text, sizeof text, fmt, ap) < 0)
		text[0] = '\0';
	va_end(ap);

	char line[LINE_MAX_BYTES + 2]; /* two bytes for the line's end */
	size_t len = append_escaped(line, 0, LINE_MAX_BYTES, "vmm-balloon: ");
	len = append_escaped(line, len, LINE_MAX_BYTES, level_names[level]);
	len = append_escaped(line, len, LINE_MAX_BYTES, ": ");
	if (who) {
		len = append_escaped(line, len, LINE_MAX_BYTES, who);
		len = append_escaped(line, len, LINE_MAX_BYTES, ": ");
	}
	len = append_escaped(line, len, LINE_MAX_BYTES, text);
	/* While the guest has the terminal it is in raw mode, where a line feed alone does not return the carriage. */
	if (isatty(STDERR_FILENO))
		line[len++] = '\r';
	line[len++] = '\n';
	write_line(line, len);
	errno = saved_errno;
}

bool log_limit_pass(struct log_limit *limit, uint64_t now_ms, uint64_t *suppressed)
{
	if (limit->started && now_ms - limit->last_ms < LIMIT_INTERVAL_MS) {
		limit->suppressed++;
		return false;
	}
	*suppressed = limit->suppressed;
	limit->suppressed = 0;
	limit->last_ms = now_ms;
	limit->started = true;
	return true;
}
