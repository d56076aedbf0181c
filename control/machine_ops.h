/*
 * What a QMP client may ask of the machine. cli/run.c fills it in; control/
 * knows no other way to the VM but this and device/balloon.h.
 */
#ifndef CONTROL_MACHINE_OPS_H
#define CONTROL_MACHINE_OPS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct device;

enum machine_status {
	MACHINE_RUNNING,
	MACHINE_PAUSED,	  /* by pause() */
	MACHINE_PANICKED, /* stands still after the guest's panic */
	MACHINE_SHUTDOWN, /* powered off, about to end */
};

/*
 * All are called on the event-loop thread and none waits for the guest. None
 * is NULL. Where a result is an int it is 0 or -errno, with the reason logged.
 */
struct machine_ops {
	enum machine_status (*status)(void *opaque);

	/* No vCPU runs guest code when pause() returns. Pausing a paused machine, resuming a running one: nothing happens, 0. */
	int (*pause)(void *opaque);
	int (*resume)(void *opaque);

	/*
	 * These only ask, and the machine does it once the loop is back in its
	 * hands. The wiring then calls qmp_server_note() with QMP_NOTE_RESET or
	 * QMP_NOTE_SHUTDOWN; with QMP_NOTE_POWERDOWN when the button was pressed.
	 */
	int (*reset)(void *opaque);
	int (*power_button)(void *opaque);
	void (*quit)(void *opaque);

	/* Bytes of guest RAM that the host holds in memory right now. */
	int (*ram_rss_bytes)(void *opaque, uint64_t *bytes);

	/* Kernel thread id of vCPU `index`, 0 when it has none yet. */
	pid_t (*vcpu_tid)(void *opaque, unsigned index);
};

/* Owned by the wiring; the facts do not change while the VM lives. */
struct machine {
	const struct machine_ops *ops;
	void *opaque; /* for the ops */
	const char *name;
	uint64_t ram_bytes;
	unsigned n_vcpus;
	struct device *balloon; /* NULL: the VM has none */
	bool balloon_is_named;	/* its id is the user's choice, not ours */
};

#endif
