#include "control/qmp_command.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "config.h"
#include "control/json_parse.h"

const struct qmp_command *const qmp_command_tables[] = {qmp_machine_commands, qmp_balloon_commands, NULL};

static const char *const class_names[] = {
	[QMP_GENERIC_ERROR] = "GenericError",	   [QMP_COMMAND_NOT_FOUND] = "CommandNotFound", [QMP_DEVICE_NOT_ACTIVE] = "DeviceNotActive",
	[QMP_DEVICE_NOT_FOUND] = "DeviceNotFound", [QMP_KVM_MISSING_CAP] = "KVMMissingCap",
};

void qmp_fail(struct qmp_call *call, enum qmp_class class, const char *fmt, ...)
{
	va_list ap;

	call->failed = true;
	call->class = class;
	va_start(ap, fmt);
	if (vsnprintf(call->desc, sizeof call->desc, fmt, ap) < 0)
		call->desc[0] = '\0';
	va_end(ap);
}

/* ---- Arguments ------------------------------------------------------- */

static bool has_type(const json_t *value, enum qmp_arg_type type)
{
	switch (type) {
	case QMP_ARG_STRING:
		/* \u0000 would end it early for whoever looks at it. */
		return json_is_string(value) && strlen(json_string_value(value)) == json_string_length(value);
	case QMP_ARG_INT:
		return json_is_integer(value);
	case QMP_ARG_LIST:
		return json_is_array(value);
	case QMP_ARG_ANY:
		break;
	}
	return true;
}

static const char *type_name(enum qmp_arg_type type)
{
	static const char *const names[] = {[QMP_ARG_STRING] = "string", [QMP_ARG_INT] = "integer", [QMP_ARG_LIST] = "array", [QMP_ARG_ANY] = "value"};

	return names[type];
}

static bool check_args(struct qmp_call *call, const struct qmp_arg *args)
{
	static const struct qmp_arg none[] = {{.name = NULL}};
	const char *key;
	json_t *value;

	args = args ? args : none;
	for (const struct qmp_arg *arg = args; arg->name; arg++) {
		value = json_object_get(call->args, arg->name);
		if (!value && arg->required)
			qmp_fail(call, QMP_GENERIC_ERROR, "Parameter '%s' is missing", arg->name);
		else if (value && !has_type(value, arg->type))
			qmp_fail(call, QMP_GENERIC_ERROR, "Invalid parameter type for '%s', expected: %s", arg->name, type_name(arg->type));
		if (call->failed)
			return false;
	}
	json_object_foreach((json_t *)call->args, key, value)
	{
		const struct qmp_arg *arg = args;
		while (arg->name && strcmp(arg->name, key) != 0)
			arg++;
		if (!arg->name) {
			qmp_fail(call, QMP_GENERIC_ERROR, "Parameter '%.100s' is unexpected", key);
			return false;
		}
	}
	return true;
}

const char *qmp_string_arg(const struct qmp_call *call, const char *name)
{
	return json_string_value(json_object_get(call->args, name));
}

int64_t qmp_int_arg(const struct qmp_call *call, const char *name)
{
	return json_integer_value(json_object_get(call->args, name));
}

/* ---- Messages -------------------------------------------------------- */

/* What a message may consist of. Returns the command's name, NULL when the message is no good. */
static const char *check_message(struct qmp_call *call, const json_t *message)
{
	const char *key, *name = NULL;
	json_t *value;

	if (!json_is_object(message)) {
		qmp_fail(call, QMP_GENERIC_ERROR, "QMP input must be a JSON object");
		return NULL;
	}
	json_object_foreach((json_t *)message, key, value)
	{
		if (strcmp(key, "execute") == 0) {
			if (!has_type(value, QMP_ARG_STRING))
				qmp_fail(call, QMP_GENERIC_ERROR, "QMP input member 'execute' must be a string");
			name = json_string_value(value);
		} else if (strcmp(key, "arguments") == 0) {
			if (!json_is_object(value))
				qmp_fail(call, QMP_GENERIC_ERROR, "QMP input member 'arguments' must be an object");
			call->args = value;
		} else if (strcmp(key, "id") != 0) {
			qmp_fail(call, QMP_GENERIC_ERROR, "QMP input member '%.100s' is unexpected", key);
		}
		if (call->failed)
			return NULL;
	}
	if (!name)
		qmp_fail(call, QMP_GENERIC_ERROR, "QMP input lacks member 'execute'");
	return name;
}

