/*
 * A QMP client for the subcommands, which works on any QMP socket, QEMU's too.
 * One that qmp_client_open() made blocks, and each wait has an end; one that
 * qmp_client_begin() made never blocks. One thread.
 *
 * Numbers arrive as reals, since jansson's integers end at INT64_MAX: exact up
 * to 2^53, which is more bytes than a VM has. Read them with qmp_client_u64().
 */
#ifndef CONTROL_CLIENT_H
#define CONTROL_CLIENT_H

#include <jansson.h>
#include <stdint.h>

#include "util/fail.h"

struct qmp_client;

/* How long a VM has for an answer. Its event loop waits for nobody: when it does not answer it hangs. */
#define QMP_CLIENT_ANSWER_MS 5000

/*
 * Connects and negotiates. 0; -ENOENT or -ECONNREFUSED when nobody is there;
 * -ETIMEDOUT; -EPROTO when it is no QMP server; another -errno. The reason is
 * in `why`.
 */
int qmp_client_open(const char *path, struct qmp_client **out, struct fail *why);
void qmp_client_close(struct qmp_client *client); /* NULL is fine */

/*
 * Runs a command and waits for its answer. `args` is taken over, NULL for
 * none. *result, unless result is NULL, is the caller's to json_decref().
 * 0; -EREMOTEIO when the VM answered with an error; -ECONNRESET when it is
 * gone; -ETIMEDOUT; -EPROTO; -ENOMEM. The reason is in `why`.
 */
int qmp_client_call(struct qmp_client *client, const char *command, json_t *args, json_t **result, struct fail *why);

/* The class of the last -EREMOTEIO: "CommandNotFound". */
const char *qmp_client_error_class(const struct qmp_client *client);

/*
 * The next event, as the line that came, without its end; valid until the next
 * call. timeout_ms -1: no limit. 0, -ETIMEDOUT, -ECONNRESET or another -errno as above.
 */
int qmp_client_event(struct qmp_client *client, int timeout_ms, const char **line, struct fail *why);

/*
 * Without waiting, for whoever talks to many VMs at once. Connects and begins to
 * negotiate; commands may be sent right away. Returns as qmp_client_open().
 */
int qmp_client_begin(const char *path, struct qmp_client **out, struct fail *why);

/* To wait for input with poll(2). */
int qmp_client_fd(const struct qmp_client *client);

/* Sends a command; `args` as for qmp_client_call(). 0; -ETIMEDOUT when the VM does not read; another -errno. */
int qmp_client_send(struct qmp_client *client, const char *command, json_t *args, struct fail *why);

/*
 * The answer to the oldest command that has none yet; events are passed over.
 * Returns as qmp_client_call(), and -EAGAIN when it is not there yet. Reads from the socket once at most.
 */
int qmp_client_next(struct qmp_client *client, json_t **result, struct fail *why);

/* A number; UINT64_MAX ("unset") for one that is not below 2^64, or is no number. */
uint64_t qmp_client_u64(const json_t *value);

/* The member of an object, likewise. */
uint64_t qmp_client_member_u64(const json_t *object, const char *key);

#endif
