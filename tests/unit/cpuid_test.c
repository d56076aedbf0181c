#include "kvm/cpuid.h"

#include <CUnit/CUnit.h>
#include <assert.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "tests/unit/suite.h"

#define MAX_ENTRIES 64

static struct kvm_cpuid_entry2 entries[MAX_ENTRIES + CPUID_EXTRA_ENTRIES];
static size_t n;

static struct kvm_cpuid_entry2 *add(uint32_t function, uint32_t index, uint32_t eax, uint32_t ebx, uint32_t ecx, uint32_t edx)
{
	entries[n] = (struct kvm_cpuid_entry2){.function = function, .index = index, .eax = eax, .ebx = ebx, .ecx = ecx, .edx = edx};
	return &entries[n++];
}

static void add_vendor(uint32_t max_leaf, const char *name)
{
	struct kvm_cpuid_entry2 *entry = add(0, 0, max_leaf, 0, 0, 0);

	memcpy(&entry->ebx, name, 4);
	memcpy(&entry->edx, name + 4, 4);
	memcpy(&entry->ecx, name + 8, 4);
}

static void add_kvm_leaves(void)
{
	add(0x40000000, 0, 0x40000001, 0x4b4d564b, 0x564b4d56, 0x4d);
	add(0x40000001, 0, 0x01007efb, 0, 0, 0);
}

/* What KVM reports on a host of 2 packages with 28 cores of 2 threads each. */
static void make_intel(void)
{
	n = 0;
	add_vendor(0x1F, "GenuineIntel");
	add(1, 0, 0x50654, 0x35FF0800, 0xF6DA3203 | 1 << 15, 0x1F8BFBFF);
	add(4, 0, 0x7C004121, 0x01C0003F, 0x3F, 0);
	add(4, 1, 0x7C004122, 0x01C0003F, 0x3F, 0);
	add(4, 2, 0x7C004143, 0x03C0003F, 0x3FF, 0);
	add(4, 3, 0x7C0FC163, 0x0280003F, 0xDFFF, 4);
	add(4, 4, 0, 0, 0, 0);
	add(6, 0, 4, 0, 9, 0);
	add(0xA, 0, 0x08300802, 0x0F, 0, 0x603);
	add(0xB, 0, 1, 2, 0x100, 0x35);
	add(0xB, 1, 6, 56, 0x201, 0x35);
	add(0xD, 0, 0x2FF, 0xA88, 0xA88, 0);
	add(0x1F, 0, 1, 2, 0x100, 0x35);
	add_kvm_leaves();
	add(0x80000000, 0, 0x80000008, 0, 0, 0);
	add(0x80000001, 0, 0, 0, 0x121, 0x2C100800);
	add(0x80000008, 0, 0x302E, 0x0100D000, 0, 0);
}

static void make_amd(void)
{
	n = 0;
	add_vendor(0x10, "AuthenticAMD");
	add(1, 0, 0xA20F10, 0x0B180800, 0x76D83203, 0x078BFBFF);
	add(0xB, 0, 0, 0, 0, 0);
	add_kvm_leaves();
	add(0x80000000, 0, 0x8000001E, 0, 0, 0);
	add(0x80000001, 0, 0xA20F10, 0, 0x00C001F1, 0x2FD3FBFF);
	add(0x80000008, 0, 0x3030, 0x111ED205, 0x700B, 0);
	add(0x8000001D, 0, 0x00004121, 0x01C0003F, 0x3F, 0);
	add(0x8000001D, 2, 0x00004143, 0x01C0003F, 0x3FF, 2);
	add(0x8000001D, 3, 0x0005C163, 0x03C0003F, 0x7FFF, 1);
	add(0x8000001D, 4, 0, 0, 0, 0);
	add(0x8000001E, 0, 0xB, 0x105, 0x300, 0);
}

