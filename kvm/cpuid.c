#include "kvm/cpuid.h"

#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "kvm/board.h"

/* Intel SDM volume 2A, CPUID; AMD APM volume 3, appendix E. */
#define LEAF1_ECX_PDCM (1U << 15)
#define LEAF1_ECX_X2APIC (1U << 21)
#define LEAF1_ECX_TSC_DEADLINE (1U << 24)
#define LEAF1_ECX_HYPERVISOR (1U << 31)
#define LEAF1_EDX_HTT (1U << 28)
#define LEAF6_ECX_APERFMPERF (1U << 0)
#define LEAF6_ECX_ENERGY_BIAS (1U << 3)
#define AMD_ECX_CMP_LEGACY (1U << 1) /* leaf 0x80000001 */

enum vendor { VENDOR_INTEL, VENDOR_AMD };

enum topology_level { LEVEL_INVALID = 0, LEVEL_SMT = 1, LEVEL_CORE = 2 };

/* What does not depend on the leaf. */
struct topology {
	uint32_t apic_id;
	uint32_t n_vcpus;
	uint32_t id_bits; /* of an APIC id: what the number of cores is rounded up to, as a power of two */
};

static uint32_t set_bit(uint32_t value, uint32_t bit, bool on)
{
	return on ? value | bit : value & ~bit;
}

/* Replaces bits [low, low + width) of value. */
static uint32_t set_bits(uint32_t value, unsigned low, unsigned width, uint32_t bits)
{
	uint32_t mask = ((1U << width) - 1) << low;

	return (value & ~mask) | (bits << low & mask);
}

static const struct kvm_cpuid_entry2 *find(const struct kvm_cpuid_entry2 *entries, size_t n, uint32_t function)
{
	for (size_t i = 0; i < n; i++)
		if (entries[i].function == function)
			return &entries[i];
	return NULL;
}

static enum vendor vendor_of(const struct kvm_cpuid_entry2 *leaf0)
{
	uint32_t name[3] = {leaf0->ebx, leaf0->edx, leaf0->ecx};

	return memcmp(name, "AuthenticAMD", 12) == 0 || memcmp(name, "HygonGenuine", 12) == 0 ? VENDOR_AMD : VENDOR_INTEL;
}

static void adapt_leaf1(struct kvm_cpuid_entry2 *entry, const struct topology *topology, bool tsc_deadline, bool has_pmu)
{
	entry->ebx = set_bits(entry->ebx, 24, 8, topology->apic_id);
	entry->ebx = set_bits(entry->ebx, 16, 8, 1U << topology->id_bits);
	entry->ecx |= LEAF1_ECX_HYPERVISOR | LEAF1_ECX_X2APIC;
	entry->ecx = set_bit(entry->ecx, LEAF1_ECX_TSC_DEADLINE, tsc_deadline);
	if (!has_pmu)
		entry->ecx &= ~LEAF1_ECX_PDCM;
	entry->edx = set_bit(entry->edx, LEAF1_EDX_HTT, topology->n_vcpus > 1);
}

/* Leaf 4 and AMD's 0x8000001D: each core has caches of its own up to the second level; all share the third. */
static void adapt_cache(struct kvm_cpuid_entry2 *entry, const struct topology *topology)
{
	uint32_t type = entry->eax & 0x1F;
	uint32_t level = entry->eax >> 5 & 0x7;

	if (!type)
		return;
	entry->eax = set_bits(entry->eax, 14, 12, level >= 3 ? (1U << topology->id_bits) - 1 : 0);
	if (entry->function == 4)
		entry->eax = set_bits(entry->eax, 26, 6, (1U << topology->id_bits) - 1);
}

/* The architectural PMU. Version 0: there is none, and the counts beside it mean nothing. */
static void adapt_pmu(struct kvm_cpuid_entry2 *entry)
{
	if ((entry->eax & 0xFF) == 0)
		entry->eax = entry->ebx = entry->ecx = entry->edx = 0;
}

static void adapt_amd(struct kvm_cpuid_entry2 *entry, const struct topology *topology)
{
	switch (entry->function) {
	case 0x80000001:
		entry->ecx = set_bit(entry->ecx, AMD_ECX_CMP_LEGACY, topology->n_vcpus > 1);
		break;
	case 0x80000008: /* number of cores less one, size of the core's part of the APIC id */
		entry->ecx = (topology->n_vcpus - 1) | topology->id_bits << 12;
		break;
	case 0x8000001D:
		adapt_cache(entry, topology);
		break;
	case 0x8000001E: /* APIC id; core id, one thread each; one node */
		entry->eax = topology->apic_id;
		entry->ebx = topology->apic_id;
		entry->ecx = 0;
		entry->edx = 0;
		break;
	}
}

static void adapt_entry(struct kvm_cpuid_entry2 *entry, const struct topology *topology, enum vendor vendor, bool tsc_deadline, bool has_pmu)
{
	switch (entry->function) {
	case 1:
		adapt_leaf1(entry, topology, tsc_deadline, has_pmu);
		break;
	case 4:
		adapt_cache(entry, topology);
		break;
	case 6: /* Its registers are the host's, and KVM refuses to read them. */
		entry->ecx &= ~(LEAF6_ECX_APERFMPERF | LEAF6_ECX_ENERGY_BIAS);
		break;
	case 0xA:
		adapt_pmu(entry);
		break;
	default:
		if (vendor == VENDOR_AMD)
			adapt_amd(entry, topology);
	}
}

