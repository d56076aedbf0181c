/* What the unit and conformance programs have in common: a table of suites and its run. */
#ifndef TESTS_UNIT_RUNNER_H
#define TESTS_UNIT_RUNNER_H

#include "tests/unit/suite.h"

/*
 * Runs the suites of a NULL-terminated table with CUnit and ends with one line
 * "N passed, N failed". argv names the suites to run; none means all. Returns
 * the exit status of main().
 */
int run_suites(const struct test_suite *const *suites, int argc, char **argv);

/* main() of a program whose suites are SUITES, a macro that gives each of their names to the macro that it is given. */
#define RUNNER_DECLARE(name) extern const struct test_suite name##_suite;
#define RUNNER_ROW(name) &name##_suite,
#define RUNNER_MAIN(SUITES)                                                         \
	SUITES(RUNNER_DECLARE)                                                      \
	static const struct test_suite *const suites[] = {SUITES(RUNNER_ROW) NULL}; \
	int main(int argc, char **argv)                                             \
	{                                                                           \
		return run_suites(suites, argc, argv);                              \
	}

#endif
