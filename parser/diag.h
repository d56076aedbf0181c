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
 * Single-threaded: one diag_list belongs to one thread.
 */
#ifndef PARSER_DIAG_H
#define PARSER_DIAG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* A text that spans point into. `name` is what is printed: "--balloon", "vm.yaml". Both outlive the spans. */
struct diag_source {
	const char *name;
	const char *text;
	size_t len;
};

/* Bytes [begin, end) of a source; begin == end points between two bytes. source NULL: no place (a default). */
struct diag_span {
	const struct diag_source *source;
	size_t begin;
	size_t end;
};

enum diag_severity { DIAG_ERROR, DIAG_WARNING };

/* Up to this many diagnostics are kept, in the order of their discovery; errors past it are only counted. */
#define DIAG_MAX_SHOWN 10

struct diag_list; /* opaque; allocated by diag_list_create() */

/* NULL when memory is short. */
struct diag_list *diag_list_create(void);
void diag_list_destroy(struct diag_list *list); /* NULL is fine */

/*
 * Adds a diagnostic. `hint` is what to write instead (no newline), NULL for
 * none; it is copied. When memory is short the diagnostic is still counted.
 */
__attribute__((format(printf, 5, 6))) void diag_add(struct diag_list *list, enum diag_severity severity, struct diag_span at, const char *hint, const char *fmt,
						    ...);

/* Attaches "see FILE:LINE:COL: text" with its source line to the diagnostic that was added last. */
__attribute__((format(printf, 3, 4))) void diag_note(struct diag_list *list, struct diag_span at, const char *fmt, ...);

size_t diag_error_count(const struct diag_list *list);
size_t diag_warning_count(const struct diag_list *list);

enum diag_colour { DIAG_PLAIN, DIAG_COLOUR };

/* Prints all that were kept, sorted by source and position, and how many more there were. */
void diag_print(const struct diag_list *list, FILE *out, enum diag_colour colour);

#endif
