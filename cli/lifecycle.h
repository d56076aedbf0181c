/*
 * What becomes of a VM while it runs: the guest's power-off, reset and panic,
 * signals, a client's wishes, and the end. All on the event-loop thread.
 *
 * cli/run.c assembles the VM, fills this in and hands the functions below to
 * whoever calls them.
 */
#ifndef CLI_LIFECYCLE_H
#define CLI_LIFECYCLE_H

#include <stdbool.h>

#include "cli/command.h"
#include "cli/device_set.h"
#include "control/machine_ops.h"
#include "control/qmp_server.h"
#include "kvm/acpi.h"
#include "kvm/boot.h"
#include "kvm/loop.h"
#include "kvm/memory.h"
#include "kvm/vm.h"

/* How long the guest may go on after it said that it panics: Linux says so before the last lines are on its console. */
#define LIFECYCLE_PANIC_GRACE_MS 300

struct lifecycle {
	/* The parts of the VM, borrowed; set before the loop runs. lifecycle_load() needs ram, payload and acpi only. */
	struct loop *loop;
	struct vm *vm;
	struct guest_ram *ram;
	struct device_set *devices;
	const struct boot_source *payload;
	struct acpi_params acpi;
	struct qmp_server *qmp; /* NULL: nobody to tell */
	int notify_fd;		/* of cli/notify.h */
	uint64_t exec_ns;	/* CLOCK_MONOTONIC when the program was started; 0 after the first boot */

	/* The outcome; COMMAND_FAILED until the VM has ended. */
	enum command_status status;

	/* Private; lifecycle_init() sets them. */
	bool ended;
	bool panicked;
	bool button_pressed; /* by a signal */
	enum qmp_cause reset_cause;
	struct host_work ready_work;
	struct host_work reset_work;
	struct host_timer panic_timer;
};

void lifecycle_init(struct lifecycle *life);

/* Puts ACPI tables and payload into RAM, which reads as zero; *start is for vm_start(). Any thread. 0 or -errno. */
int lifecycle_load(const struct lifecycle *life, struct boot_state *start, struct fail *why);

/* For struct vm_observer, with the lifecycle as opaque. */
void lifecycle_event(void *life, const struct host_event *event);
void lifecycle_died(void *life, enum vcpu_death how);
void lifecycle_first_run(void *life); /* on the boot vCPU's thread */

/*
 * For loop_catch_signals(): the first SIGTERM or SIGINT presses the power button, the next one ends the VM. SIGHUP does
 * neither: who has lost his terminal still has the socket.
 */
void lifecycle_signal(void *life, int signo);

/* For terminal_open(): the escape key ends the VM. */
void lifecycle_quit_key(void *life);

/* For struct machine, with the lifecycle as opaque. */
extern const struct machine_ops lifecycle_machine_ops;

#endif
