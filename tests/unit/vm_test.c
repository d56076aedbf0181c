#include "kvm/vm.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <unistd.h>

#include "tests/unit/fakekvm.h"
#include "tests/unit/suite.h"

static struct guest_ram ram;
static struct loop loop;
static struct vm_system vm_system;
static const struct sandbox no_sandbox = {.on = false};
static struct vm *vm;
static unsigned n_deaths;

static void on_death(void *opaque, enum vcpu_death how)
{
	(void)opaque;
	CU_ASSERT_EQUAL(how, VCPU_TRIPLE_FAULTED);
	n_deaths++;
}

static void on_first_run(void *opaque)
{
	(void)opaque;
}

static void start(const struct fakekvm_step *steps, size_t n)
{
	struct memory_config memory = {.size = 16 << 20};
	struct fail why;
	vm_system = fakekvm_create(steps, n);
	CU_ASSERT_EQUAL_FATAL(ram_init(&ram, &memory, &why), 0);
	CU_ASSERT_EQUAL_FATAL(loop_init(&loop, &why), 0);
	struct vm_params params = {
		.system = &vm_system,
		.ram = &ram,
		.loop = &loop,
		.sandbox = &no_sandbox,
		.n_vcpus = 2,
		.observer = {.died = on_death, .first_run = on_first_run},
	};
	n_deaths = 0;
	CU_ASSERT_EQUAL_FATAL(vm_create(&vm, &params, &why), 0);
}

static void finish(void)
{
	vm_destroy(vm);
	loop_finish(&loop);
	ram_finish(&ram);
	fakekvm_destroy();
}

static void end(void *opaque)
{
	loop_end(opaque);
}

/* What is due now, and no more. */
static void run_loop(void)
{
	struct host_work last = {.fn = end, .opaque = &loop};
	loop_defer(&loop, &last);
	CU_ASSERT_EQUAL(loop_run(&loop), 0);
}

/* Runs both vCPUs until they have entered `n` times, and what they tell is queued. A kick that came late may end an entry at once. */
static void run_vcpus(unsigned n)
{
	const struct boot_state boot = {.protocol = BOOT_PVH};
	struct fail why;
	unsigned before = fakekvm_n_runs();
	CU_ASSERT_EQUAL_FATAL(vm_start(vm, &boot, &why), 0);
	for (unsigned ms = 0; fakekvm_n_runs() < before + n && ms < 20000; ms++)
		usleep(1000);
	CU_ASSERT(fakekvm_n_runs() >= before + n);
	vm_pause(vm);
	CU_ASSERT(vm_is_paused(vm));
}

static void messages_are_sent_as_they_are(void)
{
	start(NULL, 0);
	struct host *host = vm_host(vm);
	CU_ASSERT_EQUAL(host->ops->msi_send(host, 0x1234FEE00000, 0x4021), 0);
	struct kvm_msi msi = fakekvm_last_msi();
	CU_ASSERT(msi.address_lo == 0xFEE00000 && msi.address_hi == 0x1234 && msi.data == 0x4021 && msi.flags == 0);
	fakekvm_refuse(KVM_SIGNAL_MSI, EINVAL);
	CU_ASSERT_EQUAL(host->ops->msi_send(host, 0, 0), -EINVAL);
	finish();
}

/* There is nobody who could do anything about it. */
static void a_refused_line_is_survived(void)
{
	start(NULL, 0);
	struct host *host = vm_host(vm);
	fakekvm_refuse(KVM_IRQ_LINE, ENXIO);
	host->ops->irq_set(host, 5, true);
	finish();
}

static void triple_fault(struct kvm_run *run)
{
	run->exit_reason = KVM_EXIT_SHUTDOWN;
}

static const struct fakekvm_step both_die[] = {{.fn = triple_fault}, {.fn = triple_fault}};

static void a_death_is_told_once(void)
{
	start(both_die, 2);
	run_vcpus(2);
	CU_ASSERT_EQUAL(n_deaths, 0);
	run_loop();
	CU_ASSERT_EQUAL(n_deaths, 1);
	finish();
}

static void a_reset_comes_before_a_death(void)
{
	struct fail why;
	start(both_die, 2);
	run_vcpus(2);
	CU_ASSERT_EQUAL(vm_reset(vm, &why), 0);
	run_loop();
	CU_ASSERT_EQUAL(n_deaths, 0);
	CU_ASSERT_EQUAL(vm_vcpu_tid(vm, 0), 0);
	vm_resume(vm);
	run_vcpus(2);
	CU_ASSERT(vm_vcpu_tid(vm, 0) > 0 && vm_vcpu_tid(vm, 1) > 0);
	run_loop();
	CU_ASSERT_EQUAL(n_deaths, 0);
	finish();
}

static void a_reset_may_be_refused(void)
{
	struct fail why;
	start(NULL, 0);
	fakekvm_refuse(KVM_CREATE_VM, ENOMEM);
	CU_ASSERT_EQUAL(vm_reset(vm, &why), -ENOMEM);
	CU_ASSERT_STRING_EQUAL(why.text, "cannot create a VM");
	finish();
}

static const struct test_case cases[] = {
	{"messages are sent as they are", messages_are_sent_as_they_are},
	{"a refused line is survived", a_refused_line_is_survived},
	{"a death is told once", a_death_is_told_once},
	{"a reset comes before a death", a_reset_comes_before_a_death},
	{"a reset may be refused", a_reset_may_be_refused},
};
TEST_SUITE(vm, cases);
