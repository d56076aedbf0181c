#include "tests/guest/clock.h"

#include <stdbool.h>

#include "tests/guest/ring0.h"
#include "tests/guest/x86.h"

#define CYCLES_PER_MS_ASSUMED 3000000

static bool frequency_is_known(void)
{
	return ring0_clock_page.tsc_to_system_mul != 0;
}

const char *clock_unit(void)
{
	return frequency_is_known() ? "ns" : "cycles";
}

uint64_t clock_duration(uint64_t cycles)
{
	if (!frequency_is_known())
		return cycles;
	/* ns = ((cycles << shift) * mul) >> 32; a negative shift goes to the right */
	int shift = 32 - ring0_clock_page.tsc_shift;
	return (uint64_t)((unsigned __int128)cycles * ring0_clock_page.tsc_to_system_mul >> shift);
}

uint64_t clock_since(uint64_t start)
{
	return clock_duration(read_tsc() - start);
}

uint64_t clock_ms_since(uint64_t start)
{
	return clock_since(start) / (frequency_is_known() ? 1000000 : CYCLES_PER_MS_ASSUMED);
}

void clock_wait_ms(uint64_t ms)
{
	uint64_t start = read_tsc();
	while (clock_ms_since(start) < ms)
		pause();
}
