#include <errno.h>
#include <inttypes.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cli/doctor_check.h"
#include "control/runtime_dir.h"

#define GROUP_PATH_MAX 6144
#define MIB (UINT64_C(1) << 20)

/* The built-in guest's RAM and the program itself fit. */
#define SMALLEST_LIMIT (128 * MIB)

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

/* ---- Control groups -------------------------------------------------- */

/* Where cgroup v2 is mounted (proc(5), mountinfo: the fifth field, and the type behind " - "). */
static bool find_cgroup_mount(char *path, size_t size)
{
	char line[4096], mount[1024];
	FILE *file = fopen("/proc/self/mountinfo", "re");
	bool found = false;
	while (file && !found && fgets(line, sizeof line, file)) {
		if (strstr(line, " - cgroup2 ") && sscanf(line, "%*s %*s %*s %*s %1023s", mount) == 1)
			found = snprintf(path, size, "%s", mount) < (int)size;
	}
	if (file)
		fclose(file);
	return found;
}

/* Our own group below the mount, "/" for the top. */
static bool find_own_cgroup(char *path, size_t size)
{
	char line[4096];
	FILE *file = fopen("/proc/self/cgroup", "re");
	bool found = false;
	while (file && !found && fgets(line, sizeof line, file)) {
		line[strcspn(line, "\n")] = '\0';
		found = strncmp(line, "0::/", 4) == 0 && snprintf(path, size, "%s", line + 3) < (int)size;
	}
	if (file)
		fclose(file);
	return found;
}

/* The smallest memory.max of the group and of those above it; UINT64_MAX for none, and `where` it is. */
static uint64_t smallest_memory_max(char *group, const char *mount, char where[GROUP_PATH_MAX])
{
	uint64_t smallest = UINT64_MAX;
	for (char *end = group + strlen(group); end > group; end = strrchr(group, '/')) {
		char path[GROUP_PATH_MAX], line[64];
		*end = '\0';
		snprintf(path, sizeof path, "%s%s/memory.max", mount, group);
		if (!doctor_read_line(path, line, sizeof line) || strcmp(line, "max") == 0)
			continue;
		uint64_t bytes = strtoull(line, NULL, 10);
		if (bytes < smallest)
			memcpy(where, path, sizeof path);
		smallest = bytes < smallest ? bytes : smallest;
	}
	return smallest;
}

void doctor_cgroup(struct doctor_host *host, struct doctor_finding *finding)
{
	(void)host;
	char mount[1024], group[4096], where[GROUP_PATH_MAX] = "", path[GROUP_PATH_MAX], controllers[256] = "";
	if (!find_cgroup_mount(mount, sizeof mount) || !find_own_cgroup(group, sizeof group)) {
		doctor_found(finding, "cgroup v2 is not mounted");
		doctor_fault(finding, DOCTOR_DEGRADED, "a VM's memory cannot be limited from outside", "mount -t cgroup2 none /sys/fs/cgroup");
		return;
	}
	snprintf(path, sizeof path, "%s/cgroup.controllers", mount);
	if (!doctor_read_line(path, controllers, sizeof controllers) || !strstr(controllers, "memory")) {
		doctor_found(finding, "%s has no memory controller: another hierarchy has it", mount);
		doctor_fault(finding, DOCTOR_DEGRADED, "a VM's memory cannot be limited from outside by memory.max, nor its pressure be seen",
			     "boot this host with systemd.unified_cgroup_hierarchy=1 cgroup_no_v1=all");
		return;
	}
	uint64_t limit = smallest_memory_max(group, mount, where);
	if (limit == UINT64_MAX)
		doctor_found(finding, "v2, no limit on this process's memory");
	else
		doctor_found(finding, "v2, %" PRIu64 " MiB for this process and its VM by %s", limit / MIB, where);
	if (limit < SMALLEST_LIMIT)
		doctor_fault(finding, DOCTOR_DEGRADED, "a VM that touches more is killed", "echo 1G >%s", where);
}

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
