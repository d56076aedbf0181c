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
	return kib * 1024 / 2;
}
