#include "parser/spec_tree.h"

#include <CUnit/CUnit.h>
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/suite.h"

/* The tree as text: {k: v}, [v], 'text', null, nothing for an empty value, ! for what was diagnosed. */
static void write_node(FILE *out, const struct spec_tree *tree, const struct spec_node *node)
{
	if (node->kind == SPEC_TEXT)
		fprintf(out, "'%.*s'", (int)node->text_len, node->text);
	else if (node->kind == SPEC_NULL)
		fputs("null", out);
	else if (node->kind == SPEC_BAD)
		fputs("!", out);
	else if (node->kind == SPEC_MAP || node->kind == SPEC_LIST) {
		fputc(node->kind == SPEC_MAP ? '{' : '[', out);
		for (const struct spec_node *child = node->first; child; child = child->next) {
			write_node(out, tree, child);
			if (node->kind == SPEC_MAP) {
				fputc(':', out);
				write_node(out, tree, child->value);
			}
			if (child->next)
				fputc(',', out);
		}
		fputc(node->kind == SPEC_MAP ? '}' : ']', out);
	}
}

/* The tree, or "none", then @LINE:COLUMN for each error. */
static char *tree_of(const char *text, size_t len)
{
	/* Exactly as long as it is, so that a sanitizer sees what reads on. */
	char *copy = malloc(len ? len : 1), *written;
	size_t written_len;
	assert(copy);
	memcpy(copy, text, len);
	struct diag_source source = {.name = "s", .text = copy, .len = len, .syntax = DIAG_YAML};
	struct diag_list *diags = diag_list_create();
	struct spec_tree tree;
	struct diag_view view;
	FILE *out = open_memstream(&written, &written_len);
	assert(out);
	int error = spec_tree_init(&tree, &source, diags);
	CU_ASSERT_TRUE(error == 0 || (error == -EINVAL && diag_error_count(diags) > 0));
	if (error == 0 && tree.root)
		write_node(out, &tree, tree.root);
	else
		fputs("none", out);
	for (size_t i = 0; diag_nth(diags, i, &view); i++)
		fprintf(out, "@%lu:%lu", view.line, view.column);
	fclose(out);
	spec_tree_finish(&tree);
	diag_list_destroy(diags);
	free(copy);
	return written;
}

static void gives_n(const char *text, size_t len, const char *expected)
{
	char *got = tree_of(text, len);
	if (strcmp(got, expected) != 0)
		printf("\n%s: expected %s, got %s\n", text, expected, got);
	CU_ASSERT_STRING_EQUAL(got, expected);
	free(got);
}

static void gives(const char *text, const char *expected)
{
	gives_n(text, strlen(text), expected);
}

static void reads_maps_lists_and_scalars(void)
{
	gives("a: 1\nb: [x, 'y z', \"q\\n\"]\nc:\n  d: ~\n", "{'a':'1','b':['x','y z','q\n'],'c':{'d':null}}");
	gives("{\"a\":1,\"b\":[true,null],\"c\":{}}", "{'a':'1','b':['true',null],'c':{}}");
	gives("- a\n- b: c\n", "['a',{'b':'c'}]");
	gives("a:\nb: 'null'", "{'a':,'b':'null'}");
	gives("", "none");
	gives("# only this\n", "none");
	gives("x", "'x'");
	gives("a: |\n  two\n  lines\n", "{'a':'two\nlines\n'}");
}

static void refuses_what_a_spec_must_not_hold(void)
{
	gives("a: &x 1", "{'a':'1'}@1:4");
	gives("a: *x", "{'a':!}@1:4");
	gives("a: !!str 1", "{'a':'1'}@1:4");
	gives("a: &x !!str 1", "{'a':'1'}@1:4");
	gives("&x {a: 1}", "{'a':'1'}@1:1");
	gives("!x [a]", "['a']@1:1");
	gives("a: 1\n--- \nb: 2\n", "none@2:1");
	gives("a: 1\nb: 2\na: 3\n", "{'a':'1','b':'2',!:'3'}@3:1");
	gives("a: 1\n\"a\": 2\n'a': 3\n", "{'a':'1',!:'2',!:'3'}@2:1@3:1");
	gives("a: {b: 1, b: 2}", "{'a':{'b':'1',!:'2'}}@1:11");
	gives("{[a]: b}", "{['a']:'b'}@1:2");
	gives("{{a: 1}: b}", "{{'a':'1'}:'b'}@1:2");
	gives("*a : b", "{!:'b'}@1:1");
}

static void refuses_bytes_that_are_no_text(void)
{
	gives_n("a: \0", 4, "none@1:4");
	gives("a: 1\nb: \xff\n", "none@2:4");
	gives("a: \xc3", "none@1:4");
	gives("a: \x07", "none@1:4");
	gives("a: \x7f", "none@1:4");
	gives("a: \xef\xbf\xbe", "none@1:4");
	gives("\xff\xfe"
	      "a\0",
	      "none@1:1");
	gives("a: \xed\xa0\x80", "none@1:4");
}

