#include "control/qmp_input.h"

#include <CUnit/CUnit.h>
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "control/qmp_server.h"
#include "tests/unit/failalloc.h"
#include "tests/unit/suite.h"

/* Feeds the text in pieces; values end up one a line, what is bad as "!". */
static void feed(const char *bytes, size_t len, size_t piece, char *result)
{
	struct qmp_input input = {0};

	for (size_t i = 0; i < len; i += piece) {
		size_t n = len - i < piece ? len - i : piece;
		for (size_t used, done = 0; done < n; done += used) {
			const char *why = NULL;
			char *copy = malloc(n - done); /* so that a read past the end shows */
			assert(copy);
			memcpy(copy, bytes + i + done, n - done);
			enum qmp_input_result got = qmp_input_feed(&input, copy, n - done, &used, &why);
			free(copy);
			if (got == QMP_INPUT_VALUE) {
				memcpy(result, input.text, input.len);
				result += input.len;
				*result++ = '\n';
			} else if (got == QMP_INPUT_BAD) {
				CU_ASSERT_PTR_NOT_NULL(why);
				*result++ = '!';
			}
		}
	}
	*result = '\0';
	qmp_input_finish(&input);
}

static void check_bytes(const char *bytes, size_t len, const char *expected)
{
	char result[512];

	for (size_t piece = 1; piece <= len; piece++) {
		feed(bytes, len, piece, result);
		CU_ASSERT_STRING_EQUAL(result, expected);
	}
}

static void check(const char *text, const char *expected)
{
	check_bytes(text, strlen(text), expected);
}

static void values_end_where_they_end(void)
{
	check("{}", "{}\n");
	check("  {\"a\": [1, {}]}\r\n{ }[2]", "{\"a\": [1, {}]}\n{ }\n[2]\n");
	check("{\"a\":\"}]{\"}", "{\"a\":\"}]{\"}\n");
	check("{\"a\":\"\\\"}\"}", "{\"a\":\"\\\"}\"}\n");
	check("{\"a\":\"\\\\\"}{}", "{\"a\":\"\\\\\"}\n{}\n");
	check("{\"a\":", "");
}

static void scalars_end_at_what_follows(void)
{
	check("12 true\n\"s\"nul{}", "12\ntrue\n\"s\"\nnul\n{}\n");
	check("1{}", "1\n{}\n");
	check("a'b'", "a\n\"b\"\n");
	check("12", "");
}

static void single_quotes_become_double_ones(void)
{
	check("{'a':'b'}", "{\"a\":\"b\"}\n");
	check("{'a\"b':'\\\"'}", "{\"a\\\"b\":\"\\\"\"}\n");
	check("{'it\\'s':\"it\\'s\"}", "{\"it's\":\"it's\"}\n");
	check("{\"it's\":1}", "{\"it's\":1}\n");
	check("{'\\\\':1}", "{\"\\\\\":1}\n");
	check("{'\\n':1}", "{\"\\n\":1}\n");
}

static void stray_brackets_are_bad(void)
{
	check("}{}", "!{}\n");
	check("]],:{}", "!!!!{}\n");
	check("{]{}", "{]\n{}\n"); /* for the JSON parser to refuse */
}

static void control_characters_reset(void)
{
	check("{\"execute\":\x01{}", "!{}\n");
	check("{\"exec\x03{}", "!{}\n");
	check("12\x04{}", "12\n!{}\n");
	check("\x1b\x1b\x1b{}", "!!!{}\n"); /* who sends one waits for its error */
	check("\xff{}", "!{}\n");
	check("{'a\n{}", "!{}\n");
	check("\x01 12 'a' \"b\" {}", "!{}\n");
	check("\x01 12\n'a' ", "!\"a\"\n");
	/* What is left of the string is not the start of another. */
	check("{'id':'\x01'}{'a':'b'}", "!!{\"a\":\"b\"}\n");
	check("{'id':'\n'}{'a':'b'}", "!!{\"a\":\"b\"}\n");
	check("[[[[\x01]", "!!"); /* the bracket is stray by then */
	check_bytes("{\"a\":\0{}", 8, "!{}\n");
	check("{\"a\"\t:\r\n1}", "{\"a\"\t:\r\n1}\n");
}

static void put(char *at, const char *text)
{
	for (; *text; text++)
		*at++ = *text;
}

static void too_long_is_reported_once_at_the_end(void)
{
	size_t len = 2 * (size_t)QMP_MAX_MESSAGE + 100;
	char *text = malloc(len);
	char result[64];

	assert(text);
	memset(text, ' ', len);
	put(text, "{\"a\":\"");
	put(text + len - 4, "\"}[]");
	feed(text, len, 4096, result);
	CU_ASSERT_STRING_EQUAL(result, "![]\n");
	put(text + len - 4, "\x01{} "); /* no end in sight: the client can still reset */
	feed(text, len, 1, result);
	CU_ASSERT_STRING_EQUAL(result, "!{}\n");
	free(text);
}

static void longest_message_fits(void)
{
	char *text = malloc(QMP_MAX_MESSAGE), *result = malloc(QMP_MAX_MESSAGE + 100);

	assert(text && result);
	memset(text, ' ', QMP_MAX_MESSAGE);
	text[0] = '[';
	text[QMP_MAX_MESSAGE - 1] = ']';
	feed(text, QMP_MAX_MESSAGE, 1000, result);
	CU_ASSERT_EQUAL(strlen(result), QMP_MAX_MESSAGE + 1);
	free(text);
	free(result);
}

static const char *why_bad(struct qmp_input *input, const char *bytes, size_t len)
{
	const char *why = "";
	size_t used;
	for (size_t i = 0; i < len; i++)
		qmp_input_feed(input, bytes + i, 1, &used, &why);
	return why;
}

/* A message that could not be kept is said to be so, and the next one is read as it is. */
static void no_memory_is_not_too_long(void)
{
	struct qmp_input input = {0};
	failalloc_begin(0, true);
	const char *why = why_bad(&input, "[1]", 3);
	if (failalloc_end()) /* not with a sanitizer's allocator */
		CU_ASSERT_STRING_EQUAL(why, "out of memory");
	CU_ASSERT_STRING_EQUAL(why_bad(&input, "[2]", 3), "");
	CU_ASSERT_EQUAL(input.len, 3);

	char *text = malloc(QMP_MAX_MESSAGE + 1);
	assert(text);
	memset(text, ' ', QMP_MAX_MESSAGE + 1);
	text[0] = '[';
	text[QMP_MAX_MESSAGE] = ']';
	CU_ASSERT_STRING_EQUAL(why_bad(&input, text, QMP_MAX_MESSAGE + 1), "message is too long");
	free(text);
	qmp_input_finish(&input);
}

static const struct test_case cases[] = {
	{"no memory is not too long", no_memory_is_not_too_long},
	{"values end where they end", values_end_where_they_end},
	{"scalars end at what follows", scalars_end_at_what_follows},
	{"single quotes become double ones", single_quotes_become_double_ones},
	{"stray brackets are bad", stray_brackets_are_bad},
	{"control characters reset", control_characters_reset},
	{"too long is reported once, at the end", too_long_is_reported_once_at_the_end},
	{"longest message fits", longest_message_fits},
};

TEST_SUITE(qmp_input, cases);