static void adapt(unsigned vcpu, unsigned n_vcpus)
{
	n = cpuid_adapt(entries, n, &(struct cpuid_params){.vcpu = vcpu, .n_vcpus = n_vcpus, .tsc_deadline = true});
	CU_ASSERT_FATAL(n <= MAX_ENTRIES + CPUID_EXTRA_ENTRIES);
}

static size_t count(uint32_t function)
{
	size_t found = 0;

	for (size_t i = 0; i < n; i++)
		found += entries[i].function == function;
	return found;
}

static const struct kvm_cpuid_entry2 *get(uint32_t function, uint32_t index)
{
	const struct kvm_cpuid_entry2 *leaf = NULL;
	for (size_t i = 0; i < n && !leaf; i++)
		if (entries[i].function == function && entries[i].index == index)
			leaf = &entries[i];
	assert(leaf);
	return leaf;
}

/* Number of vCPUs and the bits that an APIC id has then. */
static const struct {
	unsigned n_vcpus, id_bits;
} sizes[] = {{1, 0}, {2, 1}, {3, 2}, {4, 2}, {5, 3}, {33, 6}, {64, 6}};
#define N_SIZES (sizeof sizes / sizeof sizes[0])

static void leaf_1(void)
{
	for (size_t i = 0; i < N_SIZES; i++)
		for (unsigned vcpu = 0; vcpu < sizes[i].n_vcpus; vcpu++) {
			make_intel();
			adapt(vcpu, sizes[i].n_vcpus);
			const struct kvm_cpuid_entry2 *leaf = get(1, 0);
			CU_ASSERT_EQUAL(leaf->ebx >> 24, vcpu);
			CU_ASSERT_EQUAL(leaf->ebx >> 16 & 0xFF, 1U << sizes[i].id_bits);
			CU_ASSERT_EQUAL(leaf->ebx & 0xFFFF, 0x0800); /* cache line size */
			CU_ASSERT_EQUAL(leaf->edx >> 28 & 1, sizes[i].n_vcpus > 1);
			CU_ASSERT_EQUAL(leaf->eax, 0x50654);
		}
}

static void hypervisor_and_timer_bits(void)
{
	make_intel();
	adapt(0, 1);
	CU_ASSERT(get(1, 0)->ecx & 1U << 31);
	CU_ASSERT(get(1, 0)->ecx & 1U << 21);
	CU_ASSERT(get(1, 0)->ecx & 1U << 24);
	make_intel();
	n = cpuid_adapt(entries, n, &(struct cpuid_params){.n_vcpus = 1, .tsc_deadline = false});
	CU_ASSERT_FALSE(get(1, 0)->ecx & 1U << 24);
}

static void expect_topology(uint32_t function, unsigned vcpu, unsigned n_vcpus, unsigned id_bits)
{
	CU_ASSERT_EQUAL(count(function), 3);
	for (uint32_t i = 0; i < 3; i++) {
		const struct kvm_cpuid_entry2 *level = get(function, i);
		CU_ASSERT(level->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX);
		CU_ASSERT_EQUAL(level->edx, vcpu);
		CU_ASSERT_EQUAL(level->eax, i == 1 ? id_bits : 0);
		CU_ASSERT_EQUAL(level->ebx, i == 0 ? 1 : i == 1 ? n_vcpus : 0);
		CU_ASSERT_EQUAL(level->ecx, i == 0 ? 0x100 : i == 1 ? 0x201 : 2);
	}
}

static void topology_leaves(void)
{
	for (size_t i = 0; i < N_SIZES; i++) {
		unsigned last = sizes[i].n_vcpus - 1;
		make_intel();
		adapt(last, sizes[i].n_vcpus);
		expect_topology(0xB, last, sizes[i].n_vcpus, sizes[i].id_bits);
		expect_topology(0x1F, last, sizes[i].n_vcpus, sizes[i].id_bits);
		make_amd();
		adapt(last, sizes[i].n_vcpus);
		expect_topology(0xB, last, sizes[i].n_vcpus, sizes[i].id_bits);
		CU_ASSERT_EQUAL(count(0x1F), 0);
	}
	n = 0;
	add_vendor(0xA, "GenuineIntel");
	adapt(0, 2);
	CU_ASSERT_EQUAL(count(0xB), 0);
}

