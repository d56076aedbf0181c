#include <CUnit/CUnit.h>
#include <string.h>

#include "cli/top_model.h"
#include "cli/top_row.h"
#include "control/runtime_dir.h"
#include "tests/unit/suite.h"

#define MIB (1ULL << 20)

static struct top_model model;
static char line[TOP_LINE_MAX];

static struct vm_state state_of(uint64_t ram, uint64_t target, uint64_t actual, uint64_t rss)
{
	return (struct vm_state){.status = "running",
				 .has_balloon = true,
				 .tells_all = true,
				 .driver_ok = true,
				 .ram_bytes = ram,
				 .target_bytes = target,
				 .actual_bytes = actual,
				 .rss_bytes = rss,
				 .free_bytes = 10 * MIB,
				 .available_bytes = UINT64_MAX};
}

/* Names of one letter. */
static void check_names(const char *expected)
{
	CU_ASSERT_EQUAL_FATAL(model.n, strlen(expected));
	for (size_t i = 0; i < model.n; i++)
		CU_ASSERT_EQUAL(model.vms[i]->name[0], expected[i]);
}

/* ---- The VMs --------------------------------------------------------- */

static void vms_come_and_go(void)
{
	struct top_vm *b = top_model_add(&model, "b", 1);

	CU_ASSERT_PTR_EQUAL(model.vms[model.selected], b);
	struct top_vm *a = top_model_add(&model, "a", 2), *c = top_model_add(&model, "c", 3);
	check_names("abc");
	CU_ASSERT_PTR_EQUAL(model.vms[model.selected], b);
	CU_ASSERT_PTR_EQUAL(top_model_find(&model, "c", 3), c);
	CU_ASSERT_PTR_NULL(top_model_find(&model, "c", 4));
	top_model_remove(&model, a);
	CU_ASSERT_PTR_EQUAL(model.vms[model.selected], b);
	top_model_select(&model, 1, 10);
	CU_ASSERT_PTR_EQUAL(model.vms[model.selected], c);
	top_model_remove(&model, c);
	CU_ASSERT_PTR_EQUAL(model.vms[model.selected], b);
	top_model_remove(&model, b);
	CU_ASSERT(model.n == 0 && model.selected == 0);
	top_model_select(&model, 5, 10);
	CU_ASSERT_EQUAL(model.selected, 0);
	top_model_finish(&model);
}

static void selection_stays_on_the_screen(void)
{
	char name[2] = "a";

	for (; *name <= 'j'; ++*name)
		top_model_add(&model, name, 1);
	top_model_select(&model, -100, 3);
	CU_ASSERT(model.selected == 0 && model.first == 0);
	top_model_select(&model, 3, 3);
	CU_ASSERT(model.selected == 3 && model.first == 1);
	top_model_select(&model, 100, 3);
	CU_ASSERT(model.selected == 9 && model.first == 7);
	top_model_select(&model, -1, 3);
	CU_ASSERT(model.selected == 8 && model.first == 7);
	top_model_select(&model, 0, 8); /* the screen grew */
	CU_ASSERT(model.selected == 8 && model.first == 2);
	top_model_select(&model, 0, 0); /* and shrank */
	CU_ASSERT(model.selected == 8 && model.first == 8);
	top_model_finish(&model);
}

/* ---- Samples --------------------------------------------------------- */

static void rate_of_the_last_seconds(void)
{
	struct top_vm *vm = top_model_add(&model, "a", 1);
	struct vm_state state = state_of(1024 * MIB, 512 * MIB, 0, 0);

	CU_ASSERT_EQUAL(top_vm_rate(vm), 0);
	top_vm_sample(vm, &state, 0);
	CU_ASSERT_EQUAL(top_vm_rate(vm), 0);
	for (int i = 1; i < 10; i++) {
		state.actual_bytes = (uint64_t)i * 20 * MIB;
		top_vm_sample(vm, &state, i * 1000);
	}
	CU_ASSERT_EQUAL(top_vm_rate(vm), 20 * MIB);
	state.actual_bytes = 120 * MIB; /* less than three seconds ago */
	top_vm_sample(vm, &state, 10000);
	CU_ASSERT_EQUAL(top_vm_rate(vm), -(int64_t)(20 * MIB / 3));
	state.actual_bytes = UINT64_MAX;
	top_vm_sample(vm, &state, 11000);
	CU_ASSERT_EQUAL(top_vm_rate(vm), 0);
	top_model_finish(&model);
}

