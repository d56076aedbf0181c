#include "kvm/memory.h"

#include <CUnit/CUnit.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kvm/board.h"
#include "tests/unit/suite.h"

#define KIB UINT64_C(1024)
#define MIB (KIB * 1024)
#define GIB (MIB * 1024)

static struct guest_ram ram;

static void start(const struct memory_config *config)
{
	struct fail why = {0};
	int rc = ram_init(&ram, config, &why);

	if (rc < 0)
		printf("\n    %s: %s\n", why.text, strerror(why.error));
	CU_ASSERT_EQUAL_FATAL(rc, 0);
}

static uint64_t rss(void)
{
	uint64_t bytes = UINT64_MAX;

	CU_ASSERT_EQUAL(ram_rss_bytes(&ram, &bytes), 0);
	return bytes;
}

/* Whether the kernel can read one byte there: no signal either way. */
static bool is_readable(const uint8_t *hva)
{
	int ends[2];

	CU_ASSERT_EQUAL_FATAL(pipe(ends), 0);
	bool readable = write(ends[1], hva, 1) == 1;
	close(ends[0]);
	close(ends[1]);
	return readable;
}

/* The VmFlags of the mapping at hva, proc(5). */
static const char *vm_flags(const uint8_t *hva)
{
	static char line[256];
	FILE *smaps = fopen("/proc/self/smaps", "r");
	bool inside = false, found = false;

	if (!smaps)
		abort();
	while (!found && fgets(line, sizeof line, smaps)) {
		uintptr_t from, to;
		if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " ", &from, &to) == 2)
			inside = from <= (uintptr_t)hva && (uintptr_t)hva < to;
		found = inside && strncmp(line, "VmFlags:", 8) == 0;
	}
	fclose(smaps);
	return found ? line : "";
}

static size_t count_fds(void)
{
	size_t n = 0;
	DIR *dir = opendir("/proc/self/fd");

	if (!dir)
		abort();
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static void up_to_3_gib_is_one_region(void)
{
	start(&(struct memory_config){.size = 3 * GIB});
	CU_ASSERT_EQUAL(ram.gmem.n_regions, 1);
	CU_ASSERT_EQUAL(ram.gmem.regions[0].gpa, 0);
	CU_ASSERT_EQUAL(ram.gmem.regions[0].len, 3 * GIB);
	CU_ASSERT_EQUAL(ram.gmem.page_size, 4096);
	CU_ASSERT_EQUAL(ram.memfd, -1);
	CU_ASSERT_FALSE(ram.shared);
	ram_finish(&ram);
}

static void the_rest_lies_above_4_gib(void)
{
	for (int shared = 0; shared < 2; shared++) {
		start(&(struct memory_config){.size = 3 * GIB + 4096, .shared = shared});
		CU_ASSERT_EQUAL_FATAL(ram.gmem.n_regions, 2);
		CU_ASSERT_EQUAL(ram.gmem.regions[0].len, BOARD_RAM_LOW_MAX);
		CU_ASSERT_EQUAL(ram.gmem.regions[1].gpa, BOARD_RAM_HIGH_BASE);
		CU_ASSERT_EQUAL(ram.gmem.regions[1].len, 4096);
		ram.gmem.regions[0].hva[3 * GIB - 1] = 1;
		ram.gmem.regions[1].hva[0] = 2;
		CU_ASSERT_EQUAL(ram.gmem.regions[0].hva[3 * GIB - 1], 1);
		CU_ASSERT_EQUAL(rss(), 2 * 4096);
		ram_finish(&ram);
	}
}

/* Sizes that the kernel itself does not align. */
static void addresses_are_congruent_for_huge_pages(void)
{
	for (uint64_t size = 5 * MIB + 4 * KIB; size < 4 * GIB; size = size * 2 + 4 * KIB) {
		start(&(struct memory_config){.size = size});
		for (size_t i = 0; i < ram.gmem.n_regions; i++)
			CU_ASSERT_EQUAL(((uintptr_t)ram.gmem.regions[i].hva - ram.gmem.regions[i].gpa) % (2 * MIB), 0);
		ram_finish(&ram);
	}
}

/* Bytes without any access right, mapped so that nothing else gets there, on one side of hva; proc(5), maps. */
static uint64_t guard_len(const uint8_t *hva, bool below)
{
	char line[256];
	FILE *maps = fopen("/proc/self/maps", "r");
	uint64_t len = 0;

	if (!maps)
		abort();
	while (fgets(line, sizeof line, maps)) {
		uintptr_t from, to;
		char rights[5];
		if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %4s", &from, &to, rights) == 3 && (below ? to : from) == (uintptr_t)hva &&
		    strcmp(rights, "---p") == 0)
			len = to - from;
	}
	fclose(maps);
	return len;
}

