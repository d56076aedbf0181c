#include "cli/top_row.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cli/vm_client.h"

#define MIN_NAME_CELLS 8
#define MAX_NAME_CELLS 24
#define MIN_SPARK_CELLS 8
#define MAX_SPARK_CELLS 60
/* Each of its cells. */
#define SPARK_SECONDS 5
#define STEPS 8

/* A narrow screen has the first ones only. */
enum figure { FIGURE_RAM, FIGURE_TARGET, FIGURE_ACTUAL, FIGURE_RSS, FIGURE_RATE, FIGURE_FREE, FIGURE_AVAILABLE, N_FIGURES };
static const struct {
	const char *title;
	int cells;
} figures[N_FIGURES] = {
	[FIGURE_RAM] = {"RAM", 7},	  [FIGURE_TARGET] = {"TARGET", 7}, [FIGURE_ACTUAL] = {"ACTUAL", 7},   [FIGURE_RSS] = {"RSS", 7},
	[FIGURE_RATE] = {"RECLAIM/S", 9}, [FIGURE_FREE] = {"FREE", 7},	   [FIGURE_AVAILABLE] = {"AVAIL", 7},
};

struct top_layout top_layout(const struct top_model *model, size_t columns, bool has_utf8)
{
	struct top_layout layout = {.columns = columns, .name_cells = MIN_NAME_CELLS, .seconds = SPARK_SECONDS, .has_utf8 = has_utf8};

	for (size_t i = 0; i < model->n; i++)
		if (strlen(model->vms[i]->name) > layout.name_cells)
			layout.name_cells = strlen(model->vms[i]->name);
	if (layout.name_cells > MAX_NAME_CELLS)
		layout.name_cells = MAX_NAME_CELLS;
	size_t used = layout.name_cells;
	while (layout.n_shown < N_FIGURES && used + 1 + (size_t)figures[layout.n_shown].cells <= columns)
		used += 1 + (size_t)figures[layout.n_shown++].cells;
	if (layout.n_shown == N_FIGURES && columns >= used + 1 + MIN_SPARK_CELLS)
		layout.spark_cells = columns - used - 1;
	if (layout.spark_cells > MAX_SPARK_CELLS)
		layout.spark_cells = MAX_SPARK_CELLS;
	return layout;
}

/* Appends, as far as there is room. */
__attribute__((format(printf, 3, 4))) static void append(char buf[TOP_LINE_MAX], size_t *len, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(buf + *len, TOP_LINE_MAX - *len, fmt, ap);
	va_end(ap);
	if (n > 0)
		*len += (size_t)n < TOP_LINE_MAX - *len ? (size_t)n : TOP_LINE_MAX - *len - 1;
}

const char *top_heading(const struct top_layout *layout, char buf[TOP_LINE_MAX])
{
	size_t len = 0, seconds = layout->spark_cells * layout->seconds;

	append(buf, &len, "%-*s", (int)layout->name_cells, "NAME");
	for (unsigned i = 0; i < layout->n_shown; i++)
		append(buf, &len, " %*s", figures[i].cells, figures[i].title);
	/* At the right edge, where a VM's line begins to grow. */
	if (layout->spark_cells >= sizeof "RSS, LAST 40 S")
		append(buf, &len, " %*s%zu S", (int)layout->spark_cells - snprintf(NULL, 0, "%zu S", seconds), "RSS, LAST ", seconds);
	else if (layout->spark_cells > 0)
		append(buf, &len, " %*s", (int)layout->spark_cells, "RSS");
	return buf;
}

static const char *figure_of(const struct top_vm *vm, enum figure figure, char buf[CLIENT_SIZE_MAX + 1])
{
	const struct vm_state *state = &vm->state;
	const uint64_t values[N_FIGURES] = {
		[FIGURE_RAM] = state->ram_bytes, [FIGURE_TARGET] = state->target_bytes, [FIGURE_ACTUAL] = state->actual_bytes,
		[FIGURE_RSS] = state->rss_bytes, [FIGURE_FREE] = state->free_bytes,	[FIGURE_AVAILABLE] = state->available_bytes,
	};
	int64_t rate = top_vm_rate(vm);

	if (!vm->has_state)
		return "-";
	if (figure != FIGURE_RATE)
		return client_size(buf, values[figure]);
	if (rate == 0)
		return "0";
	buf[0] = rate < 0 ? '-' : '+';
	client_size(buf + 1, (uint64_t)(rate < 0 ? -rate : rate));
	return buf;
}

/* The newest is at the right edge in every row; a note covers the oldest. */
static void append_tail(const struct top_layout *layout, const struct top_vm *vm, const char *note, int64_t now_ms, char buf[TOP_LINE_MAX], size_t *len)
{
	static const char *const blocks[STEPS] = {"\u2581", "\u2582", "\u2583", "\u2584", "\u2585", "\u2586", "\u2587", "\u2588"};
	static const char *const letters[STEPS] = {"_", ".", ":", "-", "=", "+", "*", "#"};
	signed char spark[MAX_SPARK_CELLS];
	size_t covered = *note ? strlen(note) + 1 : 0;

	top_vm_spark(vm, layout->spark_cells, layout->seconds, STEPS, now_ms, spark);
	append(buf, len, " %s%s", note, *note ? " " : "");
	for (size_t i = covered; i < layout->spark_cells; i++)
		append(buf, len, "%s", spark[i] < 0 ? " " : (layout->has_utf8 ? blocks : letters)[(int)spark[i]]);
}

static const char *note_of(const struct top_vm *vm)
{
	const struct vm_state *state = &vm->state;

	if (vm->is_silent)
		return "does not answer";
	if (!vm->has_state)
		return "";
	if (strcmp(state->status, "running") != 0)
		return state->status;
	return vm_state_note(state);
}

const char *top_row(const struct top_layout *layout, const struct top_vm *vm, int64_t now_ms, char buf[TOP_LINE_MAX])
{
	char name[MAX_NAME_CELLS + 1], figure[CLIENT_SIZE_MAX + 1];
	size_t len = 0;

	client_plain(name, sizeof name, vm->name);
	append(buf, &len, "%-*.*s", (int)layout->name_cells, (int)layout->name_cells, name);
	for (unsigned i = 0; i < layout->n_shown; i++)
		append(buf, &len, " %*s", figures[i].cells, figure_of(vm, (enum figure)i, figure));
	append_tail(layout, vm, note_of(vm), now_ms, buf, &len);
	return buf;
}

const char *top_summary(const struct top_model *model, char buf[TOP_LINE_MAX])
{
	struct top_sums sums = top_model_sums(model);
	char ram[CLIENT_SIZE_MAX], target[CLIENT_SIZE_MAX], actual[CLIENT_SIZE_MAX], rss[CLIENT_SIZE_MAX];
	size_t len = 0;

	append(buf, &len, "%zu VM%s", model->n, model->n == 1 ? "" : "s");
	if (sums.n_silent > 0)
		append(buf, &len, " (%zu silent)", sums.n_silent);
	append(buf, &len, ", RAM %s: balloons %s of %s, host holds %s", client_size(ram, sums.ram_bytes), client_size(actual, sums.actual_bytes),
	       client_size(target, sums.target_bytes), client_size(rss, sums.rss_bytes));
	return buf;
}
