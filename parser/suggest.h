/* "Did you mean": the nearest of the words that would have been right. */
#ifndef PARSER_SUGGEST_H
#define PARSER_SUGGEST_H

#include <stddef.h>

/* Words longer than this have no near ones; it bounds the work for hostile input. */
#define SUGGEST_MAX_LEN 48

/* The search; zero-initialise but for the word. */
struct suggest {
	const char *word;
	size_t len;
	const char *nearest; /* NULL: nothing is near */
	unsigned distance;
};

/*
 * Offers one word that would have been right. The nearest has the fewest
 * insertions, removals, replacements and swaps of neighbours, at most one for
 * each three letters; case, '-' and '_' are no difference. Of equals the
 * first offered wins. `word` must outlive the search.
 */
void suggest_offer(struct suggest *search, const char *word);

#endif
