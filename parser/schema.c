#include "parser/schema.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static bool is_text(const struct schema_prop *prop)
{
	return prop->type == SCHEMA_STRING || prop->type == SCHEMA_PATH || prop->type == SCHEMA_ID;
}

static void write_defaults(const struct schema *schema, void *data)
{
	for (size_t i = 0; i < schema->n_props; i++) {
		const struct schema_prop *prop = &schema->props[i];
		void *field = (char *)data + prop->offset;
		if (is_text(prop))
			*(char **)field = NULL;
		else if (prop->type == SCHEMA_BOOL)
			*(bool *)field = prop->def != 0;
		else if (prop->type == SCHEMA_ENUM)
			*(unsigned *)field = (unsigned)prop->def;
		else
			*(uint64_t *)field = prop->def;
	}
}

int schema_values_init_in(struct schema_values *values, const struct schema *schema, void *data)
{
	*values = (struct schema_values){.schema = schema, .data = data, .borrowed = true};
	values->where = calloc(schema->n_props, sizeof *values->where);
	if (!values->where)
		return -ENOMEM;
	write_defaults(schema, data);
	return 0;
}

int schema_values_init(struct schema_values *values, const struct schema *schema)
{
	void *data = calloc(1, schema->struct_size);
	*values = (struct schema_values){0};
	if (!data)
		return -ENOMEM;
	int error = schema_values_init_in(values, schema, data);
	values->borrowed = false;
	if (error) {
		free(data);
		*values = (struct schema_values){0};
	}
	return error;
}

void schema_values_finish(struct schema_values *values)
{
	if (!values->borrowed && values->data) {
		schema_free_strings(values->schema, values->data);
		free(values->data);
	}
	free(values->where);
	*values = (struct schema_values){0};
}

void schema_free_strings(const struct schema *schema, void *data)
{
	for (size_t i = 0; i < schema->n_props; i++)
		if (is_text(&schema->props[i])) {
			char **field = (char **)(void *)((char *)data + schema->props[i].offset);
			free(*field);
			*field = NULL;
		}
}

const struct schema_prop *schema_find(const struct schema *schema, const char *name, size_t len)
{
	for (size_t i = 0; i < schema->n_props; i++)
		if (strlen(schema->props[i].name) == len && memcmp(schema->props[i].name, name, len) == 0)
			return &schema->props[i];
	return NULL;
}

struct diag_span schema_where(const struct schema_values *values, const char *name)
{
	const struct schema_prop *prop = schema_find(values->schema, name, strlen(name));
	assert(prop);
	return values->where[prop - values->schema->props];
}

struct diag_span schema_where_or_whole(const struct schema_values *values, const char *name)
{
	struct diag_span where = schema_where(values, name);
	return where.source ? where : values->whole;
}

const char *schema_size_text(char buf[SCHEMA_SIZE_TEXT_MAX], uint64_t bytes)
{
	static const char units[] = {'\0', 'K', 'M', 'G', 'T'};
	size_t unit = 0;
	while (bytes > 0 && bytes % 1024 == 0 && unit + 1 < sizeof units) {
		bytes /= 1024;
		unit++;
	}
	snprintf(buf, SCHEMA_SIZE_TEXT_MAX, "%" PRIu64 "%.1s", bytes, &units[unit]);
	return buf;
}

static const char *number_text(char buf[SCHEMA_SIZE_TEXT_MAX], const struct schema_prop *prop, uint64_t number)
{
	if (prop->type == SCHEMA_SIZE)
		return schema_size_text(buf, number);
	snprintf(buf, SCHEMA_SIZE_TEXT_MAX, "%" PRIu64, number);
	return buf;
}

const char *schema_range_text(char buf[SCHEMA_RANGE_MAX], const struct schema_prop *prop)
{
	char low[SCHEMA_SIZE_TEXT_MAX], high[SCHEMA_SIZE_TEXT_MAX];
	/* An end like 16T - 4K is said as the round number that it stays below. */
	bool below = prop->multiple > 0 && ((prop->max + prop->multiple) & (prop->max + prop->multiple - 1)) == 0;
	number_text(low, prop, prop->min);
	number_text(high, prop, below ? prop->max + prop->multiple : prop->max);
	if (prop->max == 0)
		snprintf(buf, SCHEMA_RANGE_MAX, "%s or more", low);
	else if (prop->min == 0)
		snprintf(buf, SCHEMA_RANGE_MAX, below ? "less than %s" : "at most %s", high);
	else
		snprintf(buf, SCHEMA_RANGE_MAX, below ? "at least %s and less than %s" : "from %s to %s", low, high);
	return buf;
}

const char *schema_hint(char buf[SCHEMA_HINT_MAX], struct diag_span at, const char *name, const char *value)
{
	enum diag_syntax syntax = at.source ? at.source->syntax : DIAG_YAML;
	if (syntax == DIAG_TEXT)
		snprintf(buf, SCHEMA_HINT_MAX, "%s %s", at.source->name, value);
	else
		snprintf(buf, SCHEMA_HINT_MAX, "%s%s%s", name, syntax == DIAG_YAML ? ": " : "=", value);
	return buf;
}
