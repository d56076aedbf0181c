/*
 * Cuts a client's bytes into JSON values, however the bytes arrive, and
 * rewrites what QMP takes and JSON does not: strings in single quotes, and \'
 * in either kind. Whether a value is JSON is for the parser to say.
 *
 * A control character other than white space, a byte that UTF-8 never has
 * (0xFE, 0xFF) and a line's end within a string cannot be part of a value: the
 * value begun is thrown away, each such byte is an error of its own, and what
 * follows is passed over up to the end of the line or the next bracket, comma
 * or colon, where reading starts afresh: quotes in between would be taken for
 * the wrong end of a string. Clients use that to get into a known state (QEMU,
 * docs/interop/qmp-spec.rst, section 2.6).
 */
#ifndef CONTROL_QMP_INPUT_H
#define CONTROL_QMP_INPUT_H

#include <stdbool.h>
#include <stddef.h>

struct qmp_input {
	char *text; /* the value so far; a whole one after QMP_INPUT_VALUE */
	size_t len, cap;
	size_t depth;	 /* brackets that are open */
	char quote;	 /* of the string that is open, 0 for none */
	bool escape;	 /* the last byte was a backslash in a string */
	bool scalar;	 /* in a number or a word outside brackets */
	bool whole;	 /* text was handed out: start afresh */
	bool too_long;	 /* more than QMP_MAX_MESSAGE bytes, or no memory: not kept */
	bool recovering; /* after such a byte: passing over */
};

enum qmp_input_result {
	QMP_INPUT_MORE,	 /* all bytes are used, no value is whole yet */
	QMP_INPUT_VALUE, /* text[0..len) is one; valid until the next call */
	QMP_INPUT_BAD,	 /* *why says what is wrong; reading starts afresh */
};

/* Zero-initialise. Zeroed is fine here. */
void qmp_input_finish(struct qmp_input *input);

/* Uses up bytes until something is to be reported; *used: how many. */
enum qmp_input_result qmp_input_feed(struct qmp_input *input, const char *bytes, size_t len, size_t *used, const char **why);

#endif
