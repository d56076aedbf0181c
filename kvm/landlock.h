/* Landlock: which files a thread, and those that it makes, can reach by path. Open ones stay usable. */
#ifndef KVM_LANDLOCK_H
#define KVM_LANDLOCK_H

#include <stddef.h>

/*
 * From now on the calling thread can do nothing by path but remove files in
 * these folders, nor use TCP, nor reach abstract sockets or processes outside;
 * the last three as far as the kernel knows how to. It has no_new_privs.
 * Returns the version of the kernel's Landlock, 0 where it has none, or -errno.
 */
int landlock_leave_only(const char *const *folders, size_t n);

#endif
