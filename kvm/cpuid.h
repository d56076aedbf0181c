/*
 * What CPUID tells the guest: what KVM and the host's processor support, made
 * fit for one vCPU of n: its APIC id and a topology of one package with n
 * single-threaded cores.
 */
#ifndef KVM_CPUID_H
#define KVM_CPUID_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stddef.h>

#include "util/fail.h"

/* Entries that cpuid_adapt may add to what KVM supports. */
#define CPUID_EXTRA_ENTRIES 8

struct cpuid_params {
	unsigned vcpu;	   /* index, which is the APIC id: 0 to n_vcpus - 1 */
	unsigned n_vcpus;  /* 1 to BOARD_MAX_VCPUS */
	bool tsc_deadline; /* KVM_CAP_TSC_DEADLINE_TIMER */
};

/*
 * Rewrites entries[0..n) of KVM_GET_SUPPORTED_CPUID for one vCPU. The array
 * has room for n + CPUID_EXTRA_ENTRIES. Returns the new number of entries.
 */
size_t cpuid_adapt(struct kvm_cpuid_entry2 *entries, size_t n, const struct cpuid_params *params);

/* What the host's KVM supports. */
struct cpuid_supported {
	struct kvm_cpuid2 *table;
	bool tsc_deadline; /* KVM_CAP_TSC_DEADLINE_TIMER */
};

/*
 * Asks kvm_fd, once for all vCPUs: it takes a CPUID instruction for each entry, and each of these a fraction of a
 * millisecond in all where the host is itself a VM. Returns 0 or -errno.
 */
int cpuid_ask(struct cpuid_supported *supported, int kvm_fd, struct fail *why);
void cpuid_forget(struct cpuid_supported *supported);

/* Sets it on the vCPU, which has not run yet. Returns 0 or -errno. */
int cpuid_set_vcpu(const struct cpuid_supported *supported, int vcpu_fd, unsigned vcpu, unsigned n_vcpus, struct fail *why);

#endif
