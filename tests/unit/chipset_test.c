#include "kvm/chipset.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <unistd.h>

#include "tests/unit/fakekvm.h"
#include "tests/unit/suite.h"

static uint8_t ram[4096];

static int create(int fd, struct fail *why)
{
	const struct vm_system system = {.fd = fd, .run_bytes = FAKEKVM_RUN_BYTES, .max_vcpus = 2, .max_slots = 32};
	const struct gmem gmem = {.regions = {{.gpa = 0x100000000, .len = 5 << 20, .hva = ram}}, .n_regions = 1, .page_size = 4096};
	return chipset_create_vm(&system, &gmem, why);
}

static const struct {
	unsigned long request;
	int error;
	const char *text;
} rows[] = {
	{KVM_CREATE_VM, EBUSY, "cannot create a VM: another hypervisor uses this host's virtualisation; stop it first"},
	{KVM_CREATE_VM, ENOMEM, "cannot create a VM"},
	{KVM_SET_USER_MEMORY_REGION, ENOMEM, "cannot give 5 MiB of RAM at 0x100000000 to the VM"},
	{KVM_SET_IDENTITY_MAP_ADDR, EEXIST, "cannot place KVM's own pages in the VM"},
	{KVM_SET_TSS_ADDR, ENOMEM, "cannot place KVM's own pages in the VM"},
	{KVM_CREATE_IRQCHIP, ENOMEM, "cannot create the VM's interrupt controllers"},
	{KVM_CREATE_PIT2, ENOMEM, "cannot create the VM's timer"},
	{KVM_SET_GSI_ROUTING, EINVAL, "cannot route the VM's interrupts"},
};

/* And leaves no descriptor open: the next one has the same number. */
static void refusals_are_told(void)
{
	int fd = fakekvm_create(NULL, 0), next = dup(fd);
	close(next);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct fail why = {0};
		fakekvm_refuse(rows[i].request, rows[i].error);
		CU_ASSERT_EQUAL(create(fd, &why), -rows[i].error);
		CU_ASSERT_EQUAL(why.error, rows[i].error);
		CU_ASSERT_STRING_EQUAL(why.text, rows[i].text);
	}
	fakekvm_refuse(0, 0);
	CU_ASSERT_EQUAL(create(fd, NULL), next);
	close(next);
	fakekvm_destroy();
}

static const struct test_case cases[] = {
	{"refusals are told", refusals_are_told},
};
TEST_SUITE(chipset, cases);
