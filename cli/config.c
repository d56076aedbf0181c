#include "cli/config.h"

#include <string.h>
#include <strings.h>

#include "cli/command.h"
#include "cli/vm_options.h"
#include "device/registry.h"
#include "util/log.h"

/* What the command line asks for. */
struct request {
	const char *format; /* NULL: yaml */
	unsigned schema;
	unsigned help;
};

static void print_help(const struct own_option *own, size_t n_own)
{
	fputs("Usage: vmm-balloon config [SPEC.yaml] [options]\n"
	      "\n"
	      "Checks the spec and the options and prints the spec as it was understood, with\n"
	      "all defaults. Starts nothing. SPEC - is standard input.\n"
	      "\n",
	      stdout);
	vm_options_help(stdout, own, n_own);
}

static int find_format(const char *name, enum vmconfig_format *format)
{
	if (name && strcasecmp(name, "yaml") != 0 && strcasecmp(name, "json") != 0) {
		log_line(LOG_LEVEL_ERROR, NULL, "config: --format is yaml or json, not '%s'", name);
		return COMMAND_USAGE;
	}
	*format = name && strcasecmp(name, "json") == 0 ? VMCONFIG_JSON : VMCONFIG_YAML;
	return COMMAND_OK;
}

/* A full disk shows when the buffer is written. */
static int printed(int error)
{
	if (error)
		log_line(LOG_LEVEL_ERROR, NULL, "cannot write to standard output");
	return error ? COMMAND_FAILED : COMMAND_OK;
}

static int print_resolved(const struct vm_options *options, enum vmconfig_format format)
{
	struct vm_config config;
	int status = vm_options_load(options, &config);
	if (status == COMMAND_OK)
		status = printed(vmconfig_print(&config, format, stdout));
	vmconfig_finish(&config);
	return status;
}

int cmd_config(int argc, char **argv)
{
	struct request request = {0};
	const struct own_option own[] = {
		{"--format", 0, "yaml|json", "How to print the spec; yaml unless told", NULL, &request.format},
		{"--schema", 0, NULL, "Print the JSON Schema of a spec instead", &request.schema, NULL},
		{"--help", 'h', NULL, "Print this and exit", &request.help, NULL},
	};
	size_t n_own = sizeof own / sizeof own[0];
	struct vm_options options;
	enum vmconfig_format format = VMCONFIG_YAML;
	int status = vm_options_parse(&options, argc, argv, own, n_own);
	if (status == COMMAND_OK)
		status = find_format(request.format, &format);
	if (status == COMMAND_OK && request.help)
		print_help(own, n_own);
	else if (status == COMMAND_OK && request.schema)
		status = printed(vmconfig_print_schema(device_drivers, stdout));
	else if (status == COMMAND_OK)
		status = print_resolved(&options, format);
	vm_options_finish(&options);
	return status;
}
