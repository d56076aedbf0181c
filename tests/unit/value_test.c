#include "parser/value.h"

#include <CUnit/CUnit.h>
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/suite.h"

static const char *const colours[] = {"red", "green", "null", NULL};

static const struct schema_prop size_prop = {.name = "p", .type = SCHEMA_SIZE, .example = "512M"};
static const struct schema_prop ranged_prop = {.name = "p", .type = SCHEMA_SIZE, .min = 4096, .max = 1 << 30, .multiple = 4096, .example = "512M"};
static const struct schema_prop uint_prop = {.name = "p", .type = SCHEMA_UINT, .min = 1, .max = 31, .example = "5"};
static const struct schema_prop any_uint_prop = {.name = "p", .type = SCHEMA_UINT, .example = "5"};
static const struct schema_prop bool_prop = {.name = "p", .type = SCHEMA_BOOL, .example = "on"};
static const struct schema_prop enum_prop = {.name = "p", .type = SCHEMA_ENUM, .choices = colours, .example = "red"};
static const struct schema_prop string_prop = {.name = "p", .type = SCHEMA_STRING, .example = "x"};
static const struct schema_prop path_prop = {.name = "p", .type = SCHEMA_PATH, .example = "x"};
static const struct schema_prop id_prop = {.name = "p", .type = SCHEMA_ID, .example = "x"};

static char last_hint[SCHEMA_HINT_MAX];

/* Parses; on failure checks that there is one diagnostic, on the value, and keeps its hint. */
static int parse_n(const struct schema_prop *prop, const char *text, size_t len, void *field)
{
	static const struct schema schema = {.name = "test"};
	struct diag_source source = {.name = "--p", .text = text, .len = len, .syntax = DIAG_KEYVAL};
	struct diag_list *diags = diag_list_create();
	struct diag_view view;
	struct value_text value = {&schema, prop, text, len, {&source, 0, len}};
	int ret = value_parse(&value, field, diags);
	CU_ASSERT_EQUAL(diag_error_count(diags), ret == 0 ? 0 : 1);
	last_hint[0] = '\0';
	if (diag_nth(diags, 0, &view)) {
		CU_ASSERT_EQUAL(view.begin, 0);
		CU_ASSERT_EQUAL(view.end, len);
		snprintf(last_hint, sizeof last_hint, "%s", view.hint ? view.hint : "");
	}
	diag_list_destroy(diags);
	return ret;
}

static int parse(const struct schema_prop *prop, const char *text, void *field)
{
	return parse_n(prop, text, strlen(text), field);
}

static void size_is(const char *text, uint64_t expected)
{
	uint64_t bytes = 7;
	CU_ASSERT_EQUAL(parse(&size_prop, text, &bytes), 0);
	CU_ASSERT_EQUAL(bytes, expected);
}

/* Refused, the field untouched, with that hint. */
static void refuses(const struct schema_prop *prop, const char *text, const char *hint)
{
	uint64_t number = 7;
	CU_ASSERT_EQUAL(parse(prop, text, &number), -EINVAL);
	CU_ASSERT_EQUAL(number, 7);
	if (strcmp(last_hint, hint) != 0)
		printf("\n%s: expected hint %s, got %s\n", text, hint, last_hint);
	CU_ASSERT_STRING_EQUAL(last_hint, hint);
}

static void sizes(void)
{
	size_is("0", 0);
	size_is("4096", 4096);
	size_is("1K", 1024);
	size_is("1k", 1024);
	size_is("1KiB", 1024);
	size_is("2m", 2 << 20);
	size_is("3GiB", 3ull << 30);
	size_is("1T", 1ull << 40);
	size_is("010", 10);
	size_is("18446744073709551615", UINT64_MAX);
	size_is("16777215T", 16777215ull << 40);
}

static void sizes_never_wrap(void)
{
	refuses(&size_prop, "18446744073709551616", "p=512M");
	refuses(&size_prop, "99999999999999999999999", "p=512M");
	refuses(&size_prop, "16777216T", "p=512M");
	refuses(&size_prop, "18014398509481984K", "p=512M");
}

