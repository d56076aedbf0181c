#include "device/kbd_reset.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "util/log.h"

/* Everything set but the input buffer's bit (bit 1): see the header. */
#define STATUS 0xfd

/* Commands 0xF0 to 0xFF pulse the output lines whose bit is clear; line 0 is the CPU's reset. */
#define COMMAND_PULSE 0xf0
#define COMMAND_PULSE_MASK 0xf1

struct kbd_reset {
	struct device base;
	struct io_region port;
};

static uint64_t port_read(void *opaque, uint64_t offset, unsigned size)
{
	(void)opaque;
	(void)offset;
	(void)size;
	return STATUS;
}

static void port_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
	struct kbd_reset *kbd = opaque;
	struct host_event event = {.kind = HOST_EVENT_RESET, .device_id = kbd->base.id};
	(void)offset;
	(void)size;

	if ((value & COMMAND_PULSE_MASK) == COMMAND_PULSE)
		kbd->base.host->ops->event(kbd->base.host, &event);
}

static const struct io_ops port_ops = {.read = port_read, .write = port_write};

static int create(const struct device_init *init, struct device **out)
{
	const struct kbd_reset_config *config = init->config;
	struct kbd_reset *kbd = calloc(1, sizeof *kbd);
	if (!kbd)
		return -ENOMEM;

	int ret = device_init(&kbd->base, &kbd_reset_class, init);
	if (ret < 0)
		goto free_kbd;
	kbd->port = (struct io_region){.space = IO_PIO, .base = config->port, .len = 1, .ops = &port_ops, .opaque = kbd};
	ret = init->host->ops->io_map(init->host, &kbd->port);
	if (ret < 0)
		goto finish_device;
	*out = &kbd->base;
	return 0;

finish_device:
	log_line(LOG_LEVEL_ERROR, init->id, "cannot map port 0x%" PRIx64, config->port);
	device_finish(&kbd->base);
free_kbd:
	free(kbd);
	return ret;
}

static void destroy(struct device *dev)
{
	struct kbd_reset *kbd = (struct kbd_reset *)dev;

	dev->host->ops->io_unmap(dev->host, &kbd->port);
	device_finish(dev);
	free(kbd);
}

const struct device_class kbd_reset_class = {
	.driver = {.name = "kbd-reset", .desc = "resets the machine as a keyboard controller does"},
	.create = create,
	.destroy = destroy,
};
