/*
 * The virtual machine: KVM's VM with its interrupt controllers, timer and
 * memory slots, the two buses, the vCPUs, and the host that devices see.
 *
 * A reset replaces KVM's VM by a fresh one: it is the one way to get interrupt
 * controllers, timer and vCPUs back to power-on whatever the guest did to
 * them. This struct, the buses and the host pointer live on, and so does the
 * number of the VM's file descriptor.
 *
 * All functions are for the event-loop thread.
 */
#ifndef KVM_VM_H
#define KVM_VM_H

#include <stdbool.h>
#include <sys/types.h>

#include "device/host.h"
#include "kvm/boot.h"
#include "kvm/loop.h"
#include "kvm/memory.h"
#include "kvm/sandbox.h"
#include "kvm/system.h"
#include "kvm/vcpu.h"
#include "util/fail.h"

/* The one receiver of what happens. Calls come on the event-loop thread, but for first_run. */
struct vm_observer {
	/* event->device_id is valid during the call. */
	void (*event)(void *opaque, const struct host_event *event);
	/* A vCPU can run no longer; the log says why. Once between two resets. */
	void (*died)(void *opaque, enum vcpu_death how);
	/* The boot vCPU is about to enter the guest. On its thread, once a start. */
	void (*first_run)(void *opaque);
	void *opaque;
};

/* All pointers are borrowed and outlive the VM; the observer is copied. */
struct vm_params {
	const struct vm_system *system;
	struct guest_ram *ram;
	struct loop *loop;
	const struct sandbox *sandbox; /* entered by each vCPU */
	unsigned n_vcpus;	       /* 1 to BOARD_MAX_VCPUS */
	struct vm_observer observer;
};

struct vm;

/* Everything but the vCPUs. On failure returns -errno, *out is NULL. */
int vm_create(struct vm **out, const struct vm_params *params, struct fail *why);

/* Stops the vCPUs and frees everything but what was borrowed. Devices are gone before. NULL is fine. */
void vm_destroy(struct vm *vm);

/* What devices are given; valid until vm_destroy(). */
struct host *vm_host(struct vm *vm);

/* Creates the vCPUs at power-on, the boot vCPU at `boot`, and lets them run unless the VM is paused. 0 or -errno. */
int vm_start(struct vm *vm, const struct boot_state *boot, struct fail *why);

/*
 * After vm_start(): stops and discards the vCPUs and whatever the guest made
 * of KVM's VM, and drops the events of this life that have not been delivered.
 * vm_start() begins the next one. Guest RAM keeps its contents. 0, or -errno
 * when the host refuses a new VM; only vm_destroy() is left then.
 */
int vm_reset(struct vm *vm, struct fail *why);

/* Stops all vCPUs before it returns; lets them go on. Kept over a reset. Twice is fine. No device's lock is held. */
void vm_pause(struct vm *vm);
void vm_resume(struct vm *vm);
bool vm_is_paused(const struct vm *vm);

/* The kernel's id of a vCPU's thread; 0 while it has none. */
pid_t vm_vcpu_tid(const struct vm *vm, unsigned index);

#endif
