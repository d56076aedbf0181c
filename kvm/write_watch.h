/*
 * Which pages of guest RAM the guest has written since some moment, by KVM's
 * dirty log (Documentation/virt/kvm/api.rst, 4.8 and 4.35). It sees what vCPUs
 * write and what KVM itself writes for them; what this process writes to guest
 * memory it does not see.
 *
 * While it is on, KVM maps guest memory by 4 KiB pages as they are written, so
 * it is for short whiles. Any thread, unless a function says otherwise, but
 * write_watch_discard() with all vCPUs held.
 */
#ifndef KVM_WRITE_WATCH_H
#define KVM_WRITE_WATCH_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "device/host.h"
#include "kvm/memory.h"

struct write_watch {
	pthread_mutex_t lock;
	const struct guest_ram *ram;
	bool on;
	bool lingers;			     /* KVM's log, which it did not switch off when it should */
	bool blind;			     /* KVM's log could not be read: it may have forgotten what it did not tell */
	uint64_t *written[GMEM_MAX_REGIONS]; /* a bit for each 4096 bytes of the region, since write_watch_start() */
	uint64_t *news[GMEM_MAX_REGIONS];    /* what KVM told last; behind the former in one mapping */
};

/* `ram` outlives it. */
void write_watch_init(struct write_watch *watch, const struct guest_ram *ram);
void write_watch_finish(struct write_watch *watch);

/* vm_fd: KVM's VM, whose memory slot i is region i. Starting twice starts anew. 0 or -errno: it is off then. */
int write_watch_start(struct write_watch *watch, int vm_fd);

/* vm_fd -1: the VM that it was started on is gone. Stopping twice is fine. A vCPU's thread may not: its sandbox bars the call. */
void write_watch_stop(struct write_watch *watch, int vm_fd);

/* The host's discard_unwritten op (device/host.h). */
void write_watch_discard(struct write_watch *watch, int vm_fd, const struct gmem_range *ranges, size_t n, struct discard_result *result);

#endif
