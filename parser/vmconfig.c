#include "parser/vmconfig.h"

#include <errno.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "parser/loader.h"
#include "parser/value.h"

struct assign loader_section(struct loader *loader, enum section_index section, bool is_flag)
{
	return (struct assign){
		.values = &loader->sections[section],
		.path_base = is_flag ? loader->work_dir : loader->spec_dir,
		.spec_strings = &loader->sources->spec_strings,
		.diags = loader->diags,
	};
}

int loader_section_done(struct loader *loader, enum section_index section, const struct assign *assign)
{
	loader->broken[section] = loader->broken[section] || assign->broken;
	return assign->no_memory;
}

/* "/" when the host cannot tell; then a relative path is reported as missing, with where it was looked for. */
static char *absolute_folder(const char *path)
{
	char *folder = realpath(path, NULL);
	return folder ? folder : errno == ENOMEM ? NULL : strdup("/");
}

static int find_folders(struct loader *loader)
{
	const char *spec = loader->input->spec_path;
	char *copy = strdup(spec && strcmp(spec, "-") != 0 ? spec : "./-");
	if (!copy)
		return -ENOMEM;
	loader->work_dir = absolute_folder(".");
	loader->spec_dir = absolute_folder(dirname(copy));
	free(copy);
	return loader->work_dir && loader->spec_dir ? 0 : -ENOMEM;
}

static int loader_init(struct loader *loader)
{
	struct vm_config *config = loader->config;
	config->sources = loader->sources = calloc(1, sizeof *config->sources);
	config->devices = calloc(VMCONFIG_MAX_DEVICES, sizeof *config->devices);
	if (!config->sources || !config->devices)
		return -ENOMEM;
	loader->sources->flags = calloc(loader->input->n_flags + 1, sizeof *loader->sources->flags);
	int error = loader->sources->flags ? find_folders(loader) : -ENOMEM;
	for (unsigned i = 0; i < N_SECTIONS && !error; i++)
		error = schema_values_init_in(&loader->sections[i], vm_sections[i].schema, (char *)config + vm_sections[i].offset);
	return error;
}

static void loader_finish(struct loader *loader)
{
	for (unsigned i = 0; i < N_SECTIONS; i++)
		schema_values_finish(&loader->sections[i]);
	free(loader->work_dir);
	free(loader->spec_dir);
}

/* The analyzer of gcc 12 takes what only the caller's struct points to for lost. */
#pragma GCC diagnostic push
#ifndef __clang__
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"
#endif
/* "/specs/web-1.yaml" gives "web-1". */
static int set_default_name(struct vm_config *config, const char *spec_path)
{
	char name[VALUE_ID_MAX + 1];
	if (config->name)
		return 0;
	const char *slash = spec_path ? strrchr(spec_path, '/') : NULL;
	const char *base = slash ? slash + 1 : spec_path ? spec_path : "vm";
	const char *dot = strrchr(base, '.');
	value_make_id(base, dot && dot > base ? (size_t)(dot - base) : strlen(base), name);
	config->name = strdup(name);
	return config->name ? 0 : -ENOMEM;
}
#pragma GCC diagnostic pop

/* Checks only what was read as it was meant: a spec that is not YAML says nothing. */
static int load(struct loader *loader)
{
	bool read = true;
	int error = 0;
	if (loader->input->spec_path)
		error = loader_read_spec(loader, &read);
	if (!error && loader->input->spec_path && read)
		error = loader_apply_spec(loader, &read);
	if (!error)
		error = loader_apply_flags(loader);
	if (error || !read)
		return error;
	for (size_t i = 0; i < loader->config->n_devices; i++) {
		struct assign assign = loader_device(loader, i, false);
		assign_check_required(&assign);
		loader_device_done(loader, i, &assign);
	}
	loader_check(loader);
	return set_default_name(loader->config, loader->input->spec_path);
}

int vmconfig_load(struct vm_config *config, const struct vmconfig_input *input, struct diag_list *diags)
{
	struct loader loader = {.input = input, .config = config, .diags = diags};
	size_t errors = diag_error_count(diags);
	*config = (struct vm_config){0};
	int error = loader_init(&loader);
	if (!error)
		error = load(&loader);
	loader_finish(&loader);
	if (!error && diag_error_count(diags) > errors)
		error = -EINVAL;
	if (error)
		vmconfig_finish(config);
	return error;
}

void vmconfig_finish(struct vm_config *config)
{
	for (unsigned i = 0; i < N_SECTIONS; i++)
		schema_free_strings(vm_sections[i].schema, (char *)config + vm_sections[i].offset);
	for (size_t i = 0; i < config->n_devices; i++)
		schema_values_finish(&config->devices[i].values);
	free(config->devices);
	if (config->sources) {
		free(config->sources->spec_text);
		free(config->sources->flags);
		free(config->sources);
	}
	*config = (struct vm_config){0};
}
