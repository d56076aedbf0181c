/* Sizes and numbers: strict, and each slip is answered with what to write instead. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "parser/value.h"

/* A number as text, for hints. */
struct number_text {
	char text[SCHEMA_SIZE_TEXT_MAX];
};

static const char *number_text(struct number_text *buf, const struct schema_prop *prop, uint64_t number)
{
	if (prop->type == SCHEMA_SIZE)
		return schema_size_text(buf->text, number);
	snprintf(buf->text, sizeof buf->text, "%" PRIu64, number);
	return buf->text;
}

/* Reads decimal digits at text[*at] on; false when the number does not fit 64 bits (the digits are passed all the same). */
static bool read_digits(const char *text, size_t len, size_t *at, uint64_t *number)
{
	bool fits = true;
	*number = 0;
	for (; *at < len && isdigit((unsigned char)text[*at]); ++*at) {
		uint64_t digit = (uint64_t)(text[*at] - '0');
		fits = fits && !__builtin_mul_overflow(*number, 10, number) && !__builtin_add_overflow(*number, digit, number);
	}
	return fits;
}

/* Number of bits that the unit shifts by, 0 for none. */
static unsigned unit_shift(char c)
{
	static const char units[] = "KMGT";
	const char *unit = c ? strchr(units, toupper((unsigned char)c)) : NULL;
	return unit ? 10 * (unsigned)(unit - units + 1) : 0;
}

/* ---- What is wrong with a text that does not begin with its digits, or goes on after them ---- */

static int sign_error(const struct value_text *value, struct diag_list *diags)
{
	struct diag_quote got, instead;
	bool minus = value->text[0] == '-';
	return value_error(value, diags, minus ? NULL : diag_quote(&instead, value->text + 1, value->len - 1), "'%s' wants digits without a sign, got '%s'",
			   value->prop->name, diag_quote(&got, value->text, value->len));
}

static int hex_error(const struct value_text *value, struct diag_list *diags)
{
	struct diag_quote got;
	struct number_text instead;
	uint64_t number = 0;
	bool good = value->len > 2 && value->len <= 18;
	for (size_t i = 2; good && i < value->len; i++) {
		static const char digits[] = "0123456789abcdef";
		const char *digit = value->text[i] ? strchr(digits, tolower((unsigned char)value->text[i])) : NULL;
		good = digit != NULL;
		number = number << 4 | (good ? (uint64_t)(digit - digits) : 0);
	}
	return value_error(value, diags, good ? number_text(&instead, value->prop, number) : NULL, "'%s' wants decimal digits, got '%s'", value->prop->name,
			   diag_quote(&got, value->text, value->len));
}

/* "1.5G" is 1536M: digits, a point, up to nine digits, a unit. */
static int fraction_error(const struct value_text *value, struct diag_list *diags)
{
	struct diag_quote got;
	struct number_text instead;
	size_t at = 0;
	uint64_t whole, part = 0, scale = 1;
	bool good = read_digits(value->text, value->len, &at, &whole) && at < value->len;
	size_t point = at++;
	good = good && read_digits(value->text, value->len, &at, &part) && at - point <= 10;
	for (size_t i = point + 1; good && i < at; i++)
		scale *= 10;
	unsigned shift = good && at < value->len ? unit_shift(value->text[at]) : 0;
	good = good && shift > 0 && whole < 1ull << 20 && value->prop->type == SCHEMA_SIZE;
	if (good) {
		uint64_t bytes = (whole << shift) + (uint64_t)((long double)part / (long double)scale * (long double)(1ull << shift));
		uint64_t multiple = value->prop->multiple ? value->prop->multiple : 1;
		number_text(&instead, value->prop, bytes / multiple * multiple);
	}
	return value_error(value, diags, good ? instead.text : NULL, "'%s' wants a whole number, got '%s'", value->prop->name,
			   diag_quote(&got, value->text, value->len));
}

/* The text without `drop` characters, when it is then digits and an optional unit. */
static const char *without(const struct value_text *value, const char *drop, char buf[SCHEMA_SIZE_TEXT_MAX])
{
	size_t n = 0;
	for (size_t i = 0; i < value->len; i++) {
		char c = value->text[i];
		if (c && strchr(drop, c))
			continue;
		if (n + 1 == SCHEMA_SIZE_TEXT_MAX || !isalnum((unsigned char)c))
			return NULL;
		buf[n++] = c;
	}
	buf[n] = '\0';
	return n > 0 ? buf : NULL;
}

static int separator_error(const struct value_text *value, struct diag_list *diags)
{
	struct diag_quote got;
	char instead[SCHEMA_SIZE_TEXT_MAX];
	return value_error(value, diags, without(value, "_',", instead), "'%s' wants digits without separators, got '%s'", value->prop->name,
			   diag_quote(&got, value->text, value->len));
}

static int blank_error(const struct value_text *value, struct diag_list *diags)
{
	struct diag_quote got;
	char instead[SCHEMA_SIZE_TEXT_MAX];
	return value_error(value, diags, without(value, " \t\r\n", instead), "'%s' wants no blanks in the number, got '%s'", value->prop->name,
			   diag_quote(&got, value->text, value->len));
}

static int overflow_error(const struct value_text *value, struct diag_list *diags)
{
	struct diag_quote got;
	return value_error(value, diags, NULL, "'%s' does not fit 64 bits: '%s'", value->prop->name, diag_quote(&got, value->text, value->len));
}

