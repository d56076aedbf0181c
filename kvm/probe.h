/*
 * What this host's KVM can do, found out by running a few instructions of a
 * guest's kernel mode: a KVM that interprets them lacks some that every
 * processor has, and a stock kernel stops at the first of those that it meets.
 */
#ifndef KVM_PROBE_H
#define KVM_PROBE_H

#include <stdbool.h>

#include "kvm/system.h"
#include "util/fail.h"

struct vm_probe {
	const char *refused; /* the first instruction that KVM could not do; NULL: it does all, so the processor does them */
	bool logs_writes;    /* the dirty log saw the guest's write (kvm/write_watch.h needs it) */
};

/* How many instructions are tried. */
unsigned vm_probe_n_instructions(void);

/* Makes a VM of one vCPU and 64 KiB for each instruction. 0, or -errno when no VM could be made and run. */
int vm_probe_run(const struct vm_system *system, struct vm_probe *probe, struct fail *why);

#endif
