#include "kvm/exit_report.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/suite.h"

static char text[4096];

static const char *format(const struct exit_state *state)
{
	size_t len = exit_report_format(state, text, sizeof text);
	CU_ASSERT_EQUAL(len, strlen(text));
	return text;
}

static bool says(const char *words)
{
	return strstr(text, words);
}

/* 64-bit kernel mode. */
static struct exit_state in_kernel(uint32_t reason)
{
	struct exit_state state = {.vcpu = 1, .reason = reason, .has_regs = true};
	state.regs.rip = 0xffffffff81000010;
	state.regs.r15 = 0x1234;
	state.sregs.cr0 = 0x80000011;
	state.sregs.efer = 0x500;
	state.sregs.cs.selector = 0x10;
	state.sregs.cs.l = 1;
	return state;
}

static void emulation_failure_names_bytes_and_remedy(void)
{
	struct exit_state state = in_kernel(KVM_EXIT_INTERNAL_ERROR);
	state.internal.suberror = KVM_INTERNAL_ERROR_EMULATION;
	memcpy(state.code, "\x48\x0f\xae\x01", 4);
	state.n_code = 4;
	state.host_lacks_virt = true;
	format(&state);
	CU_ASSERT(says("cannot run this guest"));
	CU_ASSERT(says("of the guest's kernel"));
	CU_ASSERT(says("(bytes 48 0f ae 01)"));
	CU_ASSERT(says("use a host with Intel VT-x or AMD-V"));
	CU_ASSERT(says("rip=ffffffff81000010"));
	CU_ASSERT(says("r15=0000000000001234"));
	CU_ASSERT(says("64-bit mode, privilege level 0"));
	CU_ASSERT(says("code at rip: 48 0f ae 01"));
	state.host_lacks_virt = false;
	format(&state);
	CU_ASSERT_FALSE(says("VT-x"));
	CU_ASSERT(says("newer host kernel"));
}

static void user_mode_is_told_from_kernel_mode(void)
{
	struct exit_state state = in_kernel(KVM_EXIT_INTERNAL_ERROR);
	state.internal.suberror = KVM_INTERNAL_ERROR_EMULATION;
	state.sregs.cs.selector = 0x33;
	format(&state);
	CU_ASSERT_FALSE(says("of the guest's kernel that"));
	CU_ASSERT(says("privilege level 3"));
	/* In real mode the low bits of a selector mean nothing. */
	state.sregs.cr0 = 0x10;
	state.sregs.efer = 0;
	format(&state);
	CU_ASSERT(says("real mode, privilege level 0"));
}

static void other_internal_errors_show_their_data(void)
{
	struct exit_state state = in_kernel(KVM_EXIT_INTERNAL_ERROR);
	state.internal.suberror = KVM_INTERNAL_ERROR_DELIVERY_EV;
	state.internal.n_data = 2;
	state.internal.data[0] = 0x80000b0e;
	state.internal.data[1] = 0x31;
	format(&state);
	CU_ASSERT(says("0x80000b0e, 0x31"));
	state.internal.suberror = 99;
	format(&state);
	CU_ASSERT(says("internal error 99"));
}

static void triple_fault_is_the_guests(void)
{
	struct exit_state state = in_kernel(KVM_EXIT_SHUTDOWN);
	format(&state);
	CU_ASSERT(says("the guest triple-faulted"));
	CU_ASSERT_FALSE(says("does not keep"));
	CU_ASSERT(says("code at rip: not readable"));
	state.regs.rip = 0xfff0;
	state.sregs.cs.base = 0xffff0000;
	format(&state);
	CU_ASSERT(says("does not keep the registers"));
}

static void entry_failure_and_unknown_exits(void)
{
	struct exit_state state = in_kernel(KVM_EXIT_FAIL_ENTRY);
	state.fail_entry.hardware_reason = 0x80000021;
	state.fail_entry.cpu = 7;
	format(&state);
	CU_ASSERT(says("0x80000021"));
	CU_ASSERT(says("processor 7"));
	state = in_kernel(KVM_EXIT_UNKNOWN);
	state.hardware_reason = 0x2c;
	format(&state);
	CU_ASSERT(says("hardware reason 0x2c"));
	state = in_kernel(4711);
	format(&state);
	CU_ASSERT(says("reason 4711"));
}

static void failed_run_names_the_error(void)
{
	struct exit_state state = in_kernel(0);
	state.run_error = EFAULT;
	format(&state);
	CU_ASSERT(says("KVM_RUN failed: Bad address"));
	CU_ASSERT(says("vm.nr_hugepages"));
	state.run_error = EIO;
	format(&state);
	CU_ASSERT_FALSE(says("vm.nr_hugepages"));
}

