#include "cli/doctor.h"

#include <stdio.h>

#include "cli/command.h"
#include "cli/doctor_check.h"
#include "cli/vm_client.h"
#include "util/log.h"

/* In the order of the report: what the next ones need comes first. */
static const struct doctor_row rows[] = {
	{"kvm", doctor_kvm_device},
	{"guest kernels", doctor_kvm_kernels},
	{"built-in guest", doctor_kvm_guest},
	{"dirty log", doctor_kvm_dirty_log},
	{"process_madvise", doctor_process_madvise},
	{"pagemap scan", doctor_pagemap_scan},
	{"prefault", doctor_populate},
	{"memfd", doctor_memfd},
	{"THP", doctor_thp},
	{"THP defrag", doctor_thp_defrag},
	{"khugepaged", doctor_khugepaged},
	{"THP of memfd", doctor_shmem_thp},
	{"hugetlb", doctor_hugetlb},
	{"overcommit", doctor_overcommit},
	{"Landlock", doctor_landlock},
	{"seccomp", doctor_seccomp},
	{"cgroup", doctor_cgroup},
	{"pressure", doctor_pressure},
	{"runtime folder", doctor_runtime_dir},
	{"address space", doctor_address_space},
	{"data", doctor_data},
	{"file size", doctor_file_size},
	{"open files", doctor_open_files},
	{"processes", doctor_processes},
};
#define N_ROWS (sizeof rows / sizeof rows[0])

static int examine(bool json)
{
	struct doctor_host host = {.system.fd = -1};
	struct doctor_finding findings[N_ROWS] = {0};
	bool good = true;

	for (size_t i = 0; i < N_ROWS; i++) {
		rows[i].check(&host, &findings[i]);
		if (!json)
			doctor_print_finding(stdout, rows[i].name, &findings[i]);
		/* The guest takes a moment: what is known by then is on the screen. */
		fflush(stdout);
	}
	vm_system_close(&host.system);
	if (json)
		good = doctor_print_json(stdout, rows, findings, N_ROWS);
	else
		doctor_print_sum(stdout, findings, N_ROWS);
	if (!good || fflush(stdout) != 0 || ferror(stdout)) {
		log_line(LOG_LEVEL_ERROR, NULL, "cannot write to standard output");
		return COMMAND_FAILED;
	}
	return doctor_runs_vms(findings, N_ROWS) ? COMMAND_OK : COMMAND_FAILED;
}

int cmd_doctor(int argc, char **argv)
{
	bool json = false;
	const struct client_option options[] = {{.name = "--json", .given = &json, .help = "one JSON object instead of the table"}, {.name = NULL}};
	const struct client_usage usage = {
		.arguments = "[--json]",
		.about = "Looks at what this host can do for VMs, boots the built-in guest to be sure, and\n"
			 "says of each thing whether it is ok, degraded (VMs run, but something costs more\n"
			 "or cannot be had) or broken (no VM runs), what that costs, and what to do.\n"
			 "Exit status: 0 VMs run here; 1 they do not; 2 usage.\n",
		.vms = CLIENT_NO_VM,
		.options = options,
	};
	struct client_args args;
	int status;

	return client_parse(&usage, argc, argv, &args, &status) ? examine(json) : status;
}
