/*
 * The built-in guest: a payload without a kernel that tests and measures the
 * balloon of the VM that it runs in, within seconds, on any host with
 * /dev/kvm. Bare metal, no interrupts; its command line is described in
 * tests/guest/options.h. The last line that it prints is its verdict.
 *
 *   boot.S, ring0   PVH entry, long mode, exceptions; everything else is ring 3
 *   memory, clock, serial, power, pci, virtio, virtq, balloon   the machine
 *   pages           which pages, what is written to them, is it still there
 *   smp             the other CPUs
 *   selftest, bench, refill, follow, hint, race, hostile   the modes; the last has its driver and its acts in hostile_*.c
 *   report          lines, verdict, power off
 */
#include "tests/guest/clock.h"
#include "tests/guest/memory.h"
#include "tests/guest/modes.h"
#include "tests/guest/report.h"
#include "tests/guest/serial.h"

/* boot.S jumps here. */
void guest_main(void) __attribute__((noreturn));

void guest_main(void)
{
	static struct balloon balloon;
	struct options options;
	serial_init();
	mem_init();
	options_parse(&options, mem_cmdline());
	say("%lu MiB of RAM, %lu pages in %lu ranges to test, up to %#lx; times in %s", mem_ram_bytes() >> 20, mem_free_pages(), mem_n_free,
	    mem_free[mem_n_free - 1].gpa + mem_free[mem_n_free - 1].len, clock_unit());
	struct balloon *b = balloon_find(&balloon) ? &balloon : NULL;
	if (!b)
		say("there is no balloon in this VM");
	switch (options.mode) {
	case MODE_SELFTEST:
		selftest_run(b, &options);
		break;
	case MODE_BENCH:
		bench_run(b);
		break;
	case MODE_FOLLOW:
		follow_run(b, &options);
		break;
	case MODE_HINT:
		if (!b)
			fail("mode=hint wants a balloon");
		hint_run(b, &options);
		break;
	case MODE_RACE:
		if (!b)
			fail("mode=race wants a balloon");
		race_run(b, &options);
		break;
	case MODE_REFILL:
		if (!b)
			fail("mode=refill wants a balloon");
		refill_run(b, &options);
		break;
	case MODE_HOSTILE:
		if (!b)
			fail("mode=hostile wants a balloon");
		hostile_run(b, &options);
		break;
	case MODE_IDLE:
		follow_run(NULL, &options);
		break;
	}
	pass();
}
