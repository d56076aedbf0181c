#include "parser/utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct range {
	uint32_t first, last;
};

/* Combining marks and joiners: they add no column. Unicode 15, the blocks that people meet. */
static const struct range zero_width[] = {
	{0x0300, 0x036f}, {0x0483, 0x0489}, {0x0591, 0x05bd}, {0x0610, 0x061a}, {0x064b, 0x065f}, {0x06d6, 0x06dc},   {0x0900, 0x0902},
	{0x093c, 0x093c}, {0x0941, 0x0948}, {0x0e31, 0x0e31}, {0x0e34, 0x0e3a}, {0x0e47, 0x0e4e}, {0x1ab0, 0x1aff},   {0x1dc0, 0x1dff},
	{0x20d0, 0x20ff}, {0x302a, 0x302d}, {0x3099, 0x309a}, {0xfe00, 0xfe0f}, {0xfe20, 0xfe2f}, {0x1f3fb, 0x1f3ff}, {0xe0100, 0xe01ef},
};

/* East Asian Width W and F (Unicode Standard Annex 11), and emoji. */
static const struct range double_width[] = {
	{0x1100, 0x115f},   {0x231a, 0x231b},	{0x2329, 0x232a},   {0x23e9, 0x23ec},	{0x2e80, 0x303e},   {0x3041, 0x33ff},	{0x3400, 0x4dbf},
	{0x4e00, 0xa4cf},   {0xa960, 0xa97c},	{0xac00, 0xd7a3},   {0xf900, 0xfaff},	{0xfe30, 0xfe6f},   {0xff00, 0xff60},	{0xffe0, 0xffe6},
	{0x17000, 0x18cff}, {0x1b000, 0x1b2ff}, {0x1f300, 0x1f64f}, {0x1f680, 0x1f6ff}, {0x1f900, 0x1f9ff}, {0x1fa70, 0x1faff}, {0x20000, 0x3fffd},
};

/* Controls, and format characters that reorder, hide or join text. */
static const struct range unprintable[] = {
	{0x0000, 0x001f}, {0x007f, 0x009f}, {0x00ad, 0x00ad}, {0x061c, 0x061c}, {0x180e, 0x180e},   {0x200b, 0x200f},	 {0x2028, 0x202e},
	{0x2060, 0x206f}, {0xfeff, 0xfeff}, {0xfff0, 0xfffb}, {0xfffe, 0xffff}, {0xe0000, 0xe007f}, {0xf0000, 0x10ffff},
};

static bool is_in(const struct range *ranges, size_t n, uint32_t code)
{
	for (size_t i = 0; i < n && ranges[i].first <= code; i++)
		if (code <= ranges[i].last)
			return true;
	return false;
}

#define IS_IN(ranges, code) is_in(ranges, sizeof(ranges) / sizeof((ranges)[0]), code)

size_t utf8_decode(const char *text, size_t len, uint32_t *code)
{
	/* The smallest code point that needs that many bytes: below it the form is overlong. */
	static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
	unsigned char lead = (unsigned char)text[0];
	size_t n = lead < 0x80 ? 1 : lead >> 5 == 6 ? 2 : lead >> 4 == 14 ? 3 : lead >> 3 == 30 ? 4 : 0;
	if (n == 0 || n > len)
		return 0;
	uint32_t value = n == 1 ? lead : lead & (0x7fu >> n);
	for (size_t i = 1; i < n; i++) {
		unsigned char next = (unsigned char)text[i];
		if (next >> 6 != 2)
			return 0;
		value = value << 6 | (next & 0x3f);
	}
	if (value < smallest[n] || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff))
		return 0;
	*code = value;
	return n;
}

size_t utf8_first_invalid(const char *text, size_t len)
{
	for (size_t at = 0; at < len;) {
		uint32_t code;
		size_t n = utf8_decode(text + at, len - at, &code);
		if (n == 0)
			return at;
		at += n;
	}
	return len;
}

unsigned utf8_width(uint32_t code)
{
	if (code < 0x300)
		return 1;
	return IS_IN(zero_width, code) ? 0 : IS_IN(double_width, code) ? 2 : 1;
}

bool utf8_is_printable(uint32_t code)
{
	return !IS_IN(unprintable, code);
}

unsigned utf8_show(const char *text, size_t len, size_t *used, char out[UTF8_SHOWN_MAX])
{
	uint32_t code;
	size_t n = utf8_decode(text, len, &code);
	if (n == 0 || code < 0x20 || code == 0x7f) {
		*used = 1;
		return (unsigned)snprintf(out, UTF8_SHOWN_MAX, "\\x%02x", (unsigned char)text[0]);
	}
	*used = n;
	if (!utf8_is_printable(code))
		return (unsigned)snprintf(out, UTF8_SHOWN_MAX, "\\u{%04x}", code);
	memcpy(out, text, n);
	out[n] = '\0';
	return utf8_width(code);
}

char *utf8_escaped(const char *text)
{
	size_t len = strlen(text), used;
	char *out = malloc(len * 4 * 2 + 1), *p = out; /* \xNN: 4 for a byte; \u{NNNNN}: up to 9 for 2 bytes or more */
	char shown[UTF8_SHOWN_MAX];
	if (!out)
		return NULL;
	*p = '\0';
	for (size_t at = 0; at < len; at += used) {
		utf8_show(text + at, len - at, &used, shown);
		p = stpcpy(p, shown);
	}
	return out;
}
