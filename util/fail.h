/*
 * A host failure on its way up: what was being done, to what, and the errno.
 * The function that fails fills it in and returns -errno; callers pass it on;
 * the top prints it once.
 *
 *   if (fd < 0)
 *           return fail(why, errno, "cannot open kernel %s", path);
 *
 * prints "vmm-balloon: error: cannot open kernel bzImage: No such file or directory".
 */
#ifndef UTIL_FAIL_H
#define UTIL_FAIL_H

struct fail {
	int error;	/* errno value, 0 when the text says all */
	char text[512]; /* no newline, no errno text */
};

/* Returns -error, or -EINVAL when error is 0. `why` may be NULL. */
__attribute__((format(printf, 3, 4))) int fail(struct fail *why, int error, const char *fmt, ...);

/* Logs it at LOG_LEVEL_ERROR, with strerror when there is an errno. */
void fail_log(const struct fail *why);

#endif
