/*
 * Commands about the balloon. QMP's `balloon` and `actual` are what the guest
 * has left: RAM minus balloon, in bytes.
 */
#include <errno.h>
#include <inttypes.h>
#include <linux/virtio_balloon.h>
#include <string.h>

#include "control/qmp_balloon_state.h"
#include "control/qmp_command.h"
#include "control/qmp_qom.h"
#include "device/balloon.h"

static bool has_balloon(struct qmp_call *call)
{
	if (!call->machine->balloon)
		qmp_fail(call, QMP_DEVICE_NOT_ACTIVE, "No balloon device has been activated");
	return call->machine->balloon;
}

/* ---- balloon, query-balloon ------------------------------------------ */

static const struct qmp_arg balloon_args[] = {{"value", QMP_ARG_INT, true}, {.name = NULL}};

static void run_balloon(struct qmp_call *call)
{
	uint64_t ram_bytes = call->machine->ram_bytes;
	int64_t value = qmp_int_arg(call, "value");

	if (!has_balloon(call))
		return;
	if (value <= 0) {
		qmp_fail(call, QMP_GENERIC_ERROR, "Parameter 'value' expects a size");
		return;
	}
	uint64_t target_bytes = (uint64_t)value < ram_bytes ? ram_bytes - (uint64_t)value : 0;
	if (balloon_set_target(call->machine->balloon, target_bytes) < 0)
		qmp_fail(call, QMP_GENERIC_ERROR, "Parameter 'value' asks for a balloon of %" PRIu64 " bytes, which is more than there can be", target_bytes);
}

static void run_query_balloon(struct qmp_call *call)
{
	struct balloon_state state;

	if (!has_balloon(call))
		return;
	balloon_get_state(call->machine->balloon, &state);
	json_out_open(call->out, '{');
	json_out_member_u64(call->out, "actual", qmp_left_bytes(call->machine->ram_bytes, state.actual_bytes));
	json_out_close(call->out, '}');
}

/* ---- Statistics ------------------------------------------------------ */

static void run_request_stats(struct qmp_call *call)
{
	if (!has_balloon(call))
		return;
	int ret = balloon_request_stats(call->machine->balloon);
	if (ret == -ENOTSUP)
		qmp_fail(call, QMP_GENERIC_ERROR, "The guest has no driver that reports statistics");
	/* -EBUSY: they were asked for already, and come when the guest has time. */
}

/* ---- Free page hinting ----------------------------------------------- */

static bool offers_hinting(struct device *balloon)
{
	struct balloon_state state;

	balloon_get_state(balloon, &state);
	return state.offered_features >> VIRTIO_BALLOON_F_FREE_PAGE_HINT & 1;
}

static void run_hint(struct qmp_call *call)
{
	if (!has_balloon(call))
		return;
	int ret = balloon_hint_start(call->machine->balloon);
	char text[128];
	if (ret == -ENOTSUP && !offers_hinting(call->machine->balloon))
		qmp_fail(call, QMP_GENERIC_ERROR, "The balloon does not offer free page hinting: its free_page_hinting is off");
	else if (ret == -ENOTSUP)
		qmp_fail(call, QMP_GENERIC_ERROR, "The guest has no driver that hints at free pages");
	else if (ret == -EBUSY)
		qmp_fail(call, QMP_GENERIC_ERROR, "A free page hinting run is on already");
	else if (ret < 0)
		qmp_fail(call, QMP_KVM_MISSING_CAP, "KVM cannot watch the guest's writes: %s", strerror_r(-ret, text, sizeof text));
}

/* ---- x-query-balloon ------------------------------------------------- */

static void run_x_query_balloon(struct qmp_call *call)
{
	struct balloon_state state;

	if (!has_balloon(call))
		return;
	balloon_get_state(call->machine->balloon, &state);
	qmp_put_balloon_state(call->out, call->machine, &state);
}

const struct qmp_command qmp_balloon_commands[] = {
	{"balloon", balloon_args, run_balloon},
	{"query-balloon", NULL, run_query_balloon},
	{"qom-get", qmp_qom_get_args, qmp_run_qom_get},
	{"qom-set", qmp_qom_set_args, qmp_run_qom_set},
	{"qom-list", qmp_qom_list_args, qmp_run_qom_list},
	{"x-query-balloon", NULL, run_x_query_balloon},
	{"x-balloon-request-stats", NULL, run_request_stats},
	{"x-balloon-hint", NULL, run_hint},
	{.name = NULL},
};
