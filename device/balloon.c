#include "device/balloon.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <stdlib.h>
#include <string.h>

#include "device/balloon_impl.h"

#define DEFAULT_ID "balloon0"
#define TARGET_MAX ((uint64_t)UINT32_MAX << PFN_SHIFT) /* num_pages is a 32-bit field */

/* ---- Properties ------------------------------------------------------ */

#define OFFSET(field) offsetof(struct balloon_config, field)

static const struct schema_prop props[] = {
	{
		.name = "size",
		.type = SCHEMA_SIZE,
		.offset = OFFSET(size),
		.required = true,
		.max = TARGET_MAX,
		.multiple = PFN_BYTES,
		.help = "Memory to take from the guest; less than its RAM",
		.example = "512M",
	},
	{
		.name = "deflate_on_oom",
		.type = SCHEMA_BOOL,
		.offset = OFFSET(deflate_on_oom),
		.help = "Let a guest that runs out of memory take pages back on its own",
		.example = "on",
	},
	{
		.name = "free_page_reporting",
		.type = SCHEMA_BOOL,
		.offset = OFFSET(free_page_reporting),
		.help = "Let the guest report free pages, which go back to the host until they are used again",
		.example = "on",
	},
	{
		.name = "free_page_hinting",
		.type = SCHEMA_BOOL,
		.offset = OFFSET(free_page_hinting),
		.help = "Let the host ask for free pages, which go back to it unless the guest has written them",
		.example = "on",
	},
	{
		.name = "statistics",
		.type = SCHEMA_UINT,
		.offset = OFFSET(statistics),
		.max = UINT32_MAX,
		.help = "Ask the guest for memory statistics every so many seconds; 0 only on demand",
		.example = "10",
	},
	{
		.name = "stall_timeout",
		.type = SCHEMA_UINT,
		.offset = OFFSET(stall_timeout),
		.def = 10,
		.min = 1,
		.max = 86400,
		.help = "Seconds without progress towards the target after which it counts as stalled",
		.example = "30",
	},
	{
		.name = "id",
		.type = SCHEMA_ID,
		.offset = OFFSET(id),
		.def_text = DEFAULT_ID,
		.help = "Name of the device in events and on the control socket",
		.example = "balloon0",
	},
	{
		.name = "pci_device_id",
		.type = SCHEMA_UINT,
		.offset = OFFSET(pci_device_id),
		.def_text = "the first free slot",
		.min = 1,
		.max = 31,
		.help = "PCI slot of the device",
		.example = "5",
	},
};

static const struct schema schema = {
	.name = "balloon",
	.props = props,
	.n_props = sizeof props / sizeof props[0],
	.struct_size = sizeof(struct balloon_config),
};

static void check_config(const struct schema_values *values, const struct schema_facts *facts, struct diag_list *diags)
{
	const struct balloon_config *config = values->data;
	char size[SCHEMA_SIZE_TEXT_MAX], ram[SCHEMA_SIZE_TEXT_MAX], half[SCHEMA_SIZE_TEXT_MAX], hint[SCHEMA_HINT_MAX];
	struct diag_span at = schema_where_or_whole(values, "size");
	schema_size_text(size, config->size);
	schema_size_text(ram, facts->ram_bytes);

	if (config->size >= facts->ram_bytes) {
		schema_size_text(half, facts->ram_bytes / 2 / PFN_BYTES * PFN_BYTES);
		diag_add(diags, DIAG_ERROR, at, schema_hint(hint, at, "size", half), "the balloon takes %s, which is not less than the memory of %s", size,
			 ram);
	} else if (facts->ram_bytes - config->size < facts->ram_bytes / 20) {
		diag_add(diags, DIAG_WARNING, at, NULL, "the balloon takes %s of %s and leaves the guest less than 5 %%; it may never get there", size, ram);
	} else {
		return;
	}
	if (facts->ram_where.source)
		diag_note(diags, facts->ram_where, "the memory size is set here");
}

/* ---- Life ------------------------------------------------------------ */

