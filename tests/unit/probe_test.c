#include "kvm/probe.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <unistd.h>

#include "tests/unit/fakekvm.h"
#include "tests/unit/suite.h"

static int probe(int fd, struct vm_probe *found, struct fail *why)
{
	const struct vm_system system = {.fd = fd, .run_bytes = FAKEKVM_RUN_BYTES, .max_vcpus = 2, .max_slots = 32};
	return vm_probe_run(&system, found, why);
}

static const struct {
	unsigned long request;
	int error;
	const char *text;
} rows[] = {
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

/* And leaves no descriptor open: the next one has the same number. */
static void refusals_are_told(void)
{
	int fd = fakekvm_create(NULL, 0), next = dup(fd);
	close(next);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct vm_probe found;
		struct fail why = {0};
		fakekvm_refuse(rows[i].request, rows[i].error);
		CU_ASSERT_EQUAL(probe(fd, &found, &why), -rows[i].error);
		CU_ASSERT_EQUAL(why.error, rows[i].error);
		CU_ASSERT_STRING_EQUAL(why.text, rows[i].text);
	}
	CU_ASSERT_EQUAL(dup(fd), next);
	close(next);
	fakekvm_destroy();
}

static void end_otherwise(struct kvm_run *run)
{
	run->exit_reason = KVM_EXIT_HLT;
}

static void an_unexpected_end_is_told(void)
{
	static const struct fakekvm_step steps[] = {{.error = EINTR}, {.fn = end_otherwise}};
	struct vm_probe found;
	struct fail why = {0};
	CU_ASSERT(probe(fakekvm_create(steps, 2), &found, &why) < 0);
	CU_ASSERT_STRING_EQUAL(why.text, "a guest of three instructions ended with KVM exit 5");
	CU_ASSERT_EQUAL(fakekvm_n_runs(), 2);
	fakekvm_destroy();
}

static const struct test_case cases[] = {
	{"refusals are told", refusals_are_told},
	{"an unexpected end is told", an_unexpected_end_is_told},
};
TEST_SUITE(probe, cases);
