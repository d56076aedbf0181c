/*
 * The rows of the virtio checklist that can be tried on a machine without KVM.
 * Each case is named after its rows. Arguments name the suites to run.
 */
#include "tests/unit/runner.h"

/* clang-format off */
#define SUITES(X) \
	X(gen) \
	X(vq) \
	X(pci) \
	X(absent) \
	X(bal) \
	X(hos_regs) \
	X(hos_ring) \
	X(hos_pages) \
	X(hos_pci) \
	X(races)
/* clang-format on */

#define DECLARE(name) extern const struct test_suite name##_suite;
SUITES(DECLARE)

#define ROW(name) &name##_suite,
static const struct test_suite *const suites[] = {SUITES(ROW) NULL};

int main(int argc, char **argv)
{
	return run_suites(suites, argc, argv);
}
