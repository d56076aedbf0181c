#include "kvm/discard.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define VECTOR_MAX_RANGES 1024 /* UIO_MAXIOV: the most that one call takes */

/* A stretch of one region that the host can free in one piece. */
struct stretch {
	uint8_t *hva;
	uint64_t len;
	uint64_t file_offset;
};

struct vector {
	struct iovec iov[VECTOR_MAX_RANGES];
	size_t n;
};

static void count(struct discard_result *result, uint64_t len_bytes, int error)
{
	if (!error) {
		result->discarded_bytes += len_bytes;
		return;
	}
	result->failed_bytes += len_bytes;
	if (!result->error)
		result->error = error;
}

/*
 * Takes ranges[*next] and those that touch it, and cuts the sum down to whole
 * host pages. Returns false when there is nothing left of it to free.
 */
static bool take_stretch(const struct guest_ram *ram, const struct gmem_range *ranges, size_t n, size_t *next, struct stretch *out,
			 struct discard_result *result)
{
	uint64_t start = ranges[*next].gpa;
	uint64_t len = ranges[*next].len;
	const struct gmem_region *region = gmem_region_of(&ram->gmem, start);

	++*next;
	if (!region || len > region->len - (start - region->gpa)) {
		count(result, len, EINVAL);
		return false;
	}
	while (*next < n && ranges[*next].gpa == start + len && ranges[*next].len <= region->gpa + region->len - (start + len))
		len += ranges[(*next)++].len;

	/* Regions begin and end at host pages, so rounding inwards never leaves them. */
	uint64_t page = ram->gmem.page_size;
	uint64_t first = (start + page - 1) / page * page;
	uint64_t end = (start + len) / page * page;
	uint64_t whole = end > first ? end - first : 0;

	if (whole < len)
		count(result, len - whole, EINVAL);
	if (!whole)
		return false;
	out->hva = region->hva + (first - region->gpa);
	out->len = whole;
	out->file_offset = ram->file_offset[region - ram->gmem.regions] + (first - region->gpa);
	return true;
}

static int drop_anonymous(void *hva, uint64_t len_bytes)
{
	return madvise(hva, len_bytes, MADV_DONTNEED) < 0 ? errno : 0;
}

static int punch_hole(int memfd, const struct stretch *stretch)
{
	while (fallocate(memfd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)stretch->file_offset, (off_t)stretch->len) < 0)
		if (errno != EINTR)
			return errno;
	return 0;
}

/*
 * The call returns how many bytes it got through before the first refusal or,
 * without one, before MAX_RW_COUNT (2 GiB, less a page). The entry where it
 * stopped is tried by itself, which tells its error, and the call goes on
 * behind it.
 */
static void vector_flush(int pidfd, struct vector *vector, struct discard_result *result)
{
	for (size_t i = 0; i < vector->n;) {
		const struct iovec *iov = &vector->iov[i];
		size_t n_left = vector->n - i;
		long done = n_left > 1 ? syscall(SYS_process_madvise, pidfd, iov, n_left, MADV_DONTNEED, 0) : 0;

		if (done < 0 || (uint64_t)done < iov->iov_len) {
			count(result, iov->iov_len, drop_anonymous(iov->iov_base, iov->iov_len));
			i++;
			continue;
		}
		for (uint64_t left = (uint64_t)done; i < vector->n && left >= vector->iov[i].iov_len; i++) {
			left -= vector->iov[i].iov_len;
			count(result, vector->iov[i].iov_len, 0);
		}
	}
	vector->n = 0;
}

static void vector_add(int pidfd, struct vector *vector, const struct stretch *stretch, struct discard_result *result)
{
	if (vector->n == VECTOR_MAX_RANGES)
		vector_flush(pidfd, vector, result);
	vector->iov[vector->n++] = (struct iovec){.iov_base = stretch->hva, .iov_len = stretch->len};
}

void discard_ranges(const struct guest_ram *ram, const struct gmem_range *ranges, size_t n, struct discard_result *result)
{
	struct vector vector; /* 16 KiB that stay untouched unless there is a vector to make */
	struct stretch stretch;

	*result = (struct discard_result){0};
	vector.n = 0;
	for (size_t next = 0; next < n;) {
		if (!take_stretch(ram, ranges, n, &next, &stretch, result))
			continue;
		if (ram->shared)
			count(result, stretch.len, punch_hole(ram->memfd, &stretch));
		else if (ram->pidfd >= 0)
			vector_add(ram->pidfd, &vector, &stretch, result);
		else
			count(result, stretch.len, drop_anonymous(stretch.hva, stretch.len));
	}
	vector_flush(ram->pidfd, &vector, result);
}

/* Not whether the call exists but what it does: kernels before 6.13 know it and refuse MADV_DONTNEED. */
int discard_probe_vector(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	int pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
	if (pidfd < 0)
		return -1;

	volatile uint8_t *probe = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (probe == MAP_FAILED) {
		close(pidfd);
		return -1;
	}
	probe[0] = probe[page] = 1;
	struct iovec iov[2] = {{.iov_base = (void *)probe, .iov_len = page}, {.iov_base = (void *)(probe + page), .iov_len = page}};
	long done = syscall(SYS_process_madvise, pidfd, iov, 2UL, MADV_DONTNEED, 0);
	bool works = done == (long)(2 * page) && probe[0] == 0 && probe[page] == 0;

	munmap((void *)probe, 2 * page);
	if (works)
		return pidfd;
	close(pidfd);
	return -1;
}
