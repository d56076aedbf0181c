/*
 * The options that describe a VM, which `run` and `config` share, and the few
 * that a subcommand adds of its own.
 */
#ifndef CLI_VM_OPTIONS_H
#define CLI_VM_OPTIONS_H

#include <stdio.h>

#include "parser/vmconfig.h"

/* An option that is the subcommand's: a switch that is counted (-v -v, -vv), or one with a value. */
struct own_option {
	const char *name;   /* "--verbose" */
	char letter;	    /* 'v', 0 for none; switches only */
	const char *arg;    /* what help calls its value, NULL: a switch */
	const char *help;   /* one line, no full stop */
	unsigned *count;    /* of a switch: incremented each time */
	const char **value; /* of one with a value: into argv; NULL before */
};

struct vm_options {
	struct vmconfig_input input; /* points into argv */
	struct vmconfig_flag *flags; /* owned */
};

/*
 * Reads `--option value`, `--option=value` and one SPEC; "--" ends the options.
 * argv[0] is the subcommand's name. Returns 0, or COMMAND_USAGE or
 * COMMAND_FAILED with the reason on standard error. vm_options_finish() is due
 * in any case.
 */
int vm_options_parse(struct vm_options *options, int argc, char **argv, const struct own_option *own, size_t n_own);
void vm_options_finish(struct vm_options *options);

/* Loads and checks the VM, all diagnostics on standard error. Status as above, *config zeroed on failure; the options outlive the config. */
int vm_options_load(const struct vm_options *options, struct vm_config *config);

/* The options' part of --help: the VM's, then the subcommand's. */
void vm_options_help(FILE *out, const struct own_option *own, size_t n_own);

#endif
