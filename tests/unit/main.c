/* The unit tests: arguments name the suites to run, none means all. */
#include "tests/unit/runner.h"

/* One row per suite; formatting would move every backslash for each new name. */
/* clang-format off */
#define SUITES(X) \
	X(utf8) \
	X(suggest) \
	X(diag) \
	X(keyval) \
	X(value) \
	X(schema) \
	X(yaml) \
	X(vmconfig) \
	X(vm_options) \
	X(log) \
	X(serial) \
	X(serial_output) \
	X(serial_input) \
	X(acpi_pm) \
	X(pvpanic) \
	X(kbd_reset) \
	X(creation) \
	X(loop) \
	X(iobus) \
	X(event_queue) \
	X(exit_report) \
	X(terminal) \
	X(terminal_modes) \
	X(gmem) \
	X(page_ranges) \
	X(page_set) \
	X(balloon_map) \
	X(msix) \
	X(pci_root) \
	X(virtq) \
	X(vpci) \
	X(vpci_irq) \
	X(balloon_virtio) \
	X(balloon_pages) \
	X(balloon_requests) \
	X(balloon_target) \
	X(balloon_stats) \
	X(balloon_hint) \
	X(balloon_lazy) \
	X(balloon) \
	X(runtime_dir) \
	X(json_out) \
	X(qmp_input) \
	X(qmp_protocol) \
	X(qmp_machine) \
	X(qmp_balloon) \
	X(qmp_events) \
	X(qmp_clients) \
	X(qmp_memory) \
	X(memory) \
	X(discard) \
	X(write_watch) \
	X(doctor) \
	X(notify) \
	X(e820) \
	X(aml) \
	X(acpi) \
	X(boot_bzimage) \
	X(boot_faults) \
	X(boot_pvh) \
	X(boot_vcpu) \
	X(cpuid) \
	X(landlock) \
	X(chipset) \
	X(probe) \
	X(vcpu) \
	X(vm) \
	X(sandbox) \
	X(sandbox_refusals) \
	X(jail) \
	X(client) \
	X(vm_client) \
	X(vm_state) \
	X(vm_poll) \
	X(progress) \
	X(metrics_text) \
	X(top)
/* clang-format on */

RUNNER_MAIN(SUITES)