static void sparkline(void)
{
	struct top_vm *vm = top_model_add(&model, "a", 1);
	signed char spark[4];
	struct vm_state state = state_of(800, 0, 0, 800);

	top_vm_spark(vm, 4, 5, 8, 0, spark);
	CU_ASSERT(spark[0] == -1 && spark[3] == -1);
	top_vm_sample(vm, &state, 1000);
	state.rss_bytes = 0;
	for (int i = 2; i < 14; i++)
		top_vm_sample(vm, &state, i * 1000);
	state.rss_bytes = 400;
	top_vm_sample(vm, &state, 14000);
	top_vm_spark(vm, 4, 5, 8, 14500, spark);
	CU_ASSERT(spark[0] == -1 && spark[1] == 7 && spark[2] == 0 && spark[3] == 4);
	state.rss_bytes = 4000; /* more than RAM */
	top_vm_sample(vm, &state, 15000);
	state.rss_bytes = UINT64_MAX;
	top_vm_sample(vm, &state, 16000);
	top_vm_spark(vm, 4, 5, 8, 16000, spark);
	CU_ASSERT_EQUAL(spark[3], 7);
	for (int i = 0; i < 3 * TOP_HISTORY; i++)
		top_vm_sample(vm, &state, 20000 + i * 1000);
	top_vm_spark(vm, 4, 5, 8, 20000 + 3 * TOP_HISTORY * 1000, spark);
	CU_ASSERT(spark[0] == -1 && spark[3] == -1);
	top_model_finish(&model);
}

static void steps_of_a_target(void)
{
	struct vm_state state = state_of(512 * MIB, 0, 0, 0);

	CU_ASSERT_EQUAL(top_target_step(&state, true), 32 * MIB);
	CU_ASSERT_EQUAL(top_target_step(&state, false), 0);
	state.target_bytes = 40 * MIB;
	CU_ASSERT_EQUAL(top_target_step(&state, true), 64 * MIB);
	CU_ASSERT_EQUAL(top_target_step(&state, false), 32 * MIB);
	state.target_bytes = 32 * MIB;
	CU_ASSERT_EQUAL(top_target_step(&state, false), 0);
	state.target_bytes = 500 * MIB; /* the next one would be all of it */
	CU_ASSERT_EQUAL(top_target_step(&state, true), 500 * MIB);
	state.target_bytes = UINT64_MAX; /* QEMU's */
	state.actual_bytes = 64 * MIB;
	CU_ASSERT_EQUAL(top_target_step(&state, true), 96 * MIB);
	state.ram_bytes = 4 * MIB;
	state.actual_bytes = MIB;
	CU_ASSERT_EQUAL(top_target_step(&state, true), 2 * MIB);
	state.ram_bytes = UINT64_MAX;
	CU_ASSERT_EQUAL(top_target_step(&state, true), UINT64_MAX);
}

/* ---- Lines ----------------------------------------------------------- */

static const char *row(const struct top_vm *vm, size_t columns, bool has_utf8)
{
	struct top_layout layout = top_layout(&model, columns, has_utf8);

	return top_row(&layout, vm, 1000, line);
}

