#include "tests/guest/ring0.h"

#include <stddef.h>

#include "tests/guest/report.h"
#include "tests/guest/segments.h"
#include "tests/guest/x86.h"

/* An IDT entry in long mode (Intel SDM volume 3, 6.14.1). */
struct gate {
	uint16_t offset_low;
	uint16_t selector;
	uint8_t ist;
	uint8_t type;
	uint16_t offset_middle;
	uint32_t offset_high;
	uint32_t reserved;
};

#define GATE_INTERRUPT 0x8E	  /* present; interrupts are off behind it */
#define GATE_INTERRUPT_RING3 0xEE /* the same, for an int instruction in ring 3 */

/*
 * A 64-bit TSS (Intel SDM volume 3, 8.7) and its I/O bitmap, whose zero bits
 * open every port to ring 3. IOPL 3 would be shorter, but a KVM without
 * hardware virtualisation asks the bitmap alone.
 */
struct tss {
	uint32_t reserved0;
	uint32_t rsp0[2];
	uint32_t unused[22];
	uint16_t reserved1;
	uint16_t io_bitmap_offset;
	uint8_t io_bitmap[65536 / 8 + 1]; /* the last byte should be all ones: the CPU reads two bytes at a time */
};

struct table_pointer {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

extern uint64_t gdt[];
extern const uint8_t exception_entries[], protection_entry[], timer_entry[];
extern uint8_t ring0_stack_top[];

static struct gate idt[N_VECTORS] __attribute__((aligned(16)));
static struct tss tsses[MAX_CPUS] __attribute__((aligned(16)));
volatile struct kvm_clock_page ring0_clock_page __attribute__((aligned(64)));

static void set_up_tss(unsigned cpu, const uint8_t *stack_top)
{
	struct tss *tss = &tsses[cpu];
	unsigned selector = TSS_SELECTOR + 16 * cpu;
	uint64_t base = (uintptr_t)tss;
	uint64_t limit = offsetof(struct tss, io_bitmap) + sizeof tss->io_bitmap - 1;
	tss->rsp0[0] = (uint32_t)(uintptr_t)stack_top;
	tss->io_bitmap_offset = offsetof(struct tss, io_bitmap);
	tss->io_bitmap[sizeof tss->io_bitmap - 1] = 0xFF;
	/* A 64-bit TSS: type 9, present (Intel SDM volume 3, 7.2.3); we lie below 4 GiB. */
	gdt[selector / 8] = limit | (base & 0xFFFFFF) << 16 | 0x89ULL << 40 | (base >> 24 & 0xFF) << 56;
	gdt[selector / 8 + 1] = base >> 32;
	__asm__ volatile("ltr %w0" : : "r"(selector));
}

static void set_gate(unsigned vector, const uint8_t *entry)
{
	uint64_t address = (uintptr_t)entry;
	idt[vector] = (struct gate){
		.offset_low = (uint16_t)address,
		.selector = KERNEL_CS,
		.type = GATE_INTERRUPT,
		.offset_middle = (uint16_t)(address >> 16),
		.offset_high = (uint32_t)(address >> 32),
	};
}

static void load_idt(void)
{
	struct table_pointer pointer = {sizeof idt - 1, (uintptr_t)idt};
	__asm__ volatile("lidt %0" : : "m"(pointer));
}

static void set_up_idt(void)
{
	for (unsigned i = 0; i < N_EXCEPTIONS; i++)
		set_gate(i, exception_entries + 16 * i);
	set_gate(VECTOR_GP, protection_entry);
	for (unsigned i = VECTOR_TIMER; i < N_VECTORS; i++)
		set_gate(i, timer_entry);
	load_idt();
}

static void cpuid(uint32_t leaf, uint32_t out[4])
{
	__asm__ volatile("cpuid" : "=a"(out[0]), "=b"(out[1]), "=c"(out[2]), "=d"(out[3]) : "a"(leaf), "c"(0));
}

/* CPUID and MSRs of KVM: Documentation/virt/kvm/x86/cpuid.rst and msr.rst. */
#define CPUID_HYPERVISOR 0x40000000
#define CPUID_KVM_FEATURES 0x40000001
#define KVM_FEATURE_CLOCKSOURCE2 (1u << 3)
#define MSR_KVM_SYSTEM_TIME_NEW 0x4B564D01

static void set_up_clock(void)
{
	uint32_t r[4];
	cpuid(CPUID_HYPERVISOR, r);
	if (r[1] != 0x4B4D564B || r[2] != 0x564B4D56 || r[3] != 0x4D) /* "KVMKVMKVM" */
		return;
	cpuid(CPUID_KVM_FEATURES, r);
	if (!(r[0] & KVM_FEATURE_CLOCKSOURCE2))
		return;
	uint32_t page = (uint32_t)(uintptr_t)&ring0_clock_page | 1; /* bit 0: on */
	__asm__ volatile("wrmsr" : : "c"(MSR_KVM_SYSTEM_TIME_NEW), "a"(page), "d"(0));
}

void ring0_init(void)
{
	set_up_tss(0, ring0_stack_top);
	set_up_idt();
	set_up_clock();
}

void ring0_init_ap(unsigned cpu, const uint8_t *stack_top)
{
	set_up_tss(cpu, stack_top);
	load_idt();
}

static const char *const exception_names[N_EXCEPTIONS] = {
	[0] = "divide error",	 [1] = "debug",	       [3] = "breakpoint",	    [6] = "invalid opcode", [8] = "double fault",     [10] = "invalid TSS",
	[11] = "segment absent", [12] = "stack fault", [13] = "general protection", [14] = "page fault",    [17] = "alignment check", [18] = "machine check",
};

void exception_report(const struct exception_frame *frame)
{
	const char *name = exception_names[frame->vector];
	uint64_t cr2;
	__asm__ volatile("movq %%cr2, %0" : "=r"(cr2));
	fail("exception %lu (%s) in ring %lu: rip %#lx, error code %#lx, cr2 %#lx, rsp %#lx", frame->vector, name ? name : "unnamed", frame->cs & 3, frame->rip,
	     frame->error_code, cr2, frame->rsp);
}

/* The local APIC's registers (Intel SDM volume 3, 11.4 and 11.5) and the mask registers of the two 8259. */
#define APIC_SPURIOUS (APIC_BASE + 0xF0)
#define APIC_ENABLE 0x1FF /* spurious interrupts, of which there are none, would have vector 0xFF */
#define APIC_TIMER (APIC_BASE + 0x320)
#define APIC_TIMER_COUNT (APIC_BASE + 0x380)
#define APIC_TIMER_DIVIDE (APIC_BASE + 0x3E0)
#define APIC_DIVIDE_BY_1 0xB
#define APIC_TICKS_PER_MS 1000000 /* KVM's and QEMU's count nanoseconds */
#define PORT_PIC_1_MASK 0x21
#define PORT_PIC_2_MASK 0xA1

void ring0_sleep_ms(uint32_t ms)
{
	out8(PORT_PIC_1_MASK, 0xFF);
	out8(PORT_PIC_2_MASK, 0xFF);
	mmio_write32(APIC_SPURIOUS, APIC_ENABLE);
	mmio_write32(APIC_TIMER_DIVIDE, APIC_DIVIDE_BY_1);
	mmio_write32(APIC_TIMER, VECTOR_TIMER); /* one shot */
	mmio_write32(APIC_TIMER_COUNT, ms * APIC_TICKS_PER_MS);
	__asm__ volatile("hlt" : : : "memory"); /* protection_entry in boot.S does it for us */
}

/* Ring 3 may write every page, the IDT's too: an exception that has no gate, whose own exception has none either, stops the CPU. */
void ring0_triple_fault(void)
{
	volatile struct gate *gates = idt;
	for (unsigned i = 0; i < N_VECTORS; i++)
		gates[i].type = 0;
	__asm__ volatile("ud2");
	for (;;)
		;
}
