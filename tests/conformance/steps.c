#include "tests/conformance/steps.h"

void __sanitizer_cov_trace_pc(void);

static _Thread_local uint64_t steps;

/* -fsanitize-coverage=trace-pc has it called in each basic block. */
void __sanitizer_cov_trace_pc(void)
{
	steps++;
}

uint64_t steps_of_device(void)
{
	return steps;
}
