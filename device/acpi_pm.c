#include "device/acpi_pm.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "util/log.h"

/* PM1 status and enable, ACPI 6.5, sections 4.8.3.1.1 and 4.8.3.1.2: bit 8 is the power button in both. */
#define PM1_PWRBTN (1u << 8)
/* What else can be enabled: timer, global lock, RTC. Kept, but never set here. */
#define PM1_ENABLE_MASK (PM1_PWRBTN | 1u << 0 | 1u << 5 | 1u << 10)

/* PM1 control, section 4.8.3.2.1. */
#define PM1_SCI_EN (1u << 0)
#define PM1_SLP_TYP_SHIFT 10
#define PM1_SLP_TYP_MASK 7u
#define PM1_SLP_EN (1u << 13) /* write-only */

struct acpi_pm {
	struct device base;
	struct io_region evt, cnt, reset;
	uint32_t sci_gsi;
	uint8_t reset_value;
	uint16_t status, enable, control;
	bool sci_level;
};

static struct acpi_pm *from_device(struct device *dev)
{
	return (struct acpi_pm *)dev;
}

static void update_sci(struct acpi_pm *pm)
{
	bool level = pm->status & pm->enable & PM1_PWRBTN;

	if (level == pm->sci_level)
		return;
	pm->sci_level = level;
	pm->base.host->ops->irq_set(pm->base.host, pm->sci_gsi, level);
}

static void report(struct acpi_pm *pm, enum host_event_kind kind)
{
	struct host_event event = {.kind = kind, .device_id = pm->base.id};

	pm->base.host->ops->event(pm->base.host, &event);
}

void acpi_pm_press_power_button(struct device *dev)
{
	struct acpi_pm *pm = from_device(dev);

	pthread_mutex_lock(&dev->lock);
	pm->status |= PM1_PWRBTN;
	update_sci(pm);
	pthread_mutex_unlock(&dev->lock);
}

/* Guests access the registers in bytes, words or both words at once: mask and value of the bytes that [offset, offset + size) covers. */
static uint32_t lanes(uint64_t offset, unsigned size)
{
	return (uint32_t)(((UINT64_C(1) << (8 * size)) - 1) << (8 * offset));
}

static uint64_t evt_read(void *opaque, uint64_t offset, unsigned size)
{
	struct acpi_pm *pm = opaque;

	pthread_mutex_lock(&pm->base.lock);
	uint32_t both = pm->status | (uint32_t)pm->enable << 16;
	pthread_mutex_unlock(&pm->base.lock);
	return (both & lanes(offset, size)) >> (8 * offset);
}

static void evt_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
	struct acpi_pm *pm = opaque;
	uint32_t mask = lanes(offset, size);
	uint32_t both = (uint32_t)(value << (8 * offset)) & mask;

	pthread_mutex_lock(&pm->base.lock);
	pm->status &= (uint16_t)~both; /* a one clears */
	pm->enable = (uint16_t)((pm->enable & ~(mask >> 16)) | (both >> 16)) & PM1_ENABLE_MASK;
	update_sci(pm);
	pthread_mutex_unlock(&pm->base.lock);
}

static uint64_t cnt_read(void *opaque, uint64_t offset, unsigned size)
{
	struct acpi_pm *pm = opaque;

	pthread_mutex_lock(&pm->base.lock);
	uint32_t control = pm->control | PM1_SCI_EN;
	pthread_mutex_unlock(&pm->base.lock);
	return (control & lanes(offset, size)) >> (8 * offset);
}

static void cnt_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
	struct acpi_pm *pm = opaque;
	uint32_t mask = lanes(offset, size);
	uint32_t written = (uint32_t)(value << (8 * offset)) & mask;

	pthread_mutex_lock(&pm->base.lock);
	pm->control = (uint16_t)((pm->control & ~mask) | (written & ~PM1_SLP_EN));
	if ((written & PM1_SLP_EN) && (pm->control >> PM1_SLP_TYP_SHIFT & PM1_SLP_TYP_MASK) == ACPI_PM_SLP_TYP_S5)
		report(pm, HOST_EVENT_POWEROFF);
	pthread_mutex_unlock(&pm->base.lock);
}

static uint64_t reset_read(void *opaque, uint64_t offset, unsigned size)
{
	(void)opaque;
	(void)offset;
	(void)size;
	return 0;
}

static void reset_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
	struct acpi_pm *pm = opaque;
	(void)offset;
	(void)size;

	pthread_mutex_lock(&pm->base.lock);
	if ((uint8_t)value == pm->reset_value)
		report(pm, HOST_EVENT_RESET);
	pthread_mutex_unlock(&pm->base.lock);
}

static const struct io_ops evt_ops = {.read = evt_read, .write = evt_write};
static const struct io_ops cnt_ops = {.read = cnt_read, .write = cnt_write};
static const struct io_ops reset_ops = {.read = reset_read, .write = reset_write};

static void reset(struct device *dev)
{
	struct acpi_pm *pm = from_device(dev);

	pthread_mutex_lock(&dev->lock);
	pm->status = pm->enable = pm->control = 0;
	update_sci(pm);
	pthread_mutex_unlock(&dev->lock);
}

static int map_ports(struct acpi_pm *pm)
{
	struct host *host = pm->base.host;
	struct io_region *regions[] = {&pm->evt, &pm->cnt, &pm->reset};

	for (size_t i = 0; i < 3; i++) {
		int ret = host->ops->io_map(host, regions[i]);
		if (ret < 0) {
			log_line(LOG_LEVEL_ERROR, pm->base.id, "cannot map port 0x%" PRIx64, regions[i]->base);
			while (i-- > 0)
				host->ops->io_unmap(host, regions[i]);
			return ret;
		}
	}
	return 0;
}

static int create(const struct device_init *init, struct device **out)
{
	const struct acpi_pm_config *config = init->config;
	struct acpi_pm *pm = calloc(1, sizeof *pm);
	if (!pm)
		return -ENOMEM;

	int ret = device_init(&pm->base, &acpi_pm_class, init);
	if (ret < 0)
		goto free_pm;
	pm->sci_gsi = config->sci_gsi;
	pm->reset_value = config->reset_value;
	pm->evt = (struct io_region){.space = IO_PIO, .base = config->evt_port, .len = ACPI_PM_EVT_LEN, .ops = &evt_ops, .opaque = pm};
	pm->cnt = (struct io_region){.space = IO_PIO, .base = config->cnt_port, .len = ACPI_PM_CNT_LEN, .ops = &cnt_ops, .opaque = pm};
	pm->reset = (struct io_region){.space = IO_PIO, .base = config->reset_port, .len = 1, .ops = &reset_ops, .opaque = pm};
	ret = map_ports(pm);
	if (ret < 0)
		goto finish_device;
	*out = &pm->base;
	return 0;

finish_device:
	device_finish(&pm->base);
free_pm:
	free(pm);
	return ret;
}

static void destroy(struct device *dev)
{
	struct acpi_pm *pm = from_device(dev);

	dev->host->ops->io_unmap(dev->host, &pm->reset);
	dev->host->ops->io_unmap(dev->host, &pm->cnt);
	dev->host->ops->io_unmap(dev->host, &pm->evt);
	device_finish(dev);
	free(pm);
}

const struct device_class acpi_pm_class = {
	.driver = {.name = "acpi-pm", .desc = "ACPI power button, power-off and reset"},
	.create = create,
	.reset = reset,
	.destroy = destroy,
};
