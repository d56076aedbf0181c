/* The instructions that C has no words for. Each one is plain enough for a KVM that interprets it. */
#ifndef TESTS_GUEST_X86_H
#define TESTS_GUEST_X86_H

#include <stdint.h>

static inline void out8(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline void out16(uint16_t port, uint16_t value)
{
	__asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline void out32(uint16_t port, uint32_t value)
{
	__asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline uint8_t in8(uint16_t port)
{
	uint8_t value;
	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port) : "memory");
	return value;
}

static inline uint16_t in16(uint16_t port)
{
	uint16_t value;
	__asm__ volatile("inw %1, %0" : "=a"(value) : "Nd"(port) : "memory");
	return value;
}

static inline uint32_t in32(uint16_t port)
{
	uint32_t value;
	__asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port) : "memory");
	return value;
}

/* Device registers: one access of the given width, by an instruction that every KVM can emulate. */
static inline uint8_t mmio_read8(uint64_t gpa)
{
	uint8_t value;
	__asm__ volatile("movb (%1), %0" : "=q"(value) : "r"(gpa) : "memory");
	return value;
}

static inline uint16_t mmio_read16(uint64_t gpa)
{
	uint16_t value;
	__asm__ volatile("movw (%1), %0" : "=r"(value) : "r"(gpa) : "memory");
	return value;
}

static inline uint32_t mmio_read32(uint64_t gpa)
{
	uint32_t value;
	__asm__ volatile("movl (%1), %0" : "=r"(value) : "r"(gpa) : "memory");
	return value;
}

static inline void mmio_write8(uint64_t gpa, uint8_t value)
{
	__asm__ volatile("movb %0, (%1)" : : "q"(value), "r"(gpa) : "memory");
}

static inline void mmio_write16(uint64_t gpa, uint16_t value)
{
	__asm__ volatile("movw %0, (%1)" : : "r"(value), "r"(gpa) : "memory");
}

static inline void mmio_write32(uint64_t gpa, uint32_t value)
{
	__asm__ volatile("movl %0, (%1)" : : "r"(value), "r"(gpa) : "memory");
}

/* Time stamp counter; tests/guest/clock.h makes time of it. */
static inline uint64_t read_tsc(void)
{
	uint32_t low, high;
	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
	return (uint64_t)high << 32 | low;
}

static inline void pause(void)
{
	__asm__ volatile("pause" : : : "memory");
}

/* x86 keeps stores in order and loads in order: the compiler has to be told, the CPU has not. */
static inline void compiler_barrier(void)
{
	__asm__ volatile("" : : : "memory");
}

/* Orders a store before a later load. */
static inline void full_barrier(void)
{
	__asm__ volatile("lock; addl $0, -4(%%rsp)" : : : "memory", "cc");
}

#endif
