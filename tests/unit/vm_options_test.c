#include "cli/vm_options.h"

#include <CUnit/CUnit.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "tests/unit/suite.h"

#define MAX_ARGS 8

static struct vm_options options;
static unsigned verbose;
static const char *format;

/* Parses the words, which blanks separate. argv is written to, so they are copied. */
static char *words;

static int parse(const char *line)
{
	const struct own_option own[] = {
		{"--verbose", 'v', NULL, "h", &verbose, NULL},
		{"--format", 0, "F", "h", NULL, &format},
	};
	char *argv[MAX_ARGS + 1] = {0}, *save = NULL;
	int argc = 0;
	words = strdup(line);
	for (char *word = strtok_r(words, " ", &save); word && argc < MAX_ARGS; word = strtok_r(NULL, " ", &save))
		argv[argc++] = word;
	verbose = 0;
	format = NULL;
	return vm_options_parse(&options, argc, argv, own, sizeof own / sizeof own[0]);
}

static void finish(void)
{
	vm_options_finish(&options);
	free(words);
}

static void refuses(const char *line)
{
	CU_ASSERT_EQUAL(parse(line), COMMAND_USAGE);
	finish();
}

static void reads_both_forms_in_order(void)
{
	CU_ASSERT_EQUAL(parse("run --memory 1G a.yaml --cmdline=a=b --balloon=size=1G"), 0);
	CU_ASSERT_STRING_EQUAL(options.input.spec_path, "a.yaml");
	CU_ASSERT_EQUAL_FATAL(options.input.n_flags, 3);
	CU_ASSERT_STRING_EQUAL(options.input.flags[0].option, "--memory");
	CU_ASSERT_STRING_EQUAL(options.input.flags[0].value, "1G");
	CU_ASSERT_STRING_EQUAL(options.input.flags[1].option, "--cmdline");
	CU_ASSERT_STRING_EQUAL(options.input.flags[1].value, "a=b");
	CU_ASSERT_STRING_EQUAL(options.input.flags[2].value, "size=1G");
	finish();
}

static void takes_a_switch_for_a_value(void)
{
	CU_ASSERT_EQUAL(parse("run --no-sandbox a.yaml"), 0);
	CU_ASSERT_STRING_EQUAL(options.input.spec_path, "a.yaml");
	CU_ASSERT_EQUAL_FATAL(options.input.n_flags, 1);
	CU_ASSERT_STRING_EQUAL(options.input.flags[0].option, "--no-sandbox");
	CU_ASSERT_STRING_EQUAL(options.input.flags[0].value, "off");
	finish();
}

static void reads_the_subcommands_own(void)
{
	CU_ASSERT_EQUAL(parse("run -v --verbose -vv --format json"), 0);
	CU_ASSERT_EQUAL(verbose, 4);
	CU_ASSERT_STRING_EQUAL(format, "json");
	CU_ASSERT_EQUAL(options.input.n_flags, 0);
	CU_ASSERT_PTR_NULL(options.input.spec_path);
	finish();
}

static void reads_odd_words(void)
{
	CU_ASSERT_EQUAL(parse("run -"), 0);
	CU_ASSERT_STRING_EQUAL(options.input.spec_path, "-");
	finish();
	CU_ASSERT_EQUAL(parse("run -- --memory"), 0);
	CU_ASSERT_STRING_EQUAL(options.input.spec_path, "--memory");
	finish();
	CU_ASSERT_EQUAL(parse("run --memory="), 0);
	CU_ASSERT_STRING_EQUAL(options.input.flags[0].value, "");
	finish();
	CU_ASSERT_EQUAL(parse("run --cpus -1"), 0); /* the value's own parser says what is wrong with it */
	CU_ASSERT_STRING_EQUAL(options.input.flags[0].value, "-1");
	finish();
	CU_ASSERT_EQUAL(parse("run"), 0);
	finish();
}

static void refuses_the_rest(void)
{
	refuses("run --memroy 1G");
	refuses("run --no-sandbox=on");
	refuses("run -x");
	refuses("run -vx");
	refuses("run --memory");
	refuses("run --kernel --memory 1G");
	refuses("run --verbose=yes");
	refuses("run --format");
	refuses("run --format json --format yaml");
	refuses("run a.yaml b.yaml");
}

static const struct test_case cases[] = {
	{"reads both forms in order", reads_both_forms_in_order},
	{"takes a switch for a value", takes_a_switch_for_a_value},
	{"reads the subcommand's own", reads_the_subcommands_own},
	{"reads odd words", reads_odd_words},
	{"refuses the rest", refuses_the_rest},
};
TEST_SUITE(vm_options, cases);
