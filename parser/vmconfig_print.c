/* Prints a resolved spec. */
#include <errno.h>

#include "parser/emit.h"
#include "parser/sections.h"

/* What is not set is not printed: a string that is NULL, a number that only stands for "unset". */
static bool is_set(const struct schema_prop *prop, const void *field)
{
	switch (prop->type) {
	case SCHEMA_SIZE:
	case SCHEMA_UINT: {
		uint64_t number = *(const uint64_t *)field;
		return number >= prop->min && (prop->max == 0 || number <= prop->max);
	}
	case SCHEMA_STRING:
	case SCHEMA_PATH:
	case SCHEMA_ID:
		return *(char *const *)field != NULL;
	case SCHEMA_BOOL:
	case SCHEMA_ENUM:
		break;
	}
	return true;
}

static bool has_any(const struct schema *schema, const void *data)
{
	for (size_t i = 0; i < schema->n_props; i++)
		if (is_set(&schema->props[i], (const char *)data + schema->props[i].offset))
			return true;
	return false;
}

static void print_prop(struct emit *emit, const struct schema_prop *prop, const void *field)
{
	switch (prop->type) {
	case SCHEMA_SIZE:
		emit_size(emit, prop->name, *(const uint64_t *)field);
		return;
	case SCHEMA_UINT:
		emit_uint(emit, prop->name, *(const uint64_t *)field);
		return;
	case SCHEMA_BOOL:
		emit_bool(emit, prop->name, *(const bool *)field);
		return;
	case SCHEMA_ENUM:
		emit_string(emit, prop->name, prop->choices[*(const unsigned *)field]);
		return;
	case SCHEMA_STRING:
	case SCHEMA_PATH:
	case SCHEMA_ID:
		emit_string(emit, prop->name, *(char *const *)field);
		return;
	}
}

static void print_props(struct emit *emit, const struct schema *schema, const void *data)
{
	for (size_t i = 0; i < schema->n_props; i++) {
		const void *field = (const char *)data + schema->props[i].offset;
		if (is_set(&schema->props[i], field))
			print_prop(emit, &schema->props[i], field);
	}
}

static void print_section(struct emit *emit, const char *name, const struct schema *schema, const void *data)
{
	if (!has_any(schema, data))
		return;
	emit_map_begin(emit, name);
	print_props(emit, schema, data);
	emit_close(emit);
}

/* One device is printed under its shorthand; of several, the list keeps the order. */
static void print_devices(struct emit *emit, const struct vm_config *config)
{
	const struct vmconfig_device *only = config->n_devices == 1 ? &config->devices[0] : NULL;
	if (config->n_devices == 0)
		return;
	if (only && only->driver->shorthand && has_any(only->values.schema, only->values.data)) {
		print_section(emit, only->driver->shorthand, only->values.schema, only->values.data);
		return;
	}
	emit_list_begin(emit, "devices");
	for (size_t i = 0; i < config->n_devices && config->devices; i++) {
		emit_map_begin(emit, NULL);
		emit_string(emit, "driver", config->devices[i].driver->name);
		print_props(emit, config->devices[i].values.schema, config->devices[i].values.data);
		emit_close(emit);
	}
	emit_close(emit);
}

int vmconfig_print(const struct vm_config *config, enum vmconfig_format format, FILE *out)
{
	struct emit emit;
	emit_begin(&emit, out, format);
	print_props(&emit, vm_sections[SECTION_VM].schema, config);
	for (unsigned i = SECTION_VM + 1; i < N_SECTIONS; i++)
		print_section(&emit, vm_sections[i].schema->name, vm_sections[i].schema, (const char *)config + vm_sections[i].offset);
	print_devices(&emit, config);
	emit_end(&emit);
	return fflush(out) < 0 || ferror(out) ? -EIO : 0;
}
