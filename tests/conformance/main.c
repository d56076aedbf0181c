/*
 * The rows of the virtio checklist that can be tried on a machine without KVM.
 * Each case is named after its rows. Arguments name the suites to run.
 */
#include "tests/unit/runner.h"
#include "tests/unit/sanitizers.h"

#ifdef IS_TSAN /* in whose address space 16 TiB do not fit */
#define LARGE_SUITES(X)
#else
#define LARGE_SUITES(X) X(memory)
#endif

/* clang-format off */
#define SUITES(X) \
	X(gen) \
	X(resets) \
	X(suspend) \
	X(hints) \
	X(vq) \
	X(vq_notify) \
	X(pci_config) \
	X(pci_regs) \
	X(pci_irq) \
	X(absent) \
	X(bal) \
	X(bal_pages) \
	X(bal_stats) \
	X(lazy) \
	LARGE_SUITES(X) \
	X(hos_regs) \
	X(hos_ring) \
	X(hos_pages) \
	X(hos_queues) \
	X(hos_hints) \
	X(hos_counts) \
	X(hos_pci) \
	X(races) \
	X(hint_races) \
	X(hos_races) \
	X(vcpus)
/* clang-format on */

RUNNER_MAIN(SUITES)
