/*
 * What runs in ring 0: descriptor tables and TSS, KVM's paravirtual clock, and
 * the report of an exception, which ends the run as a failure. Interrupts are
 * off but for the timer that ends a sleep.
 */
#ifndef TESTS_GUEST_RING0_H
#define TESTS_GUEST_RING0_H

#include <stdint.h>

/* boot.S calls it once, on the ring 0 stack. */
void ring0_init(void);

/* The same for another CPU. */
void ring0_init_ap(unsigned cpu, const uint8_t *stack_top);

/* What an exception leaves on the stack, in ascending order. */
struct exception_frame {
	uint64_t vector;
	uint64_t error_code;
	uint64_t rip;
	uint64_t cs;
	uint64_t rflags;
	uint64_t rsp;
	uint64_t ss;
};

/* boot.S calls it for each exception. */
void exception_report(const struct exception_frame *frame) __attribute__((noreturn));

/* Halts the CPU for about so long, at most 4 seconds. From ring 3. */
void ring0_sleep_ms(uint32_t ms);

/* Ends the machine by a triple fault, for a board on which nothing else works. From ring 3. */
void ring0_triple_fault(void) __attribute__((noreturn));

/* KVM fills it in (Documentation/virt/kvm/x86/msr.rst, MSR_KVM_SYSTEM_TIME_NEW); all zero on another hypervisor. */
struct kvm_clock_page {
	uint32_t version;
	uint32_t pad0;
	uint64_t tsc_timestamp;
	uint64_t system_time;
	uint32_t tsc_to_system_mul;
	int8_t tsc_shift;
	uint8_t flags;
	uint8_t pad[2];
};

extern volatile struct kvm_clock_page ring0_clock_page;

#endif
