#include "cli/devices.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "cli/vm_client.h"
#include "cli/wrap.h"
#include "device/registry.h"
#include "parser/sections.h"
#include "parser/suggest.h"
#include "util/log.h"

#define CELL_MAX 256

/* Columns: name, text. */
#define NAME_WIDTH 20
#define TEXT_COLUMN (2 + NAME_WIDTH + 1)

/* What a property takes: "size", "on|off", "tty|file|null|off". */
static const char *type_text(char buf[CELL_MAX], const struct schema_prop *prop)
{
	static const char *const names[] = {
		[SCHEMA_SIZE] = "size",	  [SCHEMA_UINT] = "number", [SCHEMA_BOOL] = "on|off", [SCHEMA_ENUM] = "",
		[SCHEMA_STRING] = "text", [SCHEMA_PATH] = "path",   [SCHEMA_ID] = "id",
	};
	size_t len = (size_t)snprintf(buf, CELL_MAX, "%s", names[prop->type]);
	for (size_t i = 0; prop->type == SCHEMA_ENUM && prop->choices[i] && len < CELL_MAX; i++)
		len += (size_t)snprintf(buf + len, CELL_MAX - len, "%s%s", i > 0 ? "|" : "", prop->choices[i]);
	return buf;
}

static const char *default_text(char buf[CELL_MAX], const struct schema_prop *prop)
{
	char size[SCHEMA_SIZE_TEXT_MAX];
	const char *text = prop->def_text;
	buf[0] = '\0';
	if (prop->required)
		text = "required";
	else if (!text && prop->type == SCHEMA_SIZE)
		text = schema_size_text(size, prop->def);
	else if (!text && prop->type == SCHEMA_BOOL)
		text = prop->def ? "on" : "off";
	else if (!text && prop->type == SCHEMA_ENUM)
		text = prop->choices[prop->def];
	if (text)
		snprintf(buf, CELL_MAX, "%s", text);
	else if (prop->type == SCHEMA_UINT)
		snprintf(buf, CELL_MAX, "%" PRIu64, prop->def);
	return buf;
}

/* "from 1 to 31", "at least 16M and less than 16T, a multiple of 4K"; empty where everything goes. */
static const char *range_text(char buf[CELL_MAX], const struct schema_prop *prop)
{
	char range[SCHEMA_RANGE_MAX], multiple[SCHEMA_SIZE_TEXT_MAX];
	bool is_number = prop->type == SCHEMA_SIZE || prop->type == SCHEMA_UINT;
	buf[0] = '\0';
	if (is_number && (prop->min > 0 || prop->max > 0))
		snprintf(buf, CELL_MAX, "%s", schema_range_text(range, prop));
	size_t len = strlen(buf);
	if (prop->multiple > 1)
		snprintf(buf + len, CELL_MAX - len, "%sa multiple of %s", len > 0 ? ", " : "", schema_size_text(multiple, prop->multiple));
	return buf;
}

static void print_props(const struct schema *schema)
{
	char type[CELL_MAX], def[CELL_MAX], range[CELL_MAX], facts[3 * CELL_MAX + 16];
	for (size_t i = 0; i < schema->n_props; i++) {
		const struct schema_prop *prop = &schema->props[i];
		range_text(range, prop);
		snprintf(facts, sizeof facts, "%s; %s%s%s%s", type_text(type, prop), prop->required ? "" : "default ", default_text(def, prop),
			 *range ? "; " : "", range);
		printf("\n  %-*s ", NAME_WIDTH, prop->name);
		wrap_text(stdout, TEXT_COLUMN, facts);
		printf("%*s", TEXT_COLUMN, "");
		wrap_text(stdout, TEXT_COLUMN, prop->help);
		printf("%*se.g. %s=%s\n", TEXT_COLUMN, "", prop->name, prop->example);
	}
}

static void print_driver(const struct schema_driver *driver)
{
	printf("%s: %s\n", driver->name, driver->desc);
	if (driver->shorthand)
		printf("As --%s KEY=VALUE,..., or in a spec as %s: {KEY: VALUE, ...}\n", driver->shorthand, driver->shorthand);
	printf("As --device %s,KEY=VALUE,..., or in a spec as\n"
	       "devices: [{driver: %s, KEY: VALUE, ...}]\n",
	       driver->name, driver->name);
	print_props(driver->schema);
}

