/*
 * The part of QEMU's object tree that clients look for: the balloon, at
 * /machine/peripheral/ID, or at /machine/peripheral-anon/device[0] for who
 * believes that it has no id.
 */
#ifndef CONTROL_QMP_QOM_H
#define CONTROL_QMP_QOM_H

#include "control/qmp_command.h"
#include "device/balloon.h"

extern const struct qmp_arg qmp_qom_get_args[], qmp_qom_set_args[], qmp_qom_list_args[];

void qmp_run_qom_get(struct qmp_call *call);
void qmp_run_qom_set(struct qmp_call *call);
void qmp_run_qom_list(struct qmp_call *call);

/* The value of the balloon's property guest-stats. */
void qmp_put_guest_stats(struct json_out *out, const struct balloon_state *state);

#endif