static void each_slip_of_a_size_has_its_hint(void)
{
	refuses(&size_prop, "", "p=512M");
	refuses(&size_prop, "1GB", "p=1G");
	refuses(&size_prop, "1gb", "p=1G");
	refuses(&size_prop, "1gib", "p=1GiB");
	refuses(&size_prop, "1Gi", "p=1GiB");
	refuses(&size_prop, "1GIB", "p=1GiB");
	refuses(&size_prop, "1GiBx", "p=1G");
	refuses(&size_prop, "1GM", "p=1G");
	refuses(&size_prop, "1.5G", "p=1536M");
	refuses(&size_prop, "0.25M", "p=256K");
	refuses(&size_prop, "1.5", "p=512M");
	refuses(&size_prop, "1.G", "p=1G");
	refuses(&size_prop, "1.0000000001G", "p=512M");
	refuses(&size_prop, "0x1000", "p=4K");
	refuses(&size_prop, "0x", "p=512M");
	refuses(&size_prop, "0xzz", "p=512M");
	refuses(&size_prop, "0xffffffffffffffff", "p=18446744073709551615");
	refuses(&size_prop, "0x10000000000000000", "p=512M");
	refuses(&size_prop, "-1G", "p=512M");
	refuses(&size_prop, "+1G", "p=1G");
	refuses(&size_prop, "1_000M", "p=1000M");
	refuses(&size_prop, "1,000", "p=1000");
	refuses(&size_prop, "1 G", "p=1G");
	refuses(&size_prop, "4096B", "p=4096");
	refuses(&size_prop, "1P", "p=512M");
	refuses(&size_prop, "iB", "p=512M");
	refuses(&size_prop, "G", "p=512M");
	refuses(&size_prop, "lots", "p=512M");
	refuses(&size_prop, "1\xc2\xa0G", "p=512M");
}

static void sizes_keep_to_their_range(void)
{
	uint64_t bytes;
	CU_ASSERT_EQUAL(parse(&ranged_prop, "4K", &bytes), 0);
	CU_ASSERT_EQUAL(parse(&ranged_prop, "1G", &bytes), 0);
	refuses(&ranged_prop, "0", "p=4K");
	refuses(&ranged_prop, "4095", "p=4K");
	refuses(&ranged_prop, "2G", "p=1G");
	refuses(&ranged_prop, "4097", "p=4K");
	refuses(&ranged_prop, "1000001", "p=976K");
	refuses(&ranged_prop, "1.0001M", "p=1M");
}

static void a_nul_is_no_end(void)
{
	uint64_t bytes = 7;
	CU_ASSERT_EQUAL(parse_n(&size_prop, "1\0", 2, &bytes), -EINVAL);
	CU_ASSERT_EQUAL(parse_n(&size_prop, "1G\0", 3, &bytes), -EINVAL);
	CU_ASSERT_EQUAL(parse_n(&size_prop, "\0", 1, &bytes), -EINVAL);
	CU_ASSERT_EQUAL(bytes, 7);
	char *text = NULL;
	CU_ASSERT_EQUAL(parse_n(&string_prop, "a\0b", 3, &text), -EINVAL);
	CU_ASSERT_EQUAL(parse_n(&id_prop, "a\0b", 3, &text), -EINVAL);
	CU_ASSERT_PTR_NULL(text);
}

static void numbers(void)
{
	uint64_t number = 7;
	CU_ASSERT_EQUAL(parse(&uint_prop, "31", &number), 0);
	CU_ASSERT_EQUAL(number, 31);
	CU_ASSERT_EQUAL(parse(&any_uint_prop, "18446744073709551615", &number), 0);
	CU_ASSERT_EQUAL(number, UINT64_MAX);
	refuses(&uint_prop, "0", "p=1");
	refuses(&uint_prop, "32", "p=31");
	refuses(&uint_prop, "2K", "p=5");
	refuses(&uint_prop, "two", "p=5");
	refuses(&uint_prop, "1.5", "p=5");
	refuses(&uint_prop, "0x10", "p=16");
	refuses(&uint_prop, "-1", "p=5");
	refuses(&uint_prop, "1 2", "p=12");
	refuses(&any_uint_prop, "18446744073709551616", "p=5");
}

static void toggles(void)
{
	static const char *const on[] = {"on", "On", "ON", "true", "TRUE"}, *const off[] = {"off", "OFF", "false", "False"};
	bool toggle;
	for (size_t i = 0; i < sizeof on / sizeof on[0]; i++) {
		toggle = false;
		CU_ASSERT_EQUAL(parse(&bool_prop, on[i], &toggle), 0);
		CU_ASSERT_TRUE(toggle);
	}
	for (size_t i = 0; i < sizeof off / sizeof off[0]; i++) {
		toggle = true;
		CU_ASSERT_EQUAL(parse(&bool_prop, off[i], &toggle), 0);
		CU_ASSERT_FALSE(toggle);
	}
	refuses(&bool_prop, "yes", "p=on");
	refuses(&bool_prop, "1", "p=on");
	refuses(&bool_prop, "No", "p=off");
	refuses(&bool_prop, "0", "p=off");
	refuses(&bool_prop, "", "p=on|off");
	refuses(&bool_prop, "maybe", "p=on|off");
	refuses(&bool_prop, "onn", "p=on|off");
}

