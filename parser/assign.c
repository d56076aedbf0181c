#include "parser/assign.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "parser/foreign.h"
#include "parser/suggest.h"
#include "parser/value.h"

bool assign_is_flag(struct diag_span at)
{
	return at.source && at.source->layer > 0;
}

static const struct schema_prop *find_prop(const struct schema *schema, const char *name, size_t len, bool with_aliases)
{
	const struct schema_prop *prop = schema_find(schema, name, len);
	for (size_t i = 0; !prop && with_aliases && i < schema->n_props; i++) {
		const char *alias = schema->props[i].alias;
		if (alias && strlen(alias) == len && memcmp(alias, name, len) == 0)
			prop = &schema->props[i];
	}
	return prop;
}

/* "a/b" under "/base" is "/base/a/b"; leading "./" says nothing. */
static int resolve_path(char **path, const char *base)
{
	const char *relative = *path;
	char *resolved;
	if (*relative == '/')
		return 0;
	while (strncmp(relative, "./", 2) == 0)
		for (relative += 2; *relative == '/';)
			relative++;
	if (asprintf(&resolved, "%s/%s", strcmp(base, "/") == 0 ? "" : base, relative) < 0)
		return -ENOMEM;
	free(*path);
	*path = resolved;
	return 0;
}

void assign_value(struct assign *assign, const struct schema_prop *prop, const char *text, size_t len, struct diag_span key_at, struct diag_span value_at)
{
	struct schema_values *values = assign->values;
	struct diag_span *where = &values->where[prop - values->schema->props];
	void *field = (char *)values->data + prop->offset;
	if (where->source && assign_is_flag(*where) == assign_is_flag(value_at)) {
		diag_add(assign->diags, DIAG_ERROR, key_at, "remove one of the two", "'%s' is given twice", prop->name);
		diag_note(assign->diags, *where, "here is the first");
		assign->broken = true;
		return;
	}
	struct value_text value = {values->schema, prop, text, len, value_at};
	int error = value_parse(&value, field, assign->diags);
	if (!error && prop->type == SCHEMA_PATH)
		error = resolve_path(field, assign->path_base);
	*where = value_at;
	if (error == -EINVAL)
		assign->broken = true;
	else if (error)
		assign->no_memory = error;
}

static void unknown_key(struct assign *assign, const char *key, size_t len, struct diag_span at)
{
	const struct schema *schema = assign->values->schema;
	struct suggest suggest = {.word = key, .len = len};
	struct diag_quote quote;
	const char *why;
	assign->broken = assign->unclear = true;
	diag_quote(&quote, key, len);
	if (foreign_key(schema->name, key, len, &why)) {
		diag_add(assign->diags, DIAG_ERROR, at, why ? why : "remove it", "'%s' of Cloud Hypervisor's %s is not supported here", quote.text,
			 schema->name);
		return;
	}
	const struct schema_prop *aliased = find_prop(schema, key, len, true);
	for (size_t i = 0; i < schema->n_props && !diag_is_full(assign->diags); i++)
		suggest_offer(&suggest, schema->props[i].name);
	if (aliased)
		suggest.nearest = aliased->name;
	char hint[SCHEMA_HINT_MAX];
	size_t used = 0;
	if (suggest.nearest)
		snprintf(hint, sizeof hint, "did you mean %s?", suggest.nearest);
	else
		for (size_t i = 0; i < schema->n_props && used < sizeof hint; i++)
			used += (size_t)snprintf(hint + used, sizeof hint - used, "%s%s", i == 0 ? "it knows " : ", ", schema->props[i].name);
	diag_add(assign->diags, DIAG_ERROR, at, hint, "%s has no '%s'", schema->name, quote.text);
}

/* ---- Config strings ---- */

/* The value of the main property stands alone; the name of a property alone lacks its value. */
static void assign_bare(struct assign *assign, const struct keyval *option)
{
	const struct schema *schema = assign->values->schema;
	const struct schema_prop *named = option->quoted ? NULL : find_prop(schema, option->value, option->value_len, true);
	char hint[SCHEMA_HINT_MAX];
	if (!named) {
		assign_value(assign, &schema->props[0], option->value, option->value_len, option->key_at, option->value_at);
		return;
	}
	schema_hint(hint, option->key_at, named->name, named->example);
	diag_add(assign->diags, DIAG_ERROR, option->key_at, hint, "'%s' has no value", named->name);
	assign->broken = true;
}

