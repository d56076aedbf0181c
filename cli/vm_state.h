/*
 * What there is to know of a running VM, from the answers of its QMP socket:
 * ours tells all, QEMU what query-balloon has.
 */
#ifndef CLI_VM_STATE_H
#define CLI_VM_STATE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "control/client.h"

/* The commands that are asked, in this order; an answer that was an error is NULL. */
enum vm_answer { VM_ANSWER_STATUS, VM_ANSWER_MEMORY, VM_ANSWER_X_BALLOON, VM_ANSWER_BALLOON, VM_N_ANSWERS };
extern const char *const vm_state_commands[VM_N_ANSWERS];

/* UINT64_MAX: not told. */
struct vm_state {
	char status[24]; /* "running", "paused" ...; printable ASCII; "unknown" when not told */
	uint64_t ram_bytes, rss_bytes;
	bool has_balloon;		     /* the rest means something */
	bool tells_all;			     /* it is not QEMU: what follows `actual_bytes` means something */
	uint64_t target_bytes, actual_bytes; /* taken from the guest */
	bool driver_ok, stalled, suspended;
	bool reports_stats; /* the guest's driver does */
	uint64_t oom_deflations;
	uint64_t free_bytes, available_bytes; /* as the guest says */
};

void vm_state_read(struct vm_state *state, json_t *const answers[VM_N_ANSWERS]);

/* Asks, one command after the other. 0, or -errno as qmp_client_call() with the reason in `why`; never -EREMOTEIO. */
int vm_state_query(struct qmp_client *client, struct vm_state *state, struct fail *why);

/* A word or two for a table on what is special about the balloon: "stalled", "no driver"; "" for nothing. */
const char *vm_state_note(const struct vm_state *state);

/* Why the balloon is not at its target, as far as the VM tells: a clause without a full stop. `to_bytes`: where it is to go. Returns buf. */
#define VM_STATE_REASON_MAX 200
const char *vm_state_reason(const struct vm_state *state, uint64_t to_bytes, char buf[VM_STATE_REASON_MAX]);

#endif
