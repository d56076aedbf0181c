#include <CUnit/CUnit.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "kvm/boot.h"
#include "tests/unit/suite.h"

static int kvm_fd = -1, vm_fd = -1, vcpu_fd = -1;

/* A vCPU of the host's KVM that is never run. */
static bool start(void)
{
	kvm_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (kvm_fd < 0) {
		printf("\n    skipped: no /dev/kvm\n    ");
		return false;
	}
	vm_fd = ioctl(kvm_fd, KVM_CREATE_VM, 0);
	CU_ASSERT_FATAL(vm_fd >= 0);
	CU_ASSERT_EQUAL(ioctl(vm_fd, KVM_CREATE_IRQCHIP, 0), 0);
	vcpu_fd = ioctl(vm_fd, KVM_CREATE_VCPU, 0);
	CU_ASSERT_FATAL(vcpu_fd >= 0);
	return true;
}

static void finish(void)
{
	close(vcpu_fd);
	close(vm_fd);
	close(kvm_fd);
}

static bool is_flat(const struct kvm_segment *segment)
{
	return segment->base == 0 && segment->limit == UINT32_MAX && segment->present && segment->s;
}

/* Documentation/arch/x86/boot.rst, 64-bit boot protocol. */
static void bzimage_starts_in_long_mode(void)
{
	struct boot_state state = {.protocol = BOOT_BZIMAGE, .entry_gpa = 0x1000200, .info_gpa = BOOT_ZERO_PAGE_GPA};
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct fail why = {0};

	if (!start())
		return;
	CU_ASSERT_EQUAL_FATAL(boot_set_vcpu(vcpu_fd, &state, &why), 0);
	CU_ASSERT_EQUAL_FATAL(ioctl(vcpu_fd, KVM_GET_REGS, &regs), 0);
	CU_ASSERT_EQUAL_FATAL(ioctl(vcpu_fd, KVM_GET_SREGS, &sregs), 0);
	CU_ASSERT_EQUAL(regs.rip, 0x1000200);
	CU_ASSERT_EQUAL(regs.rsi, BOOT_ZERO_PAGE_GPA);
	CU_ASSERT_EQUAL(regs.rflags, 2);
	CU_ASSERT_EQUAL(sregs.cs.selector, 0x10);
	CU_ASSERT(sregs.cs.l && !sregs.cs.db && is_flat(&sregs.cs));
	CU_ASSERT_EQUAL(sregs.ds.selector, 0x18);
	CU_ASSERT_EQUAL(sregs.es.selector, 0x18);
	CU_ASSERT_EQUAL(sregs.ss.selector, 0x18);
	CU_ASSERT(is_flat(&sregs.ds) && is_flat(&sregs.es) && is_flat(&sregs.ss));
	CU_ASSERT_EQUAL(sregs.cr0 & 0x80000001, 0x80000001);
	CU_ASSERT_EQUAL(sregs.cr3, BOOT_PAGE_TABLES_GPA);
	CU_ASSERT_EQUAL(sregs.cr4, 0x20);
	CU_ASSERT_EQUAL(sregs.efer & 0x500, 0x500);
	CU_ASSERT_EQUAL(sregs.gdt.base, BOOT_GDT_GPA);
	CU_ASSERT_EQUAL(sregs.gdt.limit, BOOT_GDT_LEN - 1);
	finish();
}

/* xen/include/public/arch-x86/hvm/start_info.h */
static void pvh_starts_in_protected_mode(void)
{
	struct boot_state state = {.protocol = BOOT_PVH, .entry_gpa = 0x100040, .info_gpa = BOOT_START_INFO_GPA};
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct fail why = {0};

	if (!start())
		return;
	CU_ASSERT_EQUAL_FATAL(boot_set_vcpu(vcpu_fd, &state, &why), 0);
	CU_ASSERT_EQUAL_FATAL(ioctl(vcpu_fd, KVM_GET_REGS, &regs), 0);
	CU_ASSERT_EQUAL_FATAL(ioctl(vcpu_fd, KVM_GET_SREGS, &sregs), 0);
	CU_ASSERT_EQUAL(regs.rip, 0x100040);
	CU_ASSERT_EQUAL(regs.rbx, BOOT_START_INFO_GPA);
	CU_ASSERT_EQUAL(regs.rflags & (1 << 17 | 1 << 9 | 1 << 8), 0);
	CU_ASSERT(!sregs.cs.l && sregs.cs.db && is_flat(&sregs.cs) && (sregs.cs.type & 0xA) == 0xA);
	CU_ASSERT(is_flat(&sregs.ds) && is_flat(&sregs.es) && is_flat(&sregs.ss) && (sregs.ds.type & 2));
	CU_ASSERT_EQUAL(sregs.cr0 & ~UINT64_C(0x10), 1); /* bit 4 is fixed */
	CU_ASSERT_EQUAL(sregs.cr4, 0);
	CU_ASSERT_EQUAL(sregs.efer & 0x500, 0);
	CU_ASSERT(sregs.tr.base == 0 && sregs.tr.limit == 0x67 && sregs.tr.type == 11);
	finish();
}

static uint64_t msr(unsigned long request, uint32_t index, uint64_t value)
{
	union {
		struct kvm_msrs header;
		uint8_t bytes[sizeof(struct kvm_msrs) + sizeof(struct kvm_msr_entry)];
	} msrs = {.header = {.nmsrs = 1}};

	msrs.header.entries[0] = (struct kvm_msr_entry){.index = index, .data = value};
	CU_ASSERT_EQUAL(ioctl(vcpu_fd, request, &msrs), 1);
	return msrs.header.entries[0].data;
}

static void msrs_are_as_firmware_leaves_them(void)
{
	struct fail why = {0};

	if (!start())
		return;
	msr(KVM_SET_MSRS, 0x1A0, 0x1800); /* flags that are KVM's */
	CU_ASSERT_EQUAL(boot_set_msrs(vcpu_fd, &why), 0);
	CU_ASSERT_EQUAL(msr(KVM_GET_MSRS, 0x1A0, 0), 0x1801);
	CU_ASSERT_EQUAL(msr(KVM_GET_MSRS, 0x2FF, 0), 0x806);
	finish();
}

static void refusals_are_told(void)
{
	struct boot_state state = {.protocol = BOOT_PVH};
	struct fail why = {0};

	CU_ASSERT(boot_set_vcpu(-1, &state, &why) < 0);
	CU_ASSERT_STRING_EQUAL(why.text, "cannot read the registers of the boot vCPU");
	CU_ASSERT(boot_set_msrs(-1, &why) < 0);
	CU_ASSERT_STRING_EQUAL(why.text, "cannot set model-specific registers of a vCPU");
}

static const struct test_case cases[] = {
	{"a bzImage starts in long mode", bzimage_starts_in_long_mode},
	{"PVH starts in protected mode", pvh_starts_in_protected_mode},
	{"MSRs are as firmware leaves them", msrs_are_as_firmware_leaves_them},
	{"refusals are told", refusals_are_told},
};
TEST_SUITE(boot_vcpu, cases);
