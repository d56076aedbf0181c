#include "control/json_out.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void json_out_init(struct json_out *out, size_t max)
{
	*out = (struct json_out){.max = max};
}

void json_out_finish(struct json_out *out)
{
	free(out->bytes);
	*out = (struct json_out){0};
}

void json_out_clear(struct json_out *out)
{
	out->len = 0;
	out->failed = out->comma = false;
}

void json_out_drop(struct json_out *out, size_t n)
{
	out->len -= n;
	if (out->len > 0)
		memmove(out->bytes, out->bytes + n, out->len);
}

static bool make_room(struct json_out *out, size_t len)
{
	if (out->failed || len > out->max - out->len) {
		out->failed = true;
		return false;
	}
	if (out->len + len <= out->cap)
		return true;
	size_t cap = out->cap ? out->cap : 256;
	while (cap < out->len + len)
		cap *= 2;
	char *bytes = realloc(out->bytes, cap);
	if (!bytes) {
		out->failed = true;
		return false;
	}
	out->bytes = bytes;
	out->cap = cap;
	return true;
}

void json_out_raw(struct json_out *out, const char *bytes, size_t len)
{
	if (len == 0 || !make_room(out, len))
		return;
	memcpy(out->bytes + out->len, bytes, len);
	out->len += len;
}

static void raw_char(struct json_out *out, char c)
{
	json_out_raw(out, &c, 1);
}

static void begin_value(struct json_out *out)
{
	if (out->comma)
		raw_char(out, ',');
	out->comma = true;
}

void json_out_open(struct json_out *out, char bracket)
{
	begin_value(out);
	raw_char(out, bracket);
	out->comma = false;
}

void json_out_close(struct json_out *out, char bracket)
{
	raw_char(out, bracket);
	out->comma = true;
}

/* ---- Strings --------------------------------------------------------- */

#define REPLACEMENT 0xfffd

/* Decodes one character of UTF-8 (RFC 3629) and returns how many bytes it has. A bad byte is one REPLACEMENT. */
static size_t decode(const unsigned char *text, uint32_t *character)
{
	static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t len = text[0] < 0x80 ? 1 : text[0] >> 5 == 6 ? 2 : text[0] >> 4 == 14 ? 3 : text[0] >> 3 == 30 ? 4 : 0;

	*character = REPLACEMENT;
	if (len == 0)
		return 1;
	uint32_t value = len == 1 ? text[0] : text[0] & (0x7fu >> len);
	for (size_t i = 1; i < len; i++) {
		if (text[i] >> 6 != 2) /* the NUL at the end, too */
			return 1;
		value = value << 6 | (text[i] & 0x3f);
	}
	if (value < smallest[len] || value > 0x10ffff || (value >= 0xd800 && value < 0xe000))
		return 1;
	*character = value;
	return len;
}

static void raw_unit(struct json_out *out, uint32_t unit)
{
	char text[8];
	int len = snprintf(text, sizeof text, "\\u%04" PRIx32, unit & 0xffff);

	json_out_raw(out, text, (size_t)len);
}

static void raw_character(struct json_out *out, uint32_t character)
{
	if (character == '"' || character == '\\') {
		raw_char(out, '\\');
		raw_char(out, (char)character);
	} else if (character >= 0x20 && character < 0x7f) {
		raw_char(out, (char)character);
	} else if (character < 0x10000) {
		raw_unit(out, character);
	} else {
		raw_unit(out, 0xd800 + ((character - 0x10000) >> 10));
		raw_unit(out, 0xdc00 + ((character - 0x10000) & 0x3ff));
	}
}

void json_out_string(struct json_out *out, const char *text)
{
	const unsigned char *p = (const unsigned char *)text;
	uint32_t character;

	begin_value(out);
	raw_char(out, '"');
	while (*p) {
		p += decode(p, &character);
		raw_character(out, character);
	}
	raw_char(out, '"');
}

/* ---- Other values ---------------------------------------------------- */

void json_out_key(struct json_out *out, const char *key)
{
	json_out_string(out, key);
	raw_char(out, ':');
	out->comma = false;
}

void json_out_u64(struct json_out *out, uint64_t value)
{
	char text[24];
	int len = snprintf(text, sizeof text, "%" PRIu64, value);

	begin_value(out);
	json_out_raw(out, text, (size_t)len);
}

void json_out_bool(struct json_out *out, bool value)
{
	const char *text = value ? "true" : "false";

	begin_value(out);
	json_out_raw(out, text, strlen(text));
}

static int dump_part(const char *bytes, size_t len, void *opaque)
{
	struct json_out *out = opaque;

	json_out_raw(out, bytes, len);
	return out->failed ? -1 : 0;
}

void json_out_value(struct json_out *out, const json_t *value)
{
	begin_value(out);
	if (json_dump_callback(value, dump_part, out, JSON_COMPACT | JSON_ENSURE_ASCII | JSON_ENCODE_ANY) < 0)
		out->failed = true;
}

void json_out_member_string(struct json_out *out, const char *key, const char *text)
{
	json_out_key(out, key);
	json_out_string(out, text);
}

void json_out_member_u64(struct json_out *out, const char *key, uint64_t value)
{
	json_out_key(out, key);
	json_out_u64(out, value);
}

void json_out_member_bool(struct json_out *out, const char *key, bool value)
{
	json_out_key(out, key);
	json_out_bool(out, value);
}
