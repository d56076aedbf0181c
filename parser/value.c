#include "parser/value.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "parser/foreign.h"
#include "parser/suggest.h"

int value_error(const struct value_text *value, struct diag_list *diags, const char *instead, const char *fmt, ...)
{
	char hint[SCHEMA_HINT_MAX], message[512];
	va_list args;
	va_start(args, fmt);
	vsnprintf(message, sizeof message, fmt, args);
	va_end(args);
	if (!instead)
		instead = value->prop->example;
	if (instead)
		schema_hint(hint, value->at, value->prop->name, instead);
	diag_add(diags, DIAG_ERROR, value->at, instead ? hint : NULL, "%s", message);
	return -EINVAL;
}

static bool is_word(const struct value_text *value, const char *word)
{
	return strlen(word) == value->len && strncasecmp(word, value->text, value->len) == 0;
}

static bool is_one_of(const struct value_text *value, const char *const *words)
{
	while (*words && !is_word(value, *words))
		words++;
	return *words != NULL;
}

static int parse_bool(const struct value_text *value, bool *field, struct diag_list *diags)
{
	static const char *const on[] = {"on", "true", NULL}, *const off[] = {"off", "false", NULL};
	static const char *const like_on[] = {"yes", "y", "1", "enable", "enabled", NULL}, *const like_off[] = {"no", "n", "0", "disable", "disabled", NULL};
	struct diag_quote got;
	if (is_one_of(value, on) || is_one_of(value, off)) {
		*field = is_one_of(value, on);
		return 0;
	}
	const char *instead = is_one_of(value, like_on) ? "on" : is_one_of(value, like_off) ? "off" : "on|off";
	return value_error(value, diags, instead, "'%s' wants on or off, got '%s'", value->prop->name, diag_quote(&got, value->text, value->len));
}

const char *value_choices(const struct schema_prop *prop, char buf[VALUE_CHOICES_MAX])
{
	size_t len = 0;
	buf[0] = '\0';
	for (size_t i = 0; prop->choices[i] && len < VALUE_CHOICES_MAX; i++) {
		const char *before = i == 0 ? "" : prop->choices[i + 1] ? ", " : " or ";
		len += (size_t)snprintf(buf + len, VALUE_CHOICES_MAX - len, "%s%s", before, prop->choices[i]);
	}
	return buf;
}

static int parse_enum(const struct value_text *value, unsigned *field, struct diag_list *diags)
{
	struct diag_quote got;
	char choices[VALUE_CHOICES_MAX];
	struct suggest suggest = {.word = value->text, .len = value->len};
	for (unsigned i = 0; value->prop->choices[i]; i++) {
		if (is_word(value, value->prop->choices[i])) {
			*field = i;
			return 0;
		}
		suggest_offer(&suggest, value->prop->choices[i]);
	}
	value_choices(value->prop, choices);
	diag_quote(&got, value->text, value->len);
	if (foreign_choice(value->schema->name, value->prop->name, value->text, value->len))
		return value_error(value, diags, NULL, "'%s' has no '%s' here as Cloud Hypervisor does, only %s", value->prop->name, got.text, choices);
	return value_error(value, diags, suggest.nearest, "'%s' wants %s, got '%s'", value->prop->name, choices, got.text);
}

static bool is_id_char(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '.' || c == '-';
}

bool value_is_id(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!is_id_char(text[i]))
			return false;
	return len > 0 && len <= VALUE_ID_MAX && !(len >= 2 && memcmp(text, "__", 2) == 0);
}

void value_make_id(const char *text, size_t len, char out[VALUE_ID_MAX + 1])
{
	size_t n = 0;
	while (len > 0 && strchr("_.-", *text))
		text++, len--;
	for (size_t i = 0; i < len && n < VALUE_ID_MAX; i++)
		if (is_id_char(text[i]))
			out[n++] = text[i];
		else if (n > 0 && out[n - 1] != '-')
			out[n++] = '-';
	while (n > 0 && out[n - 1] == '-')
		n--;
	out[n] = '\0';
	if (n == 0)
		memcpy(out, "vm", sizeof "vm");
}

static int check_id(const struct value_text *value, struct diag_list *diags)
{
	struct diag_quote got;
	char instead[VALUE_ID_MAX + 1];
	if (value_is_id(value->text, value->len))
		return 0;
	value_make_id(value->text, value->len, instead);
	if (value->len > VALUE_ID_MAX)
		return value_error(value, diags, instead, "'%s' is longer than %d bytes", value->prop->name, VALUE_ID_MAX);
	if (value->len >= 2 && memcmp(value->text, "__", 2) == 0)
		return value_error(value, diags, instead, "'%s' must not start with '__', got '%s'", value->prop->name,
				   diag_quote(&got, value->text, value->len));
	return value_error(value, diags, instead, "'%s' wants letters, digits, '_', '.' and '-' only, got '%s'", value->prop->name,
			   diag_quote(&got, value->text, value->len));
}

static int parse_text(const struct value_text *value, char **field, struct diag_list *diags)
{
	if (memchr(value->text, '\0', value->len))
		return value_error(value, diags, NULL, "'%s' holds a NUL byte", value->prop->name);
	if (value->prop->type == SCHEMA_PATH && value->len > VALUE_PATH_MAX)
		return value_error(value, diags, NULL, "'%s' is longer than a path can be, %d bytes", value->prop->name, VALUE_PATH_MAX);
	if (value->prop->type == SCHEMA_ID && check_id(value, diags) < 0)
		return -EINVAL;
	char *copy = strndup(value->text, value->len);
	if (!copy)
		return -ENOMEM;
	free(*field);
	*field = copy;
	return 0;
}

int value_parse(const struct value_text *value, void *field, struct diag_list *diags)
{
	if (value->len == 0 && value->prop->type != SCHEMA_STRING)
		return value_error(value, diags, value->prop->type == SCHEMA_BOOL ? "on|off" : NULL, "'%s' is empty", value->prop->name);
	switch (value->prop->type) {
	case SCHEMA_SIZE:
		return value_parse_size(value, field, diags);
	case SCHEMA_UINT:
		return value_parse_uint(value, field, diags);
	case SCHEMA_BOOL:
		return parse_bool(value, field, diags);
	case SCHEMA_ENUM:
		return parse_enum(value, field, diags);
	case SCHEMA_STRING:
	case SCHEMA_PATH:
	case SCHEMA_ID:
		return parse_text(value, field, diags);
	}
	__builtin_unreachable();
}