static void registers_may_be_missing(void)
{
	struct exit_state state = {.reason = KVM_EXIT_SHUTDOWN};
	format(&state);
	CU_ASSERT(says("triple-faulted"));
	CU_ASSERT_FALSE(says("rip="));
}

/* What KVM itself gives up on. The entry that fails and the unknown exit are read from the shared page first. */
static void failures_of_kvm_are_named(void)
{
	static const struct {
		uint32_t suberror;
		const char *words;
	} rows[] = {
		{KVM_INTERNAL_ERROR_SIMUL_EX, "two exceptions of the guest at once"},
		{KVM_INTERNAL_ERROR_DELIVERY_EV, "was not there while an exception"},
		{KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON, "for a reason that KVM does not know"},
		{99, "internal error 99"},
	};
	static struct kvm_run run;
	struct gmem gmem = {.n_regions = 0};
	struct exit_state state;

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		state = in_kernel(KVM_EXIT_INTERNAL_ERROR);
		state.internal.suberror = rows[i].suberror;
		state.internal.n_data = 2;
		state.internal.data[1] = 0xBEEF;
		format(&state);
		CU_ASSERT(says(rows[i].words));
		CU_ASSERT(says("it says 0x0, 0xbeef"));
	}
	memset(&run, 0, sizeof run);
	run.exit_reason = KVM_EXIT_FAIL_ENTRY;
	run.fail_entry.hardware_entry_failure_reason = 0x80000021;
	exit_report_read(&state, 0, -1, &run, 0, &gmem);
	format(&state);
	CU_ASSERT(says("0x80000021"));
	memset(&run, 0, sizeof run);
	run.exit_reason = KVM_EXIT_UNKNOWN;
	run.hw.hardware_exit_reason = 0x4D;
	exit_report_read(&state, 0, -1, &run, 0, &gmem);
	format(&state);
	CU_ASSERT(says("0x4d"));
}

/* At every length: never past the end, always a NUL, always the length of the whole. */
static void short_buffers_hold_the_beginning(void)
{
	struct exit_state state = in_kernel(KVM_EXIT_SHUTDOWN);
	size_t whole = exit_report_format(&state, text, sizeof text);
	for (size_t len = 0; len <= whole + 1; len++) {
		char *part = malloc(len ? len : 1);
		CU_ASSERT_EQUAL(exit_report_format(&state, part, len), whole);
		if (len) {
			CU_ASSERT_EQUAL(part[len - 1 < whole ? len - 1 : whole], '\0');
			CU_ASSERT_EQUAL(memcmp(part, text, len - 1 < whole ? len - 1 : whole), 0);
		}
		free(part);
	}
}

/* KVM's shared page is input: sizes in it may be anything. */
static void reading_clamps_what_kvm_says(void)
{
	static struct kvm_run run;
	struct gmem gmem = {.n_regions = 0};
	struct exit_state state;
	run.exit_reason = KVM_EXIT_INTERNAL_ERROR;
	run.internal.suberror = KVM_INTERNAL_ERROR_EMULATION;
	run.internal.ndata = 200;
	run.internal.data[0] = KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES;
	memset(&run.internal.data[1], 0xCC, 16);
	exit_report_read(&state, 0, -1, &run, 0, &gmem);
	CU_ASSERT_EQUAL(state.internal.n_data, 16);
	CU_ASSERT_EQUAL(state.n_code, EXIT_REPORT_CODE_MAX);
	CU_ASSERT_EQUAL(state.code[14], 0xCC);
	CU_ASSERT_FALSE(state.has_regs);

	/* An older KVM gives no bytes. */
	run.internal.ndata = 0;
	exit_report_read(&state, 0, -1, &run, 0, &gmem);
	CU_ASSERT_EQUAL(state.n_code, 0);
}

static const struct test_case cases[] = {
	{"emulation_failure_names_bytes_and_remedy", emulation_failure_names_bytes_and_remedy},
	{"user_mode_is_told_from_kernel_mode", user_mode_is_told_from_kernel_mode},
	{"other_internal_errors_show_their_data", other_internal_errors_show_their_data},
	{"triple_fault_is_the_guests", triple_fault_is_the_guests},
	{"entry_failure_and_unknown_exits", entry_failure_and_unknown_exits},
	{"failed_run_names_the_error", failed_run_names_the_error},
	{"registers_may_be_missing", registers_may_be_missing},
	{"failures_of_kvm_are_named", failures_of_kvm_are_named},
	{"short_buffers_hold_the_beginning", short_buffers_hold_the_beginning},
	{"reading_clamps_what_kvm_says", reading_clamps_what_kvm_says},
};

TEST_SUITE(exit_report, cases);
