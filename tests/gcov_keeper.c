/*
 * Writes down what was run, in a build with --enable-coverage.
 *
 * A program would write its counts when it exits. But in the sandbox it may
 * open no file, what it is forbidden ends it, and some signals leave no time.
 * So each process has a companion, which shares its memory but not its files,
 * nor, since it is there before, its sandbox, root folder or user. It sleeps
 * until the process is gone, however that ended, and writes what it finds.
 */
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A thread that is gone may hold a lock of malloc's. */
#define WRITE_SECONDS 20

/* Linked with --wrap: what the program would do at its exit, and before it becomes another. */
void __real___gcov_exit(void);
void __wrap___gcov_exit(void);
void __real___gcov_dump(void);
void __wrap___gcov_dump(void);

static bool is_kept;
static pid_t kept;
static alignas(16) char stack[256 * 1024];

/* Not libc's, which has one errno for the two, and which tests stand in front of. */
static long call(long number, unsigned long a, unsigned long b, unsigned long c)
{
	long result;
	__asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
	return result;
}

static int write_at_end(void *unused)
{
	(void)unused;
	call(SYS_close_range, 0, ~0U, 0);
	struct pollfd end = {.fd = (int)call(SYS_pidfd_open, (unsigned long)kept, 0, 0), .events = POLLIN};
	if (end.fd >= 0)
		call(SYS_poll, (uintptr_t)&end, 1, -1UL);
	alarm(WRITE_SECONDS);
	__real___gcov_dump();
	_exit(0);
}

static void keep(void)
{
	sigset_t all, before;
	sigfillset(&all);
	sigdelset(&all, SIGALRM);
	sigprocmask(SIG_SETMASK, &all, &before);
	kept = getpid();
	/* Without a signal at its end it is no child that the program could wait for. */
	is_kept = clone(write_at_end, stack + sizeof stack, CLONE_VM, NULL) > 0;
	sigprocmask(SIG_SETMASK, &before, NULL);
}

static __attribute__((constructor)) void keep_all(void)
{
	keep();
	pthread_atfork(NULL, NULL, keep);
}

void __wrap___gcov_exit(void)
{
	if (!is_kept)
		__real___gcov_exit();
}

void __wrap___gcov_dump(void)
{
	if (!is_kept)
		__real___gcov_dump();
}
