/*
 * Threads for the rows that need several: vCPUs that run against each other,
 * against the event loop and against the host's calls. Meant for the thread
 * sanitizer too. By design a guest that writes at random races on its own memory,
 * as in a real VM, and such a case is nothing for it. A deadlock ends with SIGALRM.
 */
#ifndef TESTS_CONFORMANCE_THREADS_H
#define TESTS_CONFORMANCE_THREADS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "tests/unit/sanitizers.h"

/* A suite whose cases are ended by SIGALRM when they take minutes. */
int threads_suite_init(void);
int threads_suite_clean(void);

#define THREADS_SUITE(suite_name, case_array)                                                                  \
	const struct test_suite suite_name##_suite = {.name = #suite_name,                                     \
						      .cases = (case_array),                                   \
						      .n_cases = sizeof(case_array) / sizeof((case_array)[0]), \
						      .init = threads_suite_init,                              \
						      .clean = threads_suite_clean}

/* From here until threads_stop() threads run; they look at threads_are_stopping(). */
void threads_begin(void);
bool threads_are_stopping(void);
pthread_t threads_start(void *(*fn)(void *), void *arg);
void threads_stop(pthread_t *threads, unsigned n);

/* A thread's function: the event loop of fg's host, deferred work until told to stop. */
void *threads_loop(void *arg);

/* Another: what a host asks of the balloon, over and over until told to stop. */
void *threads_host(void *arg);

uint64_t threads_clock_ms(void);

/*
 * How long a race goes on, whatever it gets done in that time: a busy machine
 * must not make it fail. For loops: whether round i is to be done, `end_ms` being
 * threads_clock_ms() + threads_soak_ms(1000) or so.
 */
bool threads_go_on(unsigned i, uint64_t end_ms);

/* In a loop that waits for another thread: gives the CPU away now and then, in case there is only one. */
void threads_spin(void);

/* How long a random case goes on: ms, or what the environment's CONFORMANCE_SOAK_S says. */
uint64_t threads_soak_ms(uint64_t ms);

#endif
