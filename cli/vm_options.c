#include "cli/vm_options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "cli/unknown.h"
#include "device/registry.h"
#include "parser/sections.h"
#include "util/log.h"

/* A walk over argv. */
struct walk {
	struct vm_options *options;
	int argc;
	char **argv;
	int next;
	const struct own_option *own;
	size_t n_own;
};

static const struct own_option *find_own(const struct walk *walk, const char *name)
{
	for (size_t i = 0; i < walk->n_own; i++)
		if (strcmp(walk->own[i].name, name) == 0)
			return &walk->own[i];
	return NULL;
}

static bool is_option(const struct walk *walk, const char *name)
{
	return vmconfig_has_option(device_drivers, name) || find_own(walk, name);
}

static int unknown_option(const struct walk *walk, const char *name)
{
	struct suggest search = unknown_begin(name);
	for (size_t i = 0; i < n_section_options; i++)
		suggest_offer(&search, section_options[i].name + 2);
	for (const struct schema_driver *const *driver = device_drivers; *driver; driver++)
		if ((*driver)->shorthand)
			suggest_offer(&search, (*driver)->shorthand);
	suggest_offer(&search, &DEVICE_OPTION[2]);
	for (size_t i = 0; i < walk->n_own; i++)
		suggest_offer(&search, walk->own[i].name + 2);
	return unknown_end(&search, walk->argv[0], name);
}

/* The value after '=', or the next argument unless that is an option itself. NULL after an error. */
static const char *take_value(struct walk *walk, const char *name, const char *attached)
{
	if (attached)
		return attached;
	const char *next = walk->next < walk->argc ? walk->argv[walk->next] : NULL;
	if (next && !(strncmp(next, "--", 2) == 0 && is_option(walk, next))) {
		walk->next++;
		return next;
	}
	log_line(LOG_LEVEL_ERROR, NULL, "%s: option '%s' needs a value; see vmm-balloon help %s", walk->argv[0], name, walk->argv[0]);
	return NULL;
}

static int unwanted_value(const struct walk *walk, const char *name)
{
	log_line(LOG_LEVEL_ERROR, NULL, "%s: option '%s' takes no value", walk->argv[0], name);
	return COMMAND_USAGE;
}

static int own_long(struct walk *walk, const struct own_option *own, const char *attached)
{
	if (!own->arg && attached)
		return unwanted_value(walk, own->name);
	if (!own->arg) {
		++*own->count;
		return COMMAND_OK;
	}
	if (*own->value) {
		log_line(LOG_LEVEL_ERROR, NULL, "%s: option '%s' is given twice", walk->argv[0], own->name);
		return COMMAND_USAGE;
	}
	*own->value = take_value(walk, own->name, attached);
	return *own->value ? COMMAND_OK : COMMAND_USAGE;
}

/* "--option", with its value cut off: argv is ours to write to (C11, 5.1.2.2.1). */
static int long_option(struct walk *walk, char *name)
{
	char *equals = strchr(name, '='), *attached = NULL;
	if (equals) {
		*equals = '\0';
		attached = equals + 1;
	}
	const struct own_option *own = find_own(walk, name);
	if (own)
		return own_long(walk, own, attached);
	if (!is_option(walk, name))
		return unknown_option(walk, name);
	const struct section_option *section = section_option_find(name);
	const char *implied = section ? section->implied : NULL;
	if (implied && attached)
		return unwanted_value(walk, name);
	const char *value = implied ? implied : take_value(walk, name, attached);
	if (!value)
		return COMMAND_USAGE;
	walk->options->flags[walk->options->input.n_flags++] = (struct vmconfig_flag){name, value};
	return COMMAND_OK;
}

/* "-v", "-vv" */
static int letters(struct walk *walk, const char *arg)
{
	for (const char *letter = arg + 1; *letter; letter++) {
		size_t i = 0;
		while (i < walk->n_own && walk->own[i].letter != *letter)
			i++;
		if (i == walk->n_own)
			return unknown_option(walk, arg);
		++*walk->own[i].count;
	}
	return COMMAND_OK;
}