static void intel_caches(void)
{
	static const uint32_t caches[] = {0x121, 0x122, 0x143, 0x163};

	for (size_t i = 0; i < N_SIZES; i++) {
		uint32_t mask = (1U << sizes[i].id_bits) - 1;
		make_intel();
		adapt(0, sizes[i].n_vcpus);
		for (uint32_t cache = 0; cache < 4; cache++) {
			uint32_t eax = get(4, cache)->eax;
			CU_ASSERT_EQUAL(eax >> 26, mask);
			CU_ASSERT_EQUAL(eax >> 14 & 0xFFF, cache == 3 ? mask : 0);
			CU_ASSERT_EQUAL(eax & 0x3FFF, caches[cache]);
		}
		CU_ASSERT_EQUAL(get(4, 4)->eax, 0);
	}
}

static void amd_leaves(void)
{
	for (size_t i = 0; i < N_SIZES; i++) {
		uint32_t mask = (1U << sizes[i].id_bits) - 1;
		unsigned last = sizes[i].n_vcpus - 1;
		make_amd();
		adapt(last, sizes[i].n_vcpus);
		CU_ASSERT_EQUAL(get(1, 0)->ebx >> 24, last);
		CU_ASSERT_EQUAL(get(0x80000001, 0)->ecx, last ? 0x00C001F3 : 0x00C001F1);
		CU_ASSERT_EQUAL(get(0x80000008, 0)->ecx, last | sizes[i].id_bits << 12);
		CU_ASSERT_EQUAL(get(0x80000008, 0)->ebx, 0x111ED205);
		CU_ASSERT_EQUAL(get(0x8000001D, 0)->eax, 0x121);
		CU_ASSERT_EQUAL(get(0x8000001D, 2)->eax, 0x143);
		CU_ASSERT_EQUAL(get(0x8000001D, 3)->eax, 0x163 | mask << 14);
		CU_ASSERT_EQUAL(get(0x8000001D, 4)->eax, 0);
		CU_ASSERT_EQUAL(get(0x8000001E, 0)->eax, last);
		CU_ASSERT_EQUAL(get(0x8000001E, 0)->ebx, last);
		CU_ASSERT_EQUAL(get(0x8000001E, 0)->ecx, 0);
	}
	make_intel(); /* where the same leaves mean something else, or nothing */
	adapt(1, 2);
	CU_ASSERT_EQUAL(get(0x80000008, 0)->ecx, 0);
	CU_ASSERT_EQUAL(get(0x80000001, 0)->ecx, 0x121);
}

static void power_management_is_the_hosts(void)
{
	make_intel();
	adapt(0, 1);
	CU_ASSERT_EQUAL(get(6, 0)->eax, 4);
	CU_ASSERT_EQUAL(get(6, 0)->ecx, 0);
}

static void pmu_is_all_there_or_not_at_all(void)
{
	make_intel();
	adapt(0, 1);
	CU_ASSERT_EQUAL(get(0xA, 0)->eax, 0x08300802);
	CU_ASSERT_EQUAL(get(0xA, 0)->edx, 0x603);
	CU_ASSERT(get(1, 0)->ecx & 1 << 15);
	make_intel();
	for (size_t i = 0; i < n; i++)
		if (entries[i].function == 0xA)
			entries[i].eax = 0x08300800; /* version 0 */
	adapt(0, 1);
	CU_ASSERT_EQUAL(get(0xA, 0)->eax | get(0xA, 0)->ebx | get(0xA, 0)->edx, 0);
	CU_ASSERT_FALSE(get(1, 0)->ecx & 1 << 15);
}

