#include "cli/vm_client.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "control/runtime_dir.h"
#include "util/log.h"

/* ---- Arguments ------------------------------------------------------- */

static void print_help(const struct client_usage *usage, const char *command)
{
	printf("Usage: vmm-balloon %s%s%s\n\n%s", command, *usage->arguments ? " " : "", usage->arguments, usage->about);
	if (usage->options && usage->options->name)
		puts("\nOptions:");
	for (const struct client_option *option = usage->options; option && option->name; option++)
		printf("  %s%-*s %s\n", option->name, 18 - (int)strlen(option->name), option->seconds ? "[=SEC]" : "", option->help);
}

static bool usage_error(const char *command, const char *what, const char *word, int *status)
{
	log_line(LOG_LEVEL_ERROR, NULL, "%s: %s%s%s%s; see vmm-balloon help %s", command, what, word ? " '" : "", word ? word : "", word ? "'" : "", command);
	*status = COMMAND_USAGE;
	return false;
}

static bool parse_seconds(const char *text, uint64_t *seconds)
{
	char *end;

	errno = 0;
	unsigned long long value = strtoull(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno || value > 1000000000)
		return false;
	*seconds = value;
	return true;
}

static bool take_option(const struct client_usage *usage, const char *command, const char *word, int *status)
{
	size_t len = strcspn(word, "=");
	const struct client_option *option = usage->options;

	while (option && option->name && (strlen(option->name) != len || strncmp(option->name, word, len) != 0))
		option++;
	if (!option || !option->name)
		return usage_error(command, "unknown option", word, status);
	*option->given = true;
	if (!word[len])
		return true;
	if (!option->seconds)
		return usage_error(command, "this option takes no value:", word, status);
	return parse_seconds(word + len + 1, option->seconds) || usage_error(command, "whole seconds are wanted:", word, status);
}

bool client_parse(const struct client_usage *usage, int argc, char **argv, const char *words[CLIENT_MAX_WORDS], int *status)
{
	size_t n_words = 0;
	bool only_words = false;

	for (size_t i = 0; i < CLIENT_MAX_WORDS; i++)
		words[i] = NULL;
	for (int i = 1; i < argc; i++) {
		const char *word = argv[i];
		if (!only_words && (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)) {
			print_help(usage, argv[0]);
			*status = COMMAND_OK;
			return false;
		}
		if (!only_words && strcmp(word, "--") == 0)
			only_words = true;
		else if (!only_words && word[0] == '-' && word[1]) {
			if (!take_option(usage, argv[0], word, status))
				return false;
		} else if (n_words == usage->max_words)
			return usage_error(argv[0], "this is too much:", word, status);
		else
			words[n_words++] = word;
	}
	return n_words >= usage->min_words || usage_error(argv[0], "the VM's name is missing", NULL, status);
}

/* ---- The VM ---------------------------------------------------------- */

void client_complain(const char *name, const struct fail *why)
{
	char text[128];

	if (why->error)
		log_line(LOG_LEVEL_ERROR, name, "%s: %s", why->text, strerror_r(why->error, text, sizeof text));
	else
		log_line(LOG_LEVEL_ERROR, name, "%s", why->text);
}

bool client_connect(const char *name, struct qmp_client **client)
{
	char path[RUNTIME_PATH_MAX];
	struct fail why;
	int ret = runtime_dir_find(name, path, &why);

	if (ret == 0)
		ret = qmp_client_open(path, client, &why);
	if ((ret == -ENOENT || ret == -ECONNREFUSED) && !strchr(name, '/'))
		log_line(LOG_LEVEL_ERROR, name, "no VM of this name is running; see vmm-balloon list");
	else if (ret < 0)
		client_complain(name, &why);
	return ret == 0;
}

bool client_call(const char *name, struct qmp_client *client, const char *command, json_t *args, json_t **result)
{
	struct fail why;
	int ret = qmp_client_call(client, command, args, result, &why);

	if (ret < 0)
		client_complain(name, &why);
	return ret == 0;
}

/* ---- Sizes ----------------------------------------------------------- */

const char *client_size(char buf[CLIENT_SIZE_MAX], uint64_t bytes)
{
	static const char units[] = "KMGTPE";
	unsigned unit = 0;
	uint64_t tenths = bytes > UINT64_MAX / 10 ? bytes / 1024 * 10 : bytes * 10 / 1024;

	if (bytes == UINT64_MAX) {
		snprintf(buf, CLIENT_SIZE_MAX, "-");
		return buf;
	}
	if (bytes < 1024) {
		snprintf(buf, CLIENT_SIZE_MAX, "%" PRIu64, bytes);
		return buf;
	}
	for (; tenths >= 10240 && units[unit + 1]; unit++)
		tenths /= 1024;
	if (tenths % 10 == 0)
		snprintf(buf, CLIENT_SIZE_MAX, "%" PRIu64 "%c", tenths / 10, units[unit]);
	else
		snprintf(buf, CLIENT_SIZE_MAX, "%" PRIu64 ".%" PRIu64 "%c", tenths / 10, tenths % 10, units[unit]);
	return buf;
}

/* ---- Memory ---------------------------------------------------------- */

static bool last_error_is(const struct qmp_client *client, int ret, const char *class)
{
	return ret == -EREMOTEIO && strcmp(qmp_client_error_class(client), class) == 0;
}

/* QEMU tells what the guest has left, and nothing of the target. */
static int query_balloon(struct qmp_client *client, struct client_memory *memory, struct fail *why)
{
	json_t *state = NULL;
	int ret = qmp_client_call(client, "query-balloon", NULL, &state, why);

	if (ret == 0) {
		uint64_t left_bytes = qmp_client_member_u64(state, "actual");
		memory->actual_bytes = memory->ram_bytes > left_bytes ? memory->ram_bytes - left_bytes : 0;
		memory->driver_ok = true;
	}
	json_decref(state);
	return ret;
}

static int query_x_balloon(struct qmp_client *client, struct client_memory *memory, struct fail *why)
{
	json_t *state = NULL;
	int ret = qmp_client_call(client, "x-query-balloon", NULL, &state, why);

	if (ret == 0) {
		memory->target_bytes = qmp_client_member_u64(state, "balloon-target");
		memory->actual_bytes = qmp_client_member_u64(state, "balloon-actual");
		memory->driver_ok = json_is_true(json_object_get(state, "driver-ok"));
		memory->stalled = json_is_true(json_object_get(state, "stalled"));
	}
	json_decref(state);
	return ret;
}

int client_query_memory(struct qmp_client *client, struct client_memory *memory, struct fail *why)
{
	json_t *summary = NULL;

	*memory = (struct client_memory){.target_bytes = UINT64_MAX, .actual_bytes = UINT64_MAX};
	int ret = qmp_client_call(client, "query-memory-size-summary", NULL, &summary, why);
	memory->ram_bytes = qmp_client_member_u64(summary, "base-memory");
	memory->rss_bytes = qmp_client_member_u64(summary, "x-ram-rss");
	json_decref(summary);
	if (ret < 0)
		return ret;
	ret = query_x_balloon(client, memory, why);
	if (last_error_is(client, ret, "CommandNotFound"))
		ret = query_balloon(client, memory, why);
	memory->has_balloon = ret == 0;
	return last_error_is(client, ret, "DeviceNotActive") ? 0 : ret;
}
