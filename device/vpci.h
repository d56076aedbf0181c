/*
 * The modern virtio PCI transport (VIRTIO 1.4, section 4.1): everything of a
 * virtio device that does not depend on its type. A device of some type embeds
 * a struct vpci, describes itself with a struct vpci_type, and gets called back
 * with its device's lock held.
 *
 *   BAR 0, offset 0x0000   common configuration
 *                 0x0100   device configuration
 *                 0x0200   ISR status
 *                 0x0300   notify, 4 bytes a queue: queue i at 0x300 + 4 * i
 *                 0x1000   MSI-X table, one vector for configuration and one a queue
 *                 0x1800   MSI-X pending bits
 *
 * Offered besides the type's own features: VERSION_1 (without which the device
 * refuses to work), INDIRECT_DESC, EVENT_IDX, RING_RESET, SUSPEND.
 *
 * Kicks are served on the vCPU thread that trapped, a bounded amount of work
 * at a time; what is left goes on from the event loop, and so does a kick that
 * comes while another thread is in the device.
 */
#ifndef DEVICE_VPCI_H
#define DEVICE_VPCI_H

#include "device/device.h"
#include "device/msix.h"
#include "device/virtq.h"
#include "util/log.h"

#define VPCI_MAX_QUEUES 32
#define VPCI_MAX_CONFIG_LEN 0x100u

struct vpci;

/* All callbacks: device lock held. Those without a word on NULL are needed, config_* if there is configuration. */
struct vpci_type {
	uint16_t device_type; /* VIRTIO 1.4, section 5 */
	uint32_t pci_class;   /* base class << 16 | subclass << 8 | interface */
	unsigned n_queues;
	const uint16_t *queue_sizes; /* maximum size of each, a power of two up to VIRTQ_MAX_SIZE */
	uint32_t config_len;	     /* bytes of device configuration, up to VPCI_MAX_CONFIG_LEN */

	/* [offset, offset + len) lies within config_len. */
	void (*config_read)(struct vpci *vpci, uint32_t offset, uint8_t *bytes, uint32_t len);
	void (*config_write)(struct vpci *vpci, uint32_t offset, const uint8_t *bytes, uint32_t len);

	/* Whether queue `index` exists with the negotiated features. */
	bool (*has_queue)(const struct vpci *vpci, unsigned index);

	/* The driver set DRIVER_OK; the queues are run right after. */
	void (*driver_ok)(struct vpci *vpci);

	/*
	 * Serves a live queue. Returns true when work is left after a bounded
	 * amount of it: it is called again, on the event-loop thread.
	 */
	bool (*queue_run)(struct vpci *vpci, unsigned index);

	/* The queue is about to vanish: forget everything that came from it. */
	void (*queue_reset)(struct vpci *vpci, unsigned index);

	/*
	 * SUSPEND (section 2.9): while vpci_is_suspending() queue_run takes no new
	 * chain; once is_busy() says that those in work are returned, the device is
	 * suspended, its configuration stands still and queue_run is not called.
	 * resumed: it goes on; the configuration may change, and the queues are run
	 * right after. Each may be NULL: never busy, nothing to do.
	 */
	bool (*is_busy)(const struct vpci *vpci);
	void (*suspended)(struct vpci *vpci);
	void (*resumed)(struct vpci *vpci);

	/* After each of the driver's accesses that changed more than a register, and each piece of deferred work; or NULL. */
	void (*settled)(struct vpci *vpci);

	/* The driver reset the device, or power-on: forget everything that came from the driver. Queues are gone already. */
	void (*reset)(struct vpci *vpci);
};

struct vpci_queue {
	uint16_t size, vector;
	uint64_t desc, avail, used; /* registers; vq holds what was latched when the queue was enabled */
	struct virtq vq;
	uint16_t held_idx; /* vq.used_idx when its interrupt was held back, or seen to be since */
	uint32_t n_prompt; /* so many interrupts are not held back; */
	uint32_t prompts;  /* so many the last time that the driver was seen to sleep */
};

struct vpci {
	struct device *dev;
	const struct vpci_type *type;
	struct pci_root *root;
	struct pci_function fn;
	struct msix msix;
	unsigned window_cap; /* offset of the PCI_CFG capability */

	uint64_t offered;
	uint64_t driver_features; /* what the driver wrote; final once FEATURES_OK is set */
	uint32_t device_feature_select, driver_feature_select;
	uint16_t queue_select, config_vector;
	uint8_t status, generation, isr;
	bool config_was_read; /* since `generation` was last raised */
	bool config_is_late;  /* it changed while the device was suspended */
	bool suspending;      /* the driver asked for it, and chains are in work */
	bool is_master;	      /* Command.BusMaster when Command was last written */

	struct vpci_queue queues[VPCI_MAX_QUEUES];
	uint32_t pending; /* bit i: queue i waits to be run from the event loop */
	uint32_t kicked;  /* the same, of kicks that came while the lock was taken; atomic */
	struct host_work work;
	bool is_kicked;	    /* a kick is being served, on the vCPU that made it */
	bool hold_is_armed; /* hold_timer is */
	uint32_t held;	    /* bit i: an interrupt of queue i is held back */
	struct host_timer hold_timer;
	struct log_limit guest_limit;
};

/*
 * Sets the transport up and puts the function on the bus; slot 0 is the first
 * free one. `dev` is initialised, features are the type's own bits. 0, or
 * -errno as of pci_root_add().
 */
int vpci_init(struct vpci *vpci, struct device *dev, const struct vpci_type *type, uint64_t features, struct pci_root *root, unsigned slot);

/* Event-loop thread, no vCPU runs, no lock held. */
void vpci_finish(struct vpci *vpci);
void vpci_power_on_reset(struct vpci *vpci);

/* ---- For the device type, with the lock held ------------------------- */

/* The features that both sides agreed on, 0 before FEATURES_OK. */
uint64_t vpci_features(const struct vpci *vpci);
bool vpci_has_feature(const struct vpci *vpci, unsigned bit);

/* DRIVER_OK is set, nothing is wrong, and the function may reach memory. */
bool vpci_is_live(const struct vpci *vpci);

/* The driver waits until what is in work is returned; it has been, and waits to be resumed. */
bool vpci_is_suspending(const struct vpci *vpci);
bool vpci_is_suspended(const struct vpci *vpci);

/* Interrupts the driver if it wants to know of what was pushed to the queue. */
void vpci_signal_queue(struct vpci *vpci, unsigned index);

/* Device configuration changed: raises the generation and tells a live driver, a suspended one when it resumes. */
void vpci_config_changed(struct vpci *vpci);

/* A line about something that the driver did wrong; one a second for all of the device. */
__attribute__((format(printf, 2, 3))) void vpci_log_guest(struct vpci *vpci, const char *fmt, ...);

/* The queue's structure is broken: no queue is served until the driver resets the device, which it is told. */
void vpci_queue_broken(struct vpci *vpci, unsigned index);

#endif
