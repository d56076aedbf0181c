#include "tests/bench/rows.h"

#include <stdlib.h>

#define DIGITS 9 /* more than a clock has */

void rows_add(struct rows *rows, json_t *row)
{
	fputs(rows->n++ ? ",\n " : "[", stdout);
	if (!row || json_dumpf(row, stdout, JSON_REAL_PRECISION(DIGITS)) < 0)
		abort();
	json_decref(row);
	fflush(stdout);
}

void rows_end(const struct rows *rows)
{
	puts(rows->n ? "]" : "[]");
}
