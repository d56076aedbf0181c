#include <CUnit/CUnit.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <linux/seccomp.h>
#include <pty.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "cli/terminal.h"
#include "tests/unit/sandbox_fixture.h"
#include "tests/unit/suite.h"

#define ON_LOOP (1u << THREAD_LOOP)
#define ON_VCPU (1u << THREAD_VCPU)
#define ON_LOADER (1u << THREAD_LOADER)
#define ON_ALL (ON_LOOP | ON_VCPU | ON_LOADER)
#define ON_BUT_LOOP (ON_VCPU | ON_LOADER)

struct action {
	const char *what;
	unsigned where;
	long number;
	long args[6];
};

#define TEXT(literal) ((long)(literal))

/* An address that nobody listens at. */
static const struct sockaddr address = {.sa_family = AF_INET};

static const struct action actions[] = {
	/* files */
	{"read a file", ON_ALL, SYS_openat, {AT_FDCWD, TEXT("/etc/passwd"), O_RDONLY}},
	{"read a file by open", ON_ALL, SYS_open, {TEXT("/etc/passwd"), O_RDONLY}},
	{"read a file by openat2", ON_ALL, SYS_openat2, {AT_FDCWD, TEXT("/etc/passwd"), TEXT(""), 24}},
	{"make a file", ON_ALL, SYS_openat, {AT_FDCWD, TEXT("/tmp/sandbox_test.new"), O_WRONLY | O_CREAT, 0600}},
	{"make a file by creat", ON_ALL, SYS_creat, {TEXT("/tmp/sandbox_test.new"), 0600}},
	{"open a file by handle", ON_ALL, SYS_open_by_handle_at, {AT_FDCWD}},
	{"open the KVM device anew", ON_ALL, SYS_openat, {AT_FDCWD, TEXT("/dev/kvm"), O_RDWR}},
	{"make a folder", ON_ALL, SYS_mkdir, {TEXT("/tmp/sandbox_test.new"), 0700}},
	{"make a folder by mkdirat", ON_ALL, SYS_mkdirat, {AT_FDCWD, TEXT("/tmp/sandbox_test.new"), 0700}},
	{"remove a folder", ON_ALL, SYS_rmdir, {TEXT("/tmp/sandbox_test.new")}},
	{"rename", ON_ALL, SYS_rename, {TEXT("/tmp/a"), TEXT("/tmp/b")}},
	{"rename by renameat2", ON_ALL, SYS_renameat2, {AT_FDCWD, TEXT("/tmp/a"), AT_FDCWD, TEXT("/tmp/b")}},
	{"link", ON_ALL, SYS_linkat, {AT_FDCWD, TEXT("/etc/passwd"), AT_FDCWD, TEXT("/tmp/b")}},
	{"make a symbolic link", ON_ALL, SYS_symlinkat, {TEXT("/etc/passwd"), AT_FDCWD, TEXT("/tmp/b")}},
	{"make a device", ON_ALL, SYS_mknodat, {AT_FDCWD, TEXT("/tmp/b"), S_IFCHR, 0}},
	{"chmod", ON_ALL, SYS_fchmodat, {AT_FDCWD, TEXT("/etc/passwd"), 0777}},
	{"fchmod", ON_ALL, SYS_fchmod, {0, 0777}},
	{"chown", ON_ALL, SYS_fchownat, {AT_FDCWD, TEXT("/etc/passwd"), 1, 1, 0}},
	{"truncate", ON_ALL, SYS_truncate, {TEXT("/etc/passwd"), 0}},
	{"ftruncate", ON_ALL, SYS_ftruncate, {1, 0}},
	{"change the folder", ON_ALL, SYS_chdir, {TEXT("/")}},
	{"list a folder", ON_ALL, SYS_getdents64, {0}},
	{"remove a file", ON_BUT_LOOP, SYS_unlink, {TEXT("/tmp/sandbox_test.new")}},
	{"remove a file by unlinkat", ON_BUT_LOOP, SYS_unlinkat, {AT_FDCWD, TEXT("/tmp/sandbox_test.new"), 0}},
	{"see whether a file is there", ON_BUT_LOOP, SYS_newfstatat, {AT_FDCWD, TEXT("/etc/passwd")}},
	{"watch files", ON_ALL, SYS_inotify_init1, {0}},
	{"take a lease on a file", ON_ALL, SYS_fcntl, {0, F_SETLEASE, F_RDLCK}},
	{"choose who gets signals of a file", ON_ALL, SYS_fcntl, {0, F_SETOWN, 1}},
	{"allocate a file", ON_ALL, SYS_fallocate, {1, 0, 0, 4096}},
	{"make a file in memory", ON_ALL, SYS_memfd_create, {TEXT("x"), 0}},

	/* network */
	{"make an internet socket", ON_ALL, SYS_socket, {AF_INET, SOCK_STREAM, 0}},
	{"make a local socket", ON_ALL, SYS_socket, {AF_UNIX, SOCK_STREAM, 0}},
	{"make a packet socket", ON_ALL, SYS_socket, {AF_PACKET, SOCK_RAW, 0}},
	{"make a netlink socket", ON_ALL, SYS_socket, {AF_NETLINK, SOCK_RAW, 0}},
	{"make a pair of sockets", ON_ALL, SYS_socketpair, {AF_UNIX, SOCK_STREAM, 0}},
	{"connect", ON_ALL, SYS_connect, {0, TEXT(&address), sizeof address}},
	{"bind", ON_ALL, SYS_bind, {0, TEXT(&address), sizeof address}},
	{"listen", ON_ALL, SYS_listen, {0, 1}},
	{"send to an address", ON_ALL, SYS_sendto, {0, TEXT("x"), 1, 0, TEXT(&address), sizeof address}},
	{"pass a descriptor on", ON_ALL, SYS_sendmsg, {0}},
	{"let a client in", ON_BUT_LOOP, SYS_accept4, {0}},
	{"talk to a client", ON_BUT_LOOP, SYS_sendto, {0, TEXT("x"), 1}},
	{"read", ON_BUT_LOOP, SYS_read, {0}},

	/* other programs and processes */
	{"start a program", ON_ALL, SYS_execve, {TEXT("/bin/true"), 0, 0}},
	{"start a program by execveat", ON_ALL, SYS_execveat, {AT_FDCWD, TEXT("/bin/true"), 0, 0, 0}},
	{"fork", ON_ALL, SYS_fork, {0}},
	{"vfork", ON_ALL, SYS_vfork, {0}},
	{"clone a process", ON_ALL, SYS_clone, {SIGCHLD}},
	{"clone a process that shares memory", ON_ALL, SYS_clone, {CLONE_VM | CLONE_FILES | SIGCHLD}},
	{"clone into namespaces", ON_ALL, SYS_clone, {CLONE_NEWUSER | SIGCHLD}},
	{"make a thread", ON_BUT_LOOP, SYS_clone, {CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM}},
	{"make a thread by clone3", ON_BUT_LOOP, SYS_clone3, {0, 0}},
	{"trace", ON_ALL, SYS_ptrace, {0}},
	{"read another's memory", ON_ALL, SYS_process_vm_readv, {1}},
	{"write another's memory", ON_ALL, SYS_process_vm_writev, {1}},
	{"compare with another", ON_ALL, SYS_kcmp, {1, 1}},
	{"kill", ON_ALL, SYS_kill, {1, 0}},
	{"kill all", ON_ALL, SYS_kill, {-1, 0}},
	{"kill a thread of another", ON_ALL, SYS_tgkill, {1, 1, 0}},
	{"kill any thread", ON_ALL, SYS_tkill, {1, 0}},
	{"queue a signal", ON_ALL, SYS_rt_sigqueueinfo, {1, 0}},
	{"get hold of a process", ON_ALL, SYS_pidfd_open, {1, 0}},
	{"take a descriptor from a process", ON_ALL, SYS_pidfd_getfd, {0}},
	{"signal a process by descriptor", ON_ALL, SYS_pidfd_send_signal, {0}},
	{"change limits", ON_ALL, SYS_prlimit64, {0, 0, 0, 0}},
	{"change scheduling", ON_ALL, SYS_sched_setscheduler, {0, 0, 0}},
	{"change affinity", ON_ALL, SYS_sched_setaffinity, {0, 0, 0}},
	{"share memory", ON_ALL, SYS_shmget, {1, 4096, 0}},
	{"leave the session", ON_ALL, SYS_setsid, {0}},

	/* privileges and the kernel */
	{"mount", ON_ALL, SYS_mount, {TEXT("none"), TEXT("/mnt"), TEXT("tmpfs")}},
	{"unmount", ON_ALL, SYS_umount2, {TEXT("/proc"), MNT_DETACH}},
	{"pick a mount", ON_ALL, SYS_open_tree, {AT_FDCWD, TEXT("/")}},
	{"make a mount", ON_ALL, SYS_fsopen, {TEXT("tmpfs")}},
	{"pivot_root", ON_ALL, SYS_pivot_root, {TEXT("/"), TEXT("/")}},
	{"chroot", ON_ALL, SYS_chroot, {TEXT("/")}},
	{"make namespaces", ON_ALL, SYS_unshare, {CLONE_NEWUSER}},
	{"enter a namespace", ON_ALL, SYS_setns, {0, 0}},
	{"become root", ON_ALL, SYS_setresuid, {0, 0, 0}},
	{"become root's group", ON_ALL, SYS_setresgid, {0, 0, 0}},
	{"join groups", ON_ALL, SYS_setgroups, {0, 0}},
	{"gain capabilities", ON_ALL, SYS_capset, {0, 0}},
	{"be dumped", ON_ALL, SYS_prctl, {PR_SET_DUMPABLE, 1}},
	{"filter by prctl", ON_ALL, SYS_prctl, {PR_SET_SECCOMP, 2}},
	{"call it otherwise", ON_BUT_LOOP, SYS_prctl, {PR_SET_NAME, TEXT("x")}},
	{"filter more", ON_BUT_LOOP, SYS_seccomp, {SECCOMP_SET_MODE_FILTER, 0, 0}},
	{"decide over calls", ON_ALL, SYS_seccomp, {SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, 0}},
	{"load a BPF program", ON_ALL, SYS_bpf, {0}},
	{"open a performance counter", ON_ALL, SYS_perf_event_open, {0}},
	{"make a ring for system calls", ON_ALL, SYS_io_uring_setup, {1, 0}},
	{"handle page faults", ON_ALL, SYS_userfaultfd, {0}},
	{"use the kernel's keys", ON_ALL, SYS_keyctl, {0}},
	{"add a key", ON_ALL, SYS_add_key, {0}},
	{"load a module", ON_ALL, SYS_init_module, {0}},
	{"load a module from a file", ON_ALL, SYS_finit_module, {0}},
	{"load another kernel", ON_ALL, SYS_kexec_load, {0}},
	{"reboot", ON_ALL, SYS_reboot, {0}},
	{"use I/O ports", ON_ALL, SYS_iopl, {3}},
	{"change segments", ON_ALL, SYS_modify_ldt, {0}},
	{"change the personality", ON_ALL, SYS_personality, {0x40000}},
	{"set the clock", ON_ALL, SYS_settimeofday, {0, 0}},
	{"set the host's name", ON_ALL, SYS_sethostname, {TEXT("x"), 1}},
	{"swap", ON_ALL, SYS_swapon, {TEXT("/tmp/x")}},
	{"make no call that there is", ON_ALL, 9999, {0}},

	/* memory */
	{"map memory to execute", ON_ALL, SYS_mmap, {0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0}},
	{"map memory to write and execute", ON_ALL, SYS_mmap, {0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0}},
	{"make memory executable", ON_ALL, SYS_mprotect, {0, 4096, PROT_READ | PROT_EXEC}},
	{"make memory executable with a key", ON_ALL, SYS_pkey_mprotect, {0, 4096, PROT_EXEC, -1}},
	{"have guest RAM dumped", ON_ALL, SYS_madvise, {0, 0, MADV_DODUMP}},
	{"merge memory", ON_ALL, SYS_madvise, {0, 0, MADV_MERGEABLE}},
	{"populate memory", ON_BUT_LOOP, SYS_madvise, {0, 0, MADV_POPULATE_WRITE}},
	{"lock memory", ON_ALL, SYS_mlock, {0, 0}},
	{"advise to page out", ON_ALL, SYS_process_madvise, {-1, 0, 0, MADV_PAGEOUT, 0}},
	{"discard by descriptor", ON_LOADER, SYS_process_madvise, {-1, 0, 0, MADV_DONTNEED, 0}},

	/* signals: the handler that reports a violation stays */
	{"handle SIGSYS", ON_ALL, SYS_rt_sigaction, {SIGSYS, TEXT(""), 0, 8}},
	{"handle SIGSYS, with bits that the kernel drops", ON_ALL, SYS_rt_sigaction, {SIGSYS | 1L << 32, TEXT(""), 0, 8}},
	{"handle a real-time signal", ON_ALL, SYS_rt_sigaction, {40, TEXT(""), 0, 8}},

	/* devices */
	{"type into the terminal", ON_ALL, SYS_ioctl, {0, TIOCSTI, TEXT("x")}},
	{"take the terminal", ON_ALL, SYS_ioctl, {0, TIOCSCTTY, 0}},
	{"ask a file for its bytes", ON_ALL, SYS_ioctl, {0, FIONREAD, 0}},
	{"make a KVM device", ON_ALL, SYS_ioctl, {0, KVM_CREATE_DEVICE, 0}},
	{"switch a KVM capability on", ON_ALL, SYS_ioctl, {0, KVM_ENABLE_CAP, 0}},
	{"watch an event for KVM", ON_ALL, SYS_ioctl, {0, KVM_IRQFD, 0}},
	{"debug a vCPU", ON_ALL, SYS_ioctl, {0, KVM_SET_GUEST_DEBUG, 0}},
	{"make a VM", ON_BUT_LOOP, SYS_ioctl, {0, KVM_CREATE_VM, 0}},
	{"make a vCPU", ON_BUT_LOOP, SYS_ioctl, {0, KVM_CREATE_VCPU, 0}},
	{"set a vCPU's registers", ON_BUT_LOOP, SYS_ioctl, {0, KVM_SET_REGS, 0}},
	{"look at the dirty log", ON_BUT_LOOP, SYS_ioctl, {0, KVM_GET_DIRTY_LOG, 0}},
	{"run a vCPU", ON_LOADER, SYS_ioctl, {0, KVM_RUN, 0}},
	{"map memory into a VM", ON_BUT_LOOP, SYS_ioctl, {0, KVM_SET_USER_MEMORY_REGION, 0}},
	{"raise an interrupt", ON_LOADER, SYS_ioctl, {0, KVM_IRQ_LINE, 0}},
};

