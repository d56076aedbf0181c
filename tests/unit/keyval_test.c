#include "parser/keyval.h"

#include <CUnit/CUnit.h>
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/suite.h"

/* The string as the reader sees it: "key=value;" for each option, then "!COLUMN" for each error. */
static const char *read_all(const char *text)
{
	static char out[1024];
	struct diag_source source = {.name = "s", .text = text, .len = strlen(text), .syntax = DIAG_KEYVAL};
	struct diag_list *diags = diag_list_create();
	struct keyval_reader reader;
	struct keyval option;
	struct diag_view view;
	size_t n = 0;
	out[0] = '\0';
	if (keyval_init(&reader, text, source.len, (struct diag_span){&source, 0, source.len}, diags) == 0)
		while (keyval_next(&reader, &option)) {
			if (option.key)
				n += (size_t)snprintf(out + n, sizeof out - n, "%.*s=", (int)option.key_len, option.key);
			n += (size_t)snprintf(out + n, sizeof out - n, "%.*s;", (int)option.value_len, option.value);
			/* What spans point to is the text itself. */
			CU_ASSERT_TRUE(option.value_at.end <= source.len && option.key_at.end <= source.len);
			if (option.key)
				CU_ASSERT_EQUAL(strncmp(text + option.key_at.begin, option.key, option.key_len), 0);
			if (!option.quoted)
				CU_ASSERT_EQUAL(strncmp(text + option.value_at.begin, option.value, option.value_len), 0);
		}
	keyval_finish(&reader);
	for (size_t i = 0; diag_nth(diags, i, &view); i++)
		n += (size_t)snprintf(out + n, sizeof out - n, "!%lu", view.column);
	diag_list_destroy(diags);
	return out;
}

static void reads(const char *text, const char *expected)
{
	const char *got = read_all(text);
	if (strcmp(got, expected) != 0)
		printf("\n%s: expected %s, got %s\n", text, expected, got);
	CU_ASSERT_STRING_EQUAL(got, expected);
}

static void reads_options(void)
{
	reads("a=1", "a=1;");
	reads("a=1,b=2", "a=1;b=2;");
	reads(" a=1,b=2\t", "a=1;b=2;");
	reads("a= 1 ,b=2", "a=1;b=2;");
	reads("a=1=2", "a=1=2;");
	reads("a=", "a=;");
	reads("a=,b=", "a=;b=;");
	reads("path=/a b/c", "path=/a b/c;");
}

static void reads_a_value_alone_first(void)
{
	reads("1G", "1G;");
	reads("1G,a=b", "1G;a=b;");
	reads("a=b,1G", "a=b;!5");
	reads("\"a=b,c\"", "a=b,c;");
	reads("[a,b]", "[a,b];");
}

static void quotes(void)
{
	reads("a=\"b,c\",d=e", "a=b,c;d=e;");
	reads("a=\"b\"\"c\"", "a=b\"c;");
	reads("a=\"\"", "a=;");
	reads("a=\"\"\"\"", "a=\";");
	reads("a=\" b \"", "a= b ;");
	reads("a=\"[\",b=1", "a=[;b=1;");
	reads("a=\"b", "!3");
	reads("a=b\"c\",d=1", "d=1;!4");
	reads("a=\"b\"c,d=1", "d=1;!6");
	reads("a=\"b\"\"\"c\"", "!9");
}

static void brackets(void)
{
	reads("a=[1,2],b=3", "a=[1,2];b=3;");
	reads("a=[[1,2],[3]],b=3", "a=[[1,2],[3]];b=3;");
	reads("a=[1,2", "!3");
	reads("a=1],b=2", "!4");
}

static void refuses_what_is_empty(void)
{
	reads("", "!1");
	reads("  ", "!1");
	reads(",", "!1");
	reads("a=1,", "a=1;!4");
	reads(",a=1", "a=1;!1");
	reads("a=1,,b=2", "a=1;b=2;!4");
	reads("a=1, ,b=2", "a=1;b=2;!4");
	reads("=1", "!1");
	reads("a=1,=2", "a=1;!5");
}

static void keys_are_exact(void)
{
	reads("a =1", "!2");
	reads("a=1, b=2", "a=1;!5");
	reads("a b=1", "!2");
	reads("a\tb=1,c=2", "c=2;!2");
}

static void bounds_its_length(void)
{
	char *text = malloc(KEYVAL_MAX_LEN + 2);
	assert(text);
	memset(text, 'x', KEYVAL_MAX_LEN + 1);
	text[KEYVAL_MAX_LEN + 1] = '\0';
	reads(text, "!1");
	struct diag_list *diags = diag_list_create();
	struct keyval_reader reader;
	struct keyval option;
	CU_ASSERT_EQUAL(keyval_init(&reader, text, KEYVAL_MAX_LEN, (struct diag_span){0}, diags), 0);
	CU_ASSERT_TRUE(keyval_next(&reader, &option));
	CU_ASSERT_EQUAL(option.value_len, KEYVAL_MAX_LEN);
	CU_ASSERT_FALSE(keyval_next(&reader, &option));
	keyval_finish(&reader);
	diag_list_destroy(diags);
	free(text);
}

/* A string that an escaped YAML scalar stands for: errors point to all of the scalar. */
static void points_to_the_whole_when_the_bytes_differ(void)
{
	struct diag_source source = {.name = "s", .text = "x: \"a=\\x31,,\"", .len = 13};
	struct diag_list *diags = diag_list_create();
	struct keyval_reader reader;
	struct keyval option;
	struct diag_view view;
	CU_ASSERT_EQUAL(keyval_init(&reader, "a=1,,", 5, (struct diag_span){&source, 3, 13}, diags), 0);
	while (keyval_next(&reader, &option))
		;
	keyval_finish(&reader);
	CU_ASSERT_TRUE(diag_nth(diags, 0, &view));
	CU_ASSERT_EQUAL(view.begin, 3);
	CU_ASSERT_EQUAL(view.end, 13);
	diag_list_destroy(diags);
}

static const struct test_case cases[] = {
	{"reads options", reads_options},
	{"reads a value alone, first", reads_a_value_alone_first},
	{"quotes", quotes},
	{"brackets", brackets},
	{"refuses what is empty", refuses_what_is_empty},
	{"keys are exact", keys_are_exact},
	{"bounds its length", bounds_its_length},
	{"points to the whole when the bytes differ", points_to_the_whole_when_the_bytes_differ},
};
TEST_SUITE(keyval, cases);
