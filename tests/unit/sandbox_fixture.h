/* Children that enter the sandbox as a thread of some kind, and what became of them. */
#ifndef TESTS_UNIT_SANDBOX_FIXTURE_H
#define TESTS_UNIT_SANDBOX_FIXTURE_H

#include <stdbool.h>

#include "config.h"
#include "kvm/sandbox.h"

#define SB_IT_RETURNED 42 /* exit status of a child whose action was not refused */

/* The only one whose files the event loop may remove. A suite's init and clean make and remove it. */
extern char sb_folder[];
int sb_make_folder(void);
int sb_remove_folder(void);

/* As a thread of that kind is in a VM: a vCPU has inherited what the loop entered. */
void sb_enter(enum thread_kind kind, void (*last_words)(void));

/* Runs fn in a child, as this process is. Returns its status, of waitpid(). */
int sb_in_child(int (*fn)(void));

struct sb_ended {
	int status; /* of waitpid() */
	char said[512];
};

/* Runs fn in a child in the sandbox. */
struct sb_ended sb_run_inside(enum thread_kind kind, void (*fn)(const void *arg), const void *arg);

/* Asserts ok; if it is not, prints what became of the child. */
void sb_check(bool ok, enum thread_kind kind, const char *what, const struct sb_ended *ended);

#endif
