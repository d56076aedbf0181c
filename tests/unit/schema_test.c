#include "parser/schema.h"

#include <CUnit/CUnit.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/suite.h"

struct thing {
	uint64_t size;
	uint64_t number;
	bool toggle;
	unsigned choice;
	char *text;
	char *path;
	char *id;
};

static const char *const choices[] = {"red", "green", NULL};
static const struct schema_prop props[] = {
	{.name = "size", .type = SCHEMA_SIZE, .offset = offsetof(struct thing, size), .def = 4096},
	{.name = "number", .type = SCHEMA_UINT, .offset = offsetof(struct thing, number), .def = 3},
	{.name = "toggle", .type = SCHEMA_BOOL, .offset = offsetof(struct thing, toggle), .def = 1},
	{.name = "choice", .type = SCHEMA_ENUM, .offset = offsetof(struct thing, choice), .def = 1, .choices = choices},
	{.name = "text", .type = SCHEMA_STRING, .offset = offsetof(struct thing, text)},
	{.name = "path", .type = SCHEMA_PATH, .offset = offsetof(struct thing, path)},
	{.name = "id", .type = SCHEMA_ID, .offset = offsetof(struct thing, id)},
};
static const struct schema schema = {"thing", props, sizeof props / sizeof props[0], sizeof(struct thing)};

static void writes_defaults(void)
{
	struct schema_values values;
	CU_ASSERT_EQUAL_FATAL(schema_values_init(&values, &schema), 0);
	const struct thing *thing = values.data;
	CU_ASSERT_EQUAL(thing->size, 4096);
	CU_ASSERT_EQUAL(thing->number, 3);
	CU_ASSERT_EQUAL(thing->toggle, true);
	CU_ASSERT_EQUAL(thing->choice, 1);
	CU_ASSERT_PTR_NULL(thing->text);
	CU_ASSERT_PTR_NULL(thing->id);
	CU_ASSERT_PTR_NULL(schema_where(&values, "size").source);
	schema_values_finish(&values);
	CU_ASSERT_PTR_NULL(values.data);
	schema_values_finish(&values);
}

/* The analyzer of gcc 12 takes what only the caller's struct points to for lost. */
#pragma GCC diagnostic push
#ifndef __clang__
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"
#endif
static void frees_what_it_owns_only(void)
{
	struct thing thing;
	struct schema_values values;
	CU_ASSERT_EQUAL_FATAL(schema_values_init_in(&values, &schema, &thing), 0);
	thing.text = strdup("mine");
	schema_values_finish(&values);
	CU_ASSERT_STRING_EQUAL(thing.text, "mine");
	schema_free_strings(&schema, &thing);
	CU_ASSERT_PTR_NULL(thing.text);
	CU_ASSERT_EQUAL_FATAL(schema_values_init(&values, &schema), 0);
	((struct thing *)values.data)->path = strdup("theirs"); /* a leak checker sees it otherwise */
	schema_values_finish(&values);
}
#pragma GCC diagnostic pop

static void tells_where(void)
{
	struct diag_source source = {.name = "s", .text = "xyz", .len = 3};
	struct schema_values values;
	CU_ASSERT_EQUAL_FATAL(schema_values_init(&values, &schema), 0);
	values.whole = (struct diag_span){&source, 0, 3};
	values.where[1] = (struct diag_span){&source, 1, 2};
	CU_ASSERT_EQUAL(schema_where(&values, "number").begin, 1);
	CU_ASSERT_EQUAL(schema_where_or_whole(&values, "number").end, 2);
	CU_ASSERT_EQUAL(schema_where_or_whole(&values, "size").end, 3);
	schema_values_finish(&values);
	CU_ASSERT_PTR_EQUAL(schema_find(&schema, "toggle", 6), &props[2]);
	CU_ASSERT_PTR_NULL(schema_find(&schema, "toggles", 7));
	CU_ASSERT_PTR_NULL(schema_find(&schema, "tog", 3));
}

static void size_text_is(uint64_t bytes, const char *expected)
{
	char text[SCHEMA_SIZE_TEXT_MAX];
	CU_ASSERT_STRING_EQUAL(schema_size_text(text, bytes), expected);
}

static void writes_sizes(void)
{
	size_text_is(0, "0");
	size_text_is(17, "17");
	size_text_is(1024, "1K");
	size_text_is(1536, "1536");
	size_text_is(512ull << 20, "512M");
	size_text_is(1ull << 30, "1G");
	size_text_is(5ull << 40, "5T");
	size_text_is(1ull << 60, "1048576T");
	size_text_is(UINT64_MAX, "18446744073709551615");
}

static void range_text_is(const struct schema_prop prop, const char *expected)
{
	char text[SCHEMA_RANGE_MAX];
	CU_ASSERT_STRING_EQUAL(schema_range_text(text, &prop), expected);
}

static void writes_ranges(void)
{
	range_text_is((struct schema_prop){.type = SCHEMA_UINT, .min = 1, .max = 31}, "from 1 to 31");
	range_text_is((struct schema_prop){.type = SCHEMA_UINT, .max = 31}, "at most 31");
	range_text_is((struct schema_prop){.type = SCHEMA_UINT, .min = 2}, "2 or more");
	range_text_is((struct schema_prop){.type = SCHEMA_SIZE, .min = 16 << 20, .max = (1ull << 44) - 4096, .multiple = 4096},
		      "at least 16M and less than 16T");
	range_text_is((struct schema_prop){.type = SCHEMA_SIZE, .max = (1ull << 44) - 4096, .multiple = 4096}, "less than 16T");
	range_text_is((struct schema_prop){.type = SCHEMA_SIZE, .min = 2 << 20, .max = 1 << 30, .multiple = 2 << 20}, "from 2M to 1G");
}

static void hints_follow_the_syntax(void)
{
	struct diag_source source = {.name = "--name", .text = "", .len = 0, .syntax = DIAG_TEXT};
	char hint[SCHEMA_HINT_MAX];
	CU_ASSERT_STRING_EQUAL(schema_hint(hint, (struct diag_span){&source, 0, 0}, "name", "a"), "--name a");
	source.syntax = DIAG_KEYVAL;
	CU_ASSERT_STRING_EQUAL(schema_hint(hint, (struct diag_span){&source, 0, 0}, "name", "a"), "name=a");
	source.syntax = DIAG_YAML;
	CU_ASSERT_STRING_EQUAL(schema_hint(hint, (struct diag_span){&source, 0, 0}, "name", "a"), "name: a");
	CU_ASSERT_STRING_EQUAL(schema_hint(hint, (struct diag_span){0}, "name", "a"), "name: a");
}

static const struct test_case cases[] = {
	{"writes defaults", writes_defaults}, {"frees what it owns only", frees_what_it_owns_only},
	{"tells where", tells_where},	      {"writes sizes", writes_sizes},
	{"writes ranges", writes_ranges},     {"hints follow the syntax", hints_follow_the_syntax},
};
TEST_SUITE(schema, cases);
