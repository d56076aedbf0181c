#include "device/device.h"

#include <errno.h>
#include <string.h>

int device_init(struct device *dev, const struct device_class *class, const struct device_init *init)
{
	size_t len = strlen(init->id);
	if (len >= sizeof dev->id)
		return -ENAMETOOLONG;
	int err = pthread_mutex_init(&dev->lock, NULL);
	if (err)
		return -err;
	memcpy(dev->id, init->id, len + 1);
	dev->class = class;
	dev->host = init->host;
	return 0;
}

void device_finish(struct device *dev)
{
	pthread_mutex_destroy(&dev->lock);
}

void device_reset(struct device *dev)
{
	if (dev->class->reset)
		dev->class->reset(dev);
}

void device_destroy(struct device *dev)
{
	if (dev)
		dev->class->destroy(dev);
}
