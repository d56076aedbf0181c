/*
 * Makes one allocation of this thread fail, in the unit tests' program, to show
 * that a function comes back from each of them. Sanitizers bring allocators of
 * their own; with them nothing fails.
 */
#ifndef TESTS_UNIT_FAILALLOC_H
#define TESTS_UNIT_FAILALLOC_H

#include <stdbool.h>

/* The nth allocation from now on (0: the next) returns NULL, and then all do when `all` is set. */
void failalloc_begin(long nth, bool all);

/* Allocations work again. Returns whether one had failed. */
bool failalloc_end(void);

/* Blocks that this thread holds; only differences mean something. 0 with sanitizers. */
long failalloc_in_use(void);

#endif
