#include "parser/diag.h"

#include <assert.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "parser/diag_place.h"
#include "parser/utf8.h"

/* Room for a path, which is told in full, and some words. What else a message names of the user's text is cut by diag_quote(). */
#define MESSAGE_MAX 5120
#define MAX_NOTES 2
#define MAX_SOURCES (DIAG_MAX_SHOWN + 1)

struct note {
	char *text;
	struct diag_place place;
};

struct diag {
	enum diag_severity severity;
	char *message;
	char *hint;
	struct diag_place place;
	size_t source_order; /* of the source's first diagnostic */
	size_t order;	     /* of discovery */
	struct note notes[MAX_NOTES];
	size_t n_notes;
};

struct diag_list {
	struct diag shown[DIAG_MAX_SHOWN];
	size_t n_shown;
	size_t n_errors, n_warnings;
	size_t n_host_errors;		  /* of n_errors */
	struct diag *last;		  /* what diag_note() adds to; NULL when it was not kept */
	const char *sources[MAX_SOURCES]; /* their texts */
	size_t n_sources;
	size_t next_order;
};

struct diag_list *diag_list_create(void)
{
	return calloc(1, sizeof(struct diag_list));
}

static void diag_clear(struct diag *diag)
{
	free(diag->message);
	free(diag->hint);
	diag_place_finish(&diag->place);
	for (size_t i = 0; i < diag->n_notes; i++) {
		free(diag->notes[i].text);
		diag_place_finish(&diag->notes[i].place);
	}
	*diag = (struct diag){0};
}

void diag_list_destroy(struct diag_list *list)
{
	if (!list)
		return;
	for (size_t i = 0; i < list->n_shown; i++)
		diag_clear(&list->shown[i]);
	free(list);
}

__attribute__((format(printf, 1, 0))) static char *format_message(const char *fmt, va_list args)
{
	char raw[MESSAGE_MAX];
	vsnprintf(raw, sizeof raw, fmt, args);
	return utf8_escaped(raw);
}

/* Sources are told apart by where their text is: two "--memory" are two. */
static size_t order_of_source(struct diag_list *list, const struct diag_source *source)
{
	const char *text = source ? source->text : NULL;
	size_t i = 0;
	while (i < list->n_sources && list->sources[i] != text)
		i++;
	if (i == list->n_sources && i < MAX_SOURCES)
		list->sources[list->n_sources++] = text;
	return i;
}

/* A free slot for a diagnostic of that severity: an error may take a warning's. NULL when it is only counted. */
static struct diag *take_slot(struct diag_list *list, enum diag_severity severity)
{
	if (list->n_shown < DIAG_MAX_SHOWN)
		return &list->shown[list->n_shown++];
	if (severity == DIAG_WARNING)
		return NULL;
	for (size_t i = list->n_shown; i-- > 0;)
		if (list->shown[i].severity == DIAG_WARNING) {
			diag_clear(&list->shown[i]);
			return &list->shown[i];
		}
	return NULL;
}

void diag_add(struct diag_list *list, enum diag_severity severity, struct diag_span at, const char *hint, const char *fmt, ...)
{
	*(severity == DIAG_ERROR ? &list->n_errors : &list->n_warnings) += 1;
	list->last = NULL;
	struct diag *diag = take_slot(list, severity);
	if (!diag)
		return;
	va_list args;
	va_start(args, fmt);
	diag->message = format_message(fmt, args);
	va_end(args);
	diag->hint = hint ? utf8_escaped(hint) : NULL;
	diag->severity = severity;
	diag->source_order = order_of_source(list, at.source);
	diag->order = list->next_order++;
	/* Short of memory: it is shown with the part that is there. */
	diag_place_init(&diag->place, at);
	list->last = diag;
}

void diag_note(struct diag_list *list, struct diag_span at, const char *fmt, ...)
{
	struct diag *diag = list->last;
	if (!diag || diag->n_notes == MAX_NOTES)
		return;
	struct note *note = &diag->notes[diag->n_notes];
	va_list args;
	va_start(args, fmt);
	note->text = format_message(fmt, args);
	va_end(args);
	diag_place_init(&note->place, at);
	diag->n_notes++;
}

size_t diag_error_count(const struct diag_list *list)
{
	return list->n_errors;
}

void diag_blame_host(struct diag_list *list)
{
	assert(list->n_host_errors < list->n_errors);
	list->n_host_errors++;
}

bool diag_is_host_to_blame(const struct diag_list *list)
{
	return list->n_errors > 0 && list->n_host_errors == list->n_errors;
}

size_t diag_warning_count(const struct diag_list *list)
{
	return list->n_warnings;
}

bool diag_is_full(const struct diag_list *list)
{
	for (size_t i = 0; i < list->n_shown; i++)
		if (list->shown[i].severity == DIAG_WARNING)
			return false;
	return list->n_shown == DIAG_MAX_SHOWN;
}

