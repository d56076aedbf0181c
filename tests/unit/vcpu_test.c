#include "kvm/vcpu.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/fakekvm.h"
#include "tests/unit/suite.h"

#define WAIT_MS 20000

static const struct sandbox no_sandbox = {.on = false};

/* What the vCPU's thread has told. */
static struct {
	unsigned n_events, n_deaths, n_first_runs;
	enum host_event_kind kind;
	enum vcpu_death how;
	int run_error;
	unsigned reason;
} told;

static void on_event(struct host *host, const struct host_event *event)
{
	(void)host;
	CU_ASSERT_STRING_EQUAL(event->device_id, "kvm");
	told.kind = event->kind;
	__atomic_fetch_add(&told.n_events, 1, __ATOMIC_RELEASE);
}

static void on_death(void *opaque, enum vcpu_death how, const struct exit_state *state)
{
	(void)opaque;
	told.how = how;
	told.run_error = state->run_error;
	told.reason = state->reason;
	__atomic_fetch_add(&told.n_deaths, 1, __ATOMIC_RELEASE);
}

static void on_first_run(void *opaque)
{
	(void)opaque;
	told.n_first_runs++;
}

static const struct host_ops ops = {.event = on_event};
static struct host host = {.ops = &ops};
static struct vcpu_group *group;

static int create(struct vm_system system, unsigned n, const struct sandbox *sandbox, struct fail *why)
{
	struct vcpu_env env = {.host = &host, .sandbox = sandbox, .first_run = on_first_run, .died = on_death};
	memset(&told, 0, sizeof told);
	return vcpu_group_create(&group, &system, system.fd, n, &env, why);
}

static void start(const struct fakekvm_step *steps, size_t n, const struct sandbox *sandbox)
{
	struct fail why;
	CU_ASSERT_EQUAL_FATAL(create(fakekvm_create(steps, n), 1, sandbox, &why), 0);
	CU_ASSERT_EQUAL_FATAL(vcpu_group_start(group, &why), 0);
	vcpu_group_resume(group);
}

static void wait_for(const unsigned *count, unsigned n)
{
	for (unsigned ms = 0; __atomic_load_n(count, __ATOMIC_ACQUIRE) < n && ms < WAIT_MS; ms++)
		usleep(1000);
	CU_ASSERT_EQUAL(__atomic_load_n(count, __ATOMIC_ACQUIRE), n);
}

/* A kick that came late may end one at once: then there are more. */
static void wait_for_runs(unsigned n)
{
	for (unsigned ms = 0; fakekvm_n_runs() < n && ms < WAIT_MS; ms++)
		usleep(1000);
	CU_ASSERT(fakekvm_n_runs() >= n);
}

static void finish(void)
{
	vcpu_group_destroy(group);
	fakekvm_destroy();
}

/* ---- Exits ----------------------------------------------------------- */

static void system_event(struct kvm_run *run, uint32_t type)
{
	run->exit_reason = KVM_EXIT_SYSTEM_EVENT;
	run->system_event.type = type;
}

static void shutdown(struct kvm_run *run)
{
	system_event(run, KVM_SYSTEM_EVENT_SHUTDOWN);
}

static void reset(struct kvm_run *run)
{
	system_event(run, KVM_SYSTEM_EVENT_RESET);
}

static void crash(struct kvm_run *run)
{
	system_event(run, KVM_SYSTEM_EVENT_CRASH);
}

static void no_system_event(struct kvm_run *run)
{
	system_event(run, 0);
}

static void later_system_event(struct kvm_run *run)
{
	system_event(run, KVM_SYSTEM_EVENT_CRASH + 1);
}

static void interrupted(struct kvm_run *run)
{
	run->exit_reason = KVM_EXIT_INTR;
}

static void triple_fault(struct kvm_run *run)
{
	run->exit_reason = KVM_EXIT_SHUTDOWN;
}

static void unknown_exit(struct kvm_run *run)
{
	run->exit_reason = KVM_EXIT_HYPERCALL;
}

/* The guest goes on: what an event means is for others to say. */
static void system_events_are_passed_on(void)
{
	static const struct {
		struct fakekvm_step step;
		enum host_event_kind kind;
	} rows[] = {
		{{.fn = shutdown}, HOST_EVENT_POWEROFF},
		{{.fn = reset}, HOST_EVENT_RESET},
		{{.fn = crash}, HOST_EVENT_PANIC},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		start(&rows[i].step, 1, &no_sandbox);
		wait_for(&told.n_events, 1);
		CU_ASSERT_EQUAL(told.kind, rows[i].kind);
		wait_for_runs(2);
		CU_ASSERT_EQUAL(told.n_deaths, 0);
		finish();
	}
}

