/*
 * What a bench prints with --json: one array, an object on each line, each as
 * soon as it is there. Members' names end in their units.
 */
#ifndef TESTS_BENCH_ROWS_H
#define TESTS_BENCH_ROWS_H

#include <jansson.h>

struct rows {
	unsigned n;
};

/* Takes the row over. Aborts without memory, or when a figure is no number. */
void rows_add(struct rows *rows, json_t *row);

/* Once, after the last one. */
void rows_end(const struct rows *rows);

#endif
