/*
 * What the subcommands share that talk to a running VM: their arguments, the
 * way to the VM, and sizes for people.
 */
#ifndef CLI_VM_CLIENT_H
#define CLI_VM_CLIENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "control/client.h"
#include "control/json_out.h"
#include "control/runtime_dir.h"
#include "parser/diag.h"

/* "--json"; "--wait[=SEC]" when `seconds` is not NULL; "--format FORMAT" when `text` is not. */
struct client_option {
	const char *name;
	bool *given;	   /* NULL: whoever has the value knows enough */
	uint64_t *seconds; /* as it was when no SEC was given */
	const char **text; /* into argv; as it was when not given */
	const char *arg;   /* what help calls the text */
	const char *help;  /* one line, no full stop */
};

enum client_vms { CLIENT_ONE_VM, CLIENT_ANY_VMS, CLIENT_NO_VM };

/* What a subcommand takes; argv[0] is its name. --help is added, and --qmp unless it is for no VM. */
struct client_usage {
	const char *arguments;		     /* "NAME [SIZE] [--wait[=SEC]]" */
	const char *about;		     /* for --help: lines, each with its newline */
	enum client_vms vms;		     /* ONE: the first word is its name, unless --qmp says where it is. ANY: all words are */
	size_t max_words;		     /* besides names of VMs */
	const struct client_option *options; /* name NULL ends them; NULL for none. One without help is for programs: --help leaves it out */
};

/* What was given. */
struct client_args {
	const char *vm; /* of one VM: its name or the path of its socket, which has a '/' */
	char **words;	/* the others; in argv */
	size_t n_words;
	char qmp_path[RUNTIME_PATH_MAX + 2]; /* of --qmp, with a '/' in it; empty without */
};

/*
 * Returns true to go on; false when it is done, with the exit status in
 * *status: --help was asked for, or something is wrong and was said. argv is
 * rearranged, and `args` points into it.
 */
bool client_parse(const struct client_usage *usage, int argc, char **argv, struct client_args *args, int *status);

/* The VM that a subcommand is about. */
struct client_vm {
	const char *name; /* or the path of its socket */
	struct qmp_client *client;
	char **words; /* those after the name */
	size_t n_words;
};

/*
 * All of a subcommand that takes one VM: parses, connects, calls `serve`, hangs
 * up. Returns the exit status, which is serve's once there is a connection.
 */
int client_run(const struct client_usage *usage, int argc, char **argv, int (*serve)(const struct client_vm *vm, void *opaque), void *opaque);

/* Runs a command; false when that failed and was said. */
bool client_call(const char *name, struct qmp_client *client, const char *command, json_t *args, json_t **result);

/* Says what failed between us and the VM. */
void client_complain(const char *name, const struct fail *why);

/* "1.5G", "512M", "0"; "-" for UINT64_MAX. Returns buf. */
#define CLIENT_SIZE_MAX 24
const char *client_size(char buf[CLIENT_SIZE_MAX], uint64_t bytes);

/* Parses a size as it is written in a spec: 0, or -errno as value_parse(). */
int client_parse_size(const char *word, uint64_t *bytes, struct diag_list *diags);

/* A copy of a text that a VM sent, for a column: what is not printable ASCII becomes '?', what is too long is cut. Returns buf. */
const char *client_plain(char *buf, size_t size, const char *text);

void client_sleep_ms(uint64_t ms);
int64_t client_now_ms(void); /* CLOCK_MONOTONIC */

/* A member of an object, left out when the value is UINT64_MAX: not known. */
void client_member_u64(struct json_out *out, const char *key, uint64_t value);

/* Prints what is in `out` and ends the line; false when it cannot be written. Finishes `out`. */
bool client_print_json(struct json_out *out);

/* Whether all of standard output could be written; it is said when not. */
bool client_flush(void);

#endif
