#include "cli/vm_client.h"

#include <CUnit/CUnit.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/suite.h"

static void check_size(uint64_t bytes, const char *expected)
{
	char buf[CLIENT_SIZE_MAX];

	CU_ASSERT_STRING_EQUAL(client_size(buf, bytes), expected);
}

static void sizes_for_people(void)
{
	check_size(0, "0");
	check_size(1023, "1023");
	check_size(1024, "1K");
	check_size(1536, "1.5K");
	check_size(512ULL << 20, "512M");
	check_size((1ULL << 30) - 1, "1023.9M");
	check_size(3ULL << 30, "3G");
	check_size(1ULL << 60, "1E");
	check_size(UINT64_MAX - 1, "15.9E");
	check_size(UINT64_MAX, "-");
}

/* ---- Arguments ------------------------------------------------------- */

static bool force;
static uint64_t seconds;
static const char *format;

static bool parses(char *const *given, enum client_vms vms, struct client_args *args, int *status)
{
	static char *argv[8];
	const struct client_option options[] = {{.name = "--force", .given = &force, .help = "x"},
						{.name = "--wait", .seconds = &seconds, .help = "x"},
						{.name = "--format", .text = &format, .arg = "F", .help = "x"},
						{.name = NULL}};
	const struct client_usage usage = {.arguments = "", .about = "", .vms = vms, .max_words = 1, .options = options};
	int argc = 0;

	for (; given[argc]; argc++)
		argv[argc] = given[argc];
	force = false;
	seconds = 0;
	format = "";
	return client_parse(&usage, argc, argv, args, status);
}

static void arguments(void)
{
	static char *const good[][7] = {
		{"x", "./vm", "1G", "--force", "--wait=5", "--format=a", NULL}, {"x", "--wait=5", "./vm", "--force", "1G", "--format=a", NULL},
		{"x", "--force", "--wait=5", "--format=a", "--", "./vm", "1G"}, {"x", "--force", "--wait=5", "--format=a", "--qmp=vm", "1G", NULL},
		{"x", "--force", "1G", "--wait=5", "--format=a", "--qmp=./vm"},
	};
	struct client_args args;
	int status = 0;

	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		char *argv[8] = {good[i][0], good[i][1], good[i][2], good[i][3], good[i][4], good[i][5], good[i][6], NULL};
		CU_ASSERT_TRUE_FATAL(parses(argv, CLIENT_ONE_VM, &args, &status));
		CU_ASSERT_STRING_EQUAL(args.vm, "./vm");
		CU_ASSERT_EQUAL_FATAL(args.n_words, 1);
		CU_ASSERT_STRING_EQUAL(args.words[0], "1G");
		CU_ASSERT(force && seconds == 5 && strcmp(format, "a") == 0);
	}
}

static void value_in_the_next_word(void)
{
	struct client_args args;
	int status = 0;

	CU_ASSERT_TRUE(parses((char *[]){"x", "--format", "b", "a", "c", NULL}, CLIENT_ANY_VMS, &args, &status));
	CU_ASSERT_STRING_EQUAL(format, "b");
	CU_ASSERT(args.n_words == 2 && strcmp(args.words[0], "a") == 0 && strcmp(args.words[1], "c") == 0 && !args.qmp_path[0]);
	CU_ASSERT_TRUE(parses((char *[]){"x", "--qmp", "/a/b", NULL}, CLIENT_ANY_VMS, &args, &status));
	CU_ASSERT(args.n_words == 0 && strcmp(args.qmp_path, "/a/b") == 0);
}

static void wrong_arguments(void)
{
	static char *const bad[][6] = {
		{"x", NULL},
		{"x", "vm", "1G", "more", NULL},
		{"x", "--qmp=vm", "1G", "more", NULL},
		{"x", "vm", "--nope", NULL},
		{"x", "vm", "--force=1", NULL},
		{"x", "vm", "--wait=", NULL},
		{"x", "vm", "--wait=-1", NULL},
		{"x", "vm", "--wait=5s", NULL},
		{"x", "vm", "--wait", "60", NULL},
		{"x", "", NULL},
		{"x", "vm", "", NULL},
		{"x", "--qmp=", NULL},
		{"x", "vm", "--format", NULL},
		{"x", "--qmp", NULL},
		{"x", "--qmp=/a/path/that/is/longer/than/any/that/a/socket/may/have/which/is/one/hundred/and/eight/bytes/with/its/NUL/at/the/end"},
		{"x", "vm", "--wait=99999999999999999999", NULL}};
	struct client_args args;
	int status = 0;

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		CU_ASSERT_FALSE(parses(bad[i], CLIENT_ONE_VM, &args, &status));
		CU_ASSERT_EQUAL(status, 2);
	}
}

/* Of a command that is about no VM all words are its own, and --qmp is unknown. */
static void no_vm(void)
{
	struct client_args args;
	int status = 0;

	CU_ASSERT_TRUE(parses((char *[]){"x", "--force", "a", NULL}, CLIENT_NO_VM, &args, &status));
	CU_ASSERT(force && args.n_words == 1 && strcmp(args.words[0], "a") == 0);
	CU_ASSERT_TRUE(parses((char *[]){"x", NULL}, CLIENT_NO_VM, &args, &status));
	CU_ASSERT_FALSE(parses((char *[]){"x", "a", "b", NULL}, CLIENT_NO_VM, &args, &status));
	CU_ASSERT_FALSE(parses((char *[]){"x", "--qmp=vm", NULL}, CLIENT_NO_VM, &args, &status));
	CU_ASSERT_EQUAL(status, 2);
}

/* "0" behind --wait is a size: an empty balloon. */
static void zero_is_no_seconds(void)
{
	struct client_args args;
	int status = 0;

	CU_ASSERT_TRUE(parses((char *[]){"x", "vm", "--wait", "0", NULL}, CLIENT_ONE_VM, &args, &status));
	CU_ASSERT(args.n_words == 1 && strcmp(args.words[0], "0") == 0);
}

/* ---- Texts ----------------------------------------------------------- */

static void texts_are_made_plain(void)
{
	char buf[8];

	CU_ASSERT_STRING_EQUAL(client_plain(buf, sizeof buf, "a\033[2J"), "a?[2J");
	CU_ASSERT_STRING_EQUAL(client_plain(buf, sizeof buf, "\xc2\x9b\x7f\n"), "????");
	CU_ASSERT_STRING_EQUAL(client_plain(buf, sizeof buf, "longer than it"), "longer ");
	CU_ASSERT_STRING_EQUAL(client_plain(buf, sizeof buf, ""), "");
}

static void sizes_as_in_a_spec(void)
{
	struct diag_list *diags = diag_list_create();
	uint64_t bytes = 0;

	CU_ASSERT_EQUAL(client_parse_size("512M", &bytes, diags), 0);
	CU_ASSERT_EQUAL(bytes, 512 << 20);
	CU_ASSERT_EQUAL(diag_error_count(diags), 0);
	CU_ASSERT(client_parse_size("half", &bytes, diags) < 0);
	CU_ASSERT_EQUAL(diag_error_count(diags), 1);
	diag_list_destroy(diags);
}

static const struct test_case cases[] = {
	{"sizes for people", sizes_for_people},
	{"arguments", arguments},
	{"value in the next word", value_in_the_next_word},
	{"wrong arguments", wrong_arguments},
	{"no VM", no_vm},
	{"zero is no number of seconds", zero_is_no_seconds},
	{"texts are made plain", texts_are_made_plain},
	{"sizes as in a spec", sizes_as_in_a_spec},
};

TEST_SUITE(vm_client, cases);
