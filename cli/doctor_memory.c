#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <inttypes.h>
#include <linux/memfd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/doctor_check.h"
#include "kvm/discard.h"
#include "kvm/memory.h"
#include "parser/schema.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

#define THP "/sys/kernel/mm/transparent_hugepage/"
#define HUGETLB "/sys/kernel/mm/hugepages/hugepages-"

/* ---- System calls ---------------------------------------------------- */

void doctor_process_madvise(struct doctor_host *host, struct doctor_finding *finding)
{
	(void)host;
	int fd = discard_probe_vector();
	if (fd >= 0) {
		close(fd);
		doctor_found(finding, "takes MADV_DONTNEED: up to 1024 ranges go back to the host in one call");
		return;
	}
	doctor_found(finding, "does not take MADV_DONTNEED");
	doctor_fault(finding, DOCTOR_DEGRADED, "one madvise a range: scattered pages go back to the host more slowly", "run Linux 6.13 or newer on this host");
}

void doctor_pagemap_scan(struct doctor_host *host, struct doctor_finding *finding)
{
	(void)host;
	int fd = ram_rss_probe();
	if (fd >= 0) {
		close(fd);
		doctor_found(finding, "/proc/self/pagemap takes PAGEMAP_SCAN: a VM's host memory is counted exactly");
		return;
	}
	doctor_found(finding, "/proc/self/pagemap does not take PAGEMAP_SCAN");
	doctor_fault(finding, DOCTOR_DEGRADED, "a VM's host memory is counted by mincore: more slowly, and with pages that the guest has only read",
		     "run Linux 6.7 or newer on this host, with /proc mounted");
}

void doctor_populate(struct doctor_host *host, struct doctor_finding *finding)
{
	(void)host;
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	void *at = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	bool works = at != MAP_FAILED && madvise(at, page, MADV_POPULATE_WRITE) == 0;
	if (at != MAP_FAILED)
		munmap(at, page);
	if (works) {
		doctor_found(finding, "madvise takes MADV_POPULATE_WRITE: memory.prefault asks for memory, and hears of a lack");
		return;
	}
	doctor_found(finding, "madvise does not take MADV_POPULATE_WRITE");
	doctor_fault(finding, DOCTOR_DEGRADED, "memory.prefault touches page after page, and the OOM killer answers a lack",
		     "run Linux 5.14 or newer on this host");
}

/* ---- memfd ----------------------------------------------------------- */

/* Names the step that fails; NULL for none. */
static const char *try_memfd(int fd, size_t page)
{
	static const char byte = 1;
	struct stat st;
	if (fd < 0)
		return "memfd_create";
	if (ftruncate(fd, (off_t)(2 * page)) < 0)
		return "ftruncate";
	if (pwrite(fd, &byte, 1, 0) != 1 || pwrite(fd, &byte, 1, (off_t)page) != 1)
		return "pwrite";
	if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)page) < 0)
		return "fallocate(PUNCH_HOLE)";
	if (fstat(fd, &st) < 0 || (size_t)st.st_blocks * 512 != page)
		return "the count of a file's blocks";
	return NULL;
}

void doctor_memfd(struct doctor_host *host, struct doctor_finding *finding)
{
	(void)host;
	/* A limit on the size of files (setrlimit(2), RLIMIT_FSIZE) would end us. */
	signal(SIGXFSZ, SIG_IGN);
	int fd = (int)memfd_create("vmm-balloon doctor", MFD_CLOEXEC);
	const char *step = try_memfd(fd, (size_t)sysconf(_SC_PAGESIZE));
	int error = errno;
	if (fd >= 0)
		close(fd);
	if (!step) {
		doctor_found(finding, "a hole punched into shared memory frees its pages");
		return;
	}
	doctor_found(finding, "%s fails on a memfd: %s", step, strerror(error));
	/* Without any memfd there is nowhere to build the system call filters of the sandbox (kvm/seccomp_filter.c). */
	doctor_fault(finding, fd < 0 ? DOCTOR_BROKEN : DOCTOR_DEGRADED,
		     fd < 0 ? "no VM runs in its sandbox; memory.shared=on cannot be used" : "memory.shared=on cannot be used; private memory can",
		     error == EFBIG ? "ulimit -f unlimited, in a unit LimitFSIZE=infinity"
				    : "run Linux 3.17 or newer on this host, and let the seccomp filter of a container pass memfd_create and fallocate");
}

/* ---- Huge pages ------------------------------------------------------ */

void doctor_thp(struct doctor_host *host, struct doctor_finding *finding)
{
	(void)host;
	static const char cost[] = "guest RAM has 4 KiB pages: it is slower to touch and to translate; memory.thp=on has no effect";
	char line[128];
	if (!doctor_read_line(THP "enabled", line, sizeof line)) {
		doctor_found(finding, "this kernel has no transparent huge pages");
		doctor_fault(finding, DOCTOR_DEGRADED, cost, "run a kernel with CONFIG_TRANSPARENT_HUGEPAGE on this host");
		return;
	}
	doctor_found(finding, THP "enabled: %s", line);
	if (!doctor_chosen(line, "always") && !doctor_chosen(line, "madvise"))
		doctor_fault(finding, DOCTOR_DEGRADED, cost, "echo madvise >" THP "enabled");
}

