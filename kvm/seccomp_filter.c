#include "kvm/seccomp_filter.h"

#include <asm/termbits.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/kvm.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kvm/pagemap_scan.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif
/* Linux 6.13; glibc 2.42 makes the guards of thread stacks of it. */
#define ADVICE_GUARD_INSTALL 102
#define ADVICE_GUARD_REMOVE 103

/* ---- Who may call what ----------------------------------------------- */

/* A vCPU inherits the loop's filter, so what a vCPU may the loop may as well. */
#define LOOP (1u << THREAD_LOOP)
#define VCPU (LOOP | 1u << THREAD_VCPU)
#define LOADER (1u << THREAD_LOADER)
#define ALL (VCPU | LOADER)

#define MAX_ARGS 2
struct rule {
	int number;
	unsigned who;
	unsigned n_args;
	struct scmp_arg_cmp args[MAX_ARGS];
};

#define BITS_ARE(index, mask, value)                                                                                        \
	{                                                                                                                   \
		.arg = (index), .op = SCMP_CMP_MASKED_EQ, .datum_a = (scmp_datum_t)(mask), .datum_b = (scmp_datum_t)(value) \
	}
#define IS(index, value)                                                            \
	{                                                                           \
		.arg = (index), .op = SCMP_CMP_EQ, .datum_a = (scmp_datum_t)(value) \
	}
/* All 64 bits count: a number with a higher bit set is more. */
#define IS_LESS(index, value)                                                       \
	{                                                                           \
		.arg = (index), .op = SCMP_CMP_LT, .datum_a = (scmp_datum_t)(value) \
	}
/* The kernel takes the low half of these arguments and drops the rest. */
#define LOW_IS(index, value) BITS_ARE(index, UINT32_MAX, (uint32_t)(value))

/* glibc's pthread_create() has more flags; without these it would be a process. */
#define THREAD_FLAGS (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM)

