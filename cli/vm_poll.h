/*
 * Asks many VMs at once without ever waiting for one: each has a connection of
 * its own, and commands that were sent and are not answered yet. One thread.
 */
#ifndef CLI_VM_POLL_H
#define CLI_VM_POLL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "cli/vm_state.h"

/* A VM that has not answered for so long is told apart from the others; it may still answer later. */
#define VM_POLL_SILENT_MS 2000

struct client_args;
struct vm_poll;

/* NULL when memory is short. `name` is copied: the VM's, or its socket's path. */
struct vm_poll *vm_poll_create(const char *name, pid_t pid, const char *socket_path);
void vm_poll_destroy(struct vm_poll *poll); /* NULL is fine */

const char *vm_poll_name(const struct vm_poll *poll);
const char *vm_poll_socket(const struct vm_poll *poll);
pid_t vm_poll_pid(const struct vm_poll *poll); /* 0: unknown */

/*
 * Asks for the VM's state, unless an answer is still to come; connects first
 * when there is no connection. The guest is asked for its statistics as well:
 * they are in a later answer.
 */
void vm_poll_ask(struct vm_poll *poll);

/* Asks the guest for a balloon that leaves it so much. False when the VM does not answer anyway. */
bool vm_poll_set_left(struct vm_poll *poll, uint64_t left_bytes);

/* The descriptor to wait for input on, -1: nothing is to come. */
int vm_poll_fd(const struct vm_poll *poll);

/* Takes in what has come. True when the state is a new one. */
bool vm_poll_take(struct vm_poll *poll);

/* Whether a state was asked for and neither came nor failed. */
bool vm_poll_is_busy(const struct vm_poll *poll);

/* Whether it did not answer: it is gone, speaks something else, or has been silent for VM_POLL_SILENT_MS. */
bool vm_poll_is_silent(const struct vm_poll *poll);

/* The last answers, see vm_state.h; NULL before the first and after a failure. */
json_t *const *vm_poll_answers(const struct vm_poll *poll);

/* Whether it said something against a vm_poll_set_left(), and what: printable ASCII. It is told once. */
#define VM_POLL_OBJECTION_MAX 128
bool vm_poll_take_objection(struct vm_poll *poll, char text[VM_POLL_OBJECTION_MAX]);

/*
 * The VMs that `args` names, or all that run when it names none. A name that
 * does not run is one that is silent; a name twice is one VM. The array and
 * what is in it are the caller's. Returns how many, or -errno with the reason in `why`.
 */
ssize_t vm_poll_list(const struct client_args *args, struct vm_poll ***polls, struct fail *why);
void vm_poll_destroy_all(struct vm_poll **polls, size_t n);

/* Asks them all, and waits until each has answered or is silent. */
void vm_poll_round(struct vm_poll **polls, size_t n);

#endif
