#include "cli/vm_state.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/vm_client.h"

const char *const vm_state_commands[VM_N_ANSWERS] = {
	[VM_ANSWER_STATUS] = "query-status",
	[VM_ANSWER_MEMORY] = "query-memory-size-summary",
	[VM_ANSWER_X_BALLOON] = "x-query-balloon",
	[VM_ANSWER_BALLOON] = "query-balloon",
};

static bool has_feature(const json_t *balloon, const char *name)
{
	const json_t *feature;
	size_t i;

	json_array_foreach(json_object_get(balloon, "negotiated-features"), i, feature)
	{
		const char *text = json_string_value(feature);
		if (text && strcmp(text, name) == 0)
			return true;
	}
	return false;
}

static void read_ours(struct vm_state *state, const json_t *balloon)
{
	const json_t *stats = json_object_get(balloon, "guest-stats");

	state->has_balloon = state->tells_all = true;
	state->target_bytes = qmp_client_member_u64(balloon, "balloon-target");
	state->actual_bytes = qmp_client_member_u64(balloon, "balloon-actual");
	state->driver_ok = json_is_true(json_object_get(balloon, "driver-ok"));
	state->stalled = json_is_true(json_object_get(balloon, "stalled"));
	state->suspended = json_is_true(json_object_get(balloon, "suspended"));
	state->reports_stats = has_feature(balloon, "statistics");
	state->oom_deflations = qmp_client_member_u64(balloon, "oom-deflations");
	stats = json_object_get(stats, "stats");
	state->free_bytes = qmp_client_member_u64(stats, "stat-free-memory");
	state->available_bytes = qmp_client_member_u64(stats, "stat-available-memory");
}

/* QEMU tells what the guest has left, and nothing of the target. */
static void read_qemus(struct vm_state *state, const json_t *balloon)
{
	uint64_t left_bytes = qmp_client_member_u64(balloon, "actual");

	state->has_balloon = true;
	if (left_bytes != UINT64_MAX && state->ram_bytes != UINT64_MAX)
		state->actual_bytes = state->ram_bytes > left_bytes ? state->ram_bytes - left_bytes : 0;
}

void vm_state_read(struct vm_state *state, json_t *const answers[VM_N_ANSWERS])
{
	const char *status = json_string_value(json_object_get(answers[VM_ANSWER_STATUS], "status"));

	*state = (struct vm_state){
		.ram_bytes = qmp_client_member_u64(answers[VM_ANSWER_MEMORY], "base-memory"),
		.rss_bytes = qmp_client_member_u64(answers[VM_ANSWER_MEMORY], "x-ram-rss"),
		.target_bytes = UINT64_MAX,
		.actual_bytes = UINT64_MAX,
		.oom_deflations = UINT64_MAX,
		.free_bytes = UINT64_MAX,
		.available_bytes = UINT64_MAX,
	};
	client_plain(state->status, sizeof state->status, status && *status ? status : "unknown");
	if (json_is_object(answers[VM_ANSWER_X_BALLOON]))
		read_ours(state, answers[VM_ANSWER_X_BALLOON]);
	else if (json_is_object(answers[VM_ANSWER_BALLOON]))
		read_qemus(state, answers[VM_ANSWER_BALLOON]);
}

int vm_state_query(struct qmp_client *client, struct vm_state *state, struct fail *why)
{
	json_t *answers[VM_N_ANSWERS] = {NULL};
	int ret = 0;

	for (size_t i = 0; i < VM_N_ANSWERS && ret == 0; i++) {
		ret = qmp_client_call(client, vm_state_commands[i], NULL, &answers[i], why);
		if (ret == -EREMOTEIO)
			ret = 0;
	}
	vm_state_read(state, answers);
	for (size_t i = 0; i < VM_N_ANSWERS; i++)
		json_decref(answers[i]);
	return ret;
}

const char *vm_state_note(const struct vm_state *state)
{
	if (!state->has_balloon)
		return "no balloon";
	if (!state->tells_all)
		return "QEMU";
	if (!state->driver_ok)
		return "no driver";
	if (state->suspended)
		return "suspended";
	return state->stalled ? "stalled" : "";
}

/* ---- Why it is not there --------------------------------------------- */

/* Linux says "Out of puff" in its log when it finds no page to give. */
static void why_it_gives_no_more(const struct vm_state *state, char buf[VM_STATE_REASON_MAX])
{
	char size[CLIENT_SIZE_MAX], available[CLIENT_SIZE_MAX];

	if (state->oom_deflations > 0 && state->oom_deflations != UINT64_MAX)
		snprintf(buf, VM_STATE_REASON_MAX, "the guest ran out of memory and took pages back");
	else if (!state->reports_stats)
		snprintf(buf, VM_STATE_REASON_MAX, "the guest cannot or will not free more; its driver reports no statistics that would tell");
	else if (state->free_bytes == UINT64_MAX)
		snprintf(buf, VM_STATE_REASON_MAX, "the guest cannot or will not free more, and has not said how much it has left");
	else if (state->available_bytes == UINT64_MAX)
		snprintf(buf, VM_STATE_REASON_MAX, "the guest is out of puff: it has %s free", client_size(size, state->free_bytes));
	else
		snprintf(buf, VM_STATE_REASON_MAX, "the guest is out of puff: it has %s free, %s available", client_size(size, state->free_bytes),
			 client_size(available, state->available_bytes));
}

const char *vm_state_reason(const struct vm_state *state, uint64_t to_bytes, char buf[VM_STATE_REASON_MAX])
{
	if (strcmp(state->status, "running") != 0 && strcmp(state->status, "unknown") != 0)
		snprintf(buf, VM_STATE_REASON_MAX, "the VM does not run: its status is %s", state->status);
	else if (!state->tells_all)
		snprintf(buf, VM_STATE_REASON_MAX, "this VM is QEMU's, which does not tell what its balloon is at");
	else if (!state->driver_ok)
		snprintf(buf, VM_STATE_REASON_MAX, "the guest has no balloon driver, or not yet");
	else if (state->suspended)
		snprintf(buf, VM_STATE_REASON_MAX, "the guest has the balloon suspended");
	else if (!state->stalled)
		snprintf(buf, VM_STATE_REASON_MAX, "the guest is still at it");
	else if (to_bytes > state->actual_bytes)
		why_it_gives_no_more(state, buf);
	else
		snprintf(buf, VM_STATE_REASON_MAX, "the guest does not take its memory back");
	return buf;
}