static void print_section(const struct section *section)
{
	printf("%s: %s\n", section->schema->name, section->desc);
	print_props(section->schema);
}

static bool is_driver(const struct schema_driver *driver, const char *name)
{
	return strcmp(driver->name, name) == 0 || (driver->shorthand && strcmp(driver->shorthand, name) == 0);
}

static int print_one(const char *name)
{
	struct suggest search = {.word = name, .len = strlen(name)};
	for (const struct schema_driver *const *driver = device_drivers; *driver; driver++) {
		if (is_driver(*driver, name)) {
			print_driver(*driver);
			return COMMAND_OK;
		}
		suggest_offer(&search, (*driver)->name);
		if ((*driver)->shorthand)
			suggest_offer(&search, (*driver)->shorthand);
	}
	for (unsigned i = 0; i < N_SECTIONS; i++) {
		if (strcmp(vm_sections[i].schema->name, name) == 0) {
			print_section(&vm_sections[i]);
			return COMMAND_OK;
		}
		suggest_offer(&search, vm_sections[i].schema->name);
	}
	if (search.nearest)
		log_line(LOG_LEVEL_ERROR, NULL, "devices: there is no driver '%s'; did you mean '%s'?", name, search.nearest);
	else
		log_line(LOG_LEVEL_ERROR, NULL, "devices: there is no driver '%s'; vmm-balloon devices lists them", name);
	return COMMAND_USAGE;
}

static void print_list(void)
{
	puts("Drivers:");
	for (const struct schema_driver *const *driver = device_drivers; *driver; driver++)
		printf("  %-*s %s\n", NAME_WIDTH, (*driver)->name, (*driver)->desc);
	puts("Sections of a spec:");
	for (unsigned i = 0; i < N_SECTIONS; i++)
		printf("  %-*s %s\n", NAME_WIDTH, vm_sections[i].schema->name, vm_sections[i].desc);
	puts("\nvmm-balloon devices NAME shows the properties of one.");
}

/* One property a line, tab-separated, for the tests and the shell completions; not for people, and so not in --help. */
static void print_table(const char *section, const char *option, const struct schema *schema)
{
	char type[CELL_MAX], def[CELL_MAX], range[CELL_MAX];
	for (size_t i = 0; i < schema->n_props; i++) {
		const struct schema_prop *prop = &schema->props[i];
		printf("%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", section, option, prop->name, type_text(type, prop), default_text(def, prop), range_text(range, prop),
		       prop->example, prop->help);
	}
}

/* The option whose value is a config string for the section; empty for none. */
static const char *option_of(enum section_index section)
{
	for (size_t i = 0; i < n_section_options; i++)
		if (section_options[i].section == section && !section_options[i].prop)
			return section_options[i].name;
	return "";
}

static void print_tables(void)
{
	char option[64];
	for (unsigned i = 0; i < N_SECTIONS; i++)
		print_table(vm_sections[i].schema->name, option_of(i), vm_sections[i].schema);
	for (const struct schema_driver *const *driver = device_drivers; *driver; driver++) {
		snprintf(option, sizeof option, "%s%s", (*driver)->shorthand ? "--" : "", (*driver)->shorthand ? (*driver)->shorthand : "");
		print_table((*driver)->name, option, (*driver)->schema);
	}
}

int cmd_devices(int argc, char **argv)
{
	bool tables = false;
	const struct client_option options[] = {{.name = "--tables", .given = &tables}, {.name = NULL}};
	const struct client_usage usage = {
		.arguments = "[DRIVER]",
		.about = "Lists the device drivers, or the properties of one with type, default and range.\n"
			 "The sections of a spec (cpus, memory, ...) can be named as well.\n",
		.vms = CLIENT_NO_VM,
		.max_words = 1,
		.options = options,
	};
	struct client_args args;
	int status;

	if (!client_parse(&usage, argc, argv, &args, &status))
		return status;
	status = COMMAND_OK;
	if (tables)
		print_tables();
	else if (args.n_words == 0)
		print_list();
	else
		status = print_one(args.words[0]);
	if (status == COMMAND_OK && (fflush(stdout) != 0 || ferror(stdout))) {
		log_line(LOG_LEVEL_ERROR, NULL, "cannot write to standard output");
		status = COMMAND_FAILED;
	}
	return status;
}
