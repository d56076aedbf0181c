/*
 * Commands: a table of names, arguments and functions for each part of the
 * machine, and the one function that takes a client's message to them.
 */
#ifndef CONTROL_QMP_COMMAND_H
#define CONTROL_QMP_COMMAND_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "control/json_out.h"
#include "control/machine_ops.h"
#include "control/qmp_events.h"

enum qmp_class { QMP_GENERIC_ERROR, QMP_COMMAND_NOT_FOUND, QMP_DEVICE_NOT_ACTIVE, QMP_DEVICE_NOT_FOUND, QMP_KVM_MISSING_CAP };

enum qmp_arg_type { QMP_ARG_STRING, QMP_ARG_INT, QMP_ARG_LIST, QMP_ARG_ANY };

struct qmp_arg {
	const char *name; /* NULL ends a list of them */
	enum qmp_arg_type type;
	bool required;
};

/* One command under way. */
struct qmp_call {
	const struct machine *machine;
	struct qmp_events *events;
	const json_t *args;   /* an object; checked against the command's list */
	struct json_out *out; /* takes the one value that is returned; none means {} */
	bool *negotiated;     /* the client's */
	bool failed;	      /* the answer is this error: */
	enum qmp_class class;
	char desc[256];
};

struct qmp_command {
	const char *name;	    /* NULL ends a table */
	const struct qmp_arg *args; /* NULL for none */
	void (*run)(struct qmp_call *call);
};

extern const struct qmp_command qmp_machine_commands[];
extern const struct qmp_command qmp_balloon_commands[];

/* The tables, NULL-terminated. */
extern const struct qmp_command *const qmp_command_tables[];

/* Makes the answer an error. */
__attribute__((format(printf, 3, 4))) void qmp_fail(struct qmp_call *call, enum qmp_class class, const char *fmt, ...);

/* Arguments that the command's list names; NULL when an optional one is absent. */
const char *qmp_string_arg(const struct qmp_call *call, const char *name);
int64_t qmp_int_arg(const struct qmp_call *call, const char *name); /* required ones only */

/*
 * Answers one message with one line in `reply`, which is empty before. `text`
 * is what qmp_input made of the client's bytes. Events that the command causes
 * are sent before this returns.
 */
void qmp_answer(const struct machine *machine, struct qmp_events *events, bool *negotiated, const char *text, size_t len, struct json_out *reply);

/* The answer to what is not even a JSON value. */
void qmp_answer_bad(const char *why, struct json_out *reply);

/* The line that a client gets first. */
void qmp_greet(struct json_out *reply);

/* The value of query-version, which is also part of the greeting. */
void qmp_put_version(struct json_out *out);

#endif