/* Reads a setting of huge pages that a host without them does not have: false, and then nothing is wrong. */
static bool look_at(struct doctor_finding *finding, const char *path, char *line, size_t size)
{
	if (!doctor_read_line(path, line, size)) {
		finding->verdict = DOCTOR_UNTRIED;
		doctor_found(finding, "not looked at: there are no transparent huge pages");
		return false;
	}
	doctor_found(finding, "%s: %s", path, line);
	return true;
}

/* admin-guide/mm/transhuge.rst: with the other choices a fault in memory that asks for huge pages has one made, at once or soon after. */
void doctor_thp_defrag(struct doctor_host *host, struct doctor_finding *finding)
{
	(void)host;
	char line[128];
	if (look_at(finding, THP "defrag", line, sizeof line) && doctor_chosen(line, "never"))
		doctor_fault(finding, DOCTOR_DEGRADED, "guest RAM has huge pages only where the host happens to have some free", "echo madvise >" THP "defrag");
}

/* What a balloon of 4 KiB pages took out of a huge page is a gap for khugepaged, which gives the guest the whole again. */
void doctor_khugepaged(struct doctor_host *host, struct doctor_finding *finding)
{
	(void)host;
	char line[32];
	if (look_at(finding, THP "khugepaged/max_ptes_none", line, sizeof line) && strcmp(line, "0") != 0)
		doctor_fault(finding, DOCTOR_DEGRADED, "with memory.thp=on it may fill what a balloon gave back in part of a huge page",
			     "echo 0 >" THP "khugepaged/max_ptes_none");
}

void doctor_shmem_thp(struct doctor_host *host, struct doctor_finding *finding)
{
	(void)host;
	static const char cost[] = "guest RAM with memory.shared=on has 4 KiB pages";
	char line[128];
	if (!doctor_read_line(THP "shmem_enabled", line, sizeof line)) {
		doctor_found(finding, "this kernel has no transparent huge pages for shared memory");
		doctor_fault(finding, DOCTOR_DEGRADED, cost, "run a kernel with CONFIG_TRANSPARENT_HUGEPAGE and CONFIG_SHMEM on this host");
		return;
	}
	doctor_found(finding, THP "shmem_enabled: %s", line);
	if (doctor_chosen(line, "never") || doctor_chosen(line, "deny"))
		doctor_fault(finding, DOCTOR_DEGRADED, cost, "echo advise >" THP "shmem_enabled");
}

static uint64_t read_number(const char *folder, const char *file)
{
	char path[256], line[32];
	snprintf(path, sizeof path, "%s/%s", folder, file);
	return doctor_read_line(path, line, sizeof line) ? strtoull(line, NULL, 10) : 0;
}

/* "2M: 3 of 4 free, 1G: 0 of 0 free"; returns how many pages are free. */
static uint64_t list_pools(char *text, size_t size)
{
	glob_t pools;
	uint64_t n_free = 0;
	size_t len = 0;
	*text = '\0';
	if (glob(HUGETLB "*", 0, NULL, &pools) != 0)
		return 0;
	for (size_t i = 0; i < pools.gl_pathc && len < size; i++) {
		char unit[SCHEMA_SIZE_TEXT_MAX];
		const char *pool = pools.gl_pathv[i];
		uint64_t free_pages = read_number(pool, "free_hugepages"), kib = strtoull(pool + sizeof HUGETLB - 1, NULL, 10);
		len += (size_t)snprintf(text + len, size - len, "%s%s: %" PRIu64 " of %" PRIu64 " free", len ? ", " : "", schema_size_text(unit, kib << 10),
					free_pages, read_number(pool, "nr_hugepages"));
		n_free += free_pages;
	}
	globfree(&pools);
	return n_free;
}

void doctor_hugetlb(struct doctor_host *host, struct doctor_finding *finding)
{
	(void)host;
	static const char cost[] = "memory.hugepages=on finds no memory; it is off unless asked for";
	char pools[256];
	uint64_t n_free = list_pools(pools, sizeof pools);
	doctor_found(finding, "%s", *pools ? pools : "this kernel has no pools of huge pages");
	if (!*pools)
		doctor_fault(finding, DOCTOR_DEGRADED, cost, "run a kernel with CONFIG_HUGETLBFS on this host");
	else if (n_free == 0)
		doctor_fault(finding, DOCTOR_DEGRADED, cost, "sysctl vm.nr_hugepages=N, N being the RAM of such VMs divided by 2 MiB");
}

/* ---- Overcommit ------------------------------------------------------ */

void doctor_overcommit(struct doctor_host *host, struct doctor_finding *finding)
{
	(void)host;
	char line[32];
	if (!doctor_read_line("/proc/sys/vm/overcommit_memory", line, sizeof line)) {
		doctor_found(finding, "/proc/sys/vm/overcommit_memory cannot be read: %s", strerror(errno));
		doctor_fault(finding, DOCTOR_DEGRADED, "whether VMs may have more RAM than there is, is not known", "mount -t proc proc /proc");
		return;
	}
	doctor_found(finding, "vm.overcommit_memory is %s", line);
	/* Documentation/mm/overcommit-accounting.rst: in mode 2 MAP_NORESERVE is ignored. */
	if (strcmp(line, "2") == 0)
		doctor_fault(finding, DOCTOR_DEGRADED, "the RAM of all VMs counts in full, balloons or not: VMs cannot have more of it than the host",
			     "sysctl vm.overcommit_memory=0");
}
