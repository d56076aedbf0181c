/* The drivers that this program has, in the order in which help shows them. */
#ifndef DEVICE_REGISTRY_H
#define DEVICE_REGISTRY_H

#include "device/device.h"

/* NULL-terminated: the classes that users may name. */
extern const struct device_class *const device_registry[];

/* The same rows as the front ends see them, NULL-terminated. */
extern const struct schema_driver *const device_drivers[];

/* The class called `name`, NULL for none. */
const struct device_class *registry_find(const char *name);

#endif
