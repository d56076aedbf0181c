#include <errno.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cli/doctor_check.h"
#include "control/runtime_dir.h"

/* ---- The runtime folder ---------------------------------------------- */

void doctor_runtime_dir(struct doctor_host *host, struct doctor_finding *finding)
{
	(void)host;
	struct runtime_dir runtime = {0};
	struct fail why;
	char name[RUNTIME_NAME_MAX];
	snprintf(name, sizeof name, "doctor-probe-%d", (int)getpid());
	int ret = runtime_dir_claim(&runtime, name, &why);
	if (ret == 0)
		ret = runtime_dir_listen(&runtime, NULL, &why);
	if (ret < 0) {
		doctor_found(finding, "%s%s%s", why.text, why.error ? ": " : "", why.error ? strerror(why.error) : "");
		doctor_fault(finding, DOCTOR_BROKEN, "no VM runs: it could not be found nor steered",
			     "export XDG_RUNTIME_DIR=FOLDER, a folder of this user with mode 0700");
	} else {
		doctor_found(finding, "%s", runtime.dir);
		if (strncmp(runtime.dir, "/tmp/vmm-balloon-", 17) == 0)
			doctor_fault(finding, DOCTOR_DEGRADED, "what cleans /tmp makes running VMs unreachable",
				     "log in through systemd-logind, or export XDG_RUNTIME_DIR=FOLDER, a folder of this user with mode 0700");
	}
	runtime_dir_release(&runtime);
}

/* ---- The sandbox ----------------------------------------------------- */

void doctor_landlock(struct doctor_host *host, struct doctor_finding *finding)
{
	(void)host;
	/* landlock_create_ruleset(2): LANDLOCK_CREATE_RULESET_VERSION is 1. Older kernel headers lack it. */
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0UL, 1UL);
	if (abi > 0) {
		doctor_found(finding, "ABI %ld", abi);
		return;
	}
	doctor_found(finding, "not on this host: %s", strerror(errno));
	doctor_fault(finding, DOCTOR_DEGRADED, "system call filters alone keep files out of reach of a VM's process",
		     errno == EOPNOTSUPP ? "boot this host with landlock in front of the list of its lsm= option"
					 : "run Linux 5.13 or newer with CONFIG_SECURITY_LANDLOCK on this host");
}

void doctor_seccomp(struct doctor_host *host, struct doctor_finding *finding)
{
	(void)host;
	uint32_t action = SECCOMP_RET_KILL_PROCESS;
	if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0UL, &action) == 0) {
		doctor_found(finding, "filters are there");
		return;
	}
	doctor_found(finding, "no filters: %s", strerror(errno));
	doctor_fault(finding, DOCTOR_BROKEN, "no VM runs in its sandbox",
		     "run Linux 4.14 or newer with CONFIG_SECCOMP_FILTER on this host, or VMs with --no-sandbox, without protection");
}

/* ---- Pressure -------------------------------------------------------- */

void doctor_pressure(struct doctor_host *host, struct doctor_finding *finding)
{
	(void)host;
	char line[128];
	if (doctor_read_line("/proc/pressure/memory", line, sizeof line)) {
		doctor_found(finding, "/proc/pressure/memory: %s", line);
		return;
	}
	doctor_found(finding, "/proc/pressure/memory: %s", strerror(errno));
	doctor_fault(finding, DOCTOR_DEGRADED, "that the host runs short of memory shows late, so balloons are moved late",
		     errno == ENOENT ? "run a kernel with CONFIG_PSI on this host" : "boot this host with psi=1");
}
