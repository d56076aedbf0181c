#include "tests/unit/runner.h"

#include <CUnit/Basic.h>
#include <stdio.h>
#include <string.h>

static int is_wanted(const char *name, int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], name) == 0)
			return 1;
	return argc < 2;
}

static int add_suite(const struct test_suite *suite)
{
	CU_pSuite cu = CU_add_suite(suite->name, suite->init, suite->clean);
	if (!cu)
		return -1;
	for (size_t i = 0; i < suite->n_cases; i++)
		if (!CU_add_test(cu, suite->cases[i].name, suite->cases[i].run))
			return -1;
	return 0;
}

int run_suites(const struct test_suite *const *suites, int argc, char **argv)
{
	if (CU_initialize_registry() != CUE_SUCCESS)
		return 2;
	for (size_t i = 0; suites[i]; i++)
		if (is_wanted(suites[i]->name, argc, argv) && add_suite(suites[i]) < 0) {
			fprintf(stderr, "cannot add suite %s: %s\n", suites[i]->name, CU_get_error_msg());
			return 2;
		}
	CU_basic_set_mode(CU_BRM_NORMAL);
	CU_basic_run_tests();
	unsigned failed = CU_get_number_of_tests_failed() + CU_get_number_of_suites_failed();
	unsigned passed = CU_get_number_of_tests_run() - CU_get_number_of_tests_failed();
	CU_cleanup_registry();
	printf("%u passed, %u failed\n", passed, failed);
	return failed || !passed;
}
