/*
 * The system calls that each kind of thread may make once the VM runs, as BPF
 * programs for seccomp(2). ioctl is restricted to the requests that are used,
 * clone to threads, mmap and mprotect to memory that is not executable, signals
 * to this process.
 */
#ifndef KVM_SECCOMP_FILTER_H
#define KVM_SECCOMP_FILTER_H

#include <stddef.h>

struct sock_filter;

enum thread_kind { THREAD_LOOP, THREAD_VCPU, THREAD_LOADER, THREAD_N_KINDS };

/* For messages: "event loop". */
const char *thread_kind_name(enum thread_kind kind);

struct seccomp_filter {
	struct sock_filter *code; /* owned; NULL: not built */
	size_t len;		  /* instructions */
};

/* Only this process may use it: its id is in there. 0 or -errno. */
int seccomp_filter_build(struct seccomp_filter *filter, enum thread_kind kind);

/* On the calling thread, for good, on top of the filters that it has. It has no_new_privs. A call that is not allowed raises SIGSYS. 0 or -errno. */
int seccomp_filter_install(const struct seccomp_filter *filter);

void seccomp_filter_finish(struct seccomp_filter *filter); /* zeroed is fine */

/* "openat", NULL for a number that is unknown here. Async-signal-safe. */
const char *syscall_name(int number);

#endif
