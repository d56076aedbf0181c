#include "util/log.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/suite.h"
#include "util/fail.h"

/* Standard error goes into a pipe between begin and end. */
static int saved_stderr, reader;

static void capture_begin(void)
{
	int fds[2];

	CU_ASSERT_EQUAL_FATAL(pipe(fds), 0);
	saved_stderr = dup(STDERR_FILENO);
	dup2(fds[1], STDERR_FILENO);
	close(fds[1]);
	reader = fds[0];
}

static void capture_end(char *text, size_t size)
{
	dup2(saved_stderr, STDERR_FILENO);
	close(saved_stderr);
	ssize_t n = read(reader, text, size - 1);
	close(reader);
	text[n > 0 ? n : 0] = '\0';
}

static void escapes_what_could_drive_a_terminal(void)
{
	char text[256];

	capture_begin();
	log_line(LOG_LEVEL_WARN, "balloon0", "a\x1b[2J\nb\xc3\xa9%c", 0x7f);
	capture_end(text, sizeof text);
	CU_ASSERT_STRING_EQUAL(text, "vmm-balloon: warn: balloon0: a\\x1b[2J\\x0ab\\xc3\\xa9\\x7f\n");
}

static void drops_lines_above_the_level(void)
{
	char text[256];

	capture_begin();
	log_line(LOG_LEVEL_INFO, NULL, "not shown");
	log_set_level(LOG_LEVEL_INFO);
	log_line(LOG_LEVEL_INFO, NULL, "shown");
	log_set_level(LOG_LEVEL_WARN);
	capture_end(text, sizeof text);
	CU_ASSERT_STRING_EQUAL(text, "vmm-balloon: info: shown\n");
}

static void cuts_a_long_line_but_ends_it(void)
{
	char text[8192], many[4000];

	memset(many, '\x01', sizeof many - 1);
	many[sizeof many - 1] = '\0';
	capture_begin();
	log_line(LOG_LEVEL_ERROR, "x", "%s", many);
	capture_end(text, sizeof text);
	CU_ASSERT(strlen(text) > 1000 && strlen(text) < 2100);
	CU_ASSERT_EQUAL(text[strlen(text) - 1], '\n');
	CU_ASSERT_PTR_EQUAL(strchr(text, '\n'), text + strlen(text) - 1);
}

static void gives_up_on_a_reader_that_does_not_read(void)
{
	char text[256];

	capture_begin();
	for (int i = 0; i < 40; i++)
		log_line(LOG_LEVEL_ERROR, NULL, "%02000d", i); /* 80 kB into 64 kB */
	capture_end(text, sizeof text);
	CU_ASSERT_EQUAL(strncmp(text, "vmm-balloon: error: 000", 23), 0);
}

static void limits_to_one_line_a_second(void)
{
	struct log_limit limit = {0};
	uint64_t suppressed = 99;

	CU_ASSERT_TRUE(log_limit_pass(&limit, 0, &suppressed));
	CU_ASSERT_EQUAL(suppressed, 0);
	CU_ASSERT_FALSE(log_limit_pass(&limit, 999, &suppressed));
	CU_ASSERT_FALSE(log_limit_pass(&limit, 999, &suppressed));
	CU_ASSERT_TRUE(log_limit_pass(&limit, 1000, &suppressed));
	CU_ASSERT_EQUAL(suppressed, 2);
	CU_ASSERT_TRUE(log_limit_pass(&limit, 9000, &suppressed));
	CU_ASSERT_EQUAL(suppressed, 0);
}

static void carries_a_failure_up(void)
{
	struct fail why;
	char text[256];

	CU_ASSERT_EQUAL(fail(&why, ENOENT, "cannot open kernel %s", "bzImage"), -ENOENT);
	capture_begin();
	fail_log(&why);
	capture_end(text, sizeof text);
	CU_ASSERT_STRING_EQUAL(text, "vmm-balloon: error: cannot open kernel bzImage: No such file or directory\n");

	CU_ASSERT_EQUAL(fail(&why, 0, "it is what it is"), -EINVAL);
	capture_begin();
	fail_log(&why);
	capture_end(text, sizeof text);
	CU_ASSERT_STRING_EQUAL(text, "vmm-balloon: error: it is what it is\n");
	CU_ASSERT_EQUAL(fail(NULL, EIO, "x"), -EIO);
}

static const struct test_case cases[] = {
	{"escapes what could drive a terminal", escapes_what_could_drive_a_terminal},
	{"drops lines above the level", drops_lines_above_the_level},
	{"cuts a long line but ends it", cuts_a_long_line_but_ends_it},
	{"gives up on a reader that does not read", gives_up_on_a_reader_that_does_not_read},
	{"limits to one line a second", limits_to_one_line_a_second},
	{"carries a failure up", carries_a_failure_up},
};

TEST_SUITE(log, cases);
