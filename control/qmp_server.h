/*
 * The QMP server: many clients on one listening socket, each served in turn on
 * the event-loop thread through struct host's watch, timer and defer. No call
 * waits for a client or for the guest. The protocol is that of QEMU (its docs/interop/qmp-spec).
 *
 * Bounds. At most QMP_MAX_CLIENTS clients, of whom one that has not negotiated
 * for QMP_NEGOTIATE_MS makes room for the next; a message of up to
 * QMP_MAX_MESSAGE bytes; while a client has more than QMP_OUT_PAUSE bytes of
 * answers to read its commands wait, and with more than QMP_OUT_MAX it is
 * dropped. Events that a guest can provoke are sent at most once a second
 * each: the first at once, of later ones the last when the second is over.
 */
#ifndef CONTROL_QMP_SERVER_H
#define CONTROL_QMP_SERVER_H

#include <stdbool.h>

#include "control/machine_ops.h"
#include "device/host.h"

#define QMP_MAX_CLIENTS 64
#define QMP_NEGOTIATE_MS 5000
#define QMP_MAX_MESSAGE 65536
#define QMP_OUT_PAUSE 65536
#define QMP_OUT_MAX 1048576

struct qmp_server;

/*
 * Serves clients that connect to listen_fd, a listening Unix stream socket in
 * O_NONBLOCK mode that stays the caller's (-1: none, see qmp_server_adopt).
 * Peers of another user than ours or root are turned away. `host` and
 * `machine` outlive the server. 0 or -errno.
 */
int qmp_server_create(struct host *host, const struct machine *machine, int listen_fd, struct qmp_server **out);

/*
 * Sends what each client takes at once, closes all and frees. The event loop
 * must not run any more. NULL is fine.
 */
void qmp_server_destroy(struct qmp_server *server);

/*
 * Takes a connected stream socket as one more client and greets it. The fd is
 * the server's from here on, closed on failure too. 0, -EUSERS when there are
 * QMP_MAX_CLIENTS, or -errno.
 */
int qmp_server_adopt(struct qmp_server *server, int fd);

/*
 * What a device reported; the wiring calls it with each event that host->event
 * got, after it has acted on it. Resets and power-offs come as notes, below.
 */
void qmp_server_event(struct qmp_server *server, const struct host_event *event);

/* What the machine did. `stop`, `cont` tell their own; the rest is told by the wiring. */
enum qmp_note {
	QMP_NOTE_STOP,	    /* paused other than by a client's `stop` */
	QMP_NOTE_RESUME,    /* resumed other than by a client's `cont` */
	QMP_NOTE_POWERDOWN, /* the power button was pressed */
	QMP_NOTE_RESET,	    /* the machine was reset */
	QMP_NOTE_SHUTDOWN,  /* the machine is about to end */
};

/* Who caused it; tells QMP_NOTE_RESET and QMP_NOTE_SHUTDOWN apart, no matter for the others. */
enum qmp_cause {
	QMP_CAUSE_GUEST,       /* the guest asked: ACPI, keyboard controller */
	QMP_CAUSE_GUEST_PANIC, /* triple fault, or a panic that ends the VM */
	QMP_CAUSE_CLIENT,      /* system_reset, quit */
	QMP_CAUSE_SIGNAL,      /* SIGTERM and the like */
	QMP_CAUSE_HOST_UI,     /* the terminal's escape key */
	QMP_CAUSE_HOST_ERROR,
};

void qmp_server_note(struct qmp_server *server, enum qmp_note note, enum qmp_cause cause);

#endif
