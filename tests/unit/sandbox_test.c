#include <CUnit/CUnit.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/sandbox_fixture.h"
#include "tests/unit/suite.h"

/* ---- Files ----------------------------------------------------------- */

#define OUTSIDE "/tmp/sandbox_test.outside"

static char own_file[64];

static void make_file(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	CU_ASSERT(fd >= 0);
	close(fd);
}

/* The loop may call unlink, on its own files. */
static void unlink_everywhere(const void *arg)
{
	(void)arg;
	if (unlink(own_file) < 0)
		_exit(2);
	if (unlink(OUTSIDE) == 0 || errno != EACCES)
		_exit(3);
	_exit(0);
}

static bool has_landlock(void)
{
	return syscall(SYS_landlock_create_ruleset, NULL, 0UL, 1U) > 0;
}

static void only_own_files_are_removed(void)
{
	if (!has_landlock())
		return;
	snprintf(own_file, sizeof own_file, "%s/own", sb_folder);
	make_file(own_file);
	make_file(OUTSIDE);
	struct sb_ended ended = sb_run_inside(THREAD_LOOP, unlink_everywhere, NULL);
	sb_check(ended.status == 0, THREAD_LOOP, "removing files", &ended);
	CU_ASSERT_NOT_EQUAL(access(own_file, F_OK), 0);
	CU_ASSERT_EQUAL(unlink(OUTSIDE), 0);
}

/* ---- What is left ---------------------------------------------------- */

/* Lines of /proc/PID/status. */
static bool status_says(pid_t pid, const char *line)
{
	char path[64], text[4096];
	snprintf(path, sizeof path, "/proc/%d/status", pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, text, sizeof text - 1);
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	return strstr(text, line);
}

static void privileges_are_gone(void)
{
	int hold[2], ready[2];
	char byte = 0;
	CU_ASSERT_EQUAL_FATAL(pipe(hold), 0);
	CU_ASSERT_EQUAL_FATAL(pipe(ready), 0);
	fflush(NULL);
	pid_t pid = fork();
	CU_ASSERT_FATAL(pid >= 0);
	if (pid == 0) {
		close(hold[1]);
		sb_enter(THREAD_LOOP, NULL);
		ssize_t written = write(ready[1], "", 1);
		(void)written;
		_exit(read(hold[0], &byte, 1) == 0 ? 0 : 1);
	}
	close(ready[1]);
	CU_ASSERT_EQUAL(read(ready[0], &byte, 1), 1);
	CU_ASSERT(status_says(pid, "\nCapInh:\t0000000000000000\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n"));
	CU_ASSERT(geteuid() != 0 || status_says(pid, "\nCapBnd:\t0000000000000000\nCapAmb:\t0000000000000000\n"));
	CU_ASSERT(status_says(pid, "\nNoNewPrivs:\t1\nSeccomp:\t2\n"));
	close(hold[1]);
	close(hold[0]);
	close(ready[0]);
	int status = -1;
	waitpid(pid, &status, 0);
	CU_ASSERT_EQUAL(status, 0);
}

static void end_in_abort(const void *arg)
{
	(void)arg;
	abort();
}

static void abort_still_works(void)
{
	for (unsigned kind = 0; kind < THREAD_N_KINDS; kind++) {
		struct sb_ended ended = sb_run_inside(kind, end_in_abort, NULL);
		sb_check(WIFSIGNALED(ended.status) && WTERMSIG(ended.status) == SIGABRT, kind, "abort", &ended);
	}
}

static void *allocate(void *arg)
{
	(void)arg;
	/* By brk, by mmap, grown by mremap, in the arena of the thread. */
	for (size_t size = 16; size < (size_t)64 << 20; size *= 4) {
		char *bytes = malloc(size);
		if (bytes)
			memset(bytes, 1, size);
		char *more = bytes ? realloc(bytes, 2 * size) : NULL;
		if (!more)
			_exit(3);
		free(more);
	}
	return NULL;
}

static void work_with_threads(const void *arg)
{
	pthread_t threads[4];
	(void)arg;
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 4; i++)
			if (pthread_create(&threads[i], NULL, allocate, NULL) != 0)
				_exit(2);
		for (int i = 0; i < 4; i++)
			pthread_join(threads[i], NULL);
	}
	_exit(0);
}

static void loop_makes_threads(void)
{
	struct sb_ended ended = sb_run_inside(THREAD_LOOP, work_with_threads, NULL);
	sb_check(ended.status == 0, THREAD_LOOP, "threads that allocate", &ended);
}

static void allocate_here(const void *arg)
{
	(void)arg;
	allocate(NULL);
	_exit(0);
}

static void memory_can_be_had(void)
{
	for (unsigned kind = 0; kind < THREAD_N_KINDS; kind++) {
		struct sb_ended ended = sb_run_inside(kind, allocate_here, NULL);
		sb_check(ended.status == 0, kind, "malloc", &ended);
	}
}

static void off_does_nothing(void)
{
	struct sandbox sandbox = {.on = false};
	CU_ASSERT_EQUAL(sandbox_build(&sandbox, NULL), 0);
	CU_ASSERT_EQUAL(sandbox_enter(&sandbox, THREAD_LOOP, NULL), 0);
	int fd = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
	CU_ASSERT(fd >= 0);
	close(fd);
	sandbox_finish(&sandbox);
}

static void calls_have_names(void)
{
	CU_ASSERT_STRING_EQUAL(syscall_name(SYS_read), "read");
	CU_ASSERT_STRING_EQUAL(syscall_name(SYS_openat), "openat");
	CU_ASSERT_STRING_EQUAL(syscall_name(SYS_landlock_create_ruleset), "landlock_create_ruleset");
	CU_ASSERT_PTR_NULL(syscall_name(-1));
	CU_ASSERT_PTR_NULL(syscall_name(400)); /* a gap */
	CU_ASSERT_PTR_NULL(syscall_name(100000));
}

static void filters_fit(void)
{
	for (unsigned kind = 0; kind < THREAD_N_KINDS; kind++) {
		struct seccomp_filter filter;
		CU_ASSERT_EQUAL_FATAL(seccomp_filter_build(&filter, kind), 0);
		CU_ASSERT(filter.len > 50 && filter.len <= 4096); /* BPF_MAXINSNS */
		seccomp_filter_finish(&filter);
		seccomp_filter_finish(&filter);
	}
}

static const struct test_case cases[] = {
	{"calls have names", calls_have_names},
	{"off does nothing", off_does_nothing},
	{"filters fit", filters_fit},
	{"only own files are removed", only_own_files_are_removed},
	{"privileges are gone", privileges_are_gone},
	{"abort still works", abort_still_works},
	{"the loop makes threads", loop_makes_threads},
	{"memory can be had", memory_can_be_had},
};

/* Sanitizers make system calls of their own: with them only the first cases, which stay outside, can run. */
#ifdef BUILD_IS_INSTRUMENTED
#define N_CASES 3
#else
#define N_CASES (sizeof cases / sizeof cases[0])
#endif

const struct test_suite sandbox_suite = {.name = "sandbox", .cases = cases, .n_cases = N_CASES, .init = sb_make_folder, .clean = sb_remove_folder};
