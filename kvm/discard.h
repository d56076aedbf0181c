/*
 * Gives guest memory back to the host. Needs no /dev/kvm. Any thread; several
 * at once are fine, as is a guest that touches the memory meanwhile.
 */
#ifndef KVM_DISCARD_H
#define KVM_DISCARD_H

#include <stddef.h>

#include "device/host.h"
#include "kvm/memory.h"

/*
 * The host's discard op (device/host.h): ranges are sorted, disjoint, not
 * empty, multiples of 4096, each within one region of ram. What was freed
 * reads as zero afterwards. On hugetlb only whole huge pages inside a range
 * can be freed, the rest counts as failed; ranges that touch and cover a huge
 * page together free it. A refusal never stops the ranges that follow: it is
 * counted in *result, which is set, not added to.
 *
 *   anonymous, one range      madvise(MADV_DONTNEED)
 *   anonymous, several        process_madvise(2) on ourselves, up to 1024 ranges in one
 *                             call with one TLB flush, where the kernel accepts
 *                             MADV_DONTNEED there (Linux 6.13); else one madvise each
 *   memfd                     fallocate(PUNCH_HOLE) each: frees the page and unmaps it
 *                             from every page table, KVM's included
 */
void discard_ranges(const struct guest_ram *ram, const struct gmem_range *ranges, size_t n, struct discard_result *result);

/*
 * A pidfd of this process that process_madvise(MADV_DONTNEED) accepts, or -1.
 * The caller closes it. ram_init calls this once.
 */
int discard_probe_vector(void);

#endif
