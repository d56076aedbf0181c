/* Devices: `devices:`, --device, and the shorthand of a driver. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "parser/loader.h"
#include "parser/suggest.h"

int loader_add_device(struct loader *loader, const struct schema_driver *driver, struct diag_span at, size_t *index)
{
	struct vm_config *config = loader->config;
	*index = SIZE_MAX;
	if (config->n_devices == VMCONFIG_MAX_DEVICES) {
		diag_add(loader->diags, DIAG_ERROR, at, "remove some", "a VM has room for %d devices", VMCONFIG_MAX_DEVICES);
		return 0;
	}
	struct vmconfig_device *device = &config->devices[config->n_devices];
	int error = schema_values_init(&device->values, driver->schema);
	if (error)
		return error;
	device->driver = driver;
	device->values.whole = at;
	*index = config->n_devices++;
	return 0;
}

struct assign loader_device(struct loader *loader, size_t index, bool is_flag)
{
	return (struct assign){
		.values = &loader->config->devices[index].values,
		.path_base = is_flag ? loader->work_dir : loader->spec_dir,
		.spec_strings = &loader->sources->spec_strings,
		.diags = loader->diags,
		.unclear = loader->devices[index].unclear,
	};
}

int loader_device_done(struct loader *loader, size_t index, const struct assign *assign)
{
	loader->devices[index].broken = loader->devices[index].broken || assign->broken;
	loader->devices[index].unclear = assign->unclear;
	return assign->no_memory;
}

const struct schema_driver *loader_find_driver(struct loader *loader, const char *name, size_t len, struct diag_span at)
{
	struct suggest suggest = {.word = name, .len = len};
	struct diag_quote quote;
	char hint[SCHEMA_HINT_MAX];
	for (const struct schema_driver *const *driver = loader->input->drivers; *driver; driver++) {
		if (strlen((*driver)->name) == len && memcmp((*driver)->name, name, len) == 0)
			return *driver;
		suggest_offer(&suggest, (*driver)->name);
		if ((*driver)->shorthand && strlen((*driver)->shorthand) == len && memcmp((*driver)->shorthand, name, len) == 0)
			suggest = (struct suggest){.nearest = (*driver)->name};
	}
	if (suggest.nearest)
		snprintf(hint, sizeof hint, "did you mean %s?", suggest.nearest);
	else
		snprintf(hint, sizeof hint, "`vmm-balloon devices` lists the drivers");
	diag_add(loader->diags, DIAG_ERROR, at, hint, "there is no driver '%s'", diag_quote(&quote, name, len));
	return NULL;
}

/* The first option names the driver: alone, or as driver=NAME. */
static const struct schema_driver *read_driver(struct loader *loader, const struct keyval *first)
{
	bool is_driver = !first->key || (first->key_len == strlen("driver") && memcmp(first->key, "driver", first->key_len) == 0);
	if (is_driver)
		return loader_find_driver(loader, first->value, first->value_len, first->value_at);
	diag_add(loader->diags, DIAG_ERROR, first->key_at, "DRIVER,key=value; `vmm-balloon devices` lists the drivers", "a device begins with its driver");
	return NULL;
}

int loader_device_string(struct loader *loader, const char *text, size_t len, struct diag_span at)
{
	struct keyval_reader reader;
	struct keyval first;
	size_t index = SIZE_MAX;
	int error = keyval_init(&reader, text, len, at, loader->diags);
	if (!error && keyval_next(&reader, &first)) {
		const struct schema_driver *driver = read_driver(loader, &first);
		if (driver)
			error = loader_add_device(loader, driver, first.value_at, &index);
	}
	if (!error && index != SIZE_MAX) {
		struct assign assign = loader_device(loader, index, assign_is_flag(at));
		assign_string(&assign, &reader);
		error = loader_device_done(loader, index, &assign);
	}
	keyval_finish(&reader);
	return error == -EINVAL ? 0 : error;
}

int loader_shorthand_device(struct loader *loader, const struct schema_driver *driver, struct diag_span at, size_t *index)
{
	const struct vm_config *config = loader->config;
	for (size_t i = 0; i < config->n_devices && !driver->several; i++) {
		bool from_spec = !assign_is_flag(config->devices[i].values.whole);
		if (config->devices[i].driver == driver && assign_is_flag(at) && (from_spec || loader->devices[i].from_shorthand)) {
			*index = i;
			return 0;
		}
	}
	int error = loader_add_device(loader, driver, at, index);
	if (!error && *index != SIZE_MAX)
		loader->devices[*index].from_shorthand = true;
	return error;
}
