#include "cli/top_model.h"

#include <stdlib.h>
#include <string.h>

#define MIB (1ULL << 20)

/* ---- The VMs --------------------------------------------------------- */

static void destroy(struct top_vm *vm)
{
	if (!vm)
		return;
	free(vm->name);
	free(vm);
}

void top_model_finish(struct top_model *model)
{
	for (size_t i = 0; i < model->n; i++)
		destroy(model->vms[i]);
	free(model->vms);
	*model = (struct top_model){.n = 0};
}

struct top_vm *top_model_find(const struct top_model *model, const char *name, pid_t pid)
{
	for (size_t i = 0; i < model->n; i++)
		if (model->vms[i]->pid == pid && strcmp(model->vms[i]->name, name) == 0)
			return model->vms[i];
	return NULL;
}

struct top_vm *top_model_add(struct top_model *model, const char *name, pid_t pid)
{
	struct top_vm **vms = realloc(model->vms, (model->n + 1) * sizeof(struct top_vm *));
	struct top_vm *vm = vms ? calloc(1, sizeof *vm) : NULL;
	size_t at = 0;

	if (vms)
		model->vms = vms;
	if (vm)
		vm->name = strdup(name);
	if (!vm || !vm->name) {
		destroy(vm);
		return NULL;
	}
	vm->pid = pid;
	while (at < model->n && strcmp(model->vms[at]->name, name) <= 0)
		at++;
	memmove(&model->vms[at + 1], &model->vms[at], (model->n - at) * sizeof(struct top_vm *));
	model->vms[at] = vm;
	if (model->n > 0 && model->selected >= at)
		model->selected++;
	model->n++;
	return vm;
}

void top_model_remove(struct top_model *model, struct top_vm *vm)
{
	for (size_t i = 0; i < model->n; i++) {
		if (model->vms[i] != vm)
			continue;
		model->n--;
		memmove(&model->vms[i], &model->vms[i + 1], (model->n - i) * sizeof(struct top_vm *));
		if (model->selected > i || (model->selected == model->n && model->n > 0))
			model->selected--;
		destroy(vm);
		return;
	}
}

void top_model_select(struct top_model *model, ptrdiff_t by, size_t rows)
{
	size_t last = model->n > 0 ? model->n - 1 : 0;

	if (by < 0)
		model->selected -= (size_t)-by < model->selected ? (size_t)-by : model->selected;
	else
		model->selected += (size_t)by < last - model->selected ? (size_t)by : last - model->selected;
	if (rows == 0)
		rows = 1;
	if (model->first > model->selected)
		model->first = model->selected;
	if (model->selected - model->first >= rows)
		model->first = model->selected - rows + 1;
	if (model->first > 0 && model->n - model->first < rows)
		model->first = model->n > rows ? model->n - rows : 0;
}

/* ---- Samples --------------------------------------------------------- */

/* The n-th newest. */
static const struct top_sample *sample_of(const struct top_vm *vm, size_t n)
{
	return &vm->history[(vm->n_samples - 1 - n) % TOP_HISTORY];
}

static size_t n_kept(const struct top_vm *vm)
{
	return vm->n_samples < TOP_HISTORY ? vm->n_samples : TOP_HISTORY;
}

void top_vm_sample(struct top_vm *vm, const struct vm_state *state, int64_t now_ms)
{
	struct top_sample *sample = &vm->history[vm->n_samples++ % TOP_HISTORY];

	vm->state = *state;
	vm->has_state = true;
	*sample = (struct top_sample){.ms = now_ms, .actual_bytes = state->actual_bytes, .rss_bytes = state->rss_bytes};
}

int64_t top_vm_rate(const struct top_vm *vm)
{
	size_t n = n_kept(vm) < TOP_RATE_SAMPLES ? n_kept(vm) : TOP_RATE_SAMPLES;

	if (n < 2 || vm->is_silent)
		return 0;
	const struct top_sample *from = sample_of(vm, n - 1), *to = sample_of(vm, 0);
	if (from->actual_bytes == UINT64_MAX || to->actual_bytes == UINT64_MAX || to->ms <= from->ms)
		return 0;
	return (int64_t)(((double)to->actual_bytes - (double)from->actual_bytes) * 1000 / (double)(to->ms - from->ms));
}

static signed char step_of(uint64_t part, uint64_t whole, unsigned steps)
{
	double share = (double)part / (double)whole;

	return (signed char)(share >= 1 ? steps - 1 : (unsigned)(share * (steps - 1) + 0.5));
}

/* Each cell shows the most of its time: a short peak is seen. */
void top_vm_spark(const struct top_vm *vm, size_t cells, unsigned seconds, unsigned steps, int64_t now_ms, signed char *spark)
{
	uint64_t ram_bytes = vm->has_state ? vm->state.ram_bytes : UINT64_MAX;

	memset(spark, -1, cells);
	for (size_t i = 0; i < n_kept(vm); i++) {
		const struct top_sample *sample = sample_of(vm, i);
		int64_t age = (now_ms - sample->ms) / (1000 * (int64_t)seconds);
		if (age < 0 || (size_t)age >= cells || sample->rss_bytes == UINT64_MAX || ram_bytes == UINT64_MAX || ram_bytes == 0)
			continue;
		signed char *cell = &spark[cells - 1 - (size_t)age];
		signed char step = step_of(sample->rss_bytes, ram_bytes, steps);
		if (step > *cell)
			*cell = step;
	}
}

/* ---- All together ---------------------------------------------------- */

static void add_known(uint64_t *sum, uint64_t value)
{
	if (value != UINT64_MAX)
		*sum += value;
}

struct top_sums top_model_sums(const struct top_model *model)
{
	struct top_sums sums = {.n_silent = 0};

	for (size_t i = 0; i < model->n; i++) {
		const struct top_vm *vm = model->vms[i];
		sums.n_silent += vm->is_silent;
		if (!vm->has_state)
			continue;
		add_known(&sums.ram_bytes, vm->state.ram_bytes);
		add_known(&sums.target_bytes, vm->state.target_bytes);
		add_known(&sums.actual_bytes, vm->state.actual_bytes);
		add_known(&sums.rss_bytes, vm->state.rss_bytes);
	}
	return sums;
}

uint64_t top_target_step(const struct vm_state *state, bool up)
{
	uint64_t now = state->target_bytes != UINT64_MAX ? state->target_bytes : state->actual_bytes;
	uint64_t step = state->ram_bytes / 16 / MIB * MIB;

	if (step == 0)
		step = MIB;
	if (now == UINT64_MAX || state->ram_bytes == UINT64_MAX)
		return UINT64_MAX;
	if (!up)
		return now == 0 ? 0 : (now - 1) / step * step;
	uint64_t next = (now / step + 1) * step;
	return next < state->ram_bytes ? next : now;
}