/* Leaves 0xB and 0x1F, the latter's finer levels left out: threads, cores, and where the levels end. */
static size_t add_topology_leaf(struct kvm_cpuid_entry2 *entries, size_t n, uint32_t function, const struct topology *topology)
{
	const struct {
		enum topology_level level;
		uint32_t shift;
		uint32_t n;
	} levels[] = {{LEVEL_SMT, 0, 1}, {LEVEL_CORE, topology->id_bits, topology->n_vcpus}, {LEVEL_INVALID, 0, 0}};

	for (uint32_t i = 0; i < sizeof levels / sizeof levels[0]; i++)
		entries[n++] = (struct kvm_cpuid_entry2){
			.function = function,
			.index = i,
			.flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
			.eax = levels[i].shift,
			.ebx = levels[i].n,
			.ecx = i | levels[i].level << 8,
			.edx = topology->apic_id,
		};
	return n;
}

static bool is_topology_leaf(uint32_t function)
{
	return function == 0xB || function == 0x1F;
}

size_t cpuid_adapt(struct kvm_cpuid_entry2 *entries, size_t n, const struct cpuid_params *params)
{
	const struct kvm_cpuid_entry2 *leaf0 = find(entries, n, 0);
	const struct kvm_cpuid_entry2 *pmu = find(entries, n, 0xA);
	uint32_t max_leaf = leaf0 ? leaf0->eax : 0;
	enum vendor vendor = leaf0 ? vendor_of(leaf0) : VENDOR_INTEL;
	bool has_pmu = vendor == VENDOR_AMD || (pmu && (pmu->eax & 0xFF));
	struct topology topology = {.apic_id = params->vcpu, .n_vcpus = params->n_vcpus};
	size_t kept = 0;

	assert(params->n_vcpus >= 1 && params->n_vcpus <= BOARD_MAX_VCPUS && params->vcpu < params->n_vcpus);
	while (1U << topology.id_bits < params->n_vcpus)
		topology.id_bits++;
	for (size_t i = 0; i < n; i++) {
		/* Older kernels put the host's topology there, newer ones zeros. */
		if (is_topology_leaf(entries[i].function))
			continue;
		entries[kept] = entries[i];
		adapt_entry(&entries[kept++], &topology, vendor, params->tsc_deadline, has_pmu);
	}
	if (max_leaf >= 0xB)
		kept = add_topology_leaf(entries, kept, 0xB, &topology);
	if (max_leaf >= 0x1F)
		kept = add_topology_leaf(entries, kept, 0x1F, &topology);
	return kept;
}

/* E2BIG is the only way to learn how many entries there are. */
int cpuid_ask(struct cpuid_supported *supported, int kvm_fd, struct fail *why)
{
	int error = E2BIG;

	for (uint32_t n = 128; n <= 4096 && error == E2BIG; n *= 2) {
		struct kvm_cpuid2 *table = malloc(sizeof *table + n * sizeof table->entries[0]);
		if (!table)
			return fail(why, ENOMEM, "cannot ask KVM for its CPUID");
		*table = (struct kvm_cpuid2){.nent = n};
		if (ioctl(kvm_fd, KVM_GET_SUPPORTED_CPUID, table) == 0) {
			supported->table = table;
			supported->tsc_deadline = ioctl(kvm_fd, KVM_CHECK_EXTENSION, KVM_CAP_TSC_DEADLINE_TIMER) > 0;
			return 0;
		}
		error = errno;
		free(table);
	}
	return fail(why, error, "cannot ask KVM for its CPUID");
}

void cpuid_forget(struct cpuid_supported *supported)
{
	free(supported->table);
	supported->table = NULL;
}

int cpuid_set_vcpu(const struct cpuid_supported *supported, int vcpu_fd, unsigned vcpu, unsigned n_vcpus, struct fail *why)
{
	struct cpuid_params params = {.vcpu = vcpu, .n_vcpus = n_vcpus, .tsc_deadline = supported->tsc_deadline};
	uint32_t n = supported->table->nent;
	struct kvm_cpuid2 *cpuid = malloc(sizeof *cpuid + (n + CPUID_EXTRA_ENTRIES) * sizeof cpuid->entries[0]);
	if (!cpuid)
		return fail(why, ENOMEM, "cannot set the CPUID of vCPU %u", vcpu);
	memcpy(cpuid, supported->table, sizeof *cpuid + n * sizeof cpuid->entries[0]);
	cpuid->nent = (uint32_t)cpuid_adapt(cpuid->entries, n, &params);
	int rc = ioctl(vcpu_fd, KVM_SET_CPUID2, cpuid) < 0 ? fail(why, errno, "KVM refuses the CPUID of vCPU %u", vcpu) : 0;
	free(cpuid);
	return rc;
}
