/* What the benches of the balloon's memory are asked for on their command line. */
#ifndef TESTS_BENCH_ARGUMENTS_H
#define TESTS_BENCH_ARGUMENTS_H

#include "tests/bench/backings.h"

struct arguments {
	bool as_json;
	bool is_quick;		      /* tiny sizes: shows that it works, and no figure worth reading */
	bool lies;		      /* the host does not discard what it says it does: this must fail */
	const struct backing *memory; /* NULL: none was named */
};

/* Sets all of them; false after the usage was printed. */
bool arguments_read(struct arguments *arguments, const char *bench, int argc, char **argv);

#endif
