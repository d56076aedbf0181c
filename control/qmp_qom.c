#include "control/qmp_qom.h"

#include <linux/virtio_balloon.h>
#include <string.h>

#include "control/qmp_balloon_state.h"

#define BALLOON_TYPE "virtio-balloon-pci"
#define PERIPHERAL "/machine/peripheral"
#define ANON "/machine/peripheral-anon"

const struct qmp_arg qmp_qom_get_args[] = {{"path", QMP_ARG_STRING, true}, {"property", QMP_ARG_STRING, true}, {.name = NULL}};
const struct qmp_arg qmp_qom_set_args[] = {{"path", QMP_ARG_STRING, true}, {"property", QMP_ARG_STRING, true}, {"value", QMP_ARG_ANY, true}, {.name = NULL}};
const struct qmp_arg qmp_qom_list_args[] = {{"path", QMP_ARG_STRING, true}, {.name = NULL}};

/* ---- The balloon's properties ---------------------------------------- */

static void get_type(struct json_out *out, const struct balloon_state *state)
{
	(void)state;
	json_out_string(out, BALLOON_TYPE);
}

static void get_interval(struct json_out *out, const struct balloon_state *state)
{
	json_out_u64(out, state->stats_interval_s);
}

static void get_deflate_on_oom(struct json_out *out, const struct balloon_state *state)
{
	json_out_bool(out, state->offered_features >> VIRTIO_BALLOON_F_DEFLATE_ON_OOM & 1);
}

static void get_reporting(struct json_out *out, const struct balloon_state *state)
{
	json_out_bool(out, state->offered_features >> VIRTIO_BALLOON_F_REPORTING & 1);
}

static void get_hinting(struct json_out *out, const struct balloon_state *state)
{
	json_out_bool(out, state->offered_features >> VIRTIO_BALLOON_F_FREE_PAGE_HINT & 1);
}

static void set_interval(struct qmp_call *call, const json_t *value)
{
	json_int_t seconds = json_integer_value(value);

	if (!json_is_integer(value)) {
		qmp_fail(call, QMP_GENERIC_ERROR, "Invalid parameter type for 'guest-stats-polling-interval', expected: integer");
		return;
	}
	if (seconds < 0) {
		qmp_fail(call, QMP_GENERIC_ERROR, "timer value must be greater than zero");
		return;
	}
	if (balloon_set_stats_interval(call->machine->balloon, (uint64_t)seconds) < 0)
		qmp_fail(call, QMP_GENERIC_ERROR, "timer value is too big");
}

static const struct property {
	const char *name, *type;
	void (*get)(struct json_out *out, const struct balloon_state *state);
	void (*set)(struct qmp_call *call, const json_t *value); /* NULL: read-only */
} properties[] = {
	{"type", "string", get_type, NULL},
	{"guest-stats", "guest statistics", qmp_put_guest_stats, NULL},
	{"guest-stats-polling-interval", "int", get_interval, set_interval},
	{"deflate-on-oom", "bool", get_deflate_on_oom, NULL},
	{"free-page-reporting", "bool", get_reporting, NULL},
	{"free-page-hint", "bool", get_hinting, NULL},
};

/* ---- The tree -------------------------------------------------------- */

enum node { NODE_NONE, NODE_ROOT, NODE_MACHINE, NODE_PERIPHERAL, NODE_ANON, NODE_BALLOON };

static enum node find_node(const struct machine *machine, const char *path)
{
	static const char *const containers[] = {[NODE_ROOT] = "/", [NODE_MACHINE] = "/machine", [NODE_PERIPHERAL] = PERIPHERAL, [NODE_ANON] = ANON};
	size_t prefix = strlen(PERIPHERAL "/");

	for (unsigned node = NODE_ROOT; node <= NODE_ANON; node++)
		if (strcmp(path, containers[node]) == 0)
			return node;
	if (!machine->balloon)
		return NODE_NONE;
	if (strncmp(path, PERIPHERAL "/", prefix) == 0 && strcmp(path + prefix, machine->balloon->id) == 0)
		return NODE_BALLOON;
	if (strcmp(path, ANON "/device[0]") == 0 && !machine->balloon_is_named)
		return NODE_BALLOON;
	/* A bare name is a partial path. */
	return strcmp(path, machine->balloon->id) == 0 ? NODE_BALLOON : NODE_NONE;
}

static enum node need_node(struct qmp_call *call)
{
	const char *path = qmp_string_arg(call, "path");
	enum node node = find_node(call->machine, path);

	if (node == NODE_NONE)
		qmp_fail(call, QMP_DEVICE_NOT_FOUND, "Device '%.100s' not found", path);
	return node;
}

/* The property that the call names; containers have none but their type. */
static const struct property *need_property(struct qmp_call *call, enum node node)
{
	const char *name = qmp_string_arg(call, "property");

	for (size_t i = 0; node == NODE_BALLOON && i < sizeof properties / sizeof properties[0]; i++)
		if (strcmp(properties[i].name, name) == 0)
			return &properties[i];
	qmp_fail(call, QMP_GENERIC_ERROR, "Property '%s.%.100s' not found", node == NODE_BALLOON ? BALLOON_TYPE : "container", name);
	return NULL;
}

void qmp_run_qom_get(struct qmp_call *call)
{
	enum node node = need_node(call);
	struct balloon_state state;

	if (node == NODE_NONE)
		return;
	if (node != NODE_BALLOON && strcmp(qmp_string_arg(call, "property"), "type") == 0) {
		json_out_string(call->out, "container");
		return;
	}
	const struct property *property = need_property(call, node);
	if (!property)
		return;
	balloon_get_state(call->machine->balloon, &state);
	property->get(call->out, &state);
}

void qmp_run_qom_set(struct qmp_call *call)
{
	enum node node = need_node(call);
	const struct property *property = node == NODE_NONE ? NULL : need_property(call, node);

	if (!property)
		return;
	if (property->set)
		property->set(call, json_object_get(call->args, "value"));
	else
		qmp_fail(call, QMP_GENERIC_ERROR, "Property '" BALLOON_TYPE ".%s' is not writable", property->name);
}

static void put_entry(struct json_out *out, const char *name, const char *type)
{
	json_out_open(out, '{');
	json_out_member_string(out, "name", name);
	json_out_member_string(out, "type", type);
	json_out_close(out, '}');
}

void qmp_run_qom_list(struct qmp_call *call)
{
	const struct device *balloon = call->machine->balloon;
	struct json_out *out = call->out;
	enum node node = need_node(call);

	if (node == NODE_NONE)
		return;
	json_out_open(out, '[');
	if (node != NODE_BALLOON)
		put_entry(out, "type", "string");
	if (node == NODE_ROOT)
		put_entry(out, "machine", "child<container>");
	if (node == NODE_MACHINE) {
		put_entry(out, "peripheral", "child<container>");
		put_entry(out, "peripheral-anon", "child<container>");
	}
	if (node == NODE_PERIPHERAL && balloon)
		put_entry(out, balloon->id, "child<" BALLOON_TYPE ">");
	if (node == NODE_ANON && balloon && !call->machine->balloon_is_named)
		put_entry(out, "device[0]", "child<" BALLOON_TYPE ">");
	for (size_t i = 0; node == NODE_BALLOON && i < sizeof properties / sizeof properties[0]; i++)
		put_entry(out, properties[i].name, properties[i].type);
	json_out_close(out, ']');
}