static const struct rule rules[] = {
	/* What runs a guest. */
	{SYS_ioctl, VCPU, 1, {LOW_IS(1, KVM_RUN)}},
	{SYS_ioctl, VCPU, 1, {LOW_IS(1, KVM_IRQ_LINE)}},
	{SYS_ioctl, VCPU, 1, {LOW_IS(1, KVM_SIGNAL_MSI)}},

	/* The report on a vCPU that died. */
	{SYS_ioctl, VCPU, 1, {LOW_IS(1, KVM_GET_REGS)}},
	{SYS_ioctl, VCPU, 1, {LOW_IS(1, KVM_GET_SREGS)}},
	{SYS_ioctl, VCPU, 1, {LOW_IS(1, KVM_TRANSLATE)}},

	/* A reset makes a VM anew; memory slots also change when a hinting run begins and ends. */
	{SYS_ioctl, LOOP, 1, {LOW_IS(1, KVM_CREATE_VM)}},
	{SYS_ioctl, LOOP, 1, {LOW_IS(1, KVM_SET_USER_MEMORY_REGION)}},
	{SYS_ioctl, LOOP, 1, {LOW_IS(1, KVM_SET_IDENTITY_MAP_ADDR)}},
	{SYS_ioctl, LOOP, 1, {LOW_IS(1, KVM_SET_TSS_ADDR)}},
	{SYS_ioctl, LOOP, 1, {LOW_IS(1, KVM_CREATE_IRQCHIP)}},
	{SYS_ioctl, LOOP, 1, {LOW_IS(1, KVM_CREATE_PIT2)}},
	{SYS_ioctl, LOOP, 1, {LOW_IS(1, KVM_SET_GSI_ROUTING)}},
	{SYS_ioctl, LOOP, 1, {LOW_IS(1, KVM_CREATE_VCPU)}},
	{SYS_ioctl, LOOP, 1, {LOW_IS(1, KVM_SET_CPUID2)}},
	{SYS_ioctl, LOOP, 1, {LOW_IS(1, KVM_GET_MSRS)}},
	{SYS_ioctl, LOOP, 1, {LOW_IS(1, KVM_SET_MSRS)}},
	{SYS_ioctl, LOOP, 1, {LOW_IS(1, KVM_SET_SREGS)}},
	{SYS_ioctl, LOOP, 1, {LOW_IS(1, KVM_SET_REGS)}},
	{SYS_dup3, LOOP, 0, {{0}}},
	{SYS_pread64, LOOP | LOADER, 0, {{0}}}, /* the payload, which is open */

	/* Pausing, hinting, looking at guest memory. */
	{SYS_ioctl, LOOP, 1, {LOW_IS(1, KVM_KVMCLOCK_CTRL)}},
	{SYS_ioctl, LOOP, 1, {LOW_IS(1, KVM_GET_DIRTY_LOG)}},
	{SYS_ioctl, LOOP, 1, {LOW_IS(1, PAGEMAP_SCAN)}},
	{SYS_mincore, LOOP, 0, {{0}}},

	/* Giving guest memory back. */
	{SYS_process_madvise, VCPU, 1, {LOW_IS(3, MADV_DONTNEED)}},
	{SYS_fallocate, VCPU, 1, {LOW_IS(1, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)}},
	{SYS_madvise, ALL, 1, {LOW_IS(2, MADV_DONTNEED)}},
	{SYS_madvise, LOOP, 1, {LOW_IS(2, MADV_POPULATE_WRITE)}},

	/* Memory, for malloc and for stacks of threads: none of it can be executed. */
	{SYS_mmap, ALL, 1, {BITS_ARE(2, PROT_EXEC, 0)}},
	{SYS_mprotect, ALL, 1, {BITS_ARE(2, PROT_EXEC, 0)}},
	{SYS_munmap, ALL, 0, {{0}}},
	{SYS_mremap, ALL, 0, {{0}}},
	{SYS_brk, ALL, 0, {{0}}},
	{SYS_madvise, ALL, 1, {LOW_IS(2, MADV_FREE)}},
	{SYS_madvise, ALL, 1, {LOW_IS(2, MADV_HUGEPAGE)}},
	{SYS_madvise, LOOP, 1, {LOW_IS(2, ADVICE_GUARD_INSTALL)}},
	{SYS_madvise, LOOP, 1, {LOW_IS(2, ADVICE_GUARD_REMOVE)}},
	{SYS_getrandom, ALL, 0, {{0}}},
	{SYS_sched_getaffinity, ALL, 0, {{0}}}, /* malloc: how many arenas */

	/* Locks, time, deferred work. */
	{SYS_futex, ALL, 0, {{0}}},
	{SYS_restart_syscall, ALL, 0, {{0}}},
	{SYS_clock_gettime, ALL, 0, {{0}}}, /* these three: where the vDSO cannot tell */
	{SYS_gettimeofday, ALL, 0, {{0}}},
	{SYS_time, ALL, 0, {{0}}},
	{SYS_timerfd_settime, VCPU, 0, {{0}}},
	{SYS_write, ALL, 0, {{0}}},

	/* Log lines, and the last words of abort() and of libc. */
	{SYS_poll, ALL, 0, {{0}}},
	{SYS_writev, ALL, 0, {{0}}},
	{SYS_ioctl, ALL, 1, {LOW_IS(1, TCGETS)}},
	{SYS_ioctl, ALL, 1, {LOW_IS(1, TCGETS2)}}, /* glibc 2.42 */

	/* The end: the terminal is given back by whichever thread fails. */
	{SYS_ioctl, ALL, 1, {LOW_IS(1, TCSETS)}},
	{SYS_ioctl, ALL, 1, {LOW_IS(1, TCSETS2)}},
	{SYS_ioctl, ALL, 1, {LOW_IS(1, TIOCGPGRP)}},
	{SYS_getpgrp, ALL, 0, {{0}}},
	{SYS_getpgid, ALL, 0, {{0}}},
	{SYS_fcntl, ALL, 1, {LOW_IS(1, F_SETFL)}},
	{SYS_exit, ALL, 0, {{0}}},
	{SYS_exit_group, ALL, 0, {{0}}},

	/* Signals. Whoever could take SIGSYS for himself would break rules unseen. */
	{SYS_rt_sigaction, ALL, 1, {IS_LESS(0, SIGSYS)}},
	{SYS_rt_sigaction, ALL, 2, {IS(0, SIGSYS), IS(1, 0)}},
	{SYS_rt_sigaction, LOOP, 1, {IS(0, 33)}}, /* glibc takes it for setuid() when it makes the first thread */
	{SYS_rt_sigprocmask, ALL, 0, {{0}}},
	{SYS_rt_sigreturn, ALL, 0, {{0}}},
	{SYS_getpid, ALL, 0, {{0}}},
	{SYS_gettid, ALL, 0, {{0}}},

	/* A new vCPU's thread, up to where it enters its own filter. */
	{SYS_clone, LOOP, 1, {BITS_ARE(0, THREAD_FLAGS, THREAD_FLAGS)}},
	{SYS_set_robust_list, LOOP, 0, {{0}}},
	{SYS_rseq, LOOP, 0, {{0}}},
	{SYS_prctl, LOOP, 1, {LOW_IS(0, PR_SET_NAME)}},
	{SYS_seccomp, LOOP, 2, {LOW_IS(0, SECCOMP_SET_MODE_FILTER), IS(1, 0)}},

	/* The event loop, the console, QMP. */
	{SYS_epoll_wait, LOOP, 0, {{0}}},
	{SYS_epoll_pwait, LOOP, 0, {{0}}},
	{SYS_epoll_ctl, LOOP, 0, {{0}}},
	{SYS_read, LOOP, 0, {{0}}},
	{SYS_close, LOOP, 0, {{0}}},
	{SYS_accept4, LOOP, 0, {{0}}},
	{SYS_getsockopt, LOOP, 2, {LOW_IS(1, SOL_SOCKET), LOW_IS(2, SO_PEERCRED)}},
	{SYS_geteuid, LOOP, 0, {{0}}},
	{SYS_recvfrom, LOOP, 0, {{0}}},
	{SYS_sendto, LOOP, 1, {IS(4, 0)}}, /* to nobody but the one who is connected */
	{SYS_fcntl, LOOP, 1, {LOW_IS(1, F_GETFL)}},

	/* Removing the socket, leaving main(). */
	{SYS_fstat, LOOP, 0, {{0}}},
	{SYS_newfstatat, LOOP, 0, {{0}}},
	{SYS_unlink, LOOP, 0, {{0}}},
	{SYS_unlinkat, LOOP, 0, {{0}}},
	{SYS_lseek, LOOP, 0, {{0}}}, /* exit() puts standard input where the program has read up to */
};

