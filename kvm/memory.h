/*
 * Guest RAM: how much of it lies where, what backs it, and what it costs the
 * host. Needs no /dev/kvm.
 *
 * RAM is one region below BOARD_RAM_LOW_MAX and, when there is more, a second
 * one at BOARD_RAM_HIGH_BASE. Guest and host addresses of a region are
 * congruent modulo 2 MiB (modulo 1 GiB on 1 GiB pages), so that KVM can map a
 * huge page of the host as one of the guest, and a PROT_NONE area lies on
 * either side of each region, so that a stray access faults instead of
 * reaching a neighbour.
 *
 * What backs it:
 *   private     anonymous memory
 *   shared      a memfd, mapped shared
 *   hugepages   a hugetlb memfd, mapped shared whether `shared` is set or not:
 *               a hole punched into the file frees a page for certain, while a
 *               private hugetlb mapping first learnt MADV_DONTNEED in Linux 5.18
 *
 * After ram_init the functions below, and discard_ranges, make these system
 * calls and no others: madvise, process_madvise, fallocate, fstat, mincore and
 * ioctl(PAGEMAP_SCAN). A seccomp filter has to let them through. No file is
 * opened.
 */
#ifndef KVM_MEMORY_H
#define KVM_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "device/host.h"
#include "parser/vmconfig.h"
#include "util/fail.h"

struct guest_ram {
	struct gmem gmem; /* page_size and block_size are filled in */
	int memfd;	  /* -1: anonymous. Region i starts at file_offset[i] of it */
	bool shared;	  /* mapped from memfd, by `shared` or by `hugepages` */
	bool hugetlb;
	bool prefault;
	uint64_t file_offset[GMEM_MAX_REGIONS];

	/* Private to kvm/memory.c and kvm/discard.c. */
	struct ram_reservation {
		void *addr; /* guard areas included */
		size_t len;
	} reservations[GMEM_MAX_REGIONS];
	int pidfd;	/* our own process, for process_madvise; -1: one madvise per range */
	int pagemap_fd; /* for PAGEMAP_SCAN; -1: mincore */
	bool live;	/* between ram_init and ram_finish */
};

/*
 * Lays out and maps config->size bytes (a multiple of 4096, or of the huge
 * page size). Advice that the host does not know (no THP, no KSM) is logged
 * and passed over; memory that it refuses is a failure whose text names the
 * remedy. With `prefault` it blocks until every page is there. On failure *ram
 * is as after ram_finish. Returns 0 or -errno.
 */
int ram_init(struct guest_ram *ram, const struct memory_config *config, struct fail *why);

/* Unmaps and closes. Once no vCPU runs and the VM is gone. Fine on a zeroed struct and twice. */
void ram_finish(struct guest_ram *ram);

/*
 * Gives all of RAM back to the host, which is what a reset does: it reads as
 * zero afterwards. With `prefault` it is populated anew. vCPUs are stopped.
 * Returns 0, or -errno when the host refused some of it: that part has been
 * zeroed by hand, so the guest starts clean in any case.
 */
int ram_discard_all(struct guest_ram *ram);

/*
 * Bytes of host memory that guest RAM occupies now. Any thread. Returns 0 or
 * -errno.
 *
 * memfd: the blocks of the file, which the kernel keeps as a number: exact at
 * once whatever the size. Pages that were swapped out count as well.
 * Anonymous: page tables have to be walked. PAGEMAP_SCAN (Linux 6.7) walks
 * them in the kernel, a huge page in one step, and can leave out the zero
 * page, which a guest's reads of untouched memory map and which costs nothing;
 * where it is missing, mincore(2), which counts it. smaps would do too but
 * prints every mapping of the process, and statm counts the program's own.
 */
int ram_rss_bytes(const struct guest_ram *ram, uint64_t *rss_bytes);

/* A descriptor of this process's pagemap that PAGEMAP_SCAN works on, or -1. The caller closes it. ram_init calls this once. */
int ram_rss_probe(void);

#endif
