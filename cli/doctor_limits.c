#include <inttypes.h>
#include <sys/resource.h>

#include "cli/doctor_check.h"

#define MIB (UINT64_C(1) << 20)

/* A limit of setrlimit(2) that a VM can run into, and what it takes. */
struct limit {
	int resource;
	const char *name;   /* of the resource, with its unit in front of it */
	const char *option; /* of ulimit */
	uint64_t unit;
	uint64_t enough; /* in units; less than that is worth a remark */
	const char *cost;
	const char *remedy; /* what to do where ulimit is not the way */
};

static void check(const struct limit *limit, struct doctor_finding *finding)
{
	struct rlimit value;
	if (getrlimit(limit->resource, &value) < 0) {
		doctor_found(finding, "%s: %m", limit->name);
		return;
	}
	if (value.rlim_cur == RLIM_INFINITY) {
		doctor_found(finding, "no limit");
		return;
	}
	doctor_found(finding, "%" PRIu64 " %s", (uint64_t)value.rlim_cur / limit->unit, limit->name);
	if (value.rlim_cur / limit->unit < limit->enough)
		doctor_fault(finding, DOCTOR_DEGRADED, limit->cost, "ulimit -%s %s, in a unit %s", limit->option,
			     limit->resource == RLIMIT_NOFILE || limit->resource == RLIMIT_NPROC ? "1024" : "unlimited", limit->remedy);
}

/* Guest RAM is mapped in full, with a rim of some MiB around it. */
void doctor_address_space(struct doctor_host *host, struct doctor_finding *finding)
{
	static const struct limit limit = {
		RLIMIT_AS, "MiB of address space", "v", MIB, 1 << 20, "all of a VM's RAM has to fit in, whatever its balloon holds", "LimitAS=infinity"};
	(void)host;
	check(&limit, finding);
}

/* Private memory that can be written to counts, guest RAM and the stacks of threads. */
void doctor_data(struct doctor_host *host, struct doctor_finding *finding)
{
	static const struct limit limit = {RLIMIT_DATA,		"MiB of data", "d", MIB, 1 << 20, "a VM's RAM has to fit in unless memory.shared=on",
					   "LimitDATA=infinity"};
	(void)host;
	check(&limit, finding);
}

/* It is asked when a memfd is sized, too. */
void doctor_file_size(struct doctor_host *host, struct doctor_finding *finding)
{
	static const struct limit limit = {
		RLIMIT_FSIZE, "MiB a file", "f", MIB, 1 << 20, "a VM with memory.shared=on or hugepages=on can have no more RAM", "LimitFSIZE=infinity"};
	(void)host;
	check(&limit, finding);
}

/* A VM of 64 vCPUs with all clients that QMP takes has fewer than 128. */
void doctor_open_files(struct doctor_host *host, struct doctor_finding *finding)
{
	static const struct limit limit = {
		RLIMIT_NOFILE, "open files", "n", 1, 128, "a VM of many vCPUs or with many QMP clients may not start or not answer", "LimitNOFILE=1024"};
	(void)host;
	check(&limit, finding);
}

/* A thread for each vCPU, and those of the user's other VMs. */
void doctor_processes(struct doctor_host *host, struct doctor_finding *finding)
{
	static const struct limit limit = {
		RLIMIT_NPROC, "processes and threads of this user", "u", 1, 256, "VMs fail to start once their vCPUs are that many", "LimitNPROC=1024"};
	(void)host;
	check(&limit, finding);
}
