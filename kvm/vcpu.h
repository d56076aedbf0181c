/*
 * The vCPUs of a VM: one thread each, which runs the guest and serves its
 * exits, and the control over all of them at once.
 *
 * How a running vCPU is stopped: the wish is stored first, then
 * kvm_run.immediate_exit is set and the thread gets a signal. Inside KVM_RUN
 * the signal ends the call; just before it immediate_exit does
 * (Documentation/virt/kvm/api.rst, 5). A vCPU that still waits for its SIPI
 * inside an older KVM looks at neither, so the kick is repeated until all
 * threads have parked.
 */
#ifndef KVM_VCPU_H
#define KVM_VCPU_H

#include <stddef.h>
#include <sys/types.h>

#include "device/host.h"
#include "kvm/exit_report.h"
#include "kvm/iobus.h"
#include "kvm/sandbox.h"
#include "kvm/system.h"
#include "util/fail.h"

/* Why a vCPU can run no longer. */
enum vcpu_death {
	VCPU_FAILED,	    /* the host's KVM cannot go on */
	VCPU_TRIPLE_FAULTED /* the guest's own doing */
};

/* What the vCPUs work with. Outlives them; the callbacks come on vCPU threads. */
struct vcpu_env {
	struct host *host; /* guest memory for reports, and its event op */
	struct iobus *pio;
	struct iobus *mmio;
	const struct sandbox *sandbox;							 /* that each thread enters */
	void (*first_run)(void *opaque);						 /* the boot vCPU is about to enter the guest for the first time */
	void (*died)(void *opaque, enum vcpu_death how, const struct exit_state *state); /* state: valid during the call */
	void *opaque;
};

struct vcpu_group; /* all vCPUs of one VM */

/*
 * Creates n vCPUs (1 to BOARD_MAX_VCPUS) in vm_fd, which stays the caller's,
 * without threads. The caller then sets them up through vcpu_group_fd(). *env
 * is copied. On failure returns -errno, *out is NULL.
 */
int vcpu_group_create(struct vcpu_group **out, const struct vm_system *system, int vm_fd, unsigned n, const struct vcpu_env *env, struct fail *why);

/* Stops the threads and frees everything. Not from a vCPU thread, nor with a device's lock held. NULL is fine. */
void vcpu_group_destroy(struct vcpu_group *group);

/* The KVM fd of one vCPU; borrowed. Index 0 is the boot vCPU, index and APIC id are the same. */
int vcpu_group_fd(const struct vcpu_group *group, unsigned index);

/* The kernel's id of a vCPU's thread, 0 before it runs. Any thread. */
pid_t vcpu_group_tid(const struct vcpu_group *group, unsigned index);

/* Starts the threads; they wait for vcpu_group_resume(). Once. 0 or -errno. */
int vcpu_group_start(struct vcpu_group *group, struct fail *why);

/*
 * Stop the world: when it returns no vCPU runs guest code or a device's
 * callback. Not from a vCPU thread, nor with a device's lock held, since a
 * vCPU may be waiting for it. Twice is fine.
 */
void vcpu_group_pause(struct vcpu_group *group);

/* Lets them run. The guest is told that it was stopped, so that its watchdogs do not take the gap for a lockup. Twice is fine. */
void vcpu_group_resume(struct vcpu_group *group);

#endif
