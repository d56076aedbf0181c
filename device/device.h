/*
 * The device plugin. A device is one const struct device_class at the end of
 * its file and one row in device/registry.c.
 */
#ifndef DEVICE_DEVICE_H
#define DEVICE_DEVICE_H

#include <pthread.h>

#include "device/host.h"
#include "parser/schema.h"

struct device;
struct pci_root;

/* The struct of type `type` whose member `member` is at ptr. */
#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#define DEVICE_ID_MAX 64 /* bytes with the NUL; schema_type SCHEMA_ID keeps to it */

/* What a device is made from. Valid during create() only, but for host and pci. */
struct device_init {
	const char *id;	    /* unique in the VM */
	const void *config; /* the class's config struct: of its schema, or of its header for board devices */
	struct host *host;
	struct pci_root *pci; /* NULL for what does not sit on PCI */
};

struct device_class {
	/* Name, description, property table and cross-checks; schema NULL: part of the board, not for users to add. */
	struct schema_driver driver;

	/* 0, or -errno with the reason logged. *out is owned by the caller, who gives it to device_destroy(). */
	int (*create)(const struct device_init *init, struct device **out);

	/* Power-on state. Event-loop thread, no vCPU runs. NULL: nothing to do. */
	void (*reset)(struct device *dev);

	/* Frees everything. Event-loop thread, no vCPU runs. */
	void (*destroy)(struct device *dev);
};

/* First member of every device's own struct. */
struct device {
	const struct device_class *class;
	struct host *host;
	pthread_mutex_t lock; /* guards all state of the device; taken after pci_root's, before any host op's */
	char id[DEVICE_ID_MAX];
};

/* For create(): fills in the base and its lock; 0 or -errno. */
int device_init(struct device *dev, const struct device_class *class, const struct device_init *init);
void device_finish(struct device *dev);

void device_reset(struct device *dev);
void device_destroy(struct device *dev); /* NULL is fine */

#endif