static void choices(void)
{
	unsigned choice = 9;
	CU_ASSERT_EQUAL(parse(&enum_prop, "GREEN", &choice), 0);
	CU_ASSERT_EQUAL(choice, 1);
	refuses(&enum_prop, "gren", "p=green");
	refuses(&enum_prop, "blue", "p=red");
	refuses(&enum_prop, "re", "p=red");
	char text[VALUE_CHOICES_MAX];
	CU_ASSERT_STRING_EQUAL(value_choices(&enum_prop, text), "red, green or null");
}

static void texts(void)
{
	char *text = NULL;
	CU_ASSERT_EQUAL(parse(&string_prop, "", &text), 0);
	CU_ASSERT_STRING_EQUAL(text, "");
	CU_ASSERT_EQUAL(parse(&string_prop, "a b\n", &text), 0);
	CU_ASSERT_STRING_EQUAL(text, "a b\n");
	CU_ASSERT_EQUAL(parse(&path_prop, "", &text), -EINVAL);
	CU_ASSERT_STRING_EQUAL(text, "a b\n");
	CU_ASSERT_EQUAL(parse(&path_prop, "a/b", &text), 0);
	CU_ASSERT_STRING_EQUAL(text, "a/b");
	char *path = malloc(VALUE_PATH_MAX + 2);
	assert(path);
	memset(path, 'p', VALUE_PATH_MAX + 1);
	path[VALUE_PATH_MAX + 1] = '\0';
	CU_ASSERT_EQUAL(parse(&path_prop, path, &text), -EINVAL);
	CU_ASSERT_EQUAL(parse(&path_prop, path + 1, &text), 0);
	free(path);
	free(text);
}

static void ids(void)
{
	char *id = NULL, text[66], made[VALUE_ID_MAX + 1];
	CU_ASSERT_EQUAL(parse(&id_prop, "a_B.9-", &id), 0);
	CU_ASSERT_STRING_EQUAL(id, "a_B.9-");
	CU_ASSERT_EQUAL(parse(&id_prop, "_a", &id), 0);
	memset(text, 'i', sizeof text);
	text[64] = '\0';
	CU_ASSERT_EQUAL(parse(&id_prop, text, &id), -EINVAL);
	CU_ASSERT_EQUAL(parse(&id_prop, text + 1, &id), 0);
	CU_ASSERT_EQUAL(parse(&id_prop, "a b", &id), -EINVAL);
	CU_ASSERT_STRING_EQUAL(last_hint, "p=a-b");
	CU_ASSERT_EQUAL(parse(&id_prop, "__a", &id), -EINVAL);
	CU_ASSERT_STRING_EQUAL(last_hint, "p=a");
	CU_ASSERT_EQUAL(parse(&id_prop, "caf\xc3\xa9", &id), -EINVAL);
	CU_ASSERT_STRING_EQUAL(last_hint, "p=caf");
	CU_ASSERT_EQUAL(parse(&id_prop, "a/b", &id), -EINVAL);
	free(id);
	static const char *const names[] = {"my vm (1)", "__x", "///", "", "-odd", "..", "\xff\xff"};
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		value_make_id(names[i], strlen(names[i]), made);
		CU_ASSERT_TRUE(value_is_id(made, strlen(made)));
	}
	value_make_id("my vm (1)", 9, made);
	CU_ASSERT_STRING_EQUAL(made, "my-vm-1");
}

static const struct test_case cases[] = {
	{"sizes", sizes},
	{"sizes never wrap", sizes_never_wrap},
	{"each slip of a size has its hint", each_slip_of_a_size_has_its_hint},
	{"sizes keep to their range", sizes_keep_to_their_range},
	{"a NUL is no end", a_nul_is_no_end},
	{"numbers", numbers},
	{"toggles", toggles},
	{"choices", choices},
	{"texts", texts},
	{"ids", ids},
};
TEST_SUITE(value, cases);
