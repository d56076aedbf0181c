/*
 * What is left to this process once the VM is set up, so that whoever takes it
 * over through a hole in a device has little of the host: system calls by
 * thread (seccomp_filter.h), files (landlock.h), no capabilities, no new
 * privileges.
 *
 * A thread that calls what its kind has no use for ends the process: a line
 * tells the call's name, the exit status is 1.
 *
 * Order: sandbox_prepare() before there is a second thread; sandbox_build()
 * before the first sandbox_enter(); then each thread enters on its own. A
 * thread inherits what its creator has entered, which is why the loop is let
 * all that vCPUs are.
 */
#ifndef KVM_SANDBOX_H
#define KVM_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>

#include "kvm/seccomp_filter.h"
#include "util/fail.h"

#define SANDBOX_MAX_FOLDERS 2

/* Zero-initialised: off, and the functions below do nothing. */
struct sandbox {
	bool on;
	struct seccomp_filter filters[THREAD_N_KINDS];
	/* Set before the loop enters; borrowed. Folders in which it removes its own files at the end; no other path can be used. */
	const char *folders[SANDBOX_MAX_FOLDERS];
	size_t n_folders;
};

/*
 * Switches it on, but in a build with sanitizers or for coverage. No thread that is made from now on can gain privileges.
 * `last_words` runs in a signal handler on the thread that broke a rule, before
 * the process ends; it gets by with what every kind of thread may call. 0 or -errno.
 */
int sandbox_prepare(struct sandbox *sandbox, void (*last_words)(void), struct fail *why);

/* Compiles the filters, while no other thread takes memory. 0 or -errno. */
int sandbox_build(struct sandbox *sandbox, struct fail *why);

/* Locks up the calling thread, for good. Files that are open stay usable. 0 or -errno. */
int sandbox_enter(const struct sandbox *sandbox, enum thread_kind kind, struct fail *why);

void sandbox_finish(struct sandbox *sandbox);

#endif
