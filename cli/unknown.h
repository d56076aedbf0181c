/* What a command line has that nobody knows, and what was meant perhaps. */
#ifndef CLI_UNKNOWN_H
#define CLI_UNKNOWN_H

#include "parser/suggest.h"

/* Begins a search: offer it all that would have been right (suggest_offer()), options without their dashes, which would make short ones look alike. */
struct suggest unknown_begin(const char *word);

/* Says that `word` is not known to `command`, NULL for the program itself, and the nearest of what was offered. Returns COMMAND_USAGE. */
int unknown_end(const struct suggest *search, const char *command, const char *word);

#endif