static void act(const void *arg)
{
	const struct action *action = arg;
	const long *args = action->args;
	syscall(action->number, args[0], args[1], args[2], args[3], args[4], args[5]);
}

static void expect_refusal(const struct action *action, enum thread_kind kind)
{
	char wanted[128], number[32];
	const char *name = syscall_name((int)action->number);
	snprintf(number, sizeof number, "system call %ld", action->number);
	snprintf(wanted, sizeof wanted, "error: sandbox: the %s thread called %s in a way that it has no use for", thread_kind_name(kind),
		 name ? name : number);
	struct sb_ended ended = sb_run_inside(kind, act, action);
	sb_check(WIFEXITED(ended.status) && WEXITSTATUS(ended.status) == 1 && strstr(ended.said, wanted), kind, action->what, &ended);
}

static void refuse_all(enum thread_kind kind)
{
	for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++)
		if (actions[i].where & 1u << kind)
			expect_refusal(&actions[i], kind);
}

static void loop_is_refused(void)
{
	refuse_all(THREAD_LOOP);
}

static void vcpu_is_refused(void)
{
	refuse_all(THREAD_VCPU);
}

static void loader_is_refused(void)
{
	refuse_all(THREAD_LOADER);
}

/* Numbers of 32-bit programs: another architecture for the kernel. No handler could tell the name. */
static void call_32_bit(const void *arg)
{
	(void)arg;
	long number = 20, result; /* getpid */
	__asm__ volatile("int $0x80" : "=a"(result) : "a"(number) : "memory");
}

