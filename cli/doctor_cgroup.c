#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "cli/doctor_check.h"

#define GROUP_PATH_MAX 6144
#define MIB (UINT64_C(1) << 20)

/* A file of a control group that bounds what its processes take (Documentation/admin-guide/cgroup-v2.rst). */
struct cgroup_limit {
	const char *file;
	const char *unit_name;
	uint64_t unit;
	uint64_t enough; /* in units; less than that is a fault */
	const char *cost;
	const char *raised;
};

/* The built-in guest's RAM and the program itself fit into 128 MiB; no VM has 128 threads. */
static const struct cgroup_limit cgroup_limits[] = {
	{"memory.max", " MiB", MIB, 128, "a VM that touches more memory is killed", "1G"},
	{"memory.high", " MiB", MIB, 128, "a VM that touches more memory is held up", "max"},
	{"memory.swap.max", " MiB", MIB, 0, "", ""},
	{"pids.max", " threads", 1, 128, "a VM of more vCPUs does not start", "max"},
	{"hugetlb.2MB.max", " MiB", MIB, 128, "memory.hugepages=on has no more pages of 2M", "max"},
	{"hugetlb.2MB.rsvd.max", " MiB", MIB, 128, "memory.hugepages=on has no more pages of 2M", "max"},
	{"hugetlb.1GB.max", " MiB", MIB, 128, "memory.hugepages=on has no more pages of 1G", "max"},
	{"hugetlb.1GB.rsvd.max", " MiB", MIB, 128, "memory.hugepages=on has no more pages of 1G", "max"},
};

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

/* The smallest limit of the group and of those above it, and `where` it is. False: none of them has one. */
static bool find_smallest(const char *file, const char *mount, const char *own, uint64_t *smallest, char where[GROUP_PATH_MAX])
{
	char group[4096];
	snprintf(group, sizeof group, "%s", own);
	*smallest = UINT64_MAX;
	for (char *end = group + strlen(group); end; end = strrchr(group, '/')) {
		char path[GROUP_PATH_MAX], line[64];
		*end = '\0';
		snprintf(path, sizeof path, "%s%s/%s", mount, group, file);
		if (!doctor_read_line(path, line, sizeof line) || strcmp(line, "max") == 0)
			continue;
		uint64_t value = strtoull(line, NULL, 10);
		if (value >= *smallest)
			continue;
		*smallest = value;
		memcpy(where, path, sizeof path);
	}
	return *smallest != UINT64_MAX;
}

/* What was said of other limits stays; what does not fit is left out. */
__attribute__((format(printf, 4, 5))) static void add(char *text, size_t size, const char *separator, const char *fmt, ...)
{
	size_t len = strlen(text);
	va_list args;
	len += (size_t)snprintf(text + len, size - len, "%s", len ? separator : "");
	va_start(args, fmt);
	if (len < size)
		vsnprintf(text + len, size - len, fmt, args);
	va_end(args);
}

static void look_at_limits(const char *mount, const char *group, struct doctor_finding *finding)
{
	char found[sizeof finding->found] = "", cost[sizeof finding->cost] = "", remedy[sizeof finding->remedy] = "", where[GROUP_PATH_MAX];
	for (size_t i = 0; i < sizeof cgroup_limits / sizeof cgroup_limits[0]; i++) {
		const struct cgroup_limit *limit = &cgroup_limits[i];
		uint64_t value;
		if (!find_smallest(limit->file, mount, group, &value, where))
			continue;
		add(found, sizeof found, ", ", "%" PRIu64 "%s by %s", value / limit->unit, limit->unit_name, where);
		if (value / limit->unit >= limit->enough)
			continue;
		add(cost, sizeof cost, "; ", "%s", limit->cost);
		add(remedy, sizeof remedy, ", ", "echo %s >%s", limit->raised, where);
	}
	doctor_found(finding, "v2, %s", *found ? found : "no limit on this process");
	if (*cost)
		doctor_fault(finding, DOCTOR_DEGRADED, cost, "%s", remedy);
}

void doctor_cgroup(struct doctor_host *host, struct doctor_finding *finding)
{
	(void)host;
	char mount[1024], group[4096], path[GROUP_PATH_MAX], controllers[256] = "";
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
	look_at_limits(mount, group, finding);
}