static void guards_surround_each_region(void)
{
	start(&(struct memory_config){.size = 3 * GIB + 64 * KIB});
	for (size_t i = 0; i < ram.gmem.n_regions; i++) {
		const struct gmem_region *region = &ram.gmem.regions[i];
		CU_ASSERT(is_readable(region->hva));
		CU_ASSERT(is_readable(region->hva + region->len - 1));
		CU_ASSERT_FALSE(is_readable(region->hva - 1));
		CU_ASSERT_FALSE(is_readable(region->hva + region->len));
		CU_ASSERT(guard_len(region->hva, true) >= 2 * MIB);
		CU_ASSERT(guard_len(region->hva + region->len, false) >= 2 * MIB);
	}
	ram_finish(&ram);
}

static void shared_ram_is_the_memfd(void)
{
	uint8_t byte = 0;

	start(&(struct memory_config){.size = 3 * GIB + 8192, .shared = true});
	CU_ASSERT_FATAL(ram.memfd >= 0);
	ram.gmem.regions[1].hva[4097] = 0x5A;
	CU_ASSERT_EQUAL(pread(ram.memfd, &byte, 1, (off_t)(ram.file_offset[1] + 4097)), 1);
	CU_ASSERT_EQUAL(byte, 0x5A);
	CU_ASSERT_EQUAL(ram.file_offset[1], 3 * GIB); /* behind the first region, and congruent for huge pages */
	ram_finish(&ram);
}

static void advice_reaches_the_kernel(void)
{
	start(&(struct memory_config){.size = 4 * MIB, .thp = true, .mergeable = true});
	const char *flags = vm_flags(ram.gmem.regions[0].hva);
	CU_ASSERT_PTR_NOT_NULL(strstr(flags, " dd")); /* not in core dumps */
	CU_ASSERT_PTR_NOT_NULL(strstr(flags, " dc")); /* not in forked children */
	if (access("/sys/kernel/mm/transparent_hugepage", F_OK) == 0)
		CU_ASSERT_PTR_NOT_NULL(strstr(flags, " hg"));
	if (access("/sys/kernel/mm/ksm", F_OK) == 0)
		CU_ASSERT_PTR_NOT_NULL(strstr(flags, " mg"));
	ram_finish(&ram);

	start(&(struct memory_config){.size = 4 * MIB, .thp = false});
	if (access("/sys/kernel/mm/transparent_hugepage", F_OK) == 0)
		CU_ASSERT_PTR_NOT_NULL(strstr(vm_flags(ram.gmem.regions[0].hva), " nh"));
	CU_ASSERT_PTR_NULL(strstr(vm_flags(ram.gmem.regions[0].hva), " mg"));
	ram_finish(&ram);
}

/* Whether the kernel's choice in the file is one that makes huge pages where they are asked for. */
static bool is_thp_on(const char *file)
{
	char path[128], text[128] = "[never]";
	snprintf(path, sizeof path, "/sys/kernel/mm/transparent_hugepage/%s", file);
	FILE *f = fopen(path, "re");
	if (f && !fgets(text, sizeof text, f))
		text[0] = '\0';
	if (f)
		fclose(f);
	return strstr(text, "[always]") || strstr(text, "[within_size]") || strstr(text, "[advise]") || strstr(text, "[madvise]") || strstr(text, "[force]");
}

static void block_size_tells_of_huge_pages(void)
{
	start(&(struct memory_config){.size = 4 * MIB, .thp = true});
	CU_ASSERT_EQUAL(ram.gmem.block_size, is_thp_on("enabled") ? 2 * MIB : 0);
	ram_finish(&ram);
	start(&(struct memory_config){.size = 4 * MIB, .thp = true, .shared = true});
	CU_ASSERT_EQUAL(ram.gmem.block_size, is_thp_on("shmem_enabled") ? 2 * MIB : 0);
	ram_finish(&ram);
	start(&(struct memory_config){.size = 4 * MIB});
	CU_ASSERT_EQUAL(ram.gmem.block_size, 0);
	ram_finish(&ram);
}

