/* What the balloon's state looks like in JSON. */
#ifndef CONTROL_QMP_BALLOON_STATE_H
#define CONTROL_QMP_BALLOON_STATE_H

#include <stdint.h>

#include "control/json_out.h"
#include "control/machine_ops.h"
#include "device/balloon.h"

/* QMP counts what the guest has left. The guest may claim a balloon above its RAM. */
uint64_t qmp_left_bytes(uint64_t ram_bytes, uint64_t balloon_bytes);

/* The value of the balloon's property guest-stats. */
void qmp_put_guest_stats(struct json_out *out, const struct balloon_state *state);

/* The value of x-query-balloon; `state` is that of the machine's balloon. */
void qmp_put_balloon_state(struct json_out *out, const struct machine *machine, const struct balloon_state *state);

#endif