static void kvm_and_other_leaves_stay(void)
{
	make_intel();
	adapt(1, 2);
	CU_ASSERT_EQUAL(get(0x40000000, 0)->eax, 0x40000001);
	CU_ASSERT_EQUAL(get(0x40000000, 0)->ebx, 0x4b4d564b);
	CU_ASSERT_EQUAL(get(0x40000001, 0)->eax, 0x01007efb);
	CU_ASSERT_EQUAL(get(0xD, 0)->eax, 0x2FF);
	CU_ASSERT_EQUAL(get(0, 0)->eax, 0x1F);
	CU_ASSERT_EQUAL(get(0x80000000, 0)->eax, 0x80000008);
}

static void nothing_is_survived(void)
{
	n = 0;
	adapt(0, 1);
	CU_ASSERT_EQUAL(n, 0);
}

/* What this host's KVM supports is accepted back by it, and read back as set. */
static void real_kvm_takes_it(void)
{
	int kvm_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	if (kvm_fd < 0) {
		printf("\n    skipped: no /dev/kvm\n    ");
		return;
	}
	int vm_fd = ioctl(kvm_fd, KVM_CREATE_VM, 0);
	CU_ASSERT_FATAL(vm_fd >= 0);
	CU_ASSERT_EQUAL(ioctl(vm_fd, KVM_CREATE_IRQCHIP, 0), 0);
	struct cpuid_supported supported;
	struct fail why = {0};
	CU_ASSERT_EQUAL_FATAL(cpuid_ask(&supported, kvm_fd, &why), 0);
	for (unsigned vcpu = 0; vcpu < 2; vcpu++) {
		static struct {
			struct kvm_cpuid2 header;
			struct kvm_cpuid_entry2 entries[256];
		} back;
		int vcpu_fd = ioctl(vm_fd, KVM_CREATE_VCPU, vcpu);
		CU_ASSERT_FATAL(vcpu_fd >= 0);
		CU_ASSERT_EQUAL(cpuid_set_vcpu(&supported, vcpu_fd, vcpu, 2, &why), 0);
		back.header.nent = 256;
		CU_ASSERT_EQUAL(ioctl(vcpu_fd, KVM_GET_CPUID2, &back), 0);
		bool seen = false;
		for (uint32_t i = 0; i < back.header.nent; i++)
			seen |= back.entries[i].function == 1 && back.entries[i].ebx >> 24 == vcpu && back.entries[i].ecx >> 31;
		CU_ASSERT(seen);
		close(vcpu_fd);
	}
	cpuid_forget(&supported);
	close(vm_fd);
	close(kvm_fd);
}

static void refusals_are_told(void)
{
	struct kvm_cpuid2 nothing = {.nent = 0};
	struct cpuid_supported supported = {.table = &nothing};
	struct fail why = {0};

	CU_ASSERT(cpuid_set_vcpu(&supported, -1, 3, 4, &why) < 0);
	CU_ASSERT_STRING_EQUAL(why.text, "KVM refuses the CPUID of vCPU 3");
	CU_ASSERT(cpuid_ask(&supported, -1, &why) < 0);
	CU_ASSERT_STRING_EQUAL(why.text, "cannot ask KVM for its CPUID");
}

static const struct test_case cases[] = {
	{"leaf 1", leaf_1},
	{"hypervisor and timer bits", hypervisor_and_timer_bits},
	{"topology leaves", topology_leaves},
	{"Intel's caches", intel_caches},
	{"AMD's leaves", amd_leaves},
	{"power management is the host's", power_management_is_the_hosts},
	{"PMU is all there or not at all", pmu_is_all_there_or_not_at_all},
	{"KVM's and other leaves stay", kvm_and_other_leaves_stay},
	{"nothing is survived", nothing_is_survived},
	{"real KVM takes it", real_kvm_takes_it},
	{"refusals are told", refusals_are_told},
};
TEST_SUITE(cpuid, cases);
