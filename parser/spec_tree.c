#include "parser/spec_tree.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <yaml.h>

#include "parser/spec_marks.h"
#include "parser/spec_tree_errors.h"

/* A map or a list that is not closed yet. */
struct open_node {
	struct spec_node *node;
	struct spec_node *last; /* its last key or item */
	bool wants_value;	/* of the last key */
};

struct builder {
	struct spec_tree *tree;
	struct spec_marks marks;
	struct diag_list *diags;
	size_t capacity;
	struct open_node open[SPEC_MAX_DEPTH];
	size_t depth;
	unsigned n_documents;
	bool ended;
};

struct diag_span spec_span(const struct spec_tree *tree, const struct spec_node *node)
{
	return (struct diag_span){tree->source, node->begin, node->end};
}

struct diag_span spec_text_span(const struct spec_tree *tree, const struct spec_node *node)
{
	const char *text = tree->source->text;
	size_t inner = node->begin + 1;
	bool quoted = node->end - node->begin == node->text_len + 2 && (text[node->begin] == '"' || text[node->begin] == '\'');
	if (quoted && memcmp(text + inner, node->text, node->text_len) == 0)
		return (struct diag_span){tree->source, inner, inner + node->text_len};
	return spec_span(tree, node);
}

static bool is_off_word(const struct spec_node *value)
{
	static const char *const words[] = {"false", "off", "0"};
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		if (strlen(words[i]) == value->text_len && strncasecmp(words[i], value->text, value->text_len) == 0)
			return true;
	return false;
}

bool spec_is_off(const struct spec_node *value)
{
	switch (value->kind) {
	case SPEC_NULL:
		return true;
	case SPEC_TEXT:
		return is_off_word(value);
	case SPEC_LIST:
		return !value->first;
	case SPEC_MAP:
		break;
	case SPEC_EMPTY:
	case SPEC_BAD:
		return false;
	}
	for (const struct spec_node *key = value->first; key; key = key->next)
		if (key->value->kind == SPEC_MAP || !spec_is_off(key->value))
			return false;
	return true;
}

bool spec_key_is(const struct spec_node *key, const char *name)
{
	return key->kind != SPEC_BAD && key->text && strlen(name) == key->text_len && memcmp(name, key->text, key->text_len) == 0;
}

static struct diag_span event_span(const struct builder *b, const yaml_event_t *event)
{
	size_t begin = spec_marks_byte(&b->marks, event->start_mark.index), end = spec_marks_byte(&b->marks, event->end_mark.index);
	return (struct diag_span){b->tree->source, begin, end > begin ? end : begin};
}

/* The analyzer of gcc 12 takes what only the caller's struct points to for lost. */
#pragma GCC diagnostic push
#ifndef __clang__
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"
#endif
/* Nodes never move: their number is bounded by the text, two bytes each ("a,") and a few for the root and empty values. */
static int allocate_nodes(struct builder *b)
{
	b->capacity = b->tree->source->len + 4;
	if (b->capacity > SPEC_MAX_NODES)
		b->capacity = SPEC_MAX_NODES;
	b->tree->nodes = calloc(b->capacity, sizeof *b->tree->nodes);
	return b->tree->nodes ? 0 : -ENOMEM;
}
#pragma GCC diagnostic pop

/* Hangs the node into the map or list that is open. */
static void attach(struct builder *b, struct spec_node *node)
{
	if (b->depth == 0) {
		b->tree->root = node;
		return;
	}
	struct open_node *open = &b->open[b->depth - 1];
	if (open->wants_value) {
		open->last->value = node;
		open->wants_value = false;
		return;
	}
	if (open->last)
		open->last->next = node;
	else
		open->node->first = node;
	open->last = node;
	open->wants_value = open->node->kind == SPEC_MAP;
	if (open->wants_value && node->kind != SPEC_TEXT && node->kind != SPEC_NULL)
		spec_key_error(spec_span(b->tree, node), node, b->diags);
}

static int add_node(struct builder *b, enum spec_kind kind, const yaml_event_t *event, struct spec_node **out)
{
	struct diag_span at = event_span(b, event);
	if (b->tree->n_nodes == b->capacity) {
		diag_add(b->diags, DIAG_ERROR, at, NULL, "a spec holds at most %u keys and values", SPEC_MAX_NODES);
		return -EINVAL;
	}
	struct spec_node *node = &b->tree->nodes[b->tree->n_nodes++];
	*node = (struct spec_node){.kind = kind, .begin = at.begin, .end = at.end};
	*out = node;
	return 0;
}

/* Anchors and tags are named where they stand, before the value. */
static void check_properties(const struct builder *b, const yaml_event_t *event, const yaml_char_t *anchor, const yaml_char_t *tag)
{
	if (anchor || tag)
		spec_property_error(event_span(b, event), b->diags);
}

static bool is_null(const char *text, size_t len)
{
	static const char *const nulls[] = {"null", "Null", "NULL", "~"};
	for (size_t i = 0; i < sizeof nulls / sizeof nulls[0]; i++)
		if (strlen(nulls[i]) == len && memcmp(nulls[i], text, len) == 0)
			return true;
	return false;
}

