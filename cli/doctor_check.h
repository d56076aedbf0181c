/*
 * The checks of `vmm-balloon doctor`. Each looks at one thing and fills in one
 * finding; the table in cli/doctor.c names them and gives their order.
 */
#ifndef CLI_DOCTOR_CHECK_H
#define CLI_DOCTOR_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "kvm/probe.h"
#include "kvm/system.h"

enum doctor_verdict {
	DOCTOR_OK,
	DOCTOR_DEGRADED, /* VMs run, but something costs more or cannot be had */
	DOCTOR_BROKEN,	 /* no VM runs */
	DOCTOR_UNTRIED,	 /* another check has to be ok first */
	DOCTOR_N_VERDICTS,
};

struct doctor_finding {
	enum doctor_verdict verdict;
	char found[512]; /* no full stop, as the next two */
	char cost[256];	 /* empty when ok or untried */
	char remedy[512];
};

/* What a check learnt that later ones build on. */
struct doctor_host {
	struct vm_system system; /* fd -1: no KVM */
	bool probed;
	struct vm_probe probe;
};

/* *finding is zeroed: ok, and nothing found yet. */
typedef void doctor_check(struct doctor_host *host, struct doctor_finding *finding);

struct doctor_row {
	const char *name;
	doctor_check *check;
};

/* cli/doctor_kvm.c */
doctor_check doctor_kvm_device, doctor_kvm_kernels, doctor_kvm_dirty_log, doctor_kvm_guest;

/* cli/doctor_memory.c */
doctor_check doctor_process_madvise, doctor_pagemap_scan, doctor_populate, doctor_memfd, doctor_thp, doctor_thp_defrag, doctor_khugepaged, doctor_shmem_thp,
	doctor_hugetlb, doctor_overcommit;

/* cli/doctor_host.c */
doctor_check doctor_runtime_dir, doctor_landlock, doctor_seccomp, doctor_pressure;

/* cli/doctor_cgroup.c */
doctor_check doctor_cgroup;

/* cli/doctor_limits.c */
doctor_check doctor_address_space, doctor_data, doctor_file_size, doctor_open_files, doctor_processes;

/* What there is. */
__attribute__((format(printf, 2, 3))) void doctor_found(struct doctor_finding *finding, const char *fmt, ...);

/* That it is not as it should be, what that costs, and what to do about it. */
__attribute__((format(printf, 4, 5))) void doctor_fault(struct doctor_finding *finding, enum doctor_verdict verdict, const char *cost, const char *remedy, ...);

/* Reads the first line of a file without its newline. False: it cannot be read, with errno. */
bool doctor_read_line(const char *path, char *line, size_t size);

/* Whether the kernel's choice "always [madvise] never" stands at `word`. */
bool doctor_chosen(const char *line, const char *word);

/* ---- cli/doctor_report.c: findings for people and for programs -------- */

const char *doctor_verdict_name(enum doctor_verdict verdict);

/*
 * A row of the report: verdict, name, then what was found in a column that
 * ends before 80, with cost and remedy below it when there are any. Bytes that
 * a terminal could take for more than text are shown as '?'.
 */
void doctor_print_finding(FILE *out, const char *name, const struct doctor_finding *finding);

/* The last line, and whether VMs run at all. */
void doctor_print_sum(FILE *out, const struct doctor_finding *findings, size_t n);
bool doctor_runs_vms(const struct doctor_finding *findings, size_t n);

/* All of it as one JSON object and a newline. False: memory is short. */
bool doctor_print_json(FILE *out, const struct doctor_row *rows, const struct doctor_finding *findings, size_t n);

#endif