/* It does not run again, but can still be stopped. */
static void check_death(const struct fakekvm_step *step, enum vcpu_death how)
{
	start(step, 1, &no_sandbox);
	wait_for(&told.n_deaths, 1);
	CU_ASSERT(told.how == how && told.run_error == step->error);
	vcpu_group_pause(group);
	vcpu_group_resume(group);
	vcpu_group_pause(group);
	CU_ASSERT_EQUAL(fakekvm_n_runs(), 1);
	CU_ASSERT(told.n_events == 0 && told.n_deaths == 1);
	finish();
}

static void a_guest_may_die(void)
{
	check_death(&(struct fakekvm_step){.fn = triple_fault}, VCPU_TRIPLE_FAULTED);
	CU_ASSERT_EQUAL(told.reason, KVM_EXIT_SHUTDOWN);
}

static void what_nobody_knows_ends_a_vcpu(void)
{
	check_death(&(struct fakekvm_step){.fn = no_system_event}, VCPU_FAILED);
	check_death(&(struct fakekvm_step){.fn = later_system_event}, VCPU_FAILED);
	CU_ASSERT_EQUAL(told.reason, KVM_EXIT_SYSTEM_EVENT);
	check_death(&(struct fakekvm_step){.fn = unknown_exit}, VCPU_FAILED);
	CU_ASSERT_EQUAL(told.reason, KVM_EXIT_HYPERCALL);
}

static void kvm_may_refuse_to_run(void)
{
	check_death(&(struct fakekvm_step){.error = ENOMEM}, VCPU_FAILED);
	check_death(&(struct fakekvm_step){.error = EFAULT}, VCPU_FAILED);
}

static void interruptions_are_nothing(void)
{
	static const struct fakekvm_step steps[] = {{.error = EINTR}, {.fn = interrupted}, {.error = EAGAIN}};
	start(steps, 3, &no_sandbox);
	wait_for_runs(4);
	CU_ASSERT(told.n_events == 0 && told.n_deaths == 0 && told.n_first_runs == 1);
	finish();
}

/* ---- All of them ----------------------------------------------------- */

static void a_paused_vcpu_does_not_run(void)
{
	start(NULL, 0, &no_sandbox);
	wait_for_runs(1);
	vcpu_group_pause(group);
	vcpu_group_pause(group);
	unsigned before = fakekvm_n_runs();
	usleep(20000);
	CU_ASSERT_EQUAL(fakekvm_n_runs(), before);
	vcpu_group_resume(group);
	wait_for_runs(before + 1);
	CU_ASSERT(vcpu_group_tid(group, 0) > 0 && vcpu_group_tid(group, 0) != gettid());
	CU_ASSERT_EQUAL(vcpu_group_tid(group, 1), 0);
	finish();
}

/* Its filter was never made, so it cannot be installed. */
static void without_its_sandbox_no_guest_runs(void)
{
	struct sandbox sandbox = {.on = true};
	start(NULL, 0, &sandbox);
	wait_for(&told.n_deaths, 1);
	CU_ASSERT_EQUAL(told.how, VCPU_FAILED);
	vcpu_group_pause(group);
	CU_ASSERT_EQUAL(fakekvm_n_runs(), 0);
	finish();
}

static void refusals_are_told(void)
{
	struct fail why;
	const struct vm_system system = fakekvm_create(NULL, 0);
	CU_ASSERT(create(system, 3, &no_sandbox, &why) < 0);
	CU_ASSERT_STRING_EQUAL(why.text, "this host's KVM runs at most 2 vCPUs in one VM: lower cpus.boot_vcpus");
	CU_ASSERT_PTR_NULL(group);
	fakekvm_refuse(KVM_CREATE_VCPU, EMFILE);
	CU_ASSERT_EQUAL(create(system, 2, &no_sandbox, &why), -EMFILE);
	CU_ASSERT_STRING_EQUAL(why.text, "cannot create vCPU 0");
	CU_ASSERT_PTR_NULL(group);
	vcpu_group_destroy(NULL);
	fakekvm_destroy();
}

static const struct test_case cases[] = {
	{"system events are passed on", system_events_are_passed_on},
	{"a guest may die", a_guest_may_die},
	{"what nobody knows ends a vCPU", what_nobody_knows_ends_a_vcpu},
	{"KVM may refuse to run", kvm_may_refuse_to_run},
	{"interruptions are nothing", interruptions_are_nothing},
	{"a paused vCPU does not run", a_paused_vcpu_does_not_run},
	{"without its sandbox no guest runs", without_its_sandbox_no_guest_runs},
	{"refusals are told", refusals_are_told},
};
TEST_SUITE(vcpu, cases);