const char *diag_quote(struct diag_quote *quote, const char *text, size_t len)
{
	char *p = quote->text, shown[UTF8_SHOWN_MAX];
	size_t used, columns = 0;
	*p = '\0';
	for (size_t at = 0; at < len; at += used) {
		columns += utf8_show(text + at, len - at, &used, shown);
		if (columns > DIAG_QUOTE_COLUMNS || (size_t)(p - quote->text) + strlen(shown) + sizeof "..." > sizeof quote->text) {
			stpcpy(p, "...");
			break;
		}
		p = stpcpy(p, shown);
	}
	return quote->text;
}

static bool is_before(const struct diag *x, const struct diag *y)
{
	if (x->source_order != y->source_order)
		return x->source_order < y->source_order;
	if (x->place.begin != y->place.begin)
		return x->place.begin < y->place.begin;
	return x->order < y->order;
}

/* By insertion: they are ten at most. */
static void sort(const struct diag_list *list, const struct diag *sorted[DIAG_MAX_SHOWN])
{
	for (size_t n = 0; n < list->n_shown; n++) {
		size_t at = n;
		for (; at > 0 && is_before(&list->shown[n], sorted[at - 1]); at--)
			sorted[at] = sorted[at - 1];
		sorted[at] = &list->shown[n];
	}
}

bool diag_nth(const struct diag_list *list, size_t nth, struct diag_view *view)
{
	const struct diag *sorted[DIAG_MAX_SHOWN];
	if (nth >= list->n_shown)
		return false;
	sort(list, sorted);
	const struct diag *diag = sorted[nth];
	const struct diag_place *place = &diag->place;
	*view = (struct diag_view){diag->severity, place->name, place->begin, place->end, place->line, place->column, diag->message, diag->hint};
	return true;
}

enum diag_colour diag_colour_for(FILE *out)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
	bool wanted = (!no_color || !*no_color) && term && strcmp(term, "dumb") != 0;
	return wanted && isatty(fileno(out)) ? DIAG_COLOUR : DIAG_PLAIN;
}

/* Select Graphic Rendition sequences (ECMA-48), empty in plain output. */
struct palette {
	const char *place, *error, *warning, *caret, *hint, *off;
};

static const struct palette palettes[] = {
	[DIAG_PLAIN] = {"", "", "", "", "", ""},
	[DIAG_COLOUR] = {"\033[1m", "\033[1;31m", "\033[1;35m", "\033[1;32m", "\033[36m", "\033[m"},
};

static void print_position(const struct diag_place *place, FILE *out, const struct palette *c)
{
	if (place->name)
		fprintf(out, "%s%s:%lu:%lu:%s ", c->place, place->name, place->line, place->column, c->off);
	else
		fprintf(out, "%svmm-balloon:%s ", c->place, c->off);
}

static void print_excerpt(const struct diag_place *place, const char *indent, FILE *out, const struct palette *c)
{
	if (!place->name)
		return;
	fprintf(out, "%s%s\n%s%*s%s^", indent, place->excerpt, indent, (int)place->caret, "", c->caret);
	for (size_t i = 1; i < place->caret_width; i++)
		fputc('~', out);
	fprintf(out, "%s\n", c->off);
}

static void print_one(const struct diag *diag, FILE *out, const struct palette *c)
{
	bool is_error = diag->severity == DIAG_ERROR;
	print_position(&diag->place, out, c);
	fprintf(out, "%s%s:%s %s\n", is_error ? c->error : c->warning, is_error ? "error" : "warning", c->off, diag->message ? diag->message : "out of memory");
	print_excerpt(&diag->place, "  ", out, c);
	for (size_t i = 0; i < diag->n_notes; i++) {
		fputs("  see ", out);
		print_position(&diag->notes[i].place, out, c);
		fprintf(out, "%s\n", diag->notes[i].text ? diag->notes[i].text : "out of memory");
		print_excerpt(&diag->notes[i].place, "    ", out, c);
	}
	if (diag->hint)
		fprintf(out, "  %shint:%s %s\n", c->hint, c->off, diag->hint);
}

void diag_print(const struct diag_list *list, FILE *out, enum diag_colour colour)
{
	const struct diag *sorted[DIAG_MAX_SHOWN];
	sort(list, sorted);
	size_t shown[2] = {0, 0};
	for (size_t i = 0; i < list->n_shown; i++) {
		print_one(sorted[i], out, &palettes[colour]);
		shown[sorted[i]->severity]++;
	}
	size_t errors = list->n_errors - shown[DIAG_ERROR], warnings = list->n_warnings - shown[DIAG_WARNING];
	if (errors > 0)
		fprintf(out, "vmm-balloon: %zu more error%s\n", errors, errors == 1 ? "" : "s");
	if (warnings > 0)
		fprintf(out, "vmm-balloon: %zu more warning%s\n", warnings, warnings == 1 ? "" : "s");
}
