#include "kvm/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kvm/board.h"
#include "kvm/discard.h"
#include "util/log.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8U /* Linux 6.3; vm.memfd_noexec=2 insists on it */
#endif
#ifndef MFD_HUGE_SHIFT
#define MFD_HUGE_SHIFT 26
#endif

#define MIB (UINT64_C(1) << 20)
#define GUARD_LEN (2 * MIB)
#define THP_ALIGN (2 * MIB)

static int page_size_from_host(struct guest_ram *ram, const struct memory_config *config, struct fail *why)
{
	struct stat st;

	if (!ram->hugetlb) {
		ram->gmem.page_size = (uint64_t)sysconf(_SC_PAGESIZE);
		return 0;
	}
	/* hugetlbfs reports its page size as the block size: the only place where the default size can be asked for without /proc. */
	if (fstat(ram->memfd, &st) < 0)
		return fail(why, errno, "cannot inspect the huge page file of guest RAM");
	ram->gmem.page_size = (uint64_t)st.st_blksize;
	if (config->size % ram->gmem.page_size)
		return fail(why, 0, "memory size %" PRIu64 " is not a multiple of the huge page size, %" PRIu64 " KiB", config->size,
			    ram->gmem.page_size / 1024);
	return 0;
}

static int create_memfd(struct guest_ram *ram, const struct memory_config *config, struct fail *why)
{
	unsigned flags = MFD_CLOEXEC;

	if (config->hugepages)
		flags |= MFD_HUGETLB;
	if (config->hugepages && config->hugepage_size)
		flags |= (unsigned)__builtin_ctzll(config->hugepage_size) << MFD_HUGE_SHIFT;
	ram->memfd = memfd_create("vmm-balloon guest RAM", flags | MFD_NOEXEC_SEAL);
	if (ram->memfd < 0 && errno == EINVAL)
		ram->memfd = memfd_create("vmm-balloon guest RAM", flags);
	if (ram->memfd >= 0)
		return 0;
	if (!config->hugepages)
		return fail(why, errno, "cannot create the memfd of guest RAM");
	return fail(why, errno, "the host has no huge pages of %" PRIu64 " MiB; boot it with hugepagesz= and hugepages=, or set memory.hugepages=off",
		    config->hugepage_size / MIB);
}

static int size_memfd(const struct guest_ram *ram, const struct memory_config *config, struct fail *why)
{
	if (ftruncate(ram->memfd, (off_t)config->size) < 0)
		return fail(why, errno, "cannot size the memfd of guest RAM to %" PRIu64 " MiB", config->size / MIB);
	return 0;
}

static int refused(const struct guest_ram *ram, const struct gmem_region *region, struct fail *why)
{
	int error = errno;
	uint64_t page_kib = ram->gmem.page_size / 1024;

	if (ram->hugetlb)
		return fail(why, error,
			    "cannot reserve %" PRIu64 " huge pages of %" PRIu64 " KiB for guest RAM; raise /sys/kernel/mm/hugepages/hugepages-%" PRIu64
			    "kB/nr_hugepages",
			    region->len / ram->gmem.page_size, page_kib, page_kib);
	return fail(why, error, "cannot map %" PRIu64 " MiB of guest RAM; lower memory.size, or see ulimit -v and vm.overcommit_memory", region->len / MIB);
}

/* Reserves address space with room to align and a guard on either side, then puts the RAM in the middle of it. */
static int map_region(struct guest_ram *ram, size_t index, struct fail *why)
{
	struct gmem_region *region = &ram->gmem.regions[index];
	struct ram_reservation *reservation = &ram->reservations[index];
	uint64_t align = ram->gmem.page_size > THP_ALIGN ? ram->gmem.page_size : THP_ALIGN;
	int flags = ram->shared ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS;

	/* Guest RAM is overcommitted on purpose. Huge pages are not: one missing later would be a SIGBUS. */
	if (!ram->hugetlb)
		flags |= MAP_NORESERVE;

	size_t len = region->len + align + 2 * GUARD_LEN;
	void *addr = mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (addr == MAP_FAILED)
		return refused(ram, region, why);
	*reservation = (struct ram_reservation){.addr = addr, .len = len};

	uint8_t *hva = (uint8_t *)(((uintptr_t)addr + GUARD_LEN + align - 1) / align * align);
	if (mmap(hva, region->len, PROT_READ | PROT_WRITE, flags | MAP_FIXED, ram->memfd, (off_t)ram->file_offset[index]) == MAP_FAILED)
		return refused(ram, region, why);
	region->hva = hva;
	return 0;
}

static void lay_out(struct guest_ram *ram, uint64_t size)
{
	uint64_t low = size < BOARD_RAM_LOW_MAX ? size : BOARD_RAM_LOW_MAX;

	ram->gmem.regions[ram->gmem.n_regions++] = (struct gmem_region){.gpa = 0, .len = low};
	if (size == low)
		return;
	ram->file_offset[ram->gmem.n_regions] = low;
	ram->gmem.regions[ram->gmem.n_regions++] = (struct gmem_region){.gpa = BOARD_RAM_HIGH_BASE, .len = size - low};
}

