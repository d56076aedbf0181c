#include "kvm/chipset.h"

#include <CUnit/CUnit.h>
#include <errno.h>

#include "tests/unit/fakekvm.h"
#include "tests/unit/suite.h"

static uint8_t ram[4096];

static int create(const struct vm_system *system, struct fail *why)
{
	const struct gmem gmem = {.regions = {{.gpa = 0x100000000, .len = 5 << 20, .hva = ram}}, .n_regions = 1, .page_size = 4096};
	return chipset_create_vm(system, &gmem, why);
}

static const struct fakekvm_refusal refusals[] = {
	{KVM_CREATE_VM, EBUSY, "cannot create a VM: another hypervisor uses this host's virtualisation; stop it first"},
	{KVM_CREATE_VM, ENOMEM, "cannot create a VM"},
	{KVM_SET_USER_MEMORY_REGION, ENOMEM, "cannot give 5 MiB of RAM at 0x100000000 to the VM"},
	{KVM_SET_IDENTITY_MAP_ADDR, EEXIST, "cannot place KVM's own pages in the VM"},
	{KVM_SET_TSS_ADDR, ENOMEM, "cannot place KVM's own pages in the VM"},
	{KVM_CREATE_IRQCHIP, ENOMEM, "cannot create the VM's interrupt controllers"},
	{KVM_CREATE_PIT2, ENOMEM, "cannot create the VM's timer"},
	{KVM_SET_GSI_ROUTING, EINVAL, "cannot route the VM's interrupts"},
};

static void refusals_are_told(void)
{
	fakekvm_check_refusals(refusals, sizeof refusals / sizeof refusals[0], create);
}

static const struct test_case cases[] = {
	{"refusals are told", refusals_are_told},
};
TEST_SUITE(chipset, cases);
