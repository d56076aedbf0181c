#include "util/fail.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "util/log.h"

int fail(struct fail *why, int error, const char *fmt, ...)
{
	if (why) {
		va_list ap;
		va_start(ap, fmt);
		if (vsnprintf(why->text, sizeof why->text, fmt, ap) < 0)
			why->text[0] = '\0';
		va_end(ap);
		why->error = error;
	}
	return error ? -error : -EINVAL;
}

void fail_log(const struct fail *why)
{
	char buf[128];

	if (why->error)
		log_line(LOG_LEVEL_ERROR, NULL, "%s: %s", why->text, strerror_r(why->error, buf, sizeof buf));
	else
		log_line(LOG_LEVEL_ERROR, NULL, "%s", why->text);
}