static void other_architectures_kill(void)
{
	for (unsigned kind = 0; kind < THREAD_N_KINDS; kind++) {
		struct sb_ended ended = sb_run_inside(kind, call_32_bit, NULL);
		sb_check(WIFSIGNALED(ended.status) && WTERMSIG(ended.status) == SIGSYS, kind, "a 32-bit call", &ended);
	}
}

/* The terminal is raw when a thread breaks a rule. */
static void break_rule_on_terminal(enum thread_kind kind, int slave)
{
	struct terminal terminal;
	struct termios modes;
	struct fail why;
	dup2(slave, STDIN_FILENO);
	dup2(slave, STDOUT_FILENO);
	dup2(slave, STDERR_FILENO);
	if (terminal_open(&terminal, NULL, NULL, &why) < 0 || !terminal.raw)
		_exit(96);
	sb_enter(kind, terminal_give_back);
	if (tcgetattr(slave, &modes) < 0 || modes.c_lflag & ICANON)
		_exit(95);
	syscall(SYS_socket, AF_INET, SOCK_STREAM, 0);
	_exit(SB_IT_RETURNED);
}

static void terminal_is_given_back(void)
{
	for (unsigned kind = 0; kind < THREAD_N_KINDS; kind++) {
		int master, slave, status = -1;
		struct termios before, after;
		CU_ASSERT_EQUAL_FATAL(openpty(&master, &slave, NULL, NULL, NULL), 0);
		CU_ASSERT_EQUAL(tcgetattr(slave, &before), 0);
		fflush(NULL);
		pid_t pid = fork();
		CU_ASSERT_FATAL(pid >= 0);
		if (pid == 0)
			break_rule_on_terminal(kind, slave);
		waitpid(pid, &status, 0);
		CU_ASSERT_EQUAL(status, 1 << 8);
		CU_ASSERT_EQUAL(tcgetattr(slave, &after), 0);
		CU_ASSERT(before.c_iflag == after.c_iflag && before.c_oflag == after.c_oflag && before.c_lflag == after.c_lflag);
		close(master);
		close(slave);
	}
}

static const struct test_case cases[] = {
	{"what the event loop is refused", loop_is_refused},	{"what a vCPU is refused", vcpu_is_refused},
	{"what the loader is refused", loader_is_refused},	{"calls of other architectures kill", other_architectures_kill},
	{"the terminal is given back", terminal_is_given_back},
};

/* Sanitizers make system calls of their own: with them nothing can be in the sandbox. */
#ifdef BUILD_IS_INSTRUMENTED
#define N_CASES 0
#else
#define N_CASES (sizeof cases / sizeof cases[0])
#endif

const struct test_suite sandbox_refusals_suite = {
	.name = "sandbox_refusals", .cases = cases, .n_cases = N_CASES, .init = sb_make_folder, .clean = sb_remove_folder};