static int create(const struct device_init *init, struct device **out)
{
	const struct balloon_config *config = init->config;
	struct balloon *b = calloc(1, sizeof *b);
	if (!b)
		return -ENOMEM;
	int err = config->size < gmem_size(&init->host->gmem) && config->size <= TARGET_MAX ? 0 : -ERANGE;
	if (err) {
		log_line(LOG_LEVEL_ERROR, init->id, "the balloon's size is not less than RAM");
		goto out_free;
	}
	err = device_init(&b->dev, &balloon_class, init);
	if (err)
		goto out_free;
	err = balloon_map_init(&b->map, &init->host->gmem);
	if (err)
		goto out_device;
	err = balloon_lazy_init(b);
	if (err)
		goto out_map;
	page_ranges_init(&b->batch, &init->host->gmem);
	pthread_mutex_init(&b->view.lock, NULL);
	balloon_stats_init(b, config->statistics);
	balloon_hint_init(b);
	balloon_target_init(b, (uint32_t)(config->size >> PFN_SHIFT), config->stall_timeout);
	err = vpci_init(&b->vpci, &b->dev, &balloon_vpci_type, balloon_offer(config), init->pci, (unsigned)config->pci_device_id);
	if (err) {
		log_line(LOG_LEVEL_ERROR, init->id, "no place on the PCI bus: %s", strerror(-err));
		goto out_view;
	}
	balloon_publish(b);
	*out = &b->dev;
	return 0;
out_view:
	pthread_mutex_destroy(&b->view.lock);
	balloon_lazy_finish(b);
out_map:
	balloon_map_finish(&b->map);
out_device:
	device_finish(&b->dev);
out_free:
	free(b);
	return err;
}

static struct balloon *balloon_of(struct device *dev)
{
	return container_of(dev, struct balloon, dev);
}

static void reset(struct device *dev)
{
	vpci_power_on_reset(&balloon_of(dev)->vpci);
}

static void destroy(struct device *dev)
{
	struct balloon *b = balloon_of(dev);
	vpci_finish(&b->vpci);
	balloon_hint_finish(b);
	dev->host->ops->timer_cancel(dev->host, &b->stats_timer);
	dev->host->ops->timer_cancel(dev->host, &b->stall_timer);
	pthread_mutex_destroy(&b->view.lock);
	balloon_lazy_finish(b);
	balloon_map_finish(&b->map);
	device_finish(dev);
	free(b);
}

/* ---- Public calls ---------------------------------------------------- */

int balloon_set_target(struct device *dev, uint64_t bytes)
{
	struct balloon *b = balloon_of(dev);
	if (bytes >= gmem_size(&dev->host->gmem) || bytes > TARGET_MAX)
		return -ERANGE;
	pthread_mutex_lock(&dev->lock);
	balloon_target_set(b, (uint32_t)(bytes >> PFN_SHIFT));
	balloon_publish(b);
	pthread_mutex_unlock(&dev->lock);
	return 0;
}

int balloon_set_stats_interval(struct device *dev, uint64_t seconds)
{
	struct balloon *b = balloon_of(dev);
	if (seconds > UINT32_MAX)
		return -EINVAL;
	pthread_mutex_lock(&dev->lock);
	balloon_stats_set_interval(b, seconds);
	balloon_publish(b);
	pthread_mutex_unlock(&dev->lock);
	return 0;
}

/* Runs a call that takes no more than the device. */
static int locked(struct device *dev, int (*call)(struct balloon *b))
{
	struct balloon *b = balloon_of(dev);
	pthread_mutex_lock(&dev->lock);
	int err = call(b);
	balloon_publish(b);
	pthread_mutex_unlock(&dev->lock);
	return err;
}

int balloon_request_stats(struct device *dev)
{
	return locked(dev, balloon_stats_ask);
}

int balloon_hint_start(struct device *dev)
{
	return locked(dev, balloon_hint_begin);
}

void balloon_tell(struct balloon *b, enum host_event_kind kind, uint64_t bytes)
{
	const struct host_event event = {.kind = kind, .device_id = b->dev.id, .value = bytes};
	/* Whoever hears of it may look at once, while the work that it came with is still going on. */
	balloon_publish(b);
	b->dev.host->ops->event(b->dev.host, &event);
}

/* ---- The class ------------------------------------------------------- */

const struct device_class balloon_class = {
	.driver =
		{
			.name = "virtio-balloon",
			.shorthand = "balloon",
			.desc = "Moves memory between guest and host while the guest runs",
			.schema = &schema,
			.check = check_config,
		},
	.create = create,
	.reset = reset,
	.destroy = destroy,
};
