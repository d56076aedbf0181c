#include "parser/diag_place.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "parser/utf8.h"

/* Lines up to this wide are shown whole; of longer ones a part around the span. */
#define EXCERPT_MAX_COLUMNS 120
#define EXCERPT_BEFORE 60 /* columns of context before the span in a long line */
#define TAB_COLUMNS 8

/* One character of a line as it is shown. */
struct cell {
	char shown[UTF8_SHOWN_MAX];
	size_t begin; /* byte offset in the source */
	size_t used;  /* bytes of the source */
	size_t column;
	unsigned width;
};

/* Walks over the characters of source bytes [at, end). */
struct line_walk {
	const char *text;
	size_t at, end;
	size_t column;
};

static bool next_cell(struct line_walk *walk, struct cell *cell)
{
	if (walk->at >= walk->end)
		return false;
	cell->begin = walk->at;
	cell->column = walk->column;
	if (walk->text[walk->at] == '\t') {
		cell->used = 1;
		cell->width = TAB_COLUMNS - (unsigned)(walk->column % TAB_COLUMNS);
		memset(cell->shown, ' ', cell->width);
		cell->shown[cell->width] = '\0';
	} else {
		cell->width = utf8_show(walk->text + walk->at, walk->end - walk->at, &cell->used, cell->shown);
	}
	walk->at += cell->used;
	walk->column += cell->width;
	return true;
}

/* The line that holds the span's beginning: bytes [begin, end), without its line break. */
static struct line_walk find_line(const struct diag_source *source, size_t at)
{
	const char *before = at > 0 ? memrchr(source->text, '\n', at) : NULL;
	const char *after = at < source->len ? memchr(source->text + at, '\n', source->len - at) : NULL;
	size_t begin = before ? (size_t)(before - source->text) + 1 : 0;
	size_t end = after ? (size_t)(after - source->text) : source->len;
	if (end > begin && source->text[end - 1] == '\r')
		end--;
	return (struct line_walk){source->text, begin, end, 0};
}

static unsigned long line_number(const struct diag_source *source, size_t at)
{
	unsigned long line = 1;
	for (const char *p = source->text, *stop = p + at; p < stop && (p = memchr(p, '\n', (size_t)(stop - p))); p++)
		line++;
	return line;
}

/* Columns of [begin, end) within the line; what lies beyond the line does not count. */
static void measure(struct line_walk walk, struct diag_place *place, size_t *total)
{
	struct cell cell;
	size_t from = 0, to = 0;
	bool started = false;
	while (next_cell(&walk, &cell)) {
		if (cell.begin + cell.used <= place->begin)
			continue;
		if (!started) {
			from = to = cell.column;
			started = true;
		}
		if (cell.begin < place->end)
			to = cell.column + cell.width;
	}
	*total = walk.column;
	place->column = 1 + (started ? from : walk.column);
	place->caret = place->column - 1;
	place->caret_width = to > from ? to - from : 1;
}

/* Writes columns [from, to) of the line between the two ends. */
static char *write_excerpt(struct line_walk walk, size_t from, size_t to, const char *before, const char *after)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	if (!out)
		return NULL;
	fputs(before, out);
	struct cell cell;
	for (size_t column = from; next_cell(&walk, &cell) && cell.column < to;) {
		if (cell.column < from)
			continue;
		/* A wide character that straddles `from` leaves a gap. */
		fprintf(out, "%*s%s", (int)(cell.column - column), "", cell.shown);
		column = cell.column + cell.width;
	}
	fputs(after, out);
	bool failed = ferror(out);
	if (fclose(out) == 0 && !failed)
		return text;
	free(text);
	return NULL;
}

bool diag_place_init(struct diag_place *place, struct diag_span span)
{
	*place = (struct diag_place){0};
	if (!span.source)
		return true;
	assert(span.begin <= span.end && span.end <= span.source->len);
	place->begin = span.begin;
	place->end = span.end;
	place->line = line_number(span.source, span.begin);
	struct line_walk line = find_line(span.source, span.begin);
	size_t total, from = 0, to;
	measure(line, place, &total);
	to = total;
	if (total > EXCERPT_MAX_COLUMNS) {
		from = place->caret > EXCERPT_BEFORE ? place->caret - EXCERPT_BEFORE : 0;
		to = from + EXCERPT_MAX_COLUMNS < total ? from + EXCERPT_MAX_COLUMNS : total;
	}
	place->excerpt = write_excerpt(line, from, to, from > 0 ? "..." : "", to < total ? "..." : "");
	place->caret += from > 0 ? strlen("...") : 0;
	place->caret -= from;
	size_t room = to - (place->column - 1);
	if (place->caret_width > room && room > 0)
		place->caret_width = room;
	place->name = utf8_escaped(span.source->name);
	if (place->excerpt && place->name)
		return true;
	diag_place_finish(place);
	return false;
}

void diag_place_finish(struct diag_place *place)
{
	free(place->name);
	free(place->excerpt);
	*place = (struct diag_place){0};
}