/* Slips that sizes and numbers share, at text[at], the first byte that is no digit. 0: none of them. */
static int number_error(const struct value_text *value, size_t at, struct diag_list *diags)
{
	int c = at < value->len ? value->text[at] : 0;
	if (at == 0 && (c == '-' || c == '+'))
		return sign_error(value, diags);
	if (at == 1 && value->text[0] == '0' && (c == 'x' || c == 'X'))
		return hex_error(value, diags);
	if (at > 0 && c == '.')
		return fraction_error(value, diags);
	if (at > 0 && (c == '_' || c == '\'' || c == ','))
		return separator_error(value, diags);
	if (at > 0 && c && strchr(" \t\r\n", c))
		return blank_error(value, diags);
	return 0;
}

/* ---- Units ---- */

/* What follows digits where a unit should. `number` are the digits. */
static int unit_error(const struct value_text *value, uint64_t number, size_t at, struct diag_list *diags)
{
	struct diag_quote got, rest;
	char instead[SCHEMA_SIZE_TEXT_MAX];
	const char *name = value->prop->name, *unit = value->text + at;
	size_t len = value->len - at;
	diag_quote(&got, value->text, value->len);
	unsigned shift = unit_shift(unit[0]);
	if (shift > 0)
		snprintf(instead, sizeof instead, "%" PRIu64 "%c", number, toupper((unsigned char)unit[0]));
	if (shift > 0 && len == 2 && toupper((unsigned char)unit[1]) == 'B')
		return value_error(value, diags, instead, "'%s' cannot tell whether '%s' counts in 1000s or 1024s; here units are binary and have no B", name,
				   got.text);
	if (shift > 0 && ((len == 2 && tolower((unsigned char)unit[1]) == 'i') || (len == 3 && strncasecmp(unit + 1, "ib", 2) == 0))) {
		snprintf(instead, sizeof instead, "%" PRIu64 "%ciB", number, toupper((unsigned char)unit[0]));
		return value_error(value, diags, instead, "'%s' wants the long unit spelt with iB, got '%s'", name, got.text);
	}
	if (shift > 0)
		return value_error(value, diags, instead, "'%s' wants one unit at most, got '%s'", name, got.text);
	if (unit[0] == 'B' || unit[0] == 'b') {
		snprintf(instead, sizeof instead, "%" PRIu64, number);
		return value_error(value, diags, instead, "'%s' counts bytes when it has no unit; B is none, got '%s'", name, got.text);
	}
	return value_error(value, diags, NULL, "'%s' knows the units K, M, G and T, not '%s'", name, diag_quote(&rest, unit, len));
}

/* ---- Range ---- */

static int range_error(const struct value_text *value, uint64_t instead, struct diag_list *diags)
{
	const struct schema_prop *prop = value->prop;
	struct number_text hint;
	struct diag_quote got;
	char range[SCHEMA_RANGE_MAX];
	return value_error(value, diags, number_text(&hint, prop, instead), "'%s' must be %s, got '%s'", prop->name, schema_range_text(range, prop),
			   diag_quote(&got, value->text, value->len));
}

static int check_range(const struct value_text *value, uint64_t number, struct diag_list *diags)
{
	const struct schema_prop *prop = value->prop;
	struct number_text hint, unit;
	struct diag_quote got;
	if (number < prop->min)
		return range_error(value, prop->min, diags);
	if (prop->max > 0 && number > prop->max)
		return range_error(value, prop->max, diags);
	if (prop->multiple == 0 || number % prop->multiple == 0)
		return 0;
	uint64_t down = number / prop->multiple * prop->multiple;
	return value_error(value, diags, number_text(&hint, prop, down ? down : prop->multiple), "'%s' must be a multiple of %s, got '%s'", prop->name,
			   number_text(&unit, prop, prop->multiple), diag_quote(&got, value->text, value->len));
}

int value_parse_size(const struct value_text *value, uint64_t *bytes, struct diag_list *diags)
{
	struct diag_quote got;
	uint64_t number;
	size_t at = 0;
	bool fits = read_digits(value->text, value->len, &at, &number);
	int error = number_error(value, at, diags);
	if (error)
		return error;
	if (at == 0)
		return value_error(value, diags, NULL, "'%s' wants a size, got '%s'", value->prop->name, diag_quote(&got, value->text, value->len));
	unsigned shift = 0;
	if (at < value->len) {
		size_t rest = value->len - at;
		shift = unit_shift(value->text[at]);
		bool good = shift > 0 && (rest == 1 || (rest == 3 && memcmp(value->text + at + 1, "iB", 2) == 0));
		if (!good)
			return unit_error(value, number, at, diags);
	}
	if (!fits || number > UINT64_MAX >> shift)
		return overflow_error(value, diags);
	number <<= shift;
	error = check_range(value, number, diags);
	if (!error)
		*bytes = number;
	return error;
}

int value_parse_uint(const struct value_text *value, uint64_t *number, struct diag_list *diags)
{
	struct diag_quote got;
	uint64_t parsed;
	size_t at = 0;
	bool fits = read_digits(value->text, value->len, &at, &parsed);
	int error = number_error(value, at, diags);
	if (error)
		return error;
	if (at == 0 || at < value->len)
		return value_error(value, diags, NULL, "'%s' wants a number, got '%s'", value->prop->name, diag_quote(&got, value->text, value->len));
	if (!fits)
		return overflow_error(value, diags);
	error = check_range(value, parsed, diags);
	if (!error)
		*number = parsed;
	return error;
}
