/* For a VM that root starts: another user and group, mounts and network of its own. */
#ifndef KVM_JAIL_H
#define KVM_JAIL_H

#include "util/fail.h"

/*
 * Makes this process `user` (NULL: stays who it is) in `group` alone (NULL:
 * the user's own), each a name or a number, in fresh mount and network
 * namespaces. One thread only, and what root has to open is open. 0 or -errno.
 */
int jail_enter(const char *user, const char *group, struct fail *why);

#endif
