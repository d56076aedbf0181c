#include "device/pvpanic.h"

#include "device/port_device.h"

static uint64_t port_read(void *opaque, uint64_t offset, unsigned size)
{
	(void)opaque;
	(void)offset;
	(void)size;
	return PVPANIC_PANICKED | PVPANIC_CRASH_LOADED;
}

static void report(struct device *dev, enum host_event_kind kind)
{
	struct host_event event = {.kind = kind, .device_id = dev->id};

	dev->host->ops->event(dev->host, &event);
}

static void port_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
	(void)offset;
	(void)size;

	if (value & PVPANIC_PANICKED)
		report(opaque, HOST_EVENT_PANIC);
	if (value & PVPANIC_CRASH_LOADED)
		report(opaque, HOST_EVENT_CRASH_LOADED);
}

static int create(const struct device_init *init, struct device **out)
{
	static const struct io_ops port_ops = {.read = port_read, .write = port_write};
	const struct pvpanic_config *config = init->config;

	return port_device_create(&pvpanic_class, init, config->port, &port_ops, out);
}

const struct device_class pvpanic_class = {
	.driver = {.name = "pvpanic", .desc = "tells the host of a guest's panic"},
	.create = create,
	.destroy = port_device_destroy,
};
