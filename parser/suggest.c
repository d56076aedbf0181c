#include "parser/suggest.h"

#include <ctype.h>
#include <string.h>

static unsigned min_of(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* deflate-on-oom and Deflate_On_Oom are the same slip of the same word. */
static int folded(char c)
{
	return c == '-' ? '_' : tolower((unsigned char)c);
}

/* Edit distance with swaps of neighbours ("optimal string alignment"), row by row. Both lengths are at most SUGGEST_MAX_LEN. */
static unsigned edit_distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
	unsigned rows[3][SUGGEST_MAX_LEN + 1];
	for (size_t j = 0; j <= b_len; j++)
		rows[0][j] = (unsigned)j;
	for (size_t i = 1; i <= a_len; i++) {
		unsigned *row = rows[i % 3], *above = rows[(i - 1) % 3], *above2 = rows[(i + 1) % 3];
		row[0] = (unsigned)i;
		for (size_t j = 1; j <= b_len; j++) {
			unsigned replace = folded(a[i - 1]) != folded(b[j - 1]);
			row[j] = min_of(min_of(above[j] + 1, row[j - 1] + 1), above[j - 1] + replace);
			if (i > 1 && j > 1 && folded(a[i - 1]) == folded(b[j - 2]) && folded(a[i - 2]) == folded(b[j - 1]))
				row[j] = min_of(row[j], above2[j - 2] + 1);
		}
	}
	return rows[a_len % 3][b_len];
}

void suggest_offer(struct suggest *search, const char *word)
{
	size_t len = strlen(word);
	if (search->len == 0 || search->len > SUGGEST_MAX_LEN || len > SUGGEST_MAX_LEN)
		return;
	unsigned distance = edit_distance(search->word, search->len, word, len);
	size_t shorter = search->len < len ? search->len : len;
	if (distance > (shorter + 2) / 3 || (search->nearest && distance >= search->distance))
		return;
	search->nearest = word;
	search->distance = distance;
}
