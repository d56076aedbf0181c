/* Flags: each is a value, a config string or a device. */
#include <errno.h>
#include <string.h>

#include "parser/loader.h"
#include "parser/utf8.h"

static struct diag_span whole_of(const struct diag_source *source)
{
	return (struct diag_span){source, 0, source->len};
}

static int assign_config_string(struct assign *assign, const struct diag_source *source)
{
	struct keyval_reader reader;
	int error = keyval_init(&reader, source->text, source->len, whole_of(source), assign->diags);
	if (!error)
		assign_string(assign, &reader);
	else
		assign->broken = true;
	keyval_finish(&reader);
	return error == -ENOMEM ? error : 0;
}

void loader_imply_serial_mode(struct loader *loader, const struct diag_source *source)
{
	const struct schema_values *values = &loader->sections[SECTION_SERIAL];
	struct diag_span mode = schema_where(values, "mode"), file = schema_where(values, "file");
	if (file.source != source || mode.source == source)
		return;
	loader->config->serial.mode = SERIAL_FILE;
	values->where[schema_find(values->schema, "mode", strlen("mode")) - values->schema->props] = file;
}

static int apply_section(struct loader *loader, const struct section_option *option, const struct diag_source *source)
{
	struct assign assign = loader_section(loader, option->section, true);
	int error = 0;
	if (option->prop) {
		const struct schema_prop *prop = schema_find(assign.values->schema, option->prop, strlen(option->prop));
		assign_value(&assign, prop, source->text, source->len, whole_of(source), whole_of(source));
	} else {
		error = assign_config_string(&assign, source);
	}
	if (option->section == SECTION_SERIAL)
		loader_imply_serial_mode(loader, source);
	if (!assign.values->whole.source)
		assign.values->whole = whole_of(source);
	int no_memory = loader_section_done(loader, option->section, &assign);
	return error ? error : no_memory;
}

static int apply_shorthand(struct loader *loader, const struct schema_driver *driver, const struct diag_source *source)
{
	size_t index;
	int error = loader_shorthand_device(loader, driver, whole_of(source), &index);
	if (error || index == SIZE_MAX)
		return error;
	struct assign assign = loader_device(loader, index, true);
	error = assign_config_string(&assign, source);
	int no_memory = loader_device_done(loader, index, &assign);
	return error ? error : no_memory;
}

static int apply_flag(struct loader *loader, const struct diag_source *source)
{
	const struct section_option *option = section_option_find(source->name);
	const struct schema_driver *driver = driver_of_option(loader->input->drivers, source->name);
	size_t bad = utf8_first_invalid(source->text, source->len);
	if (bad < source->len) {
		diag_add(loader->diags, DIAG_ERROR, (struct diag_span){source, bad, bad + 1}, "write it as UTF-8", "this byte (0x%02x) is not UTF-8",
			 (unsigned char)source->text[bad]);
		return 0;
	}
	if (source->len > KEYVAL_MAX_LEN) {
		struct diag_span begin = {source, 0, 0};
		diag_add(loader->diags, DIAG_ERROR, begin, NULL, "an option's value has at most %d bytes, this one has %zu", KEYVAL_MAX_LEN, source->len);
		return 0;
	}
	if (option)
		return apply_section(loader, option, source);
	if (driver)
		return apply_shorthand(loader, driver, source);
	return loader_device_string(loader, source->text, source->len, whole_of(source));
}

int loader_apply_flags(struct loader *loader)
{
	const struct vmconfig_input *input = loader->input;
	int error = 0;
	for (size_t i = 0; i < input->n_flags && !error; i++) {
		const struct section_option *option = section_option_find(input->flags[i].option);
		loader->sources->flags[i] = (struct diag_source){
			.name = input->flags[i].option,
			.text = input->flags[i].value,
			.len = strlen(input->flags[i].value),
			.syntax = option && option->prop ? DIAG_TEXT : DIAG_KEYVAL,
			.layer = LAYER_FLAGS,
		};
		error = apply_flag(loader, &loader->sources->flags[i]);
	}
	return error;
}
