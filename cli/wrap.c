#include "cli/wrap.h"

#include <string.h>

#define LINE_WIDTH 79

static void put_word(FILE *out, const char *word, size_t len)
{
	for (size_t i = 0; i < len; i++)
		fputc(word[i] > ' ' && word[i] < 0x7f ? word[i] : '?', out);
}

void wrap_text(FILE *out, size_t column, const char *text)
{
	size_t at = column;
	while (*(text += strspn(text, " "))) {
		size_t len = strcspn(text, " ");
		if (at > column && at + 1 + len > LINE_WIDTH) {
			fprintf(out, "\n%*s", (int)column, "");
			at = column;
		} else if (at > column) {
			fputc(' ', out);
			at++;
		}
		put_word(out, text, len);
		at += len;
		text += len;
	}
	fputc('\n', out);
}
