/*
 * What to tell the user when a vCPU cannot go on: what failed, why that may
 * be, where the guest was, and what can be done about it.
 */
#ifndef KVM_EXIT_REPORT_H
#define KVM_EXIT_REPORT_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "device/host.h"

/* x86 instructions are at most 15 bytes long (Intel SDM, volume 2, 2.3.11). */
#define EXIT_REPORT_CODE_MAX 15

/* The vCPU at the moment of its failure. */
struct exit_state {
	unsigned vcpu;
	uint32_t reason; /* KVM_EXIT_*; meaningless when run_error is set */
	int run_error;	 /* errno of KVM_RUN, 0 when it returned an exit */
	union {
		struct {
			uint32_t suberror; /* KVM_INTERNAL_ERROR_* */
			uint32_t n_data;
			uint64_t data[16];
		} internal; /* KVM_EXIT_INTERNAL_ERROR */
		struct {
			uint64_t hardware_reason;
			uint32_t cpu;	  /* of the host */
		} fail_entry;		  /* KVM_EXIT_FAIL_ENTRY */
		uint64_t hardware_reason; /* KVM_EXIT_UNKNOWN */
	};
	bool host_lacks_virt; /* the host's processor shows neither VT-x nor AMD-V: its KVM interprets the guest's kernel */
	bool has_regs;
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	uint8_t code[EXIT_REPORT_CODE_MAX]; /* the instruction at RIP, n_code bytes of it */
	unsigned n_code;
};

/*
 * Reads the state of a vCPU whose KVM_RUN just returned run_error (0 for an
 * exit). On the vCPU's thread. What KVM does not tell stays empty.
 */
void exit_report_read(struct exit_state *state, unsigned vcpu, int vcpu_fd, const struct kvm_run *run, int run_error, const struct gmem *gmem);

/*
 * Writes the report, lines separated by newlines without one at the end, as
 * snprintf would: at most len - 1 bytes and a NUL; returns the whole length.
 */
size_t exit_report_format(const struct exit_state *state, char *text, size_t len);

/* Logs the report line by line at LOG_LEVEL_ERROR. */
void exit_report_log(const struct exit_state *state);

#endif
