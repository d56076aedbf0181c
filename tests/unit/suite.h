/* A CUnit suite: one per source file, one row in main.c. */
#ifndef TESTS_UNIT_SUITE_H
#define TESTS_UNIT_SUITE_H

#include <stddef.h>

struct test_case {
	const char *name;
	void (*run)(void);
};

struct test_suite {
	const char *name;
	const struct test_case *cases;
	size_t n_cases;
	int (*init)(void); /* before the suite, NULL for none; nonzero fails it */
	int (*clean)(void);
};

#define TEST_SUITE(suite_name, case_array) \
	const struct test_suite suite_name##_suite = {.name = #suite_name, .cases = (case_array), .n_cases = sizeof(case_array) / sizeof((case_array)[0])}

#endif
