/* Where a diagnostic points, as it is printed. Used by diag.c only. */
#ifndef PARSER_DIAG_PLACE_H
#define PARSER_DIAG_PLACE_H

#include "parser/diag.h"

/* All text is owned. */
struct diag_place {
	char *name;		    /* of the source; NULL: no place */
	size_t begin, end;	    /* bytes of the source */
	unsigned long line, column; /* from 1; column in display columns */
	char *excerpt;		    /* the line, or the part of it around the span, escaped, tabs expanded */
	size_t caret;		    /* columns before the caret in the excerpt */
	size_t caret_width;	    /* columns to underline, at least 1 */
};

/* Copies out all that printing needs. False when memory is short; then *place is zeroed. */
bool diag_place_init(struct diag_place *place, struct diag_span span);
void diag_place_finish(struct diag_place *place); /* zeroed is fine */

#endif
