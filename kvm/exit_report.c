#include "kvm/exit_report.h"

#include <cpuid.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "util/log.h"

/* Where a processor starts after power-on (Intel SDM, volume 3, table 10-1). */
#define RESET_RIP 0xFFF0
#define RESET_CS_BASE 0xFFFF0000

/* ---- Reading the state ----------------------------------------------- */

/* The byte at a linear address of the guest. */
static bool read_code_byte(int vcpu_fd, const struct gmem *gmem, uint64_t linear, uint8_t *byte)
{
	struct kvm_translation translation = {.linear_address = linear};
	if (ioctl(vcpu_fd, KVM_TRANSLATE, &translation) < 0 || !translation.valid)
		return false;
	const uint8_t *at = gmem_at(gmem, translation.physical_address, 1);
	if (at)
		*byte = *at;
	return at;
}

/* Intel SDM, volume 2, CPUID: leaf 1, ECX bit 5 (VMX). AMD APM, volume 3, E.4.2: leaf 0x80000001, ECX bit 2 (SVM). */
static bool processor_lacks_virt(void)
{
	unsigned a, b, c, d;
	bool vmx = __get_cpuid(1, &a, &b, &c, &d) && c & 1U << 5;
	bool svm = __get_cpuid(0x80000001, &a, &b, &c, &d) && c & 1U << 2;
	return !vmx && !svm;
}

/* What KVM itself gives: the bytes that it failed on (linux/kvm.h, struct emulation_failure: flags, then size and 15 bytes). */
static void take_reported_code(struct exit_state *state)
{
	if (state->reason != KVM_EXIT_INTERNAL_ERROR || state->internal.suberror != KVM_INTERNAL_ERROR_EMULATION)
		return;
	if (state->internal.n_data < 3 || !(state->internal.data[0] & KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES))
		return;
	uint8_t bytes[1 + EXIT_REPORT_CODE_MAX];
	memcpy(bytes, &state->internal.data[1], sizeof bytes);
	state->n_code = bytes[0] <= EXIT_REPORT_CODE_MAX ? bytes[0] : EXIT_REPORT_CODE_MAX;
	memcpy(state->code, bytes + 1, state->n_code);
}

static void read_exit(struct exit_state *state, const struct kvm_run *run)
{
	switch (run->exit_reason) {
	case KVM_EXIT_INTERNAL_ERROR:
		state->internal.suberror = run->internal.suberror;
		state->internal.n_data = run->internal.ndata <= 16 ? run->internal.ndata : 16;
		memcpy(state->internal.data, run->internal.data, state->internal.n_data * sizeof run->internal.data[0]);
		take_reported_code(state);
		break;
	case KVM_EXIT_FAIL_ENTRY:
		state->fail_entry.hardware_reason = run->fail_entry.hardware_entry_failure_reason;
		state->fail_entry.cpu = run->fail_entry.cpu;
		break;
	case KVM_EXIT_UNKNOWN:
		state->hardware_reason = run->hw.hardware_exit_reason;
		break;
	default:
		break;
	}
}

void exit_report_read(struct exit_state *state, unsigned vcpu, int vcpu_fd, const struct kvm_run *run, int run_error, const struct gmem *gmem)
{
	memset(state, 0, sizeof *state);
	state->vcpu = vcpu;
	state->run_error = run_error;
	state->host_lacks_virt = processor_lacks_virt();
	if (!run_error) {
		state->reason = run->exit_reason;
		read_exit(state, run);
	}
	state->has_regs = ioctl(vcpu_fd, KVM_GET_REGS, &state->regs) == 0 && ioctl(vcpu_fd, KVM_GET_SREGS, &state->sregs) == 0;
	if (!state->has_regs || state->n_code)
		return;
	uint64_t linear = state->sregs.cs.base + state->regs.rip;
	while (state->n_code < EXIT_REPORT_CODE_MAX && read_code_byte(vcpu_fd, gmem, linear + state->n_code, &state->code[state->n_code]))
		state->n_code++;
}

/* ---- Words ----------------------------------------------------------- */

struct text {
	char *at;
	size_t len;
	size_t used; /* may pass len: what the whole text takes */
};

__attribute__((format(printf, 2, 3))) static void add(struct text *text, const char *fmt, ...)
{
	size_t room = text->used < text->len ? text->len - text->used : 0;
	char *at = room ? text->at + text->used : NULL;
	va_list args;
	va_start(args, fmt);
	int n = vsnprintf(at, room, fmt, args);
	va_end(args);
	if (n > 0)
		text->used += (size_t)n;
}

/* Bits 0 and 1 of a code segment's selector are the privilege level, but in real mode. */
static unsigned privilege(const struct kvm_sregs *sregs)
{
	return sregs->cr0 & 1 ? sregs->cs.selector & 3U : 0;
}

static void add_remedy(struct text *text)
{
	add(text, "\nthis host's processor offers no hardware virtualisation, so its KVM interprets the guest's kernel and lacks the rarer instructions");
	add(text, "\nuse a host with Intel VT-x or AMD-V, switched on in its firmware, or nested virtualisation if the host is itself a VM");
}

static void add_emulation(struct text *text, const struct exit_state *state)
{
	add(text, "this host's KVM cannot run this guest: it met an instruction%s that it does not emulate",
	    state->has_regs && privilege(&state->sregs) == 0 ? " of the guest's kernel" : "");
	if (state->n_code)
		add(text, " (bytes");
	for (unsigned i = 0; i < state->n_code; i++)
		add(text, " %02x", state->code[i]);
	add(text, "%s", state->n_code ? ")" : "");
	if (state->host_lacks_virt)
		add_remedy(text);
	else
		add(text, "\nKVM emulates what touches devices, and code in odd processor modes; a newer host kernel may know this instruction");
}

