#include "tests/bench/backings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HUGE_BYTES (2ULL << 20)

const struct backing backings[] = {
	{"private-4k", {0}, false},
	{"private-thp", {.thp = true}, true},
	{"shared-4k", {.shared = true}, false},
	{"shared-thp", {.shared = true, .thp = true}, true},
	{"hugetlb", {.hugepages = true}, true},
};
const size_t n_backings = sizeof backings / sizeof backings[0];

/* Sums the lines of smaps that count huge mappings, over the mappings that overlap the range. */
double backing_huge_share(const void *hva, uint64_t len)
{
	static const char *const fields[] = {"AnonHugePages:", "ShmemPmdMapped:", "Shared_Hugetlb:", "Private_Hugetlb:"};
	uint64_t first = (uintptr_t)hva, huge_kib = 0;
	bool inside = false;
	char line[512];
	FILE *smaps = fopen("/proc/self/smaps", "re");
	if (!smaps)
		return 0;
	while (fgets(line, sizeof line, smaps)) {
		char *end;
		uint64_t start = strtoull(line, &end, 16);
		if (*end == '-') {
			inside = start < first + len && strtoull(end + 1, NULL, 16) > first;
			continue;
		}
		for (size_t i = 0; inside && i < sizeof fields / sizeof fields[0]; i++)
			if (!strncmp(line, fields[i], strlen(fields[i])))
				huge_kib += strtoull(line + strlen(fields[i]), NULL, 10);
	}
	fclose(smaps);
	return (double)huge_kib * 1024 / (double)len;
}

const struct backing *backing_named(const char *name)
{
	for (size_t i = 0; i < n_backings; i++)
		if (!strcmp(backings[i].name, name))
			return &backings[i];
	return NULL;
}

const char *backing_open(const struct backing *backing, uint64_t bytes, struct guest_ram *ram)
{
	struct memory_config config = backing->config;
	static struct fail why;
	config.size = bytes;
	if (ram_init(ram, &config, &why) < 0)
		return why.text;
	uint8_t *hva = ram->gmem.regions[0].hva;
	hva[0] = 1;
	if (!backing->is_huge || backing_huge_share(hva, HUGE_BYTES) >= 1)
		return NULL;
	ram_finish(ram);
	return "the host gives no huge page to such memory; see /sys/kernel/mm/transparent_hugepage";
}

uint64_t backing_rss(const struct guest_ram *ram)
{
	uint64_t bytes = 0;
	if (ram_rss_bytes(ram, &bytes) < 0)
		abort();
	return bytes;
}

static uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* The number in a file of a control group, UINT64_MAX for "max" and for what is not there. */
static uint64_t number_in(const char *folder, const char *name)
{
	char path[1024], text[32];
	snprintf(path, sizeof path, "%s/%s", folder, name);
	FILE *file = fopen(path, "re");
	uint64_t value = UINT64_MAX;
	if (file && fgets(text, sizeof text, file) && strncmp(text, "max", 3) != 0)
		value = strtoull(text, NULL, 10);
	if (file)
		fclose(file);
	return value;
}

/* What the control group and those that it lies in leave to us. */
static uint64_t cgroup_spare_bytes(char *folder, size_t root_len)
{
	uint64_t spare = UINT64_MAX;
	for (;;) {
		uint64_t max = number_in(folder, "memory.max"), current = number_in(folder, "memory.current");
		if (max != UINT64_MAX && current != UINT64_MAX)
			spare = min_u64(spare, max > current ? max - current : 0);
		char *slash = strrchr(folder, '/');
		if (!slash || (size_t)(slash - folder) < root_len)
			return spare;
		*slash = '\0';
	}
}

static uint64_t own_cgroup_spare_bytes(void)
{
	static const char root[] = "/sys/fs/cgroup";
	char line[512], folder[sizeof root + sizeof line];
	uint64_t spare = UINT64_MAX;
	FILE *file = fopen("/proc/self/cgroup", "re");
	while (file && fgets(line, sizeof line, file)) {
		if (strncmp(line, "0::/", 4) != 0)
			continue;
		line[strcspn(line, "\n")] = '\0';
		snprintf(folder, sizeof folder, "%s%s", root, line + 3);
		spare = cgroup_spare_bytes(folder, strlen(root));
	}
	if (file)
		fclose(file);
	return spare;
}

/* Half of it is left to others. */
uint64_t backing_spare_bytes(void)
{
	uint64_t kib = 0;
	char line[128];
	FILE *meminfo = fopen("/proc/meminfo", "re");
	while (meminfo && fgets(line, sizeof line, meminfo))
		if (!strncmp(line, "MemAvailable:", 13))
			kib = strtoull(line + 13, NULL, 10);
	if (meminfo)
		fclose(meminfo);
	return min_u64(kib * 1024, own_cgroup_spare_bytes()) / 2;
}
