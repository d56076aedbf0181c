/*
 * The calls that can be made to fail:
 *
 *   X(name, what it returns when it fails, what it takes, which argument tells its uses apart, or NO_DETAIL)
 *
 * What fails for nothing but wrong arguments has no row: sigaction(), signal(),
 * pthread_sigmask(), timerfd_settime(). Nor has the printf() family, which takes
 * what fits no mould; a stream that could not be written says so to the end.
 */
#ifndef TESTS_FAULTS_CALLS_H
#define TESTS_FAULTS_CALLS_H

#define CALLS(X)                                                   \
	X(malloc, RETURNS_NULL, TAKES_MEMORY, NO_DETAIL)           \
	X(calloc, RETURNS_NULL, TAKES_MEMORY, NO_DETAIL)           \
	X(realloc, RETURNS_NULL, TAKES_MEMORY, NO_DETAIL)          \
	X(free, RETURNS_NOTHING, TAKES_NOTHING, NO_DETAIL)         \
	X(mmap, RETURNS_MINUS_1, TAKES_MEMORY, NO_DETAIL)          \
	X(munmap, RETURNS_MINUS_1, TAKES_NOTHING, NO_DETAIL)       \
	X(open, RETURNS_MINUS_1, TAKES_FD, NO_DETAIL)              \
	X(__open_2, RETURNS_MINUS_1, TAKES_FD, NO_DETAIL)          \
	X(openat, RETURNS_MINUS_1, TAKES_FD, NO_DETAIL)            \
	X(fopen, RETURNS_NULL, TAKES_FD, NO_DETAIL)                \
	X(fdopendir, RETURNS_NULL, TAKES_MEMORY, NO_DETAIL)        \
	X(open_memstream, RETURNS_NULL, TAKES_MEMORY, NO_DETAIL)   \
	X(memfd_create, RETURNS_MINUS_1, TAKES_FD, NO_DETAIL)      \
	X(eventfd, RETURNS_MINUS_1, TAKES_FD, NO_DETAIL)           \
	X(timerfd_create, RETURNS_MINUS_1, TAKES_FD, NO_DETAIL)    \
	X(signalfd, RETURNS_MINUS_1, TAKES_FD, NO_DETAIL)          \
	X(epoll_create1, RETURNS_MINUS_1, TAKES_FD, NO_DETAIL)     \
	X(socket, RETURNS_MINUS_1, TAKES_FD, NO_DETAIL)            \
	X(accept4, RETURNS_MINUS_1, TAKES_FD, NO_DETAIL)           \
	X(pipe2, RETURNS_MINUS_1, TAKES_FD, NO_DETAIL)             \
	X(dup2, RETURNS_MINUS_1, TAKES_FD, NO_DETAIL)              \
	X(dup3, RETURNS_MINUS_1, TAKES_FD, NO_DETAIL)              \
	X(close, RETURNS_MINUS_1, TAKES_NOTHING, NO_DETAIL)        \
	X(fork, RETURNS_MINUS_1, TAKES_NOTHING, NO_DETAIL)         \
	X(execv, RETURNS_MINUS_1, TAKES_NOTHING, NO_DETAIL)        \
	X(pthread_create, RETURNS_ERROR, TAKES_NOTHING, NO_DETAIL) \
	X(__cxa_atexit, RETURNS_ERROR, TAKES_NOTHING, NO_DETAIL)   \
	X(ioctl, RETURNS_MINUS_1, TAKES_NOTHING, 1)                \
	X(syscall, RETURNS_MINUS_1, TAKES_NOTHING, 0)              \
	X(madvise, RETURNS_MINUS_1, TAKES_NOTHING, 2)              \
	X(fcntl, RETURNS_MINUS_1, TAKES_NOTHING, 1)                \
	X(prctl, RETURNS_MINUS_1, TAKES_NOTHING, 0)                \
	X(epoll_ctl, RETURNS_MINUS_1, TAKES_NOTHING, 1)            \
	X(epoll_wait, RETURNS_MINUS_1, TAKES_NOTHING, NO_DETAIL)   \
	X(fallocate, RETURNS_MINUS_1, TAKES_NOTHING, NO_DETAIL)    \
	X(ftruncate, RETURNS_MINUS_1, TAKES_NOTHING, NO_DETAIL)    \
	X(mincore, RETURNS_MINUS_1, TAKES_NOTHING, NO_DETAIL)      \
	X(bind, RETURNS_MINUS_1, TAKES_NOTHING, NO_DETAIL)         \
	X(listen, RETURNS_MINUS_1, TAKES_NOTHING, NO_DETAIL)       \
	X(connect, RETURNS_MINUS_1, TAKES_NOTHING, NO_DETAIL)      \
	X(getsockopt, RETURNS_MINUS_1, TAKES_NOTHING, NO_DETAIL)   \
	X(setsockopt, RETURNS_MINUS_1, TAKES_NOTHING, NO_DETAIL)   \
	X(send, RETURNS_MINUS_1, TAKES_NOTHING, NO_DETAIL)         \
	X(recv, RETURNS_MINUS_1, TAKES_NOTHING, NO_DETAIL)         \
	X(read, RETURNS_MINUS_1, TAKES_NOTHING, NO_DETAIL)         \
	X(__read_chk, RETURNS_MINUS_1, TAKES_NOTHING, NO_DETAIL)   \
	X(pread, RETURNS_MINUS_1, TAKES_NOTHING, NO_DETAIL)        \
	X(write, RETURNS_MINUS_1, TAKES_NOTHING, NO_DETAIL)        \
	X(pwrite, RETURNS_MINUS_1, TAKES_NOTHING, NO_DETAIL)       \
	X(fputc, RETURNS_MINUS_1, TAKES_NOTHING, NO_DETAIL)        \
	X(putc, RETURNS_MINUS_1, TAKES_NOTHING, NO_DETAIL)         \
	X(fputs, RETURNS_MINUS_1, TAKES_NOTHING, NO_DETAIL)        \
	X(puts, RETURNS_MINUS_1, TAKES_NOTHING, NO_DETAIL)         \
	X(fwrite, RETURNS_NULL, TAKES_NOTHING, NO_DETAIL)          \
	X(fgets, RETURNS_NULL, TAKES_NOTHING, NO_DETAIL)           \
	X(fflush, RETURNS_MINUS_1, TAKES_NOTHING, NO_DETAIL)       \
	X(fclose, RETURNS_MINUS_1, TAKES_NOTHING, NO_DETAIL)       \
	X(lseek, RETURNS_MINUS_1, TAKES_NOTHING, NO_DETAIL)        \
	X(fstat, RETURNS_MINUS_1, TAKES_NOTHING, NO_DETAIL)        \
	X(stat, RETURNS_MINUS_1, TAKES_NOTHING, NO_DETAIL)         \
	X(lstat, RETURNS_MINUS_1, TAKES_NOTHING, NO_DETAIL)        \
	X(fstatat, RETURNS_MINUS_1, TAKES_NOTHING, NO_DETAIL)      \
	X(access, RETURNS_MINUS_1, TAKES_NOTHING, NO_DETAIL)       \
	X(mkdir, RETURNS_MINUS_1, TAKES_NOTHING, NO_DETAIL)        \
	X(fchmod, RETURNS_MINUS_1, TAKES_NOTHING, NO_DETAIL)       \
	X(unlink, RETURNS_MINUS_1, TAKES_NOTHING, NO_DETAIL)       \
	X(unlinkat, RETURNS_MINUS_1, TAKES_NOTHING, NO_DETAIL)     \
	X(symlinkat, RETURNS_MINUS_1, TAKES_NOTHING, NO_DETAIL)    \
	X(getcwd, RETURNS_NULL, TAKES_NOTHING, NO_DETAIL)          \
	X(realpath, RETURNS_NULL, TAKES_NOTHING, NO_DETAIL)        \
	X(readdir, RETURNS_NULL, TAKES_NOTHING, NO_DETAIL)         \
	X(poll, RETURNS_MINUS_1, TAKES_NOTHING, NO_DETAIL)         \
	X(nanosleep, RETURNS_MINUS_1, TAKES_NOTHING, NO_DETAIL)    \
	X(waitpid, RETURNS_MINUS_1, TAKES_NOTHING, NO_DETAIL)      \
	X(kill, RETURNS_MINUS_1, TAKES_NOTHING, NO_DETAIL)         \
	X(tcgetattr, RETURNS_MINUS_1, TAKES_NOTHING, NO_DETAIL)    \
	X(tcsetattr, RETURNS_MINUS_1, TAKES_NOTHING, NO_DETAIL)    \
	X(getrlimit, RETURNS_MINUS_1, TAKES_NOTHING, NO_DETAIL)    \
	X(unshare, RETURNS_MINUS_1, TAKES_NOTHING, NO_DETAIL)      \
	X(mount, RETURNS_MINUS_1, TAKES_NOTHING, NO_DETAIL)        \
	X(setgroups, RETURNS_MINUS_1, TAKES_NOTHING, NO_DETAIL)    \
	X(setresgid, RETURNS_MINUS_1, TAKES_NOTHING, NO_DETAIL)    \
	X(setresuid, RETURNS_MINUS_1, TAKES_NOTHING, NO_DETAIL)

#define NO_DETAIL (-1)
enum returns { RETURNS_MINUS_1, RETURNS_NULL, RETURNS_ERROR, RETURNS_NOTHING };
enum takes { TAKES_NOTHING, TAKES_MEMORY, TAKES_FD };

#define X(name, returns, takes, detail) CALL_##name,
enum call { CALLS(X) N_CALLS };
#undef X

/* Makes the call, or has it fail, for whoever is to return to `site`. */
long inject_call(enum call call, void *site, long args[7]);

#endif
