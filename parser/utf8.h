/* UTF-8 as a terminal shows it: decoding, width, and what must not be printed as it is. */
#ifndef PARSER_UTF8_H
#define PARSER_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Decodes the code point at text[0]. Returns its length in bytes (1 to 4), or 0
 * for what is not UTF-8 (RFC 3629: no overlong forms, no surrogates, nothing
 * above U+10FFFF); then one byte is to be skipped. len is at least 1.
 */
size_t utf8_decode(const char *text, size_t len, uint32_t *code);

/* Offset of the first byte that is not UTF-8, len when there is none. */
size_t utf8_first_invalid(const char *text, size_t len);

/* Columns that a printable code point takes: 0, 1 or 2. */
unsigned utf8_width(uint32_t code);

/* Whether a terminal may be shown it: no control character, no bidirectional override, nothing invisible. */
bool utf8_is_printable(uint32_t code);

/*
 * What to print for the character at text[0]: itself, or \xNN for each byte
 * that is no UTF-8 or a control character, or \u{NNNN}. Sets *used to the
 * bytes of text taken. NUL-terminates `out` and returns the columns it takes.
 */
#define UTF8_SHOWN_MAX 16
unsigned utf8_show(const char *text, size_t len, size_t *used, char out[UTF8_SHOWN_MAX]);

/* A copy of the string with all that shown like that, for the caller to free. NULL when memory is short. */
char *utf8_escaped(const char *text);

#endif