/* The analyzer of gcc 12 takes what only the caller's struct points to for lost. */
#pragma GCC diagnostic push
#ifndef __clang__
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"
#endif
/* Points the node at its text in the source where it stands there, else copies it. */
static int set_text(const struct builder *b, struct spec_node *node, const char *text, size_t len)
{
	struct diag_span at;
	node->text = text;
	node->text_len = len;
	at = spec_text_span(b->tree, node);
	if (at.end - at.begin == len && memcmp(at.source->text + at.begin, text, len) == 0) {
		node->text = at.source->text + at.begin;
		return 0;
	}
	node->text = malloc(len + 1);
	if (!node->text)
		return -ENOMEM;
	memcpy((char *)node->text, text, len);
	node->owns_text = true;
	return 0;
}
#pragma GCC diagnostic pop

static int on_scalar(struct builder *b, const yaml_event_t *event)
{
	const char *text = (const char *)event->data.scalar.value;
	size_t len = event->data.scalar.length;
	bool plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	enum spec_kind kind = !plain ? SPEC_TEXT : len == 0 ? SPEC_EMPTY : is_null(text, len) ? SPEC_NULL : SPEC_TEXT;
	struct spec_node *node;
	check_properties(b, event, event->data.scalar.anchor, event->data.scalar.tag);
	int error = add_node(b, kind, event, &node);
	if (!error)
		error = set_text(b, node, text, len);
	if (!error)
		attach(b, node);
	return error;
}

static int on_alias(struct builder *b, const yaml_event_t *event)
{
	struct spec_node *node;
	spec_alias_error(event_span(b, event), b->diags);
	int error = add_node(b, SPEC_BAD, event, &node);
	if (!error)
		attach(b, node);
	return error;
}

static int on_open(struct builder *b, const yaml_event_t *event, enum spec_kind kind)
{
	struct spec_node *node;
	if (kind == SPEC_MAP)
		check_properties(b, event, event->data.mapping_start.anchor, event->data.mapping_start.tag);
	else
		check_properties(b, event, event->data.sequence_start.anchor, event->data.sequence_start.tag);
	if (b->depth == SPEC_MAX_DEPTH) {
		diag_add(b->diags, DIAG_ERROR, event_span(b, event), NULL, "more than %d maps and lists inside each other", SPEC_MAX_DEPTH);
		return -EINVAL;
	}
	int error = add_node(b, kind, event, &node);
	if (error)
		return error;
	attach(b, node);
	b->open[b->depth++] = (struct open_node){.node = node};
	return 0;
}

static int on_close(struct builder *b, const yaml_event_t *event)
{
	assert(b->depth > 0);
	struct spec_node *node = b->open[--b->depth].node;
	struct diag_span at = event_span(b, event);
	if (at.end > node->end)
		node->end = at.end;
	return node->kind == SPEC_MAP ? spec_check_repeats(b->tree, node, b->diags) : 0;
}

static int on_event(struct builder *b, const yaml_event_t *event)
{
	switch (event->type) {
	case YAML_DOCUMENT_START_EVENT:
		if (b->n_documents++ == 0)
			return 0;
		diag_add(b->diags, DIAG_ERROR, event_span(b, event), "a file for each VM", "a second document; a spec is one");
		return -EINVAL;
	case YAML_SCALAR_EVENT:
		return on_scalar(b, event);
	case YAML_ALIAS_EVENT:
		return on_alias(b, event);
	case YAML_MAPPING_START_EVENT:
		return on_open(b, event, SPEC_MAP);
	case YAML_SEQUENCE_START_EVENT:
		return on_open(b, event, SPEC_LIST);
	case YAML_MAPPING_END_EVENT:
	case YAML_SEQUENCE_END_EVENT:
		return on_close(b, event);
	case YAML_STREAM_END_EVENT:
		b->ended = true;
		return 0;
	default:
		return 0;
	}
}

static int syntax_error(const struct builder *b, const yaml_parser_t *parser)
{
	if (parser->error == YAML_MEMORY_ERROR)
		return -ENOMEM;
	const struct diag_source *source = b->tree->source;
	size_t at = spec_marks_byte(&b->marks, parser->problem_mark.index), context = spec_marks_byte(&b->marks, parser->context_mark.index);
	spec_syntax_error(source, at, parser->problem ? parser->problem : "not readable", context, parser->context, b->diags);
	return -EINVAL;
}

static int build(struct builder *b)
{
	const struct diag_source *source = b->tree->source;
	yaml_parser_t parser;
	if (!yaml_parser_initialize(&parser))
		return -ENOMEM;
	yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&parser, (const unsigned char *)source->text + b->marks.text_begin, source->len - b->marks.text_begin);
	int error = 0;
	while (!error && !b->ended) {
		yaml_event_t event;
		if (!yaml_parser_parse(&parser, &event)) {
			error = syntax_error(b, &parser);
			break;
		}
		error = on_event(b, &event);
		yaml_event_delete(&event);
	}
	yaml_parser_delete(&parser);
	return error;
}

int spec_tree_init(struct spec_tree *tree, const struct diag_source *source, struct diag_list *diags)
{
	struct builder b = {.tree = tree, .diags = diags};
	*tree = (struct spec_tree){.source = source};
	int error = spec_marks_init(&b.marks, source, diags);
	if (!error)
		error = allocate_nodes(&b);
	if (!error)
		error = build(&b);
	spec_marks_finish(&b.marks);
	return error;
}

void spec_tree_finish(struct spec_tree *tree)
{
	for (size_t i = 0; i < tree->n_nodes; i++)
		if (tree->nodes[i].owns_text)
			free((char *)tree->nodes[i].text);
	free(tree->nodes);
	*tree = (struct spec_tree){0};
}