/* Whether the kernel makes huge pages of memory that asks for them by madvise. What cannot be read says no. */
static bool has_thp(bool shared)
{
	const char *path = shared ? "/sys/kernel/mm/transparent_hugepage/shmem_enabled" : "/sys/kernel/mm/transparent_hugepage/enabled";
	char text[128];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	ssize_t len = read(fd, text, sizeof text - 1);
	close(fd);
	if (len <= 0)
		return false;
	text[len] = '\0';
	/* The choice is the one in brackets, among others: "always [madvise] never". */
	return !strstr(text, "[never]") && !strstr(text, "[deny]");
}

/* Neither a core dump nor a forked child has any use for guest RAM. In a dump it would reach those who may not see it; nobody forks. */
static int keep_private(const struct gmem_region *region, struct fail *why)
{
	if (madvise(region->hva, region->len, MADV_DONTDUMP) < 0)
		return fail(why, errno, "cannot keep guest RAM out of core dumps");
	madvise(region->hva, region->len, MADV_DONTFORK);
	return 0;
}

static void advise_region(const struct guest_ram *ram, const struct gmem_region *region, const struct memory_config *config)
{
	/* Without THP in the kernel MADV_NOHUGEPAGE fails as well, and has nothing to forbid. */
	if (!ram->hugetlb && madvise(region->hva, region->len, config->thp ? MADV_HUGEPAGE : MADV_NOHUGEPAGE) < 0 && config->thp)
		log_line(LOG_LEVEL_WARN, NULL, "memory.thp: no transparent huge pages on this host: %s", strerror(errno));

	if (!config->mergeable)
		return;
	if (ram->shared)
		log_line(LOG_LEVEL_WARN, NULL, "memory.mergeable: no effect on shared or huge page memory");
	else if (madvise(region->hva, region->len, MADV_MERGEABLE) < 0)
		log_line(LOG_LEVEL_WARN, NULL, "memory.mergeable: no KSM on this host: %s", strerror(errno));
}

/* Before the guest runs, when all of RAM is zero: writing a zero changes nothing. */
static void touch_pages(const struct guest_ram *ram, const struct gmem_region *region)
{
	volatile uint8_t *hva = region->hva;

	for (uint64_t offset = 0; offset < region->len; offset += ram->gmem.page_size)
		hva[offset] = 0;
}

static int populate(const struct guest_ram *ram, struct fail *why)
{
	for (size_t i = 0; i < ram->gmem.n_regions; i++) {
		const struct gmem_region *region = &ram->gmem.regions[i];
		int error = 0;

		while (madvise(region->hva, region->len, MADV_POPULATE_WRITE) < 0 && (error = errno) == EAGAIN)
			error = 0;
		if (error == EINVAL) /* before Linux 5.14 */
			touch_pages(ram, region);
		else if (error)
			return fail(why, error, "cannot prefault %" PRIu64 " MiB of guest RAM; lower memory.size or set memory.prefault=off",
				    region->len / MIB);
	}
	return 0;
}

int ram_init(struct guest_ram *ram, const struct memory_config *config, struct fail *why)
{
	int rc;

	*ram = (struct guest_ram){.memfd = -1, .pidfd = -1, .pagemap_fd = -1, .hugetlb = config->hugepages, .prefault = config->prefault, .live = true};
	ram->shared = config->shared || config->hugepages;

	rc = ram->shared ? create_memfd(ram, config, why) : 0;
	if (rc < 0)
		goto out;
	rc = page_size_from_host(ram, config, why);
	if (rc < 0)
		goto out;
	rc = ram->shared ? size_memfd(ram, config, why) : 0;
	if (rc < 0)
		goto out;
	if (config->thp && !ram->hugetlb && has_thp(ram->shared))
		ram->gmem.block_size = THP_ALIGN;
	lay_out(ram, config->size);
	for (size_t i = 0; i < ram->gmem.n_regions; i++) {
		rc = map_region(ram, i, why);
		if (rc == 0)
			rc = keep_private(&ram->gmem.regions[i], why);
		if (rc < 0)
			goto out;
		advise_region(ram, &ram->gmem.regions[i], config);
	}
	if (!ram->shared) {
		ram->pidfd = discard_probe_vector();
		ram->pagemap_fd = ram_rss_probe();
	}
	rc = config->prefault ? populate(ram, why) : 0;
out:
	if (rc < 0)
		ram_finish(ram);
	return rc;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void ram_finish(struct guest_ram *ram)
{
	if (!ram->live)
		return;
	for (size_t i = 0; i < GMEM_MAX_REGIONS; i++)
		if (ram->reservations[i].addr)
			munmap(ram->reservations[i].addr, ram->reservations[i].len);
	close_fd(&ram->memfd);
	close_fd(&ram->pidfd);
	close_fd(&ram->pagemap_fd);
	*ram = (struct guest_ram){.memfd = -1, .pidfd = -1, .pagemap_fd = -1};
}

int ram_discard_all(struct guest_ram *ram)
{
	int error = 0;

	for (size_t i = 0; i < ram->gmem.n_regions; i++) {
		const struct gmem_region *region = &ram->gmem.regions[i];
		const struct gmem_range whole = {.gpa = region->gpa, .len = region->len};
		struct discard_result result;

		discard_ranges(ram, &whole, 1, &result);
		if (!result.failed_bytes)
			continue;
		memset(region->hva, 0, region->len);
		error = result.error;
	}
	struct fail why;
	if (ram->prefault && populate(ram, &why) < 0)
		error = why.error;
	return -error;
}
