#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kvm/memory.h"
#include "kvm/pagemap_scan.h"

/* The mmap lock is held for the length of one call: keep page faults of vCPUs from waiting long behind it. */
#define SCAN_STEP (1ULL << 30)

static uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Adds the present pages of [start, end) that are not the zero page. */
static int scan_step(int pagemap_fd, uint64_t start, uint64_t end, uint64_t *rss_bytes)
{
	struct page_region found[256];
	struct pm_scan_arg arg = {
		.size = sizeof arg,
		.start = start,
		.end = end,
		.vec = (uintptr_t)found,
		.vec_len = sizeof found / sizeof found[0],
		.category_mask = PAGE_IS_PRESENT | PAGE_IS_PFNZERO,
		.category_inverted = PAGE_IS_PFNZERO,
		.return_mask = PAGE_IS_PRESENT,
	};

	while (arg.start < end) {
		int n = ioctl(pagemap_fd, PAGEMAP_SCAN, &arg);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		for (int i = 0; i < n; i++)
			*rss_bytes += found[i].end - found[i].start;
		if (arg.walk_end <= arg.start) /* never: the kernel stops only behind what it reported */
			return -EIO;
		arg.start = arg.walk_end;
	}
	return 0;
}

static int scan_region(int pagemap_fd, const struct gmem_region *region, uint64_t *rss_bytes)
{
	uint64_t base = (uintptr_t)region->hva;

	for (uint64_t offset = 0; offset < region->len; offset += SCAN_STEP) {
		int rc = scan_step(pagemap_fd, base + offset, base + min_u64(offset + SCAN_STEP, region->len), rss_bytes);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int mincore_region(const struct gmem_region *region, uint64_t page_size, uint64_t *rss_bytes)
{
	unsigned char present[4096];
	uint64_t step = sizeof present * page_size;

	for (uint64_t offset = 0; offset < region->len; offset += step) {
		uint64_t len = min_u64(step, region->len - offset);
		if (mincore(region->hva + offset, len, present) < 0)
			return -errno;
		for (size_t i = 0; i < len / page_size; i++)
			*rss_bytes += (present[i] & 1) * page_size;
	}
	return 0;
}

static int memfd_rss(int memfd, uint64_t *rss_bytes)
{
	struct stat st;

	if (fstat(memfd, &st) < 0)
		return -errno;
	*rss_bytes = (uint64_t)st.st_blocks * 512; /* stat(2): the unit of st_blocks, whatever st_blksize says */
	return 0;
}

int ram_rss_probe(void)
{
	uint64_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	uint64_t start = (uintptr_t)&page / page * page;
	uint64_t rss_bytes = 0;
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	if (fd >= 0 && scan_step(fd, start, start + page, &rss_bytes) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

int ram_rss_bytes(const struct guest_ram *ram, uint64_t *rss_bytes)
{
	int rc = 0;

	*rss_bytes = 0;
	if (ram->shared)
		return memfd_rss(ram->memfd, rss_bytes);
	for (size_t i = 0; i < ram->gmem.n_regions && rc == 0; i++)
		if (ram->pagemap_fd >= 0)
			rc = scan_region(ram->pagemap_fd, &ram->gmem.regions[i], rss_bytes);
		else
			rc = mincore_region(&ram->gmem.regions[i], ram->gmem.page_size, rss_bytes);
	return rc;
}
