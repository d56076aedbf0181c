/*
 * A KVM whose answers a test chooses, for what the host's own seldom says: in
 * the unit tests' program ioctl() on one of its descriptors comes here.
 * One at a time.
 */
#ifndef TESTS_UNIT_FAKEKVM_H
#define TESTS_UNIT_FAKEKVM_H

#include <linux/kvm.h>
#include <stddef.h>

#include "kvm/system.h"

/* One KVM_RUN: fails with `error`, or ends with what fn writes. Returns on the vCPU's thread. */
struct fakekvm_step {
	int error;
	void (*fn)(struct kvm_run *run);
};

/* What stands for /dev/kvm. KVM_RUN takes the steps one after the other, then waits until it is kicked; *steps is borrowed. */
struct vm_system fakekvm_create(const struct fakekvm_step *steps, size_t n);
void fakekvm_destroy(void);

/* From now on this request fails, and no other; what the fake does not know is granted. 0 for none. */
void fakekvm_refuse(unsigned long request, int error);

/* What is said when the host refuses this request. */
struct fakekvm_refusal {
	unsigned long request;
	int error;
	const char *text;
};

/* Checks that fn returns each of these errors, says the text, and leaves no descriptor open. Creates and destroys the fake. */
void fakekvm_check_refusals(const struct fakekvm_refusal *refusals, size_t n, int (*fn)(const struct vm_system *system, struct fail *why));

/* Of KVM_RUN, since creation. Any thread. */
unsigned fakekvm_n_runs(void);

/* That KVM_SIGNAL_MSI was given. */
struct kvm_msi fakekvm_last_msi(void);

#endif
