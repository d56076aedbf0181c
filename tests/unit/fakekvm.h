/*
 * A KVM whose answers a test chooses, for what the host's own seldom says: in
 * the unit tests' program ioctl() on one of its descriptors comes here.
 * One at a time.
 */
#ifndef TESTS_UNIT_FAKEKVM_H
#define TESTS_UNIT_FAKEKVM_H

#include <linux/kvm.h>
#include <stddef.h>

#define FAKEKVM_RUN_BYTES 12288

/* One KVM_RUN: fails with `error`, or ends with what fn writes. Returns on the vCPU's thread. */
struct fakekvm_step {
	int error;
	void (*fn)(struct kvm_run *run);
};

/* Returns what stands for /dev/kvm. KVM_RUN takes the steps one after the other, then waits until it is kicked; *steps is borrowed. */
int fakekvm_create(const struct fakekvm_step *steps, size_t n);
void fakekvm_destroy(void);

/* From now on this request fails, and no other; what the fake does not know is granted. 0 for none. */
void fakekvm_refuse(unsigned long request, int error);

/* Of KVM_RUN, since creation. Any thread. */
unsigned fakekvm_n_runs(void);

/* That KVM_SIGNAL_MSI was given. */
struct kvm_msi fakekvm_last_msi(void);

#endif