static void add_internal_error(struct text *text, const struct exit_state *state)
{
	switch (state->internal.suberror) {
	case KVM_INTERNAL_ERROR_EMULATION:
		add_emulation(text, state);
		return;
	case KVM_INTERNAL_ERROR_SIMUL_EX:
		add(text, "this host's KVM failed: two exceptions of the guest at once, which it cannot deliver");
		break;
	case KVM_INTERNAL_ERROR_DELIVERY_EV:
		add(text, "this host's KVM failed: the guest's memory was not there while an exception was being delivered");
		break;
	case KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON:
		add(text, "this host's KVM failed: the processor left the guest for a reason that KVM does not know");
		break;
	default:
		add(text, "this host's KVM failed with internal error %" PRIu32, state->internal.suberror);
	}
	for (uint32_t i = 0; i < state->internal.n_data; i++)
		add(text, "%s0x%" PRIx64, i ? ", " : "; it says ", state->internal.data[i]);
	add(text, "\nthe host's kernel log (dmesg) may say more; a newer host kernel may help");
}

static void add_run_error(struct text *text, const struct exit_state *state)
{
	add(text, "KVM_RUN failed: %s", strerror(state->run_error));
	if (state->run_error == EFAULT || state->run_error == ENOMEM || state->run_error == EHWPOISON)
		add(text, "\nthe host could not provide memory for the guest: free some, or, with memory.hugepages, enlarge the pool (vm.nr_hugepages)");
	else
		add(text, "\nthe host's kernel log (dmesg) may say more");
}

static void add_triple_fault(struct text *text, const struct exit_state *state)
{
	add(text, "the guest triple-faulted: an exception met no handler, and neither did the double fault that followed");
	if (state->has_regs && state->regs.rip == RESET_RIP && state->sregs.cs.base == RESET_CS_BASE)
		add(text, "\nthis host's processor does not keep the registers of that moment: below are those of a reset");
	if (state->host_lacks_virt && state->has_regs && privilege(&state->sregs) == 0)
		add_remedy(text);
}

static void add_failure(struct text *text, const struct exit_state *state)
{
	if (state->run_error) {
		add_run_error(text, state);
		return;
	}
	switch (state->reason) {
	case KVM_EXIT_INTERNAL_ERROR:
		add_internal_error(text, state);
		break;
	case KVM_EXIT_SHUTDOWN:
		add_triple_fault(text, state);
		break;
	case KVM_EXIT_FAIL_ENTRY:
		add(text, "this host's processor refused to enter the guest: reason 0x%" PRIx64 ", on host processor %" PRIu32 "\n",
		    state->fail_entry.hardware_reason, state->fail_entry.cpu);
		add(text, "this is a defect of the host's KVM or firmware, or of this program; the host's kernel log (dmesg) may say more");
		break;
	case KVM_EXIT_UNKNOWN:
		add(text, "this host's KVM left the guest for a reason that it does not know: hardware reason 0x%" PRIx64, state->hardware_reason);
		break;
	default:
		add(text, "this host's KVM left the guest for reason %" PRIu32 ", which this program does not serve", state->reason);
	}
}

static void add_regs(struct text *text, const struct kvm_regs *r, const struct kvm_sregs *s)
{
	const char *mode = s->efer & 0x400 ? (s->cs.l ? "64-bit" : "compatibility") : s->cr0 & 1 ? "protected" : "real";
	add(text, "\n%s mode, privilege level %u", mode, privilege(s));
	add(text, "\nrip=%016llx rsp=%016llx rflags=%08llx", r->rip, r->rsp, r->rflags);
	add(text, "\nrax=%016llx rbx=%016llx rcx=%016llx rdx=%016llx", r->rax, r->rbx, r->rcx, r->rdx);
	add(text, "\nrsi=%016llx rdi=%016llx rbp=%016llx", r->rsi, r->rdi, r->rbp);
	add(text, "\nr8 =%016llx r9 =%016llx r10=%016llx r11=%016llx", r->r8, r->r9, r->r10, r->r11);
	add(text, "\nr12=%016llx r13=%016llx r14=%016llx r15=%016llx", r->r12, r->r13, r->r14, r->r15);
	add(text, "\ncr0=%08llx cr2=%016llx cr3=%016llx cr4=%08llx efer=%04llx", s->cr0, s->cr2, s->cr3, s->cr4, s->efer);
	add(text, "\ncs=%04x base=%llx ss=%04x gdt=%llx+%x idt=%llx+%x tr=%04x", s->cs.selector, s->cs.base, s->ss.selector, s->gdt.base, s->gdt.limit,
	    s->idt.base, s->idt.limit, s->tr.selector);
}

size_t exit_report_format(const struct exit_state *state, char *buffer, size_t len)
{
	struct text text = {buffer, len, 0};
	if (len)
		buffer[0] = '\0';
	add_failure(&text, state);
	if (!state->has_regs)
		return text.used;
	add_regs(&text, &state->regs, &state->sregs);
	add(&text, "\ncode at rip:");
	for (unsigned i = 0; i < state->n_code; i++)
		add(&text, " %02x", state->code[i]);
	add(&text, "%s", state->n_code ? "" : " not readable");
	return text.used;
}

void exit_report_log(const struct exit_state *state)
{
	char text[4096], who[16];
	exit_report_format(state, text, sizeof text);
	snprintf(who, sizeof who, "vcpu%u", state->vcpu);
	char *rest = text;
	for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n"))
		log_line(LOG_LEVEL_ERROR, who, "%s", line);
}
