#include "parser/spec_tree_errors.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What to do about libyaml's messages that people meet. */
static const struct {
	const char *problem;
	char at; /* the byte that it stumbled over, 0 for any */
	const char *hint;
} syntax_hints[] = {
	{"found character that cannot start any token", '\t', "indent with blanks, not tabs"},
	{"found character that cannot start any token", 0, "put the value in quotes"},
	{"found a tab character", 0, "indent with blanks, not tabs"},
	{"mapping values are not allowed", 0, "put a value that holds ': ' in quotes, or begin a new line for the key"},
	{"could not find expected ':'", 0, "key: value"},
	{"did not find expected key", 0, "keys of one map begin in the same column"},
	{"did not find expected '-' indicator", 0, "items of one list begin in the same column"},
	{"did not find expected ',' or '}'", 0, "{key: value, key: value}"},
	{"did not find expected ',' or ']'", 0, "[item, item]"},
	{"found unexpected end of stream", 0, "close the quote"},
	{"found unknown escape character", 0, "single quotes keep a \\ as it is"},
	{"found invalid Unicode character escape code", 0, "write the character itself, in UTF-8"},
	{"did not find expected <document start>", 0, "a spec is one map of key: value"},
};

static const char *syntax_hint(const char *problem, int at)
{
	for (size_t i = 0; i < sizeof syntax_hints / sizeof syntax_hints[0]; i++)
		if (strstr(problem, syntax_hints[i].problem) && (!syntax_hints[i].at || syntax_hints[i].at == at))
			return syntax_hints[i].hint;
	return NULL;
}

void spec_syntax_error(const struct diag_source *source, size_t at, const char *problem, size_t context, const char *while_what, struct diag_list *diags)
{
	struct diag_span span = {source, at, at < source->len && source->text[at] != '\n' ? at + 1 : at};
	diag_add(diags, DIAG_ERROR, span, syntax_hint(problem, at < source->len ? source->text[at] : 0), "not YAML: %s", problem);
	if (while_what && context < at)
		diag_note(diags, (struct diag_span){source, context, context + 1}, "this happened %s that begins here", while_what);
}

void spec_key_error(struct diag_span at, struct spec_node *node, struct diag_list *diags)
{
	if (node->kind == SPEC_EMPTY)
		diag_add(diags, DIAG_ERROR, at, "key: value", "there is no key before this ':'");
	else if (node->kind != SPEC_BAD)
		diag_add(diags, DIAG_ERROR, at, "key: value", "a key is a word, not a map or a list");
	if (node->kind == SPEC_EMPTY)
		node->kind = SPEC_BAD;
}

/* The span up to the first blank or the first character that cannot be part of an anchor or a tag. */
static struct diag_span first_word(struct diag_span at)
{
	const char *text = at.source->text;
	size_t end = at.begin;
	while (end < at.source->len && !memchr(" \t\r\n,[]{}", text[end], sizeof " \t\r\n,[]{}" - 1))
		end++;
	at.end = end;
	return at;
}

void spec_property_error(struct diag_span at, struct diag_list *diags)
{
	at = first_word(at);
	if (at.begin < at.source->len && at.source->text[at.begin] == '&')
		diag_add(diags, DIAG_ERROR, at, "remove it, and write the value where it is needed", "anchors have no place in a spec");
	else
		diag_add(diags, DIAG_ERROR, at, "remove it; each key knows its type", "tags have no place in a spec");
}

void spec_alias_error(struct diag_span at, struct diag_list *diags)
{
	diag_add(diags, DIAG_ERROR, at, "write the value itself", "aliases have no place in a spec");
}

/* A key to be sorted. */
struct key_ref {
	struct spec_node *key;
};

static bool is_same_key(const struct spec_node *x, const struct spec_node *y)
{
	return x->text_len == y->text_len && memcmp(x->text, y->text, x->text_len) == 0;
}

/* By length, text and place. */
static int compare_keys(const void *a, const void *b)
{
	const struct spec_node *x = ((const struct key_ref *)a)->key, *y = ((const struct key_ref *)b)->key;
	if (x->text_len != y->text_len)
		return x->text_len < y->text_len ? -1 : 1;
	int order = memcmp(x->text, y->text, x->text_len);
	return order ? order : x->begin < y->begin ? -1 : 1;
}

static void repeat_error(const struct spec_tree *tree, struct spec_node *key, const struct spec_node *first, struct diag_list *diags)
{
	struct diag_quote quote;
	diag_add(diags, DIAG_ERROR, spec_span(tree, key), "remove one of the two", "'%s' is given twice", diag_quote(&quote, key->text, key->text_len));
	diag_note(diags, spec_span(tree, first), "here is the first");
	key->kind = SPEC_BAD;
}

int spec_check_repeats(const struct spec_tree *tree, struct spec_node *map, struct diag_list *diags)
{
	size_t n = 0, first = 0;
	for (struct spec_node *key = map->first; key; key = key->next)
		n += key->text != NULL;
	if (n < 2)
		return 0;
	struct key_ref *sorted = malloc(n * sizeof *sorted);
	if (!sorted)
		return -ENOMEM;
	n = 0;
	for (struct spec_node *key = map->first; key; key = key->next)
		if (key->text)
			sorted[n++].key = key;
	qsort(sorted, n, sizeof *sorted, compare_keys);
	for (size_t i = 1; i < n; i++)
		if (is_same_key(sorted[i].key, sorted[first].key))
			repeat_error(tree, sorted[i].key, sorted[first].key, diags);
		else
			first = i;
	free(sorted);
	return 0;
}