const char *thread_kind_name(enum thread_kind kind)
{
	static const char *const names[] = {[THREAD_LOOP] = "event loop", [THREAD_VCPU] = "vCPU", [THREAD_LOADER] = "loader"};
	return names[kind];
}

/* ---- Building -------------------------------------------------------- */

static int add_rules(scmp_filter_ctx ctx, enum thread_kind kind)
{
	int ret = 0;
	for (size_t i = 0; i < sizeof rules / sizeof rules[0] && ret == 0; i++) {
		const struct rule *rule = &rules[i];
		if (rule->who & 1u << kind)
			ret = seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, rule->number, rule->n_args, rule->args);
	}
	/* raise(), abort() and pthread_kill(). */
	const struct scmp_arg_cmp ours = LOW_IS(0, getpid());
	if (ret == 0)
		ret = seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, SYS_tgkill, 1, &ours);
	/* Its flags lie in memory, where no filter can see them. glibc then takes clone(). */
	if (ret == 0 && kind == THREAD_LOOP)
		ret = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SYS_clone3, 0);
	/* A filter is read from its top, and this is what vCPUs call. */
	if (ret == 0)
		ret = seccomp_syscall_priority(ctx, SYS_ioctl, UINT8_MAX);
	return ret;
}

/* libseccomp writes to a file descriptor only. */
static int read_program(int fd, struct seccomp_filter *filter)
{
	off_t bytes = lseek(fd, 0, SEEK_CUR);
	if (bytes < 0)
		return -errno;
	filter->code = malloc((size_t)bytes);
	if (!filter->code)
		return -ENOMEM;
	ssize_t n = pread(fd, filter->code, (size_t)bytes, 0);
	if (n != bytes) {
		seccomp_filter_finish(filter);
		return n < 0 ? -errno : -EIO;
	}
	filter->len = (size_t)bytes / sizeof filter->code[0];
	return 0;
}

static int export(scmp_filter_ctx ctx, struct seccomp_filter *filter)
{
	int fd = memfd_create("seccomp filter", MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	int ret = seccomp_export_bpf(ctx, fd);
	if (ret == 0)
		ret = read_program(fd, filter);
	close(fd);
	return ret;
}

int seccomp_filter_build(struct seccomp_filter *filter, enum thread_kind kind)
{
	*filter = (struct seccomp_filter){0};
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_TRAP);
	if (!ctx)
		return -ENOMEM;
	/* Calls of another architecture have other numbers: nobody makes them by mistake. */
	int ret = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	if (ret == 0)
		ret = add_rules(ctx, kind);
	if (ret == 0)
		ret = export(ctx, filter);
	seccomp_release(ctx);
	return ret;
}

int seccomp_filter_install(const struct seccomp_filter *filter)
{
	const struct sock_fprog program = {.len = (unsigned short)filter->len, .filter = filter->code};
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0UL, &program) < 0 ? -errno : 0;
}

void seccomp_filter_finish(struct seccomp_filter *filter)
{
	free(filter->code);
	*filter = (struct seccomp_filter){0};
}