static void nothing_is_populated_unless_asked(void)
{
	for (int shared = 0; shared < 2; shared++) {
		start(&(struct memory_config){.size = 16 * MIB, .shared = shared, .thp = true});
		CU_ASSERT_EQUAL(rss(), 0);
		ram_finish(&ram);
		start(&(struct memory_config){.size = 16 * MIB, .shared = shared, .prefault = true});
		CU_ASSERT_EQUAL(rss(), 16 * MIB);
		ram_finish(&ram);
	}
}

static void rss_counts_what_was_written(void)
{
	for (int shared = 0; shared < 2; shared++) {
		start(&(struct memory_config){.size = 3 * GIB + 16 * MIB, .shared = shared, .thp = false});
		memset(ram.gmem.regions[0].hva + 5 * MIB, 1, 3 * MIB);
		memset(ram.gmem.regions[0].hva + 2 * GIB + 4096, 1, 4096);
		ram.gmem.regions[1].hva[16 * MIB - 1] = 1;
		CU_ASSERT_EQUAL(rss(), 3 * MIB + 2 * 4096);
		ram_finish(&ram);
	}
}

/* More runs of pages than one PAGEMAP_SCAN call can return. */
static void rss_counts_scattered_pages(void)
{
	start(&(struct memory_config){.size = 64 * MIB, .thp = false});
	for (uint64_t at = 0; at < 64 * MIB; at += 2 * 4096)
		ram.gmem.regions[0].hva[at] = 1;
	CU_ASSERT_EQUAL(rss(), 32 * MIB);
	close(ram.pagemap_fd);
	ram.pagemap_fd = -1; /* as on a kernel before 6.7 */
	CU_ASSERT_EQUAL(rss(), 32 * MIB);
	ram_finish(&ram);
}

static void reads_of_untouched_memory_cost_nothing(void)
{
	uint64_t sum = 0;

	start(&(struct memory_config){.size = 16 * MIB, .thp = true});
	for (uint64_t at = 0; at < 16 * MIB; at += 4096)
		sum += ((volatile uint8_t *)ram.gmem.regions[0].hva)[at];
	CU_ASSERT_EQUAL(sum, 0);
	/* mincore, the fallback, cannot tell the zero page. */
	if (ram.pagemap_fd >= 0)
		CU_ASSERT_EQUAL(rss(), 0);
	ram_finish(&ram);
}

static void discard_all_leaves_zeros(void)
{
	for (int variant = 0; variant < 4; variant++) {
		bool shared = variant & 1, prefault = variant & 2;
		start(&(struct memory_config){.size = 32 * MIB, .shared = shared, .prefault = prefault, .thp = true});
		uint8_t *hva = ram.gmem.regions[0].hva;
		memset(hva, 0xEE, 32 * MIB);
		CU_ASSERT_EQUAL(ram_discard_all(&ram), 0);
		CU_ASSERT_EQUAL(rss(), prefault ? 32 * MIB : 0);
		CU_ASSERT_EQUAL(hva[0], 0);
		CU_ASSERT_EQUAL(memcmp(hva, hva + 1, 32 * MIB - 1), 0);
		ram_finish(&ram);
	}
}

/* The kernel does not discard locked pages: mlock stands for any refusal. (Sanitizers make mlock() do nothing.) */
static void refused_discard_still_leaves_zeros(void)
{
	start(&(struct memory_config){.size = 8 * MIB, .thp = false});
	uint8_t *hva = ram.gmem.regions[0].hva;
	memset(hva, 0xEE, 8 * MIB);
	CU_ASSERT_EQUAL_FATAL(syscall(SYS_mlock, hva + MIB, 4096), 0);
	CU_ASSERT_EQUAL(ram_discard_all(&ram), -EINVAL);
	CU_ASSERT_EQUAL(hva[0], 0);
	CU_ASSERT_EQUAL(memcmp(hva, hva + 1, 8 * MIB - 1), 0);
	ram_finish(&ram);
}

static void refused_memory_names_the_remedy(void)
{
	struct fail why = {0};

	/* More than a process has addresses for. */
	CU_ASSERT_EQUAL(ram_init(&ram, &(struct memory_config){.size = UINT64_C(1) << 50}, &why), -ENOMEM);
	CU_ASSERT_PTR_NOT_NULL(strstr(why.text, "MiB of guest RAM"));
	CU_ASSERT_PTR_NOT_NULL(strstr(why.text, "lower memory.size"));
	CU_ASSERT_FALSE(ram.live);
	CU_ASSERT_EQUAL(ram.gmem.n_regions, 0);
	ram_finish(&ram);
}

