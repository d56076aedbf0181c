/*
 * What `top` knows: the VMs, their last minutes, which one is selected. Knows
 * nothing of sockets and screens.
 */
#ifndef CLI_TOP_MODEL_H
#define CLI_TOP_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "cli/vm_state.h"

/* Samples that are kept of each VM, one a second: five minutes. */
#define TOP_HISTORY 300
/* The reclaim rate is that of the last so many samples. */
#define TOP_RATE_SAMPLES 4

struct top_sample {
	int64_t ms;
	uint64_t actual_bytes, rss_bytes; /* UINT64_MAX: not known */
};

struct top_vm {
	char *name;
	pid_t pid;
	void *owner; /* of whoever samples it */
	bool has_state, is_silent;
	struct vm_state state; /* the last one, when has_state */
	struct top_sample history[TOP_HISTORY];
	size_t n_samples; /* ever taken; the newest is at (n_samples - 1) % TOP_HISTORY */
};

struct top_model {
	struct top_vm **vms; /* by name */
	size_t n;
	size_t selected; /* < n unless n is 0 */
	size_t first;	 /* the one at the top of the screen */
};

void top_model_finish(struct top_model *model); /* zeroed is fine; the owners are somebody else's */

/* The VM, NULL when it is not there. A VM of the same name and another pid is another one. */
struct top_vm *top_model_find(const struct top_model *model, const char *name, pid_t pid);

/* Adds a VM where its name belongs; the selection stays on its VM. NULL when memory is short. */
struct top_vm *top_model_add(struct top_model *model, const char *name, pid_t pid);
void top_model_remove(struct top_model *model, struct top_vm *vm);

/* Moves the selection, and the top of a screen that shows `rows` VMs so that it is seen. */
void top_model_select(struct top_model *model, ptrdiff_t by, size_t rows);

/* A new state, which becomes a sample. */
void top_vm_sample(struct top_vm *vm, const struct vm_state *state, int64_t now_ms);

/* Bytes a second that the balloon takes from the guest, negative: gives back. 0 while it is not known. */
int64_t top_vm_rate(const struct top_vm *vm);

/*
 * The newest samples as `cells` steps from 0 (the host holds nothing) to
 * `steps` - 1 (all RAM), oldest first, one for each `seconds` seconds; -1 where
 * nothing is known.
 */
void top_vm_spark(const struct top_vm *vm, size_t cells, unsigned seconds, unsigned steps, int64_t now_ms, signed char *spark);

/* Sums over all VMs of what is known. */
struct top_sums {
	uint64_t ram_bytes, target_bytes, actual_bytes, rss_bytes;
	size_t n_silent;
};
struct top_sums top_model_sums(const struct top_model *model);

/*
 * Where + and - move a target: a sixteenth of RAM, in whole MiB, that multiple
 * of it which comes next, within what a balloon may be.
 */
uint64_t top_target_step(const struct vm_state *state, bool up);

#endif
