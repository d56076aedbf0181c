#include "device/registry.h"

#include <string.h>

#include "device/balloon.h"

/* A new driver gets a row in each table. */
const struct device_class *const device_registry[] = {
	&balloon_class,
	NULL,
};

const struct schema_driver *const device_drivers[] = {
	&balloon_class.driver,
	NULL,
};

const struct device_class *registry_find(const char *name)
{
	for (size_t i = 0; device_registry[i]; i++)
		if (strcmp(device_registry[i]->driver.name, name) == 0)
			return device_registry[i];
	return NULL;
}
