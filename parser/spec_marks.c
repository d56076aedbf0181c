#include "parser/spec_marks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "parser/utf8.h"

#define CHECKPOINT_EVERY 64

static const char byte_order_mark[] = "\xef\xbb\xbf";

/* YAML 1.1, section 5.1: c-printable. */
static bool is_allowed(uint32_t code)
{
	if (code < 0x20)
		return code == '\t' || code == '\n' || code == '\r';
	return !(code >= 0x7f && code <= 0x9f && code != 0x85) && code != 0xfeff && code != 0xfffe && code != 0xffff;
}

static int character_error(const struct diag_source *source, size_t at, size_t len, uint32_t code, struct diag_list *diags)
{
	struct diag_span span = {source, at, at + (len ? len : 1)};
	unsigned char byte = (unsigned char)source->text[at];
	if (len == 0)
		diag_add(diags, DIAG_ERROR, span, "save the file as UTF-8", "this byte (0x%02x) is not UTF-8", byte);
	else if (byte == 0)
		diag_add(diags, DIAG_ERROR, span, "remove it", "a NUL byte has no place in a text");
	else
		diag_add(diags, DIAG_ERROR, span, "remove it, or write it as an escape in double quotes", "the character U+%04X has no place in YAML", code);
	return -EINVAL;
}

int spec_marks_init(struct spec_marks *marks, const struct diag_source *source, struct diag_list *diags)
{
	size_t bom = sizeof byte_order_mark - 1, index = 0, n;
	*marks = (struct spec_marks){.source = source};
	if (source->len >= bom && memcmp(source->text, byte_order_mark, bom) == 0)
		marks->text_begin = bom;
	marks->checkpoints = malloc((source->len / CHECKPOINT_EVERY + 1) * sizeof *marks->checkpoints);
	if (!marks->checkpoints)
		return -ENOMEM;
	for (size_t at = marks->text_begin; at < source->len; at += n, index++) {
		uint32_t code = 0;
		n = utf8_decode(source->text + at, source->len - at, &code);
		if (n == 0 || !is_allowed(code))
			return character_error(source, at, n, code, diags);
		if (index % CHECKPOINT_EVERY == 0)
			marks->checkpoints[index / CHECKPOINT_EVERY] = (uint32_t)at;
	}
	if (index == source->len) {
		free(marks->checkpoints);
		marks->checkpoints = NULL;
	}
	marks->n_characters = index;
	return 0;
}

void spec_marks_finish(struct spec_marks *marks)
{
	free(marks->checkpoints);
	*marks = (struct spec_marks){0};
}

size_t spec_marks_byte(const struct spec_marks *marks, size_t index)
{
	const struct diag_source *source = marks->source;
	if (index >= marks->n_characters)
		return source->len;
	if (!marks->checkpoints)
		return index;
	size_t at = marks->checkpoints[index / CHECKPOINT_EVERY];
	for (size_t left = index % CHECKPOINT_EVERY; left > 0 && at < source->len; left--) {
		uint32_t code;
		at += utf8_decode(source->text + at, source->len - at, &code);
	}
	return at;
}
