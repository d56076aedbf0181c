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

/* "--json", or "--wait[=SEC]" when `seconds` is not NULL. */
struct client_option {
	const char *name;
	bool *given;
	uint64_t *seconds; /* as it was when no SEC was given */
	const char *help;  /* one line, no full stop */
};

/* What a subcommand takes; argv[0] is its name. */
struct client_usage {
	const char *arguments; /* "NAME [SIZE] [--wait[=SEC]]" */
	const char *about;     /* for --help: lines, each with its newline */
	size_t min_words, max_words;
	const struct client_option *options; /* name NULL ends them */
};

#define CLIENT_MAX_WORDS 2

/*
 * Puts the words that are no options into words[], NULL where there is none.
 * Returns true to go on; false when it is done, with the exit status in
 * *status: --help was asked for, or something is wrong and was said.
 */
bool client_parse(const struct client_usage *usage, int argc, char **argv, const char *words[CLIENT_MAX_WORDS], int *status);

/* Connects to the VM called `name`, or to the socket when it is a path. False when that failed and was said. */
bool client_connect(const char *name, struct qmp_client **client);

/* Runs a command; false when that failed and was said. */
bool client_call(const char *name, struct qmp_client *client, const char *command, json_t *args, json_t **result);

/* Says what failed between us and the VM. */
void client_complain(const char *name, const struct fail *why);

/* "1.5G", "512M", "0"; "-" for UINT64_MAX. Returns buf. */
#define CLIENT_SIZE_MAX 24
const char *client_size(char buf[CLIENT_SIZE_MAX], uint64_t bytes);

/* What is known of a VM's memory; UINT64_MAX where the VM does not tell. */
struct client_memory {
	uint64_t ram_bytes, rss_bytes;
	bool has_balloon;		     /* the rest means something */
	uint64_t target_bytes, actual_bytes; /* taken from the guest */
	bool driver_ok, stalled;
};

/* Asks for it, of QEMU in QEMU's way. 0, or -errno as qmp_client_call() with the reason in `why`. */
int client_query_memory(struct qmp_client *client, struct client_memory *memory, struct fail *why);

#endif
