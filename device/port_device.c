#include "device/port_device.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "util/log.h"

struct port_device {
	struct device base;
	struct io_region region;
};

int port_device_create(const struct device_class *class, const struct device_init *init, uint64_t port, const struct io_ops *ops, struct device **out)
{
	struct port_device *pd = calloc(1, sizeof *pd);
	if (!pd)
		return -ENOMEM;

	int ret = device_init(&pd->base, class, init);
	if (ret < 0)
		goto free_pd;
	pd->region = (struct io_region){.space = IO_PIO, .base = port, .len = 1, .ops = ops, .opaque = &pd->base};
	ret = init->host->ops->io_map(init->host, &pd->region);
	if (ret < 0)
		goto finish_device;
	*out = &pd->base;
	return 0;

finish_device:
	log_line(LOG_LEVEL_ERROR, init->id, "cannot map port 0x%" PRIx64, port);
	device_finish(&pd->base);
free_pd:
	free(pd);
	return ret;
}

void port_device_destroy(struct device *dev)
{
	struct port_device *pd = (struct port_device *)dev;

	dev->host->ops->io_unmap(dev->host, &pd->region);
	device_finish(dev);
	free(pd);
}
