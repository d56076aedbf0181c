#include "device/kbd_reset.h"

#include "device/port_device.h"

/* Everything set but the input buffer's bit (bit 1): see the header. */
#define STATUS 0xfd

/* Commands 0xF0 to 0xFF pulse the output lines whose bit is clear; line 0 is the CPU's reset. */
#define COMMAND_PULSE 0xf0
#define COMMAND_PULSE_MASK 0xf1

static uint64_t port_read(void *opaque, uint64_t offset, unsigned size)
{
	(void)opaque;
	(void)offset;
	(void)size;
	return STATUS;
}

static void port_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
	struct device *dev = opaque;
	struct host_event event = {.kind = HOST_EVENT_RESET, .device_id = dev->id};
	(void)offset;
	(void)size;

	if ((value & COMMAND_PULSE_MASK) == COMMAND_PULSE)
		dev->host->ops->event(dev->host, &event);
}

static int create(const struct device_init *init, struct device **out)
{
	static const struct io_ops port_ops = {.read = port_read, .write = port_write};
	const struct kbd_reset_config *config = init->config;

	return port_device_create(&kbd_reset_class, init, config->port, &port_ops, out);
}

const struct device_class kbd_reset_class = {
	.driver = {.name = "kbd-reset", .desc = "resets the machine as a keyboard controller does"},
	.create = create,
	.destroy = port_device_destroy,
};
