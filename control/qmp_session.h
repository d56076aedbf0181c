/*
 * One connected client: bytes in, answers and events out. Event-loop thread.
 *
 * A session that ends (end of file, an error, too much unread output) is only
 * marked as ended and calls back; its owner frees it later, when nobody is at
 * work in it any more.
 */
#ifndef CONTROL_QMP_SESSION_H
#define CONTROL_QMP_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "control/json_out.h"
#include "control/machine_ops.h"
#include "control/qmp_events.h"
#include "control/qmp_input.h"
#include "device/host.h"

struct qmp_session {
	struct qmp_session *next; /* the owner's */
	struct host *host;
	const struct machine *machine;
	struct qmp_events *events;
	void (*ended)(void *opaque); /* called once */
	void *ended_opaque;

	struct host_watch watch;
	bool is_ended;
	bool at_eof; /* the client sends no more; it may still read */
	bool negotiated;
	uint64_t since_ms; /* host->now_ms() when it came */
	struct qmp_input input;
	struct json_out out; /* for the client to read */
};

struct qmp_session_init {
	struct host *host;
	const struct machine *machine;
	struct qmp_events *events;
	void (*ended)(void *opaque);
	void *opaque;
};

/* Takes the fd, a connected stream socket, and greets. NULL when memory is short: then the fd is closed. */
struct qmp_session *qmp_session_create(int fd, const struct qmp_session_init *init);

/* Sends what the client takes at once, closes, frees. NULL is fine. */
void qmp_session_destroy(struct qmp_session *session);

/* Ends it before its time; the owner frees it later. */
void qmp_session_drop(struct qmp_session *session);

/* An event's line, for a client that negotiated. */
void qmp_session_tell(struct qmp_session *session, const char *line, size_t len);

#endif