void assign_option(struct assign *assign, const struct keyval *option)
{
	if (!option->key) {
		assign_bare(assign, option);
		return;
	}
	const struct schema_prop *prop = find_prop(assign->values->schema, option->key, option->key_len, true);
	if (!prop) {
		unknown_key(assign, option->key, option->key_len, option->key_at);
		return;
	}
	if (option->value_len == 0 && !option->quoted) {
		char hint[SCHEMA_HINT_MAX];
		schema_hint(hint, option->key_at, prop->name, prop->type == SCHEMA_BOOL ? "on|off" : prop->example);
		diag_add(assign->diags, DIAG_ERROR, option->value_at, hint, "'%s' has an empty value", prop->name);
		assign->broken = true;
		return;
	}
	assign_value(assign, prop, option->value, option->value_len, option->key_at, option->value_at);
}

void assign_string(struct assign *assign, struct keyval_reader *reader)
{
	struct keyval option;
	while (keyval_next(reader, &option))
		assign_option(assign, &option);
	if (reader->n_errors > 0)
		assign->broken = assign->unclear = true;
}

/* ---- Specs ---- */

/* `mode: null` is the mode of that name, not the lack of one. */
static bool is_choice(const struct schema_prop *prop, const struct spec_node *value)
{
	for (size_t i = 0; prop->type == SCHEMA_ENUM && prop->choices[i]; i++)
		if (strlen(prop->choices[i]) == value->text_len && strncasecmp(prop->choices[i], value->text, value->text_len) == 0)
			return true;
	return false;
}

void assign_key(struct assign *assign, const struct spec_tree *tree, const struct spec_node *key)
{
	if (key->kind != SPEC_TEXT && key->kind != SPEC_NULL)
		return;
	const struct schema_prop *prop = find_prop(assign->values->schema, key->text, key->text_len, false);
	if (!prop) {
		const char *why;
		if (!spec_is_off(key->value) || !foreign_key(assign->values->schema->name, key->text, key->text_len, &why))
			unknown_key(assign, key->text, key->text_len, spec_span(tree, key));
		return;
	}
	char hint[SCHEMA_HINT_MAX];
	const struct spec_node *value = key->value;
	switch (value->kind) {
	case SPEC_TEXT:
		assign_value(assign, prop, value->text, value->text_len, spec_span(tree, key), spec_span(tree, value));
		return;
	case SPEC_NULL:
		if (is_choice(prop, value))
			assign_value(assign, prop, value->text, value->text_len, spec_span(tree, key), spec_span(tree, value));
		return;
	case SPEC_BAD:
		return;
	case SPEC_EMPTY:
	case SPEC_MAP:
	case SPEC_LIST:
		break;
	}
	schema_hint(hint, spec_span(tree, key), prop->name, prop->example);
	if (value->kind == SPEC_EMPTY)
		diag_add(assign->diags, DIAG_ERROR, spec_span(tree, key), hint, "'%s' has no value", prop->name);
	else
		diag_add(assign->diags, DIAG_ERROR, spec_span(tree, key), hint, "'%s' wants one value, not a map or a list", prop->name);
	assign->broken = true;
}

void assign_node(struct assign *assign, const struct spec_tree *tree, const struct spec_node *node, const char *skip)
{
	if (node->kind == SPEC_MAP) {
		for (const struct spec_node *key = node->first; key; key = key->next)
			if (!skip || !spec_key_is(key, skip))
				assign_key(assign, tree, key);
		return;
	}
	struct keyval_reader reader;
	struct diag_span at = spec_text_span(tree, node);
	at.source = assign->spec_strings;
	int error = keyval_init(&reader, node->text, node->text_len, at, assign->diags);
	if (!error)
		assign_string(assign, &reader);
	else if (error == -EINVAL)
		assign->broken = true;
	else
		assign->no_memory = error;
	keyval_finish(&reader);
}

void assign_check_required(struct assign *assign)
{
	const struct schema *schema = assign->values->schema;
	for (size_t i = 0; i < schema->n_props; i++) {
		const struct schema_prop *prop = &schema->props[i];
		if (!prop->required || assign->values->where[i].source || assign->unclear)
			continue;
		char hint[SCHEMA_HINT_MAX];
		schema_hint(hint, assign->values->whole, prop->name, prop->example);
		diag_add(assign->diags, DIAG_ERROR, assign->values->whole, hint, "%s lacks '%s', which it needs", schema->name, prop->name);
		assign->broken = true;
	}
}
