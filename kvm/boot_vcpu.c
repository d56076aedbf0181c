#include <errno.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>

#include "kvm/boot.h"

#define CR0_PE (1UL << 0)
#define CR0_ET (1UL << 4)
#define CR0_PG (1UL << 31)
#define CR4_PAE (1UL << 5)
#define EFER_LME (1UL << 8)
#define EFER_LMA (1UL << 10)
#define RFLAGS_FIXED (1UL << 1)

#define MSR_IA32_MISC_ENABLE 0x1A0
#define MISC_ENABLE_FAST_STRING (1UL << 0)
#define MSR_MTRR_DEF_TYPE 0x2FF
#define MTRR_ENABLE (1UL << 11)
#define MTRR_WRITE_BACK 6UL

/* Segment types of the processor manuals: accessed, readable or writable; busy 32-bit TSS. */
enum { TYPE_DATA = 3, TYPE_CODE = 11, TYPE_TSS = 11 };

static struct kvm_segment flat(uint16_t selector, uint8_t type)
{
	return (struct kvm_segment){.limit = UINT32_MAX, .selector = selector, .type = type, .present = 1, .s = 1, .g = 1, .db = 1};
}

static void set_segments(struct kvm_sregs *sregs, bool long_mode)
{
	sregs->cs = flat(0x10, TYPE_CODE);
	sregs->cs.l = long_mode;
	sregs->cs.db = !long_mode;
	sregs->ds = sregs->es = sregs->fs = sregs->gs = sregs->ss = flat(0x18, TYPE_DATA);
	sregs->tr = (struct kvm_segment){.limit = 0x67, .type = TYPE_TSS, .present = 1};
	sregs->ldt = (struct kvm_segment){.unusable = 1};
	sregs->idt = (struct kvm_dtable){0};
	sregs->gdt = long_mode ? (struct kvm_dtable){.base = BOOT_GDT_GPA, .limit = BOOT_GDT_LEN - 1} : (struct kvm_dtable){0};
}

static void set_control(struct kvm_sregs *sregs, bool long_mode)
{
	sregs->cr0 = CR0_PE | CR0_ET | (long_mode ? CR0_PG : 0);
	sregs->cr3 = long_mode ? BOOT_PAGE_TABLES_GPA : 0;
	sregs->cr4 = long_mode ? CR4_PAE : 0;
	sregs->efer = long_mode ? EFER_LME | EFER_LMA : 0;
}

int boot_set_vcpu(int vcpu_fd, const struct boot_state *state, struct fail *why)
{
	bool long_mode = state->protocol == BOOT_BZIMAGE;
	struct kvm_regs regs = {.rip = state->entry_gpa, .rflags = RFLAGS_FIXED};
	struct kvm_sregs sregs;

	if (long_mode)
		regs.rsi = state->info_gpa;
	else
		regs.rbx = state->info_gpa;
	if (ioctl(vcpu_fd, KVM_GET_SREGS, &sregs) < 0)
		return fail(why, errno, "cannot read the registers of the boot vCPU");
	set_segments(&sregs, long_mode);
	set_control(&sregs, long_mode);
	if (ioctl(vcpu_fd, KVM_SET_SREGS, &sregs) < 0 || ioctl(vcpu_fd, KVM_SET_REGS, &regs) < 0)
		return fail(why, errno, "cannot set the registers of the boot vCPU");
	return 0;
}

/* One register each time: a KVM that lacks one stops there and leaves out those behind it. Returns 1, 0 when it has none such, or -1. */
static int msr_ioctl(int vcpu_fd, unsigned long request, uint32_t index, uint64_t *value)
{
	union {
		struct kvm_msrs header;
		uint8_t bytes[sizeof(struct kvm_msrs) + sizeof(struct kvm_msr_entry)];
	} msrs = {.header = {.nmsrs = 1}};
	struct kvm_msr_entry *entry = msrs.header.entries;

	*entry = (struct kvm_msr_entry){.index = index, .data = *value};
	int n = ioctl(vcpu_fd, request, &msrs);
	*value = entry->data;
	return n;
}

int boot_set_msrs(int vcpu_fd, struct fail *why)
{
	uint64_t misc_enable = 0;
	uint64_t mtrr = MTRR_ENABLE | MTRR_WRITE_BACK;

	/* KVM keeps flags about PMU features in MISC_ENABLE, which are to stay. */
	int n = msr_ioctl(vcpu_fd, KVM_GET_MSRS, MSR_IA32_MISC_ENABLE, &misc_enable);
	if (n == 1) {
		misc_enable |= MISC_ENABLE_FAST_STRING;
		n = msr_ioctl(vcpu_fd, KVM_SET_MSRS, MSR_IA32_MISC_ENABLE, &misc_enable);
	}
	/* Left disabled, they would mean uncached memory, and Linux would not use the PAT either. */
	if (n >= 0)
		n = msr_ioctl(vcpu_fd, KVM_SET_MSRS, MSR_MTRR_DEF_TYPE, &mtrr);
	if (n < 0)
		return fail(why, errno, "cannot set model-specific registers of a vCPU");
	return 0;
}
