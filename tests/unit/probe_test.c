#include "kvm/probe.h"

#include <CUnit/CUnit.h>
#include <errno.h>

#include "tests/unit/fakekvm.h"
#include "tests/unit/suite.h"

static int probe(const struct vm_system *system, struct fail *why)
{
	struct vm_probe found;
	return vm_probe_run(system, &found, why);
}

static const struct fakekvm_refusal refusals[] = {
	{KVM_CREATE_VM, ENOMEM, "cannot create a VM"},
	{KVM_SET_USER_MEMORY_REGION, ENOMEM, "cannot give RAM to a VM"},
	{KVM_SET_IDENTITY_MAP_ADDR, EEXIST, "cannot place KVM's own pages in a VM"},
	{KVM_SET_TSS_ADDR, ENOMEM, "cannot place KVM's own pages in a VM"},
	{KVM_CREATE_VCPU, EMFILE, "cannot create a vCPU"},
	{KVM_GET_SUPPORTED_CPUID, EINVAL, "cannot ask KVM for its CPUID"},
	{KVM_SET_CPUID2, EINVAL, "KVM refuses the CPUID of vCPU 0"},
	{KVM_GET_SREGS, ENOMEM, "cannot read the registers of the boot vCPU"},
	{KVM_SET_SREGS, EINVAL, "cannot set the registers of the boot vCPU"},
	{KVM_SET_REGS, ENOMEM, "cannot set the registers of the boot vCPU"},
	{KVM_RUN, ENOMEM, "KVM cannot run a vCPU"},
};

static void refusals_are_told(void)
{
	fakekvm_check_refusals(refusals, sizeof refusals / sizeof refusals[0], probe);
}

static void end_otherwise(struct kvm_run *run)
{
	run->exit_reason = KVM_EXIT_HLT;
}

static void an_unexpected_end_is_told(void)
{
	static const struct fakekvm_step steps[] = {{.error = EINTR}, {.fn = end_otherwise}};
	const struct vm_system system = fakekvm_create(steps, 2);
	struct fail why = {0};
	CU_ASSERT(probe(&system, &why) < 0);
	CU_ASSERT_STRING_EQUAL(why.text, "a guest of three instructions ended with KVM exit 5");
	CU_ASSERT_EQUAL(fakekvm_n_runs(), 2);
	fakekvm_destroy();
}

static const struct test_case cases[] = {
	{"refusals are told", refusals_are_told},
	{"an unexpected end is told", an_unexpected_end_is_told},
};
TEST_SUITE(probe, cases);
