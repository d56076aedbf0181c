#include "parser/keyval.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Bytes [begin, end) of the string. */
struct slice {
	size_t begin, end;
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static struct diag_span span_of(const struct keyval_reader *reader, struct slice slice)
{
	if (!reader->exact)
		return reader->at;
	return (struct diag_span){reader->at.source, reader->at.begin + slice.begin, reader->at.begin + slice.end};
}

static struct slice trimmed(const struct keyval_reader *reader, struct slice slice)
{
	while (slice.begin < slice.end && is_blank(reader->text[slice.begin]))
		slice.begin++;
	while (slice.end > slice.begin && is_blank(reader->text[slice.end - 1]))
		slice.end--;
	return slice;
}

static const char *quoted_slice(const struct keyval_reader *reader, struct slice slice, struct diag_quote *quote)
{
	return diag_quote(quote, reader->text + slice.begin, slice.end - slice.begin);
}

static void keyval_error(struct keyval_reader *reader, struct slice at, const char *hint, const char *message)
{
	reader->n_errors++;
	diag_add(reader->diags, DIAG_ERROR, span_of(reader, at), hint, "%s", message);
}

int keyval_init(struct keyval_reader *reader, const char *text, size_t len, struct diag_span at, struct diag_list *diags)
{
	*reader = (struct keyval_reader){.text = text, .len = len, .at = at, .last_comma = SIZE_MAX, .diags = diags};
	reader->exact = at.source && at.end - at.begin == len && memcmp(at.source->text + at.begin, text, len) == 0;
	if (len > KEYVAL_MAX_LEN) {
		at.end = at.begin;
		diag_add(diags, DIAG_ERROR, at, NULL, "a config string has at most %d bytes, this one has %zu", KEYVAL_MAX_LEN, len);
		return -EINVAL;
	}
	struct slice all = trimmed(reader, (struct slice){0, len});
	if (all.begin == all.end) {
		keyval_error(reader, (struct slice){0, len}, "key=value,key=value", "the config string is empty");
		return -EINVAL;
	}
	reader->next = all.begin;
	reader->len = all.end;
	reader->unquoted = malloc(len + 1);
	return reader->unquoted ? 0 : -ENOMEM;
}

void keyval_finish(struct keyval_reader *reader)
{
	free(reader->unquoted);
	*reader = (struct keyval_reader){0};
}

/* The end of the option that begins at `begin`: its comma or the end of the string. Diagnoses what never closes. */
static bool find_end(struct keyval_reader *reader, size_t begin, size_t *end)
{
	size_t quote = 0, bracket = 0, depth = 0, at = begin;
	bool in_quotes = false;
	for (; at < reader->len; at++) {
		char c = reader->text[at];
		if (c == '"') {
			in_quotes = !in_quotes;
			quote = at;
		} else if (in_quotes) {
			continue;
		} else if (c == '[') {
			if (depth++ == 0)
				bracket = at;
		} else if (c == ']') {
			if (depth == 0) {
				keyval_error(reader, (struct slice){at, at + 1}, "quote the value: \"...\"", "this ']' closes nothing");
				*end = reader->len;
				return false;
			}
			depth--;
		} else if (c == ',' && depth == 0) {
			break;
		}
	}
	*end = at;
	if (in_quotes)
		keyval_error(reader, (struct slice){quote, quote + 1}, "close it with '\"'; inside quotes '\"\"' stands for '\"'",
			     "this quote is never closed");
	else if (depth > 0)
		keyval_error(reader, (struct slice){bracket, bracket + 1}, "close it with ']', or quote the value: \"...\"", "this '[' is never closed");
	return !in_quotes && depth == 0;
}

/* A key is exact: nothing around it, nothing in it. */
static bool check_key(struct keyval_reader *reader, struct slice key)
{
	struct slice bare = trimmed(reader, key);
	struct diag_quote quote;
	if (bare.begin == bare.end) {
		keyval_error(reader, (struct slice){key.begin, key.end + 1}, "key=value", "there is no key before this '='");
		return false;
	}
	for (size_t at = key.begin; at < key.end; at++) {
		if (!is_blank(reader->text[at]))
			continue;
		bool around = at < bare.begin || at >= bare.end;
		quoted_slice(reader, bare, &quote);
		char hint[sizeof quote + 16];
		snprintf(hint, sizeof hint, "%s=...", quote.text);
		reader->n_errors++;
		diag_add(reader->diags, DIAG_ERROR, span_of(reader, (struct slice){at, at + 1}), around ? hint : "write '_', or remove it",
			 around ? "there is a blank beside the key '%s'; keys are exact" : "there is a blank in the key '%s'; keys are exact", quote.text);
		return false;
	}
	return true;
}

/* Unquotes into reader->unquoted. */
static bool read_quoted(struct keyval_reader *reader, struct slice value, struct keyval *out)
{
	size_t n = 0, at = value.begin + 1;
	for (; at < value.end; at++) {
		if (reader->text[at] == '"') {
			if (at + 1 >= value.end || reader->text[at + 1] != '"')
				break;
			at++;
		}
		reader->unquoted[n++] = reader->text[at];
	}
	if (at + 1 != value.end) {
		keyval_error(reader, (struct slice){at + 1, value.end}, "quote all of the value", "the value goes on after its closing quote");
		return false;
	}
	out->quoted = true;
	out->value = reader->unquoted;
	out->value_len = n;
	return true;
}

static bool read_value(struct keyval_reader *reader, struct slice value, struct keyval *out)
{
	const char *quote = memchr(reader->text + value.begin, '"', value.end - value.begin);
	size_t quote_at = quote ? (size_t)(quote - reader->text) : 0;
	out->value_at = span_of(reader, value);
	if (quote && quote_at == value.begin)
		return read_quoted(reader, value, out);
	if (quote) {
		keyval_error(reader, (struct slice){quote_at, quote_at + 1}, "quote all of the value; inside quotes '\"\"' stands for '\"'",
			     "a quote in the middle of a value");
		return false;
	}
	out->quoted = false;
	out->value = reader->text + value.begin;
	out->value_len = value.end - value.begin;
	return true;
}

static bool read_option(struct keyval_reader *reader, struct slice option, struct keyval *out)
{
	const char *equals = memchr(reader->text + option.begin, '=', option.end - option.begin);
	const char *quote = memchr(reader->text + option.begin, '"', option.end - option.begin);
	struct diag_quote got;
	*out = (struct keyval){0};
	if (!equals || (quote && quote < equals)) {
		struct slice value = trimmed(reader, option);
		out->key_at = span_of(reader, value);
		if (reader->n_options > 1) {
			quoted_slice(reader, value, &got);
			char hint[sizeof got + 16];
			snprintf(hint, sizeof hint, "%s=...", got.text);
			reader->n_errors++;
			diag_add(reader->diags, DIAG_ERROR, out->key_at, hint, "'%s' has no '='; after the first, each option is key=value", got.text);
			return false;
		}
		return read_value(reader, value, out);
	}
	struct slice key = {option.begin, (size_t)(equals - reader->text)};
	struct slice value = trimmed(reader, (struct slice){key.end + 1, option.end});
	if (!check_key(reader, key))
		return false;
	out->key = reader->text + key.begin;
	out->key_len = key.end - key.begin;
	out->key_at = span_of(reader, key);
	return read_value(reader, value, out);
}

bool keyval_next(struct keyval_reader *reader, struct keyval *out)
{
	while (reader->next <= reader->len && reader->unquoted) {
		struct slice option = {.begin = reader->next};
		bool closed = find_end(reader, option.begin, &option.end);
		/* Past the end: a comma as the last byte leaves an empty option behind it. */
		reader->next = option.end + 1;
		reader->n_options++;
		struct slice bare = trimmed(reader, option);
		if (!closed)
			continue;
		if (bare.begin == bare.end) {
			/* Point to the comma that has nothing beside it. */
			size_t comma = option.begin > 0 && reader->text[option.begin - 1] == ',' ? option.begin - 1 : option.end;
			if (comma != reader->last_comma)
				keyval_error(reader, (struct slice){comma, comma + 1}, "remove the comma", "there is nothing beside this comma");
			reader->last_comma = comma;
			continue;
		}
		if (read_option(reader, option, out))
			return true;
	}
	return false;
}
