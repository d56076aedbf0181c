/* The other CPUs. They have no clock and no interrupts: code that runs on them says nothing and waits for nothing. */
#ifndef TESTS_GUEST_SMP_H
#define TESTS_GUEST_SMP_H

/* Has the others call `run` with their number, from 1 on, and never return. Returns how many there are. Once. */
unsigned smp_start(void (*run)(unsigned cpu));

#endif