static uint64_t free_huge_pages(void)
{
	unsigned long n = 0;
	FILE *file = fopen("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "r");

	if (file && fscanf(file, "%lu", &n) != 1)
		n = 0;
	if (file)
		fclose(file);
	return n;
}

static void missing_huge_pages_name_the_remedy(void)
{
	struct memory_config config = {.size = (free_huge_pages() + 1) * 2 * MIB, .hugepages = true, .hugepage_size = 2 * MIB};
	struct fail why = {0};

	if (access("/sys/kernel/mm/hugepages/hugepages-2048kB", F_OK) < 0) {
		printf("\n    skipped: this kernel has no hugetlb\n    ");
		return;
	}
	CU_ASSERT(ram_init(&ram, &config, &why) < 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(why.text, "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"));
	CU_ASSERT_FALSE(ram.live);
}

static void huge_pages_work(void)
{
	if (free_huge_pages() < 8) {
		printf("\n    skipped: this host has no 8 free huge pages of 2 MiB (vm.nr_hugepages)\n    ");
		return;
	}
	start(&(struct memory_config){.size = 16 * MIB, .hugepages = true});
	CU_ASSERT_EQUAL(ram.gmem.page_size, 2 * MIB);
	CU_ASSERT(ram.shared && ram.hugetlb);
	memset(ram.gmem.regions[0].hva, 0xEE, 6 * MIB);
	CU_ASSERT_EQUAL(rss(), 6 * MIB);
	CU_ASSERT_EQUAL(ram_discard_all(&ram), 0);
	CU_ASSERT_EQUAL(rss(), 0);
	CU_ASSERT_EQUAL(ram.gmem.regions[0].hva[5 * MIB], 0);
	ram_finish(&ram);
}

static void size_has_to_be_whole_huge_pages(void)
{
	struct fail why = {0};

	if (access("/sys/kernel/mm/hugepages", F_OK) < 0)
		return;
	CU_ASSERT(ram_init(&ram, &(struct memory_config){.size = 3 * MIB, .hugepages = true}, &why) < 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(why.text, "not a multiple of the huge page size"));
}

static void finish_gives_everything_back(void)
{
	size_t before = count_fds();

	for (int shared = 0; shared < 2; shared++) {
		start(&(struct memory_config){.size = 4 * GIB, .shared = shared});
		const uint8_t *hva = ram.gmem.regions[1].hva;
		CU_ASSERT(is_readable(hva));
		ram_finish(&ram);
		CU_ASSERT_FALSE(is_readable(hva));
		CU_ASSERT_EQUAL(count_fds(), before);
		ram_finish(&ram);
	}
	struct guest_ram zeroed = {0};
	ram_finish(&zeroed);
	CU_ASSERT_EQUAL(count_fds(), before);
}

static const struct test_case cases[] = {
	{"up to 3 GiB is one region", up_to_3_gib_is_one_region},
	{"the rest lies above 4 GiB", the_rest_lies_above_4_gib},
	{"addresses are congruent for huge pages", addresses_are_congruent_for_huge_pages},
	{"guards surround each region", guards_surround_each_region},
	{"shared RAM is the memfd", shared_ram_is_the_memfd},
	{"advice reaches the kernel", advice_reaches_the_kernel},
	{"block size tells of huge pages", block_size_tells_of_huge_pages},
	{"nothing is populated unless asked", nothing_is_populated_unless_asked},
	{"RSS counts what was written", rss_counts_what_was_written},
	{"RSS counts scattered pages", rss_counts_scattered_pages},
	{"reads of untouched memory cost nothing", reads_of_untouched_memory_cost_nothing},
	{"discard_all leaves zeros", discard_all_leaves_zeros},
	{"a refused discard still leaves zeros", refused_discard_still_leaves_zeros},
	{"refused memory names the remedy", refused_memory_names_the_remedy},
	{"missing huge pages name the remedy", missing_huge_pages_name_the_remedy},
	{"huge pages work", huge_pages_work},
	{"the size has to be whole huge pages", size_has_to_be_whole_huge_pages},
	{"finish gives everything back", finish_gives_everything_back},
};
TEST_SUITE(memory, cases);
