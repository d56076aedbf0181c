#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/doctor_check.h"
#include "kvm/loop.h"

#define NO_VM "no VM runs"

/* How long the built-in guest may take; on a host that is itself emulated it takes half a minute. */
#define GUEST_MS 120000

static void leave_untried(struct doctor_finding *finding)
{
	finding->verdict = DOCTOR_UNTRIED;
	doctor_found(finding, "not tried: what is broken above comes first");
}

/* ---- The device ------------------------------------------------------ */

/* The first namespaces of a kernel have fixed numbers (linux/nsfs.h: USER_NS_INIT_INO, PID_NS_INIT_INO). */
static bool in_container(void)
{
	struct stat user, pid;
	return (stat("/proc/self/ns/user", &user) == 0 && user.st_ino != 0xEFFFFFFD) || (stat("/proc/self/ns/pid", &pid) == 0 && pid.st_ino != 0xEFFFFFFC);
}

static void blame_permissions(struct doctor_finding *finding)
{
	struct stat st;
	const struct group *group = stat(VM_SYSTEM_PATH, &st) == 0 ? getgrgid(st.st_gid) : NULL;
	const struct passwd *user = getpwuid(geteuid());
	const char *name = user ? user->pw_name : "USER";
	if (group && (st.st_mode & (S_IRGRP | S_IWGRP)) == (S_IRGRP | S_IWGRP) && st.st_gid != 0)
		doctor_fault(finding, DOCTOR_BROKEN, NO_VM, "usermod -aG %s %s, then log in again", group->gr_name, name);
	else
		doctor_fault(finding, DOCTOR_BROKEN, NO_VM,
			     "its mode is %04o: chgrp kvm " VM_SYSTEM_PATH " && chmod 0660 " VM_SYSTEM_PATH ", usermod -aG kvm %s, then log in again",
			     st.st_mode & 07777, name);
}

static void blame_open(struct doctor_finding *finding, int error)
{
	doctor_found(finding, "cannot open " VM_SYSTEM_PATH ": %s", strerror(error));
	if (in_container() && (error == EACCES || error == EPERM || error == ENOENT))
		/* Neither modules nor the rights of the host's device are a container's to change. */
		doctor_fault(finding, DOCTOR_BROKEN, NO_VM,
			     "pass the device into this container: docker or podman run --device " VM_SYSTEM_PATH
			     "; without root, as a user of its group on the host and with --group-add keep-groups");
	else if (error == EACCES)
		blame_permissions(finding);
	else
		doctor_fault(finding, DOCTOR_BROKEN, NO_VM, "%s", vm_system_remedy(error));
}

void doctor_kvm_device(struct doctor_host *host, struct doctor_finding *finding)
{
	struct fail why;
	int fd = open(VM_SYSTEM_PATH, O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		blame_open(finding, errno);
		return;
	}
	close(fd);
	if (vm_system_open(&host->system, &why) < 0) {
		doctor_found(finding, "%s%s%s", why.text, why.error ? ": " : "", why.error ? strerror(why.error) : "");
		doctor_fault(finding, DOCTOR_BROKEN, NO_VM, "run Linux 4.12 or newer with the kvm_intel or kvm_amd module on this host");
		return;
	}
	doctor_found(finding, VM_SYSTEM_PATH " has all that is needed; %u vCPUs and %u memory slots a VM", host->system.max_vcpus, host->system.max_slots);
}

/* ---- What it runs ---------------------------------------------------- */

void doctor_kvm_kernels(struct doctor_host *host, struct doctor_finding *finding)
{
	struct fail why;
	if (host->system.fd < 0) {
		leave_untried(finding);
		return;
	}
	if (vm_probe_run(&host->system, &host->probe, &why) < 0) {
		doctor_found(finding, "%s%s%s", why.text, why.error ? ": " : "", why.error ? strerror(why.error) : "");
		doctor_fault(finding, DOCTOR_BROKEN, NO_VM, "see the kernel's log: dmesg | grep -i kvm");
		return;
	}
	host->probed = true;
	if (!host->probe.refused) {
		doctor_found(finding, "stock kernels run: a guest's kernel mode did each of %u instructions that no interpreter knows",
			     vm_probe_n_instructions());
		return;
	}
	doctor_found(finding, "this KVM interprets a guest's kernel mode: it gave up at %s, which every processor has", host->probe.refused);
	doctor_fault(finding, DOCTOR_DEGRADED, "stock kernels stop early in their boot; only the built-in guest runs, and its kernel mode slowly",
		     "use a host whose processor has VT-x or AMD-V; if this host is a VM itself, switch nested virtualisation on for it");
}

