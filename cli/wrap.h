/* Text on a terminal of 80 columns. */
#ifndef CLI_WRAP_H
#define CLI_WRAP_H

#include <stddef.h>
#include <stdio.h>

/*
 * Writes a text and ends the line. It begins where `out` is, at `column` (from
 * 0), and goes on there on further lines; a word that is wider has a line to
 * itself. What is not printable ASCII becomes '?'.
 */
void wrap_text(FILE *out, size_t column, const char *text);

#endif