static void points_into_utf8(void)
{
	/* libyaml counts characters: three of them before the value, seven bytes. */
	gives("\xe6\x97\xa5\xe6\x9c\xac: &x 1", "{'\xe6\x97\xa5\xe6\x9c\xac':'1'}@1:7");
	gives("# \xc3\xa9\xc3\xa9\xc3\xa9\na: *x", "{'a':!}@2:4");
	gives("\xef\xbb\xbf"
	      "a: *x",
	      "{'a':!}@1:12"); /* the byte order mark is shown, as \u{feff} */
	gives("a: 1\r\nb: *x\r\n", "{'a':'1','b':!}@2:4");
	gives("a: \"\xc2\x85\"\nb: *x", "{'a':' ','b':!}@2:4"); /* NEL is a line break to YAML, none to an editor */
	/* Past some checkpoints of the map from characters to bytes. */
	char text[1000];
	size_t len = (size_t)snprintf(text, sizeof text, "# ");
	for (size_t i = 0; i < 300; i++)
		len += (size_t)snprintf(text + len, sizeof text - len, "\xc3\xa9");
	snprintf(text + len, sizeof text - len, "\na: *x");
	gives(text, "{'a':!}@2:4");
}

static void bounds_depth_and_number(void)
{
	char deep[64];
	memset(deep, '[', SPEC_MAX_DEPTH);
	memset(deep + SPEC_MAX_DEPTH, ']', SPEC_MAX_DEPTH);
	deep[2 * SPEC_MAX_DEPTH] = '\0';
	gives(deep, "[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]");
	memset(deep, '[', SPEC_MAX_DEPTH + 1);
	gives(deep, "none@1:17");
	size_t len = 3 * (size_t)SPEC_MAX_NODES;
	char *many = malloc(len);
	for (size_t i = 0; i < len; i++)
		many[i] = "a,\n"[i % 3];
	many[0] = '[';
	char *got = tree_of(many, len);
	CU_ASSERT_EQUAL(strncmp(got, "none@", 5), 0);
	free(got);
	free(many);
}

static void spans_are_of_the_text(void)
{
	const char *text = "a: 'x y'\nb: \"p\\x71\"\nc: plain\n";
	struct diag_source source = {.name = "s", .text = text, .len = strlen(text), .syntax = DIAG_YAML};
	struct diag_list *diags = diag_list_create();
	struct spec_tree tree;
	CU_ASSERT_EQUAL_FATAL(spec_tree_init(&tree, &source, diags), 0);
	const struct spec_node *a = tree.root->first, *b = a->next, *c = b->next;
	CU_ASSERT_TRUE(spec_key_is(a, "a"));
	CU_ASSERT_FALSE(spec_key_is(a, "ab"));
	CU_ASSERT_EQUAL(spec_span(&tree, a->value).begin, 3);
	CU_ASSERT_EQUAL(spec_span(&tree, a->value).end, 8);
	CU_ASSERT_EQUAL(spec_text_span(&tree, a->value).begin, 4);
	CU_ASSERT_EQUAL(spec_text_span(&tree, a->value).end, 7);
	CU_ASSERT_PTR_EQUAL(a->value->text, text + 4); /* not copied */
	CU_ASSERT_EQUAL(spec_text_span(&tree, b->value).begin, spec_span(&tree, b->value).begin);
	CU_ASSERT_EQUAL(b->value->text_len, 2);
	CU_ASSERT_EQUAL(strncmp(b->value->text, "pq", 2), 0);
	CU_ASSERT_EQUAL(strncmp(text + spec_text_span(&tree, c->value).begin, "plain", 5), 0);
	spec_tree_finish(&tree);
	diag_list_destroy(diags);
}

static void tells_what_is_off(void)
{
	const char *text = "[null, ~, false, False, off, Off, [], {}, 0, {a: false, b: 0}, no, on, [x], {a: b}, {a: {}}, '', 1]";
	struct diag_source source = {.name = "s", .text = text, .len = strlen(text), .syntax = DIAG_YAML};
	struct diag_list *diags = diag_list_create();
	struct spec_tree tree;
	size_t i = 0;
	CU_ASSERT_EQUAL_FATAL(spec_tree_init(&tree, &source, diags), 0);
	for (const struct spec_node *item = tree.root->first; item; item = item->next, i++)
		CU_ASSERT_EQUAL(spec_is_off(item), i < 10);
	CU_ASSERT_EQUAL(i, 17);
	spec_tree_finish(&tree);
	diag_list_destroy(diags);
}

static const struct test_case cases[] = {
	{"reads maps, lists and scalars", reads_maps_lists_and_scalars},
	{"refuses what a spec must not hold", refuses_what_a_spec_must_not_hold},
	{"refuses bytes that are no text", refuses_bytes_that_are_no_text},
	{"points into UTF-8", points_into_utf8},
	{"bounds depth and number", bounds_depth_and_number},
	{"spans are of the text", spans_are_of_the_text},
	{"tells what is off", tells_what_is_off},
};
TEST_SUITE(yaml, cases);
