/*
 * Diagnostics: what is wrong with a piece of the user's text, where, and what
 * to write instead.
 *
 *   --balloon:1:24: error: 'deflate_on_oom' wants on or off, got 'yes'
 *     size=1G,deflate_on_oom=yes
 *                            ^~~
 *     hint: deflate_on_oom=on
 *
 * A span is a range of bytes of a source. Columns that are printed are display
 * columns: tabs advance to the next multiple of eight, UTF-8 by its width.
 * Control characters, invalid UTF-8 and bidirectional overrides are printed as
 * \xNN or \u{NNNN}, so hostile text cannot drive a terminal. Long lines are
 * shown in part. Single-threaded: one diag_list belongs to one thread.
 */
#ifndef PARSER_DIAG_H
#define PARSER_DIAG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* How a source spells "this property has that value"; hints follow it. */
enum diag_syntax {
	DIAG_TEXT,   /* the whole text is one value: --kernel */
	DIAG_KEYVAL, /* key=value,key=value */
	DIAG_YAML,   /* key: value */
};

/*
 * A text that spans point into. `name` is what is printed: "--balloon",
 * "vm.yaml". Two sources with the same text are one to the reader.
 */
struct diag_source {
	const char *name;
	const char *text;
	size_t len;
	enum diag_syntax syntax;
	unsigned layer; /* 0 unless what it says replaces what a lower layer said; not printed */
};

/* Bytes [begin, end) of a source; begin == end points between two bytes. source NULL: no place (a default). */
struct diag_span {
	const struct diag_source *source;
	size_t begin;
	size_t end;
};

enum diag_severity { DIAG_ERROR, DIAG_WARNING };

/* Up to this many diagnostics are kept, in the order of their discovery, errors before warnings; more are only counted. */
#define DIAG_MAX_SHOWN 10

struct diag_list; /* opaque; allocated by diag_list_create() */

/* NULL when memory is short. */
struct diag_list *diag_list_create(void);
void diag_list_destroy(struct diag_list *list); /* NULL is fine */

/*
 * Adds a diagnostic. `hint` is what to write instead (no newline), NULL for
 * none. All text is copied: sources, hint and arguments may go after the
 * call. When memory is short the diagnostic is still counted.
 */
__attribute__((format(printf, 5, 6))) void diag_add(struct diag_list *list, enum diag_severity severity, struct diag_span at, const char *hint, const char *fmt,
						    ...);

/* Attaches "see FILE:LINE:COL: text" with its source line to the diagnostic that was added last. */
__attribute__((format(printf, 3, 4))) void diag_note(struct diag_list *list, struct diag_span at, const char *fmt, ...);

/* User text for a message: escaped, and cut with "..." when it is long. Returns quote->text. */
#define DIAG_QUOTE_COLUMNS 48
struct diag_quote {
	char text[DIAG_QUOTE_COLUMNS * 4 + 8];
};
const char *diag_quote(struct diag_quote *quote, const char *text, size_t len);

size_t diag_error_count(const struct diag_list *list);

/*
 * Says of the error added last that its text is right and the host is to
 * blame: a file that is named there cannot be read. The program then ends as
 * for any failure of the host, not as for a mistake in the text.
 */
void diag_blame_host(struct diag_list *list);

/* Whether there are errors and the host is to blame for all of them. */
bool diag_is_host_to_blame(const struct diag_list *list);

size_t diag_warning_count(const struct diag_list *list);

/* Whether another error would only be counted: callers may then skip the work of explaining it. */
bool diag_is_full(const struct diag_list *list);

enum diag_colour { DIAG_PLAIN, DIAG_COLOUR };

/* Colour where `out` is a terminal that has it: not with NO_COLOR set to anything, nor TERM=dumb. */
enum diag_colour diag_colour_for(FILE *out);

/* Prints all that were kept, sorted by source (in the order of first use) and position, and how many more there were. */
void diag_print(const struct diag_list *list, FILE *out, enum diag_colour colour);

/* One kept diagnostic, in the order of printing, for tests and fuzzers; strings belong to the list. False past the last. */
struct diag_view {
	enum diag_severity severity;
	const char *source; /* name, NULL for no place */
	size_t begin, end;
	unsigned long line, column; /* from 1; column in display columns */
	const char *message;
	const char *hint; /* NULL for none */
};
bool diag_nth(const struct diag_list *list, size_t nth, struct diag_view *view);

#endif
