/*
 * From the PVH entry to ring 3.
 *
 * PVH starts us in flat 32-bit protected mode, paging off, interrupts off, EBX
 * = hvm_start_info (xen/include/public/arch-x86/hvm/start_info.h). Ring 0 only
 * sets the machine up and reports exceptions: a KVM without hardware
 * virtualisation interprets it, instruction by instruction, while ring 3 runs
 * at full speed everywhere. So it has no loops to speak of: the page tables of
 * the first 4 GiB are laid out by the assembler.
 */
#include "tests/guest/segments.h"

#define XEN_ELFNOTE_PHYS32_ENTRY 18

#define CR0_PE 0x1
#define CR0_WP 0x10000
#define CR0_PG 0x80000000
#define CR4_PAE 0x20
#define MSR_EFER 0xC0000080
#define EFER_LME 0x100

#define OPCODE_HLT 0xF4

#define PTE_TABLE 0x7	   /* present, writable, user */
#define PTE_HUGE_PAGE 0x87 /* the same, 2 MiB */

	.section .note.Xen, "a", @note
	.balign 4
	.long 4, 8, XEN_ELFNOTE_PHYS32_ENTRY
	.asciz "Xen"
	.quad pvh_entry

	/* From protected mode without paging to 64-bit code. */
	.macro enter_long_mode target
	movl $boot_pml4, %eax
	movl %eax, %cr3
	movl $CR4_PAE, %eax
	movl %eax, %cr4
	movl $MSR_EFER, %ecx
	rdmsr
	orl $EFER_LME, %eax
	wrmsr
	movl %cr0, %eax
	orl $(CR0_PG | CR0_WP | CR0_PE), %eax
	movl %eax, %cr0
	lgdt gdt_pointer
	ljmp $KERNEL_CS, $\target
	.endm

	.text
	.code32
	.globl pvh_entry
pvh_entry:
	cld
	movl $ring0_stack_top, %esp
	movl %ebx, boot_start_info_gpa
	enter_long_mode long_mode

	.code64
long_mode:
	movl $KERNEL_DS, %eax
	movl %eax, %ss
	movl $USER_DS, %eax
	movl %eax, %ds
	movl %eax, %es
	xorl %eax, %eax
	movl %eax, %fs
	movl %eax, %gs
	call ring0_init
	pushq $USER_DS
	pushq $(user_stack_top - 8) /* as after a call: RSP + 8 is a multiple of 16 */
	pushq $RFLAGS_FIXED /* interrupts off, except in protection_entry */
	pushq $USER_CS
	pushq $guest_main
	xorl %ebp, %ebp
	iretq

/* Another CPU, which takes the next number: its own stacks and TSS, then ap_main(number) in ring 3. */
ap_long_mode:
	movl $KERNEL_DS, %eax
	movl %eax, %ss
	movl $USER_DS, %eax
	movl %eax, %ds
	movl %eax, %es
	movl $1, %ebx
	lock xaddl %ebx, ap_count
	incl %ebx
	imull $AP_STACK_LEN, %ebx, %eax
	leaq ap_ring0_stacks(%rax), %rsp
	leaq ap_user_stacks - 8(%rax), %rbp
	movl %ebx, %edi
	movq %rsp, %rsi
	call ring0_init_ap
	movl %ebx, %edi
	pushq $USER_DS
	pushq %rbp
	pushq $RFLAGS_FIXED
	pushq $USER_CS
	pushq $ap_main
	xorl %ebp, %ebp
	iretq

/* Copied to AP_GPA: where a SIPI sends a CPU, in real mode, with CS there. */
	.code16
	.globl ap_begin, ap_end
ap_begin:
	cli
	movw %cs, %ax
	movw %ax, %ds
	lgdtl ap_gdt_pointer - ap_begin
	movl %cr0, %eax
	orl $CR0_PE, %eax
	movl %eax, %cr0
	ljmpl $BOOT_CS, $ap_protected_mode
ap_gdt_pointer:
	.word gdt_end - gdt - 1
	.long gdt
ap_end:

	.code32
ap_protected_mode:
	movl $KERNEL_DS, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	enter_long_mode ap_long_mode

	.code64
/*
 * One entry per exception, 16 bytes apart. Each leaves vector, error code and
 * the CPU's frame (RIP CS RFLAGS RSP SS) on the stack: struct exception_frame.
 */
	.balign 16
	.globl exception_entries
exception_entries:
	vector = 0
	.rept N_EXCEPTIONS
	.balign 16
	.if !((EXCEPTIONS_WITH_ERROR_CODE >> vector) & 1)
	pushq $0
	.endif
	pushq $vector
	jmp exception_entry
	vector = vector + 1
	.endr

exception_entry:
	movq %rsp, %rdi
	andq $-16, %rsp
	call exception_report

	.globl timer_entry
timer_entry:
	pushq %rax
	movl $APIC_EOI, %eax
	movl $0, (%rax)
	popq %rax
	iretq

/*
 * hlt is for ring 0 alone. Ring 3 may use it here all the same: the exception
 * that it causes halts the CPU until the next interrupt and goes on behind it.
 * Interrupts are let in with the instruction after sti, so that none is lost
 * between the two.
 */
	.globl protection_entry
protection_entry:
	pushq %rax
	movq 16(%rsp), %rax /* above RAX and the error code: RIP */
	cmpb $OPCODE_HLT, (%rax)
	popq %rax
	jne exception_entries + 16 * VECTOR_GP
	incq 8(%rsp)
	addq $8, %rsp
	sti
	hlt
	cli
	iretq

	.data
	.balign 8
	.globl gdt
gdt:	.quad 0
	.quad 0x00CF9B000000FFFF /* BOOT_CS: 32-bit code */
	.quad 0x00AF9B000000FFFF /* KERNEL_CS: 64-bit code */
	.quad 0x00CF93000000FFFF /* KERNEL_DS */
	.quad 0
	.quad 0x00CFF3000000FFFF /* USER_DS */
	.quad 0x00AFFB000000FFFF /* USER_CS: 64-bit code */
	.quad 0
	.fill 2 * MAX_CPUS, 8, 0 /* TSS_SELECTOR: filled in by ring0_init */
gdt_end:
gdt_pointer:
	.word gdt_end - gdt - 1
	.long gdt

/* 0 to 4 GiB, each address mapped to itself. */
	.balign 4096
	.globl boot_pml4
boot_pml4:
	.quad boot_pdpt + PTE_TABLE
	.fill 511, 8, 0
boot_pdpt:
	.quad boot_directories + PTE_TABLE
	.quad boot_directories + 0x1000 + PTE_TABLE
	.quad boot_directories + 0x2000 + PTE_TABLE
	.quad boot_directories + 0x3000 + PTE_TABLE
	.fill 508, 8, 0
boot_directories:
	gpa = 0
	.rept 2048
	.quad gpa + PTE_HUGE_PAGE
	gpa = gpa + 0x200000
	.endr

	.bss
	.balign 16
	.skip 8192
	.globl ring0_stack_top
ring0_stack_top:
	.skip 16384
user_stack_top:
	.balign 16
	.skip MAX_CPUS * AP_STACK_LEN /* a number's stack ends at that many lengths: CPU 0 has none here */
ap_ring0_stacks = . - MAX_CPUS * AP_STACK_LEN
	.skip MAX_CPUS * AP_STACK_LEN
ap_user_stacks = . - MAX_CPUS * AP_STACK_LEN
	.globl ap_count
ap_count:
	.long 0
	.balign 8
	.globl boot_start_info_gpa
boot_start_info_gpa:
	.quad 0

	.section .note.GNU-stack, "", @progbits
