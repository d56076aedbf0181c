#include "cli/vm_client.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/command.h"
#include "cli/unknown.h"
#include "control/runtime_dir.h"
#include "parser/value.h"
#include "util/log.h"

/* ---- Arguments ------------------------------------------------------- */

static void print_option(const struct client_option *option)
{
	char left[64];

	snprintf(left, sizeof left, "%s%s%s", option->name, option->seconds ? "[=SEC]" : option->text ? " " : "", option->text ? option->arg : "");
	printf("  %-18s %s\n", left, option->help);
}

static void print_help(const struct client_usage *usage, const struct client_option *qmp, const char *command)
{
	static const struct client_option help = {.name = "-h, --help", .help = "print this and exit"};

	printf("Usage: vmm-balloon %s %s\n\n%s\nOptions:\n", command, usage->arguments, usage->about);
	for (const struct client_option *option = usage->options; option && option->name; option++)
		if (option->help)
			print_option(option);
	if (qmp->name)
		print_option(qmp);
	print_option(&help);
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

/* A walk over argv. */
struct walk {
	const struct client_usage *usage;
	int argc;
	char **argv;
	int next;
	int *status;
};

static const struct client_option *find_option(const struct client_option *options, const char *word, size_t len)
{
	for (; options && options->name; options++)
		if (strlen(options->name) == len && strncmp(options->name, word, len) == 0)
			return options;
	return NULL;
}

static bool unknown_option(const struct walk *walk, const struct client_option *qmp, const char *word)
{
	struct suggest search = unknown_begin(word);

	for (const struct client_option *option = walk->usage->options; option && option->name; option++)
		suggest_offer(&search, option->name + 2);
	if (qmp->name)
		suggest_offer(&search, qmp->name + 2);
	suggest_offer(&search, "help");
	*walk->status = unknown_end(&search, walk->argv[0], word);
	return false;
}

/* "--wait 60": a value that may be left out has to be told from a word. Nobody means 60 bytes. */
static bool is_stray_number(const struct walk *walk)
{
	const char *word = walk->next < walk->argc ? walk->argv[walk->next] : "";

	return word[0] >= '1' && word[0] <= '9' && !word[strspn(word, "0123456789")];
}

static bool take_option(struct walk *walk, const struct client_option *qmp, const char *word)
{
	const char *command = walk->argv[0];
	size_t len = strcspn(word, "=");
	const struct client_option *option = find_option(walk->usage->options, word, len);

	if (!option)
		option = find_option(qmp, word, len);
	if (!option)
		return unknown_option(walk, qmp, word);
	if (option->given)
		*option->given = true;
	if (option->text && !word[len] && walk->next == walk->argc)
		return usage_error(command, "this option needs a value:", word, walk->status);
	if (option->text) {
		*option->text = word[len] ? word + len + 1 : walk->argv[walk->next++];
		return true;
	}
	if (option->seconds && !word[len] && is_stray_number(walk))
		return usage_error(command, "seconds follow a '=', not a blank:", word, walk->status);
	if (!word[len])
		return true;
	if (!option->seconds)
		return usage_error(command, "this option takes no value:", word, walk->status);
	return parse_seconds(word + len + 1, option->seconds) || usage_error(command, "whole seconds are wanted:", word, walk->status);
}

/* Where the words are told apart from the options: the words move to the front of argv. */
static bool take_all(struct walk *walk, const struct client_option *qmp, struct client_args *args)
{
	bool only_words = false;

	while (walk->next < walk->argc) {
		char *word = walk->argv[walk->next++];
		if (!only_words && (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)) {
			print_help(walk->usage, qmp, walk->argv[0]);
			*walk->status = COMMAND_OK;
			return false;
		}
		if (!only_words && strcmp(word, "--") == 0)
			only_words = true;
		else if (only_words || word[0] != '-' || !word[1])
			args->words[args->n_words++] = word;
		else if (!take_option(walk, qmp, word))
			return false;
	}
	return true;
}

bool client_parse(const struct client_usage *usage, int argc, char **argv, struct client_args *args, int *status)
{
	const char *path = NULL;
	const struct client_option qmp[] = {
		{.name = usage->vms == CLIENT_NO_VM ? NULL : "--qmp", .text = &path, .arg = "PATH", .help = "the VM whose QMP socket this is; QEMU's will do"},
		{.name = NULL}};
	struct walk walk = {.usage = usage, .argc = argc, .argv = argv, .next = 1, .status = status};

	*args = (struct client_args){.words = argv + 1};
	if (!take_all(&walk, qmp, args))
		return false;
	for (size_t i = 0; i < args->n_words; i++)
		if (!*args->words[i])
			return usage_error(argv[0], "an argument is empty", NULL, status);
	if (path && !*path)
		return usage_error(argv[0], "--qmp wants the path of a socket", NULL, status);
	if (path && strlen(path) >= RUNTIME_PATH_MAX)
		return usage_error(argv[0], "no socket has a path as long as", path, status);
	if (path)
		snprintf(args->qmp_path, sizeof args->qmp_path, "%s%s", strchr(path, '/') ? "" : "./", path);
	if (usage->vms == CLIENT_ANY_VMS)
		return true;
	bool is_named = usage->vms == CLIENT_ONE_VM && !path;
	if (is_named && args->n_words == 0)
		return usage_error(argv[0], "the VM's name is missing", NULL, status);
	args->vm = is_named ? *args->words++ : args->qmp_path;
	args->n_words -= is_named;
	return args->n_words <= usage->max_words || usage_error(argv[0], "this is too much:", args->words[usage->max_words], status);
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

/* To the VM called `name`, or to the socket when it is a path. False when that failed and was said. */
static bool connect_to(const char *name, struct qmp_client **client)
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

int client_run(const struct client_usage *usage, int argc, char **argv, int (*serve)(const struct client_vm *vm, void *opaque), void *opaque)
{
	struct client_args args;
	struct client_vm vm;
	int status;

	if (!client_parse(usage, argc, argv, &args, &status))
		return status;
	assert(args.vm);
	vm = (struct client_vm){.name = args.vm, .words = args.words, .n_words = args.n_words};
	if (!connect_to(vm.name, &vm.client))
		return COMMAND_FAILED;
	status = serve(&vm, opaque);
	qmp_client_close(vm.client);
	return status;
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

int client_parse_size(const char *word, uint64_t *bytes, struct diag_list *diags)
{
	static const struct schema_prop prop = {.name = "SIZE", .type = SCHEMA_SIZE, .multiple = 4096, .example = "512M"};
	static const struct schema schema = {.name = "balloon", .props = &prop, .n_props = 1};
	struct diag_source source = {.name = "SIZE", .text = word, .len = strlen(word)};
	struct value_text value = {.schema = &schema, .prop = &prop, .text = word, .len = source.len, .at = {.source = &source, .begin = 0, .end = source.len}};

	return value_parse_size(&value, bytes, diags);
}

/* ---- Texts ----------------------------------------------------------- */

const char *client_plain(char *buf, size_t size, const char *text)
{
	size_t len = strnlen(text, size - 1);

	memcpy(buf, text, len);
	for (size_t i = 0; i < len; i++)
		if (buf[i] < ' ' || buf[i] > '~')
			buf[i] = '?';
	buf[len] = '\0';
	return buf;
}

void client_member_u64(struct json_out *out, const char *key, uint64_t value)
{
	if (value != UINT64_MAX)
		json_out_member_u64(out, key, value);
}

bool client_print_json(struct json_out *out)
{
	json_out_raw(out, "\n", 1);
	bool good = !out->failed;

	if (good)
		fwrite(out->bytes, 1, out->len, stdout);
	else
		log_line(LOG_LEVEL_ERROR, NULL, "out of memory");
	json_out_finish(out);
	return good && client_flush();
}

bool client_flush(void)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return true;
	log_line(LOG_LEVEL_ERROR, NULL, "cannot write to standard output");
	clearerr(stdout); /* said once is enough */
	return false;
}

/* ---- Time ------------------------------------------------------------ */

void client_sleep_ms(uint64_t ms)
{
	struct timespec pause = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};

	nanosleep(&pause, NULL);
}

int64_t client_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}
