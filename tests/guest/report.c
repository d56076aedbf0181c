#include "tests/guest/report.h"

#include "kvm/board.h"
#include "tests/guest/clock.h"
#include "tests/guest/ring0.h"
#include "tests/guest/serial.h"
#include "tests/guest/x86.h"

#define PREFIX "vmm-balloon guest: "

/* ACPI 6.5, section 4.8.3.2.1: sleep type in bits 10 to 12, sleep enable is bit 13. S5 is type 5 on our board, type 0 on QEMU's. */
#define PM1_CNT_SLEEP 0x2000
#define PM1_CNT_TYPE(type) ((type) << 10)
#define SLEEP_TYPE_S5 5
#define SLEEP_TYPE_S5_QEMU 0

/* What the VMM may need to notice: it may take another thread. */
#define POWER_OFF_MAX_MS 3000
#define PANIC_MAX_MS 1000

#define PVPANIC_PANICKED 0x1 /* docs/specs/pvpanic.rst of QEMU */

void say(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	serial_print(PREFIX);
	serial_vprint(format, args);
	serial_print("\n");
	va_end(args);
}

void pass(void)
{
	serial_print(PREFIX "PASS\n");
	out16(BOARD_PORT_PM1_CNT, PM1_CNT_TYPE(SLEEP_TYPE_S5) | PM1_CNT_SLEEP);
	clock_wait_ms(POWER_OFF_MAX_MS);
	out16(BOARD_PORT_PM1_CNT, PM1_CNT_TYPE(SLEEP_TYPE_S5_QEMU) | PM1_CNT_SLEEP);
	clock_wait_ms(POWER_OFF_MAX_MS);
	fail("the power does not go off");
}

void fail(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	serial_print(PREFIX "FAIL: ");
	serial_vprint(format, args);
	serial_print("\n");
	va_end(args);
	out8(BOARD_PORT_PVPANIC, PVPANIC_PANICKED);
	clock_wait_ms(PANIC_MAX_MS);
	ring0_triple_fault(); /* a VM without pvpanic */
}
