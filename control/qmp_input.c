#include "control/qmp_input.h"

#include <stdlib.h>
#include <string.h>

#include "control/qmp_server.h"

void qmp_input_finish(struct qmp_input *input)
{
	free(input->text);
	*input = (struct qmp_input){0};
}

/* Keeps the memory. */
static void start_afresh(struct qmp_input *input)
{
	*input = (struct qmp_input){.text = input->text, .cap = input->cap};
}

static void push(struct qmp_input *input, char c)
{
	if (input->len == input->cap) {
		size_t cap = input->cap ? input->cap * 2 : 512;
		char *text = cap <= QMP_MAX_MESSAGE ? realloc(input->text, cap) : NULL;
		if (!text) {
			input->too_long = true;
			return;
		}
		input->text = text;
		input->cap = cap;
	}
	input->text[input->len++] = c;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Cannot stand in a JSON text, in or out of a string. */
static bool is_reset(const struct qmp_input *input, char c)
{
	unsigned char u = (unsigned char)c;

	return (u < 0x20 && (!is_blank(c) || input->quote)) || u >= 0xfe;
}

/* NUL is none: it resets. */
static bool is_structural(char c)
{
	return c != '\0' && strchr("{}[],:", c);
}

/* Ends a number or a word. */
static bool is_delimiter(char c)
{
	return is_blank(c) || is_structural(c) || c == '"' || c == '\'';
}

static enum qmp_input_result end_value(struct qmp_input *input, const char **why)
{
	if (!input->too_long) {
		input->whole = true;
		return QMP_INPUT_VALUE;
	}
	/* push() gave up before it had as much as there may be. */
	*why = input->cap * 2 <= QMP_MAX_MESSAGE ? "out of memory" : "message is too long";
	start_afresh(input);
	return QMP_INPUT_BAD;
}

static enum qmp_input_result feed_string(struct qmp_input *input, char c, const char **why)
{
	if (input->escape) {
		input->escape = false;
		if (c != '\'')
			push(input, '\\');
		push(input, c);
	} else if (c == '\\') {
		input->escape = true;
	} else if (c == input->quote) {
		input->quote = 0;
		push(input, '"');
		if (input->depth == 0)
			return end_value(input, why);
	} else {
		if (c == '"')
			push(input, '\\');
		push(input, c);
	}
	return QMP_INPUT_MORE;
}

static enum qmp_input_result feed_plain(struct qmp_input *input, char c, const char **why)
{
	bool is_inside = input->depth > 0;

	switch (c) {
	case '"':
	case '\'':
		input->quote = c;
		push(input, '"');
		return QMP_INPUT_MORE;
	case '{':
	case '[':
		input->depth++;
		push(input, c);
		return QMP_INPUT_MORE;
	case '}':
	case ']':
	case ',':
	case ':':
		if (!is_inside) {
			*why = "a value does not begin like this";
			start_afresh(input);
			return QMP_INPUT_BAD;
		}
		push(input, c);
		if ((c == '}' || c == ']') && --input->depth == 0)
			return end_value(input, why);
		return QMP_INPUT_MORE;
	default:
		if (is_inside || !is_blank(c))
			push(input, c);
		input->scalar = !is_inside && !is_blank(c);
		return QMP_INPUT_MORE;
	}
}

enum qmp_input_result qmp_input_feed(struct qmp_input *input, const char *bytes, size_t len, size_t *used, const char **why)
{
	if (input->whole)
		start_afresh(input);
	for (*used = 0; *used < len;) {
		char c = bytes[*used];
		/* It ends at the byte after it, which is not part of it. */
		if (input->scalar && (is_delimiter(c) || is_reset(input, c))) {
			enum qmp_input_result result = end_value(input, why);
			input->scalar = false;
			return result;
		}
		(*used)++;
		if (is_reset(input, c)) {
			start_afresh(input);
			input->recovering = true;
			*why = "stray control character";
			return QMP_INPUT_BAD;
		}
		input->recovering = input->recovering && c != '\n' && !is_structural(c);
		if (input->recovering)
			continue;
		enum qmp_input_result result = input->quote ? feed_string(input, c, why) : feed_plain(input, c, why);
		if (result != QMP_INPUT_MORE)
			return result;
	}
	return QMP_INPUT_MORE;
}
