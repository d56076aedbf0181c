/* How devices fit together and with the VM. */
#include <inttypes.h>
#include <string.h>

#include "parser/loader.h"

/* The field of the property, NULL when the driver has none of that name and type or the user did not set it. */
static const void *set_field(const struct vmconfig_device *device, const char *name, enum schema_type type, struct diag_span *at)
{
	const struct schema *schema = device->values.schema;
	const struct schema_prop *prop = schema_find(schema, name, strlen(name));
	if (!prop || prop->type != type || !device->values.where[prop - schema->props].source)
		return NULL;
	*at = device->values.where[prop - schema->props];
	return (const char *)device->values.data + prop->offset;
}

static void check_pair(struct loader *loader, const struct vmconfig_device *a, const struct vmconfig_device *b)
{
	struct diag_span at_a, at_b;
	struct diag_quote quote;
	char hint[SCHEMA_HINT_MAX];
	if (a->driver == b->driver && !a->driver->several) {
		bool to_change = a->driver->shorthand && assign_is_flag(b->values.whole) && !assign_is_flag(a->values.whole);
		snprintf(hint, sizeof hint, "--%s key=value changes the one in the spec", to_change ? a->driver->shorthand : "");
		diag_add(loader->diags, DIAG_ERROR, b->values.whole, to_change ? hint : "remove one of the two", "a VM has one %s at most", a->driver->name);
		diag_note(loader->diags, a->values.whole, "here is the first");
	}
	char *const *id_a = set_field(a, "id", SCHEMA_ID, &at_a), *const *id_b = set_field(b, "id", SCHEMA_ID, &at_b);
	if (id_a && id_b && *id_a && *id_b && strcmp(*id_a, *id_b) == 0) {
		diag_add(loader->diags, DIAG_ERROR, at_b, "each device has an id of its own", "two devices have the id '%s'",
			 diag_quote(&quote, *id_b, strlen(*id_b)));
		diag_note(loader->diags, at_a, "here is the first");
	}
	const uint64_t *slot_a = set_field(a, "pci_device_id", SCHEMA_UINT, &at_a), *slot_b = set_field(b, "pci_device_id", SCHEMA_UINT, &at_b);
	if (slot_a && slot_b && *slot_a == *slot_b && *slot_a != 0) {
		diag_add(loader->diags, DIAG_ERROR, at_b, "leave it out, and it gets the first free slot", "two devices want PCI slot %" PRIu64, *slot_b);
		diag_note(loader->diags, at_a, "here is the first");
	}
}

/* A driver's own checks, unless what they would look at is wrong already. */
static void check_driver(struct loader *loader, const struct vmconfig_device *device)
{
	struct schema_facts facts = {
		.ram_bytes = loader->config->memory.size,
		.ram_where = schema_where(&loader->sections[SECTION_MEMORY], "size"),
	};
	if (device->driver->check && !loader->broken[SECTION_MEMORY])
		device->driver->check(&device->values, &facts, loader->diags);
}

void loader_check_devices(struct loader *loader)
{
	const struct vm_config *config = loader->config;
	for (size_t i = 0; i < config->n_devices; i++) {
		for (size_t j = 0; j < i; j++)
			check_pair(loader, &config->devices[j], &config->devices[i]);
		if (!loader->devices[i].broken)
			check_driver(loader, &config->devices[i]);
	}
}
