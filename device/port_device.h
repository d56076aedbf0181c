/*
 * A device that is one I/O port of one byte and keeps no state: what the
 * create() and destroy() of such classes have in common.
 */
#ifndef DEVICE_PORT_DEVICE_H
#define DEVICE_PORT_DEVICE_H

#include "device/device.h"

/*
 * For a class's create(): makes the device and maps `port`; the ops' opaque is
 * the struct device. 0, or -errno with the reason logged.
 */
int port_device_create(const struct device_class *class, const struct device_init *init, uint64_t port, const struct io_ops *ops, struct device **out);

/* A class's destroy(). */
void port_device_destroy(struct device *dev);

#endif
