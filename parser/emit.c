#include "parser/emit.h"

#include <assert.h>
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "parser/utf8.h"

/* ---- Scalars ---- */

/* Words that YAML readers take for something else than text. */
static bool is_keyword(const char *text)
{
	static const char *const words[] = {"null", "true", "false", "yes", "no", "on", "off", "y", "n"};
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		if (strcasecmp(words[i], text) == 0)
			return true;
	return false;
}

/* Whether every YAML reader takes the bare text for that text. */
static bool is_plain(const char *text)
{
	if (!isalpha((unsigned char)text[0]) && text[0] != '/')
		return false;
	for (const char *p = text; *p; p++)
		if (!isalnum((unsigned char)*p) && !strchr("/_.-", *p))
			return false;
	return !is_keyword(text);
}

/* A JSON string (RFC 8259, section 7), which YAML reads the same in double quotes. What YAML does not allow as it is becomes an escape. */
static void put_quoted(FILE *out, const char *text)
{
	size_t len = strlen(text), n;
	fputc('"', out);
	for (size_t at = 0; at < len; at += n) {
		uint32_t code = 0;
		n = utf8_decode(text + at, len - at, &code);
		assert(n > 0);
		if (code == '"' || code == '\\')
			fprintf(out, "\\%c", (int)code);
		else if (code == '\n')
			fputs("\\n", out);
		else if (code == '\t')
			fputs("\\t", out);
		else if (code <= 0xffff && !utf8_is_printable(code))
			fprintf(out, "\\u%04x", code);
		else
			fwrite(text + at, 1, n, out);
	}
	fputc('"', out);
}

static void put_string(const struct emit *emit, const char *text)
{
	if (emit->format == VMCONFIG_YAML && is_plain(text))
		fputs(text, emit->out);
	else
		put_quoted(emit->out, text);
}

/* ---- Structure ---- */

static void put_newline(struct emit *emit)
{
	fprintf(emit->out, "\n%*s", (int)(2 * emit->depth), "");
}

static void put_json_key(struct emit *emit, const char *key)
{
	if (emit->has_item[emit->depth - 1])
		fputc(',', emit->out);
	put_newline(emit);
	if (key) {
		put_quoted(emit->out, key);
		fputs(": ", emit->out);
	}
}

/* The top level of YAML has no indent, so depth 1 is column 0. */
static void put_yaml_key(struct emit *emit, const char *key, bool is_scalar)
{
	if (!emit->in_item)
		fprintf(emit->out, "%*s", (int)(2 * (emit->depth - 1)), "");
	emit->in_item = false;
	if (key)
		fprintf(emit->out, is_scalar ? "%s: " : "%s:\n", key);
	else
		fputs("- ", emit->out);
	emit->in_item = !key && !is_scalar;
}

static void put_key(struct emit *emit, const char *key, bool is_scalar)
{
	assert(emit->is_list[emit->depth - 1] == !key);
	if (emit->format == VMCONFIG_JSON)
		put_json_key(emit, key);
	else
		put_yaml_key(emit, key, is_scalar);
	emit->has_item[emit->depth - 1] = true;
}

static void open_level(struct emit *emit, bool is_list)
{
	assert(emit->depth < EMIT_MAX_DEPTH);
	emit->is_list[emit->depth] = is_list;
	emit->has_item[emit->depth] = false;
	emit->depth++;
	if (emit->format == VMCONFIG_JSON)
		fputc(is_list ? '[' : '{', emit->out);
}

static void end_scalar(struct emit *emit)
{
	if (emit->format == VMCONFIG_YAML)
		fputc('\n', emit->out);
}

void emit_begin(struct emit *emit, FILE *out, enum vmconfig_format format)
{
	*emit = (struct emit){.out = out, .format = format};
	open_level(emit, false);
}

void emit_close(struct emit *emit)
{
	assert(emit->depth > 0);
	emit->depth--;
	if (emit->format != VMCONFIG_JSON)
		return;
	if (emit->has_item[emit->depth])
		put_newline(emit);
	fputc(emit->is_list[emit->depth] ? ']' : '}', emit->out);
}

void emit_end(struct emit *emit)
{
	emit_close(emit);
	assert(emit->depth == 0);
	if (emit->format == VMCONFIG_JSON)
		fputc('\n', emit->out);
}

void emit_map_begin(struct emit *emit, const char *key)
{
	put_key(emit, key, false);
	open_level(emit, false);
}

void emit_list_begin(struct emit *emit, const char *key)
{
	put_key(emit, key, false);
	open_level(emit, true);
}

void emit_null(struct emit *emit, const char *key)
{
	put_key(emit, key, true);
	fputs("null", emit->out);
	end_scalar(emit);
}

void emit_string(struct emit *emit, const char *key, const char *text)
{
	put_key(emit, key, true);
	put_string(emit, text);
	end_scalar(emit);
}

void emit_bool(struct emit *emit, const char *key, bool value)
{
	put_key(emit, key, true);
	if (emit->format == VMCONFIG_JSON)
		fputs(value ? "true" : "false", emit->out);
	else
		fputs(value ? "on" : "off", emit->out);
	end_scalar(emit);
}

void emit_uint(struct emit *emit, const char *key, uint64_t value)
{
	put_key(emit, key, true);
	fprintf(emit->out, "%" PRIu64, value);
	end_scalar(emit);
}

void emit_size(struct emit *emit, const char *key, uint64_t bytes)
{
	char text[SCHEMA_SIZE_TEXT_MAX];
	if (emit->format == VMCONFIG_JSON) {
		emit_uint(emit, key, bytes);
		return;
	}
	put_key(emit, key, true);
	fputs(schema_size_text(text, bytes), emit->out);
	end_scalar(emit);
}
