/*
 * The part of QEMU's object tree that clients look for: the balloon, at
 * /machine/peripheral/ID. When the user gave it no id it is also where QEMU
 * has such devices, /machine/peripheral-anon/device[0].
 */
#ifndef CONTROL_QMP_QOM_H
#define CONTROL_QMP_QOM_H

#include "control/qmp_command.h"

extern const struct qmp_arg qmp_qom_get_args[], qmp_qom_set_args[], qmp_qom_list_args[];

void qmp_run_qom_get(struct qmp_call *call);
void qmp_run_qom_set(struct qmp_call *call);
void qmp_run_qom_list(struct qmp_call *call);

#endif
