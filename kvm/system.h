/*
 * The host's KVM: /dev/kvm open, its API version and every capability that
 * this program relies on checked, so that nothing fails half-way later.
 */
#ifndef KVM_SYSTEM_H
#define KVM_SYSTEM_H

#include <stddef.h>

#include "util/fail.h"

#define VM_SYSTEM_PATH "/dev/kvm"

/* Filled in by vm_system_open(), constant from then on. */
struct vm_system {
	int fd;
	size_t run_bytes;   /* of the struct kvm_run that each vCPU shares with KVM (KVM_GET_VCPU_MMAP_SIZE) */
	unsigned max_vcpus; /* the most vCPUs that one VM may have here */
	unsigned max_slots; /* the most memory slots that one VM may have here */
};

/*
 * Opens and checks /dev/kvm. On failure returns -errno, `why` says in one line
 * what is missing and what to do about it, and nothing is left open.
 */
int vm_system_open(struct vm_system *system, struct fail *why);
void vm_system_close(struct vm_system *system);

/* What to do when the device cannot be opened for this errno; empty where nothing is known. */
const char *vm_system_remedy(int error);

#endif
