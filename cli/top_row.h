/* What `top` writes on its screen, as text: which columns there is room for, and what is in them. */
#ifndef CLI_TOP_ROW_H
#define CLI_TOP_ROW_H

#include <stddef.h>

#include "cli/top_model.h"

/* Bytes of a line with its NUL; a sparkline has three bytes a cell. */
#define TOP_LINE_MAX 1024

/* How the lines look on a screen of that width. */
struct top_layout {
	size_t columns;	    /* of the screen */
	size_t name_cells;  /* of the name */
	unsigned n_shown;   /* of the columns of figures, the first ones */
	size_t spark_cells; /* 0: none */
	unsigned seconds;   /* that each of them stands for */
	bool has_utf8;	    /* the terminal shows block characters */
};

struct top_layout top_layout(const struct top_model *model, size_t columns, bool has_utf8);

/* Each writes one line, without its newline, and returns buf. */
const char *top_heading(const struct top_layout *layout, char buf[TOP_LINE_MAX]);
const char *top_row(const struct top_layout *layout, const struct top_vm *vm, int64_t now_ms, char buf[TOP_LINE_MAX]);
const char *top_summary(const struct top_model *model, char buf[TOP_LINE_MAX]);

#endif