static void rows(void)
{
	struct top_vm *vm = top_model_add(&model, "web-1", 1);
	struct vm_state state = state_of(1024 * MIB, 512 * MIB, 256 * MIB, 768 * MIB);
	struct top_layout layout = top_layout(&model, 80, true);

	CU_ASSERT_STRING_EQUAL(top_heading(&layout, line), "NAME         RAM  TARGET  ACTUAL     RSS RECLAIM/S    FREE   AVAIL           RSS");
	layout = top_layout(&model, 100, true);
	CU_ASSERT_STRING_EQUAL(top_heading(&layout, line),
			       "NAME         RAM  TARGET  ACTUAL     RSS RECLAIM/S    FREE   AVAIL                   RSS, LAST 165 S");
	CU_ASSERT_STRING_EQUAL(row(vm, 70, true), "web-1          -       -       -       -         -       -       - ");
	top_vm_sample(vm, &state, 0);
	state.actual_bytes = 128 * MIB;
	top_vm_sample(vm, &state, 1000);
	CU_ASSERT_STRING_EQUAL(row(vm, 80, true), "web-1         1G    512M    128M    768M     -128M     10M       -             \u2586");
	state.stalled = true;
	top_vm_sample(vm, &state, 1000);
	CU_ASSERT_STRING_EQUAL(row(vm, 80, false), "web-1         1G    512M    128M    768M     -128M     10M       - stalled     +");
	CU_ASSERT_STRING_EQUAL(row(vm, 30, false), "web-1         1G    512M stalled ");
	vm->is_silent = true;
	CU_ASSERT_STRING_EQUAL(row(vm, 80, false), "web-1         1G    512M    128M    768M         0     10M       - does not answer ");
	CU_ASSERT_STRING_EQUAL(top_summary(&model, line), "1 VM (1 silent), RAM 1G: balloons 128M of 512M, host holds 768M");
	top_model_finish(&model);
}

static void notes(void)
{
	struct top_vm *vm = top_model_add(&model, "a", 1);
	struct vm_state state = state_of(1024 * MIB, 0, 0, 0);

	state.driver_ok = false;
	top_vm_sample(vm, &state, 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(row(vm, 80, false), "no driver"));
	state.tells_all = false;
	top_vm_sample(vm, &state, 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(row(vm, 80, false), "QEMU"));
	state.has_balloon = false;
	top_vm_sample(vm, &state, 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(row(vm, 80, false), "no balloon"));
	strcpy(state.status, "paused");
	top_vm_sample(vm, &state, 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(row(vm, 80, false), "paused"));
	top_model_finish(&model);
}

/* Nothing is written past a line, however wide the screen and long the name. */
static void odd_sizes(void)
{
	char name[RUNTIME_NAME_MAX];

	memset(name, 'x', sizeof name - 1);
	memcpy(name, "\033[2J", 4);
	name[sizeof name - 1] = '\0';
	struct top_vm *vm = top_model_add(&model, name, 1);
	struct vm_state state = state_of(UINT64_MAX - 1, UINT64_MAX - 1, UINT64_MAX - 1, UINT64_MAX - 1);
	top_vm_sample(vm, &state, 0);
	for (size_t columns = 0; columns < 2000; columns += 7) {
		struct top_layout layout = top_layout(&model, columns, true);
		CU_ASSERT(strlen(top_heading(&layout, line)) < TOP_LINE_MAX);
		CU_ASSERT(strlen(row(vm, columns, true)) < TOP_LINE_MAX);
		CU_ASSERT_PTR_NULL(strchr(line, '\033'));
	}
	CU_ASSERT(strlen(top_summary(&model, line)) < TOP_LINE_MAX);
	top_model_finish(&model);
}

static const struct test_case cases[] = {
	{"VMs come and go", vms_come_and_go},
	{"selection stays on the screen", selection_stays_on_the_screen},
	{"rate of the last seconds", rate_of_the_last_seconds},
	{"sparkline", sparkline},
	{"steps of a target", steps_of_a_target},
	{"rows", rows},
	{"notes", notes},
	{"odd sizes", odd_sizes},
};

TEST_SUITE(top, cases);
