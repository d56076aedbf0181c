#include "device/pvpanic.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "util/log.h"

struct pvpanic {
	struct device base;
	struct io_region port;
};

static uint64_t port_read(void *opaque, uint64_t offset, unsigned size)
{
	(void)opaque;
	(void)offset;
	(void)size;
	return PVPANIC_PANICKED | PVPANIC_CRASH_LOADED;
}

static void report(struct pvpanic *pv, enum host_event_kind kind)
{
	struct host_event event = {.kind = kind, .device_id = pv->base.id};

	pv->base.host->ops->event(pv->base.host, &event);
}

static void port_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
	struct pvpanic *pv = opaque;
	(void)offset;
	(void)size;

	if (value & PVPANIC_PANICKED)
		report(pv, HOST_EVENT_PANIC);
	if (value & PVPANIC_CRASH_LOADED)
		report(pv, HOST_EVENT_CRASH_LOADED);
}

static const struct io_ops port_ops = {.read = port_read, .write = port_write};

static int create(const struct device_init *init, struct device **out)
{
	const struct pvpanic_config *config = init->config;
	struct pvpanic *pv = calloc(1, sizeof *pv);
	if (!pv)
		return -ENOMEM;

	int ret = device_init(&pv->base, &pvpanic_class, init);
	if (ret < 0)
		goto free_pv;
	pv->port = (struct io_region){.space = IO_PIO, .base = config->port, .len = 1, .ops = &port_ops, .opaque = pv};
	ret = init->host->ops->io_map(init->host, &pv->port);
	if (ret < 0)
		goto finish_device;
	*out = &pv->base;
	return 0;

finish_device:
	log_line(LOG_LEVEL_ERROR, init->id, "cannot map port 0x%" PRIx64, config->port);
	device_finish(&pv->base);
free_pv:
	free(pv);
	return ret;
}

static void destroy(struct device *dev)
{
	struct pvpanic *pv = (struct pvpanic *)dev;

	dev->host->ops->io_unmap(dev->host, &pv->port);
	device_finish(dev);
	free(pv);
}

const struct device_class pvpanic_class = {
	.driver = {.name = "pvpanic", .desc = "tells the host of a guest's panic"},
	.create = create,
	.destroy = destroy,
};
