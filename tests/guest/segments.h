/* Numbers that boot.S and ring0.c share. Selectors are those of 64-bit Linux, the ones that a paravirtual KVM expects in user mode. */
#ifndef TESTS_GUEST_SEGMENTS_H
#define TESTS_GUEST_SEGMENTS_H

#define BOOT_CS 0x08 /* 32-bit code, on the way to long mode */
#define KERNEL_CS 0x10
#define KERNEL_DS 0x18
#define USER_DS 0x2B
#define USER_CS 0x33
#define TSS_SELECTOR 0x40 /* of CPU 0; those of the others follow, 16 bytes each */
#define MAX_CPUS 8

#define RFLAGS_FIXED 0x2

#define N_EXCEPTIONS 32
#define VECTOR_GP 13	/* general protection */
#define VECTOR_TIMER 32 /* of the local APIC; what has a higher one ends a sleep as well, and is nothing else to us */
#define N_VECTORS 256
#define APIC_BASE 0xFEE00000
#define AP_GPA 0x1000 /* where the other CPUs begin, in real mode */
#define AP_STACK_LEN 8192
#define APIC_EOI (APIC_BASE + 0xB0)

/* Bit n: exception n pushes an error code: 8, 10 to 14, 17, 21, 29, 30 (Intel SDM volume 3, 6.3.1; AMD APM volume 2, 8.2). */
#define EXCEPTIONS_WITH_ERROR_CODE 0x60227D00

#endif