void doctor_kvm_dirty_log(struct doctor_host *host, struct doctor_finding *finding)
{
	if (!host->probed) {
		leave_untried(finding);
		return;
	}
	if (host->probe.logs_writes) {
		doctor_found(finding, "KVM notes which pages a guest writes: free_page_hinting is safe");
		return;
	}
	doctor_found(finding, "KVM did not note a page that a guest wrote");
	doctor_fault(finding, DOCTOR_DEGRADED, "free_page_hinting gives back pages that the guest uses: it must stay off",
		     "leave free_page_hinting=off; report this host's kernel to its distributor");
}

/* ---- The built-in guest ---------------------------------------------- */

struct child {
	pid_t pid;
	int fd;		  /* its standard output and error */
	char text[16384]; /* as much of the end as fits */
	size_t len;
	int status;
};

static void start_guest(struct child *child, int out)
{
	char name[32];
	snprintf(name, sizeof name, "doctor-%d", (int)getpid());
	child->pid = fork();
	if (child->pid != 0)
		return;
	int null = open("/dev/null", O_RDONLY);
	dup2(null, STDIN_FILENO);
	dup2(out, STDOUT_FILENO);
	dup2(out, STDERR_FILENO);
	execl("/proc/self/exe", "vmm-balloon", "run", "--name", name, "--memory", "64M", "--balloon", "size=32M,free_page_reporting=on", (char *)NULL);
	dprintf(STDERR_FILENO, "cannot run /proc/self/exe: %m\n");
	_exit(127);
}

static void keep(struct child *child, const char *bytes, size_t n)
{
	size_t room = sizeof child->text - 1;
	if (child->len + n > room) {
		size_t drop = child->len + n - room;
		memmove(child->text, child->text + drop, child->len - drop);
		child->len -= drop;
	}
	memcpy(child->text + child->len, bytes, n);
	child->len += n;
	child->text[child->len] = '\0';
}

/* Reads until the guest's end of the pipe is closed. False: it took too long. */
static bool read_output(struct child *child)
{
	uint64_t deadline_ms = loop_now_ms() + GUEST_MS, now_ms;
	char bytes[1024];
	while ((now_ms = loop_now_ms()) < deadline_ms) {
		struct pollfd poll_fd = {.fd = child->fd, .events = POLLIN};
		if (poll(&poll_fd, 1, (int)(deadline_ms - now_ms)) <= 0)
			continue;
		ssize_t n = read(child->fd, bytes, sizeof bytes);
		if (n <= 0)
			return true;
		keep(child, bytes, (size_t)n);
	}
	return false;
}

static bool run_guest(struct child *child)
{
	int fds[2];
	*child = (struct child){.pid = -1};
	if (pipe2(fds, O_CLOEXEC) < 0)
		return false;
	child->fd = fds[0];
	start_guest(child, fds[1]);
	close(fds[1]);
	bool ended = child->pid > 0 && read_output(child);
	if (child->pid > 0) {
		if (!ended)
			kill(child->pid, SIGKILL);
		while (waitpid(child->pid, &child->status, 0) < 0 && errno == EINTR)
			;
	}
	close(fds[0]);
	return ended;
}

/* The last line that tells of an error, else the last line. */
static const char *reason(char *text)
{
	static const char mark[] = "error: ";
	char *found = strrchr(text, '\n');
	if (found)
		*found = '\0';
	for (char *at = text; (at = strstr(at, mark)); at += sizeof mark - 1)
		found = at + sizeof mark - 1;
	if (!found || !*found)
		found = strrchr(text, '\n') ? strrchr(text, '\n') + 1 : text;
	found[strcspn(found, "\r\n")] = '\0';
	return found;
}

void doctor_kvm_guest(struct doctor_host *host, struct doctor_finding *finding)
{
	struct child child;
	if (host->system.fd < 0) {
		leave_untried(finding);
		return;
	}
	uint64_t begin_ms = loop_now_ms();
	bool ended = run_guest(&child);
	if (ended && WIFEXITED(child.status) && WEXITSTATUS(child.status) == 0 && strstr(child.text, "vmm-balloon guest: PASS")) {
		doctor_found(finding, "a VM of 64 MiB ran, gave 32 MiB away and got them back, in %.1f s", (double)(loop_now_ms() - begin_ms) / 1000);
		return;
	}
	if (ended)
		doctor_found(finding, "a VM of 64 MiB failed: %s", reason(child.text));
	else
		doctor_found(finding, "a VM of 64 MiB did not end within %d s", GUEST_MS / 1000);
	doctor_fault(finding, DOCTOR_BROKEN, NO_VM,
		     "mend what is named here or broken below; to see all of it: vmm-balloon run --memory 64M --balloon size=32M -v");
}
