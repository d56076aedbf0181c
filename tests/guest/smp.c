#include "tests/guest/smp.h"

#include <stdint.h>

#include "tests/guest/clock.h"
#include "tests/guest/memory.h"
#include "tests/guest/segments.h"
#include "tests/guest/x86.h"

/* The local APIC's command register (Intel SDM volume 3, 11.6.1): to all but this CPU. */
#define APIC_SPURIOUS (APIC_BASE + 0xF0)
#define APIC_ENABLE 0x1FF
#define APIC_COMMAND (APIC_BASE + 0x300)
#define COMMAND_INIT 0xC4500
#define COMMAND_SIPI (0xC4600 | AP_GPA >> 12)

#define START_MS 200 /* that the last one to come may take after the one before it */

extern const uint8_t ap_begin[], ap_end[];
extern volatile uint32_t ap_count;

static void (*ap_run)(unsigned cpu);

/* boot.S jumps here. */
void ap_main(unsigned cpu) __attribute__((noreturn));

void ap_main(unsigned cpu)
{
	ap_run(cpu);
	for (;;)
		pause();
}

unsigned smp_start(void (*run)(unsigned cpu))
{
	ap_run = run;
	/* cppcheck-suppress comparePointers ; two labels of one piece of code, in boot.S */
	memcpy((void *)AP_GPA, ap_begin, (size_t)(ap_end - ap_begin));
	mmio_write32(APIC_SPURIOUS, APIC_ENABLE);
	mmio_write32(APIC_COMMAND, COMMAND_INIT);
	clock_wait_ms(10);
	mmio_write32(APIC_COMMAND, COMMAND_SIPI);
	uint32_t seen;
	do {
		seen = ap_count;
		clock_wait_ms(START_MS);
	} while (ap_count != seen);
	return seen;
}