static int spec(struct walk *walk, const char *arg)
{
	struct vmconfig_input *input = &walk->options->input;
	if (input->spec_path) {
		log_line(LOG_LEVEL_ERROR, NULL, "%s: one spec only, got '%s' and '%s'", walk->argv[0], input->spec_path, arg);
		return COMMAND_USAGE;
	}
	input->spec_path = arg;
	return COMMAND_OK;
}

int vm_options_parse(struct vm_options *options, int argc, char **argv, const struct own_option *own, size_t n_own)
{
	struct walk walk = {options, argc, argv, 1, own, n_own};
	int status = COMMAND_OK;
	bool options_end = false;
	*options = (struct vm_options){.flags = calloc((size_t)argc, sizeof(struct vmconfig_flag))};
	if (!options->flags) {
		log_line(LOG_LEVEL_ERROR, NULL, "out of memory");
		return COMMAND_FAILED;
	}
	options->input.flags = options->flags;
	options->input.drivers = device_drivers;
	while (walk.next < argc && status == COMMAND_OK) {
		char *arg = argv[walk.next++];
		if (options_end || arg[0] != '-' || arg[1] == '\0')
			status = spec(&walk, arg);
		else if (strcmp(arg, "--") == 0)
			options_end = true;
		else
			status = arg[1] == '-' ? long_option(&walk, arg) : letters(&walk, arg);
	}
	return status;
}

void vm_options_finish(struct vm_options *options)
{
	free(options->flags);
	*options = (struct vm_options){0};
}

int vm_options_load(const struct vm_options *options, struct vm_config *config)
{
	struct diag_list *diags = diag_list_create();
	*config = (struct vm_config){0};
	int error = diags ? vmconfig_load(config, &options->input, diags) : -ENOMEM;
	int status = COMMAND_USAGE;
	if (diags) {
		diag_print(diags, stderr, diag_colour_for(stderr));
		status = diag_is_host_to_blame(diags) ? COMMAND_FAILED : COMMAND_USAGE;
	}
	diag_list_destroy(diags);
	if (error == -EINVAL)
		return status;
	if (error)
		log_line(LOG_LEVEL_ERROR, NULL, "cannot read the spec: %s", strerror(-error));
	return error ? COMMAND_FAILED : COMMAND_OK;
}

static void help_row(FILE *out, char letter, const char *name, const char *arg, const char *help)
{
	char left[64], short_form[] = {'-', letter, ',', ' ', '\0'};
	snprintf(left, sizeof left, "%s%s%s%s", letter ? short_form : "", name, arg ? " " : "", arg ? arg : "");
	fprintf(out, strlen(left) > 28 ? "  %s\n%32s%s\n" : "  %-28s%.0s  %s\n", left, "", help);
}

void vm_options_help(FILE *out, const struct own_option *own, size_t n_own)
{
	char name[64], help[128];
	fputs("Options that describe the VM; they override the spec, key by key:\n", out);
	for (size_t i = 0; i < n_section_options; i++)
		help_row(out, 0, section_options[i].name, section_options[i].arg, section_options[i].help);
	for (const struct schema_driver *const *driver = device_drivers; *driver; driver++) {
		if (!(*driver)->shorthand)
			continue;
		snprintf(name, sizeof name, "--%s", (*driver)->shorthand);
		snprintf(help, sizeof help, "Short for %s %s,...", DEVICE_OPTION, (*driver)->name);
		help_row(out, 0, name, "key=value[,...]", help);
	}
	help_row(out, 0, DEVICE_OPTION, "DRIVER[,key=value...]", "Add a device; see vmm-balloon devices");
	fputs("\nOther options:\n", out);
	for (size_t i = 0; i < n_own; i++)
		help_row(out, own[i].letter, own[i].name, own[i].arg, own[i].help);
}