static const struct qmp_command *find_command(const char *name)
{
	for (size_t i = 0; qmp_command_tables[i]; i++)
		for (const struct qmp_command *command = qmp_command_tables[i]; command->name; command++)
			if (strcmp(command->name, name) == 0)
				return command;
	return NULL;
}

static void run_command(struct qmp_call *call, const char *name)
{
	const struct qmp_command *command = find_command(name);
	bool is_negotiation = strcmp(name, "qmp_capabilities") == 0;

	if (!*call->negotiated && !is_negotiation)
		qmp_fail(call, QMP_COMMAND_NOT_FOUND, "Expecting capabilities negotiation with 'qmp_capabilities'");
	else if (*call->negotiated && is_negotiation)
		qmp_fail(call, QMP_COMMAND_NOT_FOUND, "Capabilities negotiation is already complete, command ignored");
	else if (!command)
		qmp_fail(call, QMP_COMMAND_NOT_FOUND, "The command %.100s has not been found", name);
	else if (check_args(call, command->args))
		command->run(call);
}

static void put_error(struct json_out *out, enum qmp_class class, const char *desc)
{
	json_out_key(out, "error");
	json_out_open(out, '{');
	json_out_member_string(out, "class", class_names[class]);
	json_out_member_string(out, "desc", desc);
	json_out_close(out, '}');
}

static void end_line(struct json_out *out)
{
	json_out_close(out, '}');
	json_out_raw(out, "\r\n", 2);
}

/* A command may fail when it has put half a value: then the line begins anew. */
static void put_answer(struct qmp_call *call, const json_t *message)
{
	struct json_out *out = call->out;
	const char *name = check_message(call, message);

	json_out_open(out, '{');
	if (name) {
		json_out_key(out, "return");
		size_t before = out->len;
		run_command(call, name);
		if (!call->failed && out->len == before) {
			json_out_open(out, '{');
			json_out_close(out, '}');
		}
	}
	if (call->failed) {
		json_out_clear(out);
		json_out_open(out, '{');
		put_error(out, call->class, call->desc);
	}
	const json_t *id = json_object_get(message, "id");
	if (id) {
		json_out_key(out, "id");
		json_out_value(out, id);
	}
	end_line(out);
}

/*
 * jansson has no integer beyond 64 bits with a sign, QMP's clients may. Such a
 * message is read with all its numbers as reals: no argument takes one of those,
 * which is for its own error to say, and the id goes back as the number it was.
 */
static json_t *parse_message(const char *text, size_t len, json_error_t *error)
{
	size_t flags = JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES;
	json_t *message = json_parse(text, len, flags, error);

	if (!message && json_error_code(error) == json_error_numeric_overflow)
		message = json_parse(text, len, flags | JSON_DECODE_INT_AS_REAL, error);
	return message;
}

void qmp_answer(const struct machine *machine, struct qmp_events *events, bool *negotiated, const char *text, size_t len, struct json_out *reply)
{
	json_error_t error;
	json_t *none = json_object();
	json_t *message = parse_message(text, len, &error);
	struct qmp_call call = {.machine = machine, .events = events, .args = none, .out = reply, .negotiated = negotiated};

	if (!none)
		qmp_answer_bad("out of memory", reply);
	else if (!message)
		qmp_answer_bad(error.text, reply);
	else
		put_answer(&call, message);
	json_decref(message);
	json_decref(none);
}

void qmp_answer_bad(const char *why, struct json_out *reply)
{
	char desc[256];

	snprintf(desc, sizeof desc, "JSON parse error, %s", why);
	json_out_open(reply, '{');
	put_error(reply, QMP_GENERIC_ERROR, desc);
	end_line(reply);
}

/* The version of QEMU whose commands behave as ours do. */
void qmp_put_version(struct json_out *out)
{
	json_out_open(out, '{');
	json_out_key(out, "qemu");
	json_out_open(out, '{');
	json_out_member_u64(out, "micro", 0);
	json_out_member_u64(out, "minor", 0);
	json_out_member_u64(out, "major", 9);
	json_out_close(out, '}');
	json_out_member_string(out, "package", "vmm-balloon " VMM_BALLOON_VERSION);
	json_out_close(out, '}');
}

void qmp_greet(struct json_out *reply)
{
	json_out_open(reply, '{');
	json_out_key(reply, "QMP");
	json_out_open(reply, '{');
	json_out_key(reply, "version");
	qmp_put_version(reply);
	json_out_key(reply, "capabilities");
	json_out_open(reply, '[');
	json_out_close(reply, ']');
	json_out_close(reply, '}');
	end_line(reply);
}
