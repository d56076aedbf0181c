#include "kvm/sandbox.h"

#include <errno.h>
#include <linux/capability.h>
#include <malloc.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "config.h"
#include "kvm/landlock.h"
#include "util/log.h"

/* ---- Violations ------------------------------------------------------ */

static _Thread_local enum thread_kind own_kind;

/* A signal handler has no argument through which it could be reached. */
static void (*before_the_end)(void);

/* A line of text put together without stdio, which is not for signal handlers. */
struct line {
	char bytes[160];
	size_t len;
};

static void add(struct line *line, const char *text)
{
	size_t len = strlen(text), room = sizeof line->bytes - line->len;
	if (len > room)
		len = room;
	memcpy(line->bytes + line->len, text, len);
	line->len += len;
}

static void add_number(struct line *line, unsigned number)
{
	char digits[12];
	size_t at = sizeof digits - 1;
	digits[at] = '\0';
	do
		digits[--at] = (char)('0' + number % 10);
	while (number /= 10);
	add(line, digits + at);
}

static void on_violation(int signo, siginfo_t *info, void *context)
{
	struct line line = {.len = 0};
	const char *name = syscall_name(info->si_syscall);
	(void)signo;
	(void)context;

	if (before_the_end)
		before_the_end();
	add(&line, "vmm-balloon: error: sandbox: the ");
	add(&line, thread_kind_name(own_kind));
	add(&line, " thread called ");
	add(&line, name ? name : "system call ");
	if (!name)
		add_number(&line, (unsigned)info->si_syscall);
	add(&line, " in a way that it has no use for; the VM ends\n");
	ssize_t written = write(STDERR_FILENO, line.bytes, line.len);
	(void)written;
	_exit(1);
}

/* ---- Privileges ------------------------------------------------------ */

/* Of this thread and of those that it makes; others keep theirs. */
static int drop_capabilities(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0}};
	/* What execve() could give back. It fails for who has nothing to lose, and past the last one. */
	for (unsigned long cap = 0; prctl(PR_CAPBSET_DROP, cap) == 0; cap++)
		;
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	return syscall(SYS_capset, &header, none) < 0 ? -errno : 0;
}

/* ---- Entering -------------------------------------------------------- */

#ifdef BUILD_IS_INSTRUMENTED
static const bool is_instrumented = true;
#else
static const bool is_instrumented = false;
#endif

int sandbox_prepare(struct sandbox *sandbox, void (*last_words)(void), struct fail *why)
{
	struct sigaction action = {.sa_sigaction = on_violation, .sa_flags = SA_SIGINFO};
	if (is_instrumented) {
		log_line(LOG_LEVEL_WARN, NULL, "sandbox: off in this build: sanitizers and coverage make system calls of their own");
		return 0;
	}
	sigfillset(&action.sa_mask);
	/* A parent may have left it blocked; then the kernel would end us without a word. */
	sigset_t sigsys;
	sigemptyset(&sigsys);
	sigaddset(&sigsys, SIGSYS);
	before_the_end = last_words;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || sigaction(SIGSYS, &action, NULL) < 0 || sigprocmask(SIG_UNBLOCK, &sigsys, NULL) < 0)
		return fail(why, errno, "cannot prepare the sandbox");
	sandbox->on = true;
	return 0;
}

/*
 * libseccomp does not look whether all of its allocations succeed (2.5.4: it
 * crashes, or makes another filter than it was told to). So several times what
 * it takes, 132 KiB, has to be there before it is called.
 */
#define BUILD_BYTES ((size_t)512 * 1024)

static int check_memory(void)
{
	void *memory = mmap(NULL, BUILD_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return -errno;
	munmap(memory, BUILD_BYTES);
	return 0;
}

int sandbox_build(struct sandbox *sandbox, struct fail *why)
{
	int ret = sandbox->on ? check_memory() : 0;
	for (unsigned kind = 0; kind < THREAD_N_KINDS && sandbox->on && ret == 0; kind++)
		ret = seccomp_filter_build(&sandbox->filters[kind], kind);
	return ret < 0 ? fail(why, -ret, "cannot build the sandbox's system call filters") : 0;
}

static int close_files(const struct sandbox *sandbox, enum thread_kind kind, struct fail *why)
{
	size_t n = kind == THREAD_LOOP ? sandbox->n_folders : 0;
	int ret = landlock_leave_only(sandbox->folders, n);
	if (ret < 0)
		return fail(why, -ret, "cannot put files out of reach with Landlock; --no-sandbox runs the VM without protection");
	if (ret == 0 && kind == THREAD_LOOP)
		log_line(LOG_LEVEL_INFO, NULL, "sandbox: this kernel has no Landlock; system call filters alone keep files out of reach");
	return 0;
}

int sandbox_enter(const struct sandbox *sandbox, enum thread_kind kind, struct fail *why)
{
	if (!sandbox->on)
		return 0;
	own_kind = kind;
	/* What the loop gave up a vCPU never had, and the loop's filter would not let it give it up again. */
	int ret = 0;
	if (kind != THREAD_VCPU) {
		ret = drop_capabilities();
		if (ret < 0)
			return fail(why, -ret, "cannot drop capabilities");
		ret = close_files(sandbox, kind, why);
	}
	if (ret < 0)
		return ret;
	/* What compiling the filters took stays with malloc else, for as long as the VM lives. */
	if (kind == THREAD_LOOP)
		malloc_trim(0);
	ret = seccomp_filter_install(&sandbox->filters[kind]);
	return ret < 0 ? fail(why, -ret, "cannot filter system calls (seccomp); --no-sandbox runs the VM without protection") : 0;
}

void sandbox_finish(struct sandbox *sandbox)
{
	for (unsigned kind = 0; kind < THREAD_N_KINDS; kind++)
		seccomp_filter_finish(&sandbox->filters[kind]);
}
