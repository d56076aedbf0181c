/* The spec: reads the file and hands each of its sections on. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "parser/foreign.h"
#include "parser/loader.h"
#include "parser/suggest.h"

static const struct diag_span nowhere;

/* Reads up to SPEC_MAX_LEN + 1 bytes. Returns the length or -errno. */
static ssize_t read_all(int fd, char *buf)
{
	size_t len = 0;
	while (len <= SPEC_MAX_LEN) {
		ssize_t n = read(fd, buf + len, SPEC_MAX_LEN + 1 - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	return (ssize_t)len;
}

/* Failing to give memory back is no failure. */
static void shrink(char **text, size_t size)
{
	char *smaller = realloc(*text, size);
	if (smaller)
		*text = smaller;
}

static bool is_stdin(const struct vmconfig_input *input)
{
	return strcmp(input->spec_path, "-") == 0 && !input->spec_text;
}

/* Reads the file into sources->spec_text. Returns its length or -errno. */
static ssize_t read_file(struct loader *loader)
{
	char **text = &loader->sources->spec_text;
	*text = malloc(SPEC_MAX_LEN + 1);
	if (!*text)
		return -ENOMEM;
	int fd = is_stdin(loader->input) ? STDIN_FILENO : open(loader->input->spec_path, O_RDONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? -errno : read_all(fd, *text);
	if (fd > STDIN_FILENO)
		close(fd);
	if (len >= 0)
		shrink(text, (size_t)len + 1);
	return len;
}

int loader_read_spec(struct loader *loader, bool *read)
{
	const struct vmconfig_input *input = loader->input;
	const char *path = input->spec_path;
	ssize_t len = input->spec_text ? (ssize_t)input->spec_len : read_file(loader);
	*read = false;
	if (len < 0) {
		diag_add(loader->diags, DIAG_ERROR, nowhere, NULL, "cannot read the spec '%s': %s", path, strerror((int)-len));
		return 0;
	}
	loader->sources->spec = (struct diag_source){
		.name = is_stdin(input) ? "<stdin>" : path,
		.text = input->spec_text ? input->spec_text : loader->sources->spec_text,
		.len = (size_t)len,
		.syntax = DIAG_YAML,
	};
	loader->sources->spec_strings = loader->sources->spec;
	loader->sources->spec_strings.syntax = DIAG_KEYVAL;
	if (len > SPEC_MAX_LEN) {
		loader->sources->spec.len = SPEC_MAX_LEN;
		struct diag_span begin = {&loader->sources->spec, 0, 0};
		diag_add(loader->diags, DIAG_ERROR, begin, NULL, "a spec has at most %u bytes", SPEC_MAX_LEN);
		return 0;
	}
	*read = true;
	return 0;
}

static int apply_section(struct loader *loader, const struct spec_tree *tree, enum section_index section, const struct spec_node *key)
{
	struct assign assign = loader_section(loader, section, false);
	assign.values->whole = spec_span(tree, key);
	assign_node(&assign, tree, key->value, NULL);
	if (section == SECTION_SERIAL && key->value->kind == SPEC_TEXT)
		loader_imply_serial_mode(loader, assign.spec_strings);
	return loader_section_done(loader, section, &assign);
}

static int apply_shorthand(struct loader *loader, const struct spec_tree *tree, const struct schema_driver *driver, const struct spec_node *key)
{
	size_t index;
	int error = loader_shorthand_device(loader, driver, spec_span(tree, key), &index);
	if (error || index == SIZE_MAX)
		return error;
	struct assign assign = loader_device(loader, index, false);
	assign_node(&assign, tree, key->value, NULL);
	return loader_device_done(loader, index, &assign);
}

/* ---- devices: ---- */

static const struct spec_node *find_key(const struct spec_node *map, const char *name)
{
	const struct spec_node *key = map->first;
	while (key && !spec_key_is(key, name))
		key = key->next;
	return key;
}

static int apply_device_map(struct loader *loader, const struct spec_tree *tree, const struct spec_node *item)
{
	const struct spec_node *key = find_key(item, "driver"), *vfio = find_key(item, "path");
	const char *why;
	size_t index;
	if (!key && vfio && foreign_key("devices", "path", strlen("path"), &why)) {
		diag_add(loader->diags, DIAG_ERROR, spec_span(tree, vfio), why,
			 "Cloud Hypervisor's devices are host devices passed through; that is not supported here");
		return 0;
	}
	if (!key || key->value->kind != SPEC_TEXT) {
		struct diag_span at = key ? spec_span(tree, key) : (struct diag_span){tree->source, item->begin, item->begin + 1};
		if (!key || key->value->kind != SPEC_BAD)
			diag_add(loader->diags, DIAG_ERROR, at, "driver: NAME; `vmm-balloon devices` lists the drivers", "a device needs a driver");
		return 0;
	}
	const struct schema_driver *driver = loader_find_driver(loader, key->value->text, key->value->text_len, spec_span(tree, key->value));
	if (!driver)
		return 0;
	int error = loader_add_device(loader, driver, spec_span(tree, key->value), &index);
	if (error || index == SIZE_MAX)
		return error;
	struct assign assign = loader_device(loader, index, false);
	assign_node(&assign, tree, item, "driver");
	return loader_device_done(loader, index, &assign);
}

static int apply_device_string(struct loader *loader, const struct spec_tree *tree, const struct spec_node *item)
{
	struct diag_span at = spec_text_span(tree, item);
	at.source = &loader->sources->spec_strings;
	return loader_device_string(loader, item->text, item->text_len, at);
}

static int apply_devices(struct loader *loader, const struct spec_tree *tree, const struct spec_node *key)
{
	int error = 0;
	if (key->value->kind != SPEC_LIST) {
		diag_add(loader->diags, DIAG_ERROR, spec_span(tree, key), "devices: [{driver: NAME}]", "'devices' wants a list");
		return 0;
	}
	for (const struct spec_node *item = key->value->first; item && !error; item = item->next) {
		if (loader->config->n_devices == VMCONFIG_MAX_DEVICES && diag_is_full(loader->diags))
			break;
		if (item->kind == SPEC_MAP)
			error = apply_device_map(loader, tree, item);
		else if (item->kind == SPEC_TEXT)
			error = apply_device_string(loader, tree, item);
		else if (item->kind != SPEC_BAD)
			diag_add(loader->diags, DIAG_ERROR, spec_span(tree, item), "{driver: NAME}", "a device is a map, or a config string");
	}
	return error;
}

/* ---- The top of the spec ---- */

/* Cloud Hypervisor's second console may be there as long as it is off. */
static bool is_console_off(const struct spec_node *key)
{
	const struct spec_node *mode = key->value->kind == SPEC_MAP ? find_key(key->value, "mode") : NULL;
	return (spec_key_is(key, "console") || spec_key_is(key, "debug_console")) && mode && mode->value->kind == SPEC_TEXT && spec_is_off(mode->value);
}

static void offer_all(const struct loader *loader, struct suggest *suggest)
{
	const struct schema *vm = vm_sections[SECTION_VM].schema;
	for (size_t i = 0; i < vm->n_props; i++)
		suggest_offer(suggest, vm->props[i].name);
	for (size_t i = SECTION_VM + 1; i < N_SECTIONS; i++)
		suggest_offer(suggest, vm_sections[i].schema->name);
	for (const struct schema_driver *const *driver = loader->input->drivers; *driver; driver++)
		if ((*driver)->shorthand)
			suggest_offer(suggest, (*driver)->shorthand);
	suggest_offer(suggest, "devices");
}

static void unknown_section(struct loader *loader, const struct spec_tree *tree, const struct spec_node *key)
{
	struct diag_quote quote;
	struct suggest suggest = {.word = key->text, .len = key->text_len};
	char hint[SCHEMA_HINT_MAX];
	const char *why;
	diag_quote(&quote, key->text, key->text_len);
	if (foreign_key(NULL, key->text, key->text_len, &why)) {
		if (!spec_is_off(key->value) && !is_console_off(key))
			diag_add(loader->diags, DIAG_ERROR, spec_span(tree, key), why ? why : "remove it", "Cloud Hypervisor's '%s' is not supported here",
				 quote.text);
		return;
	}
	if (!diag_is_full(loader->diags))
		offer_all(loader, &suggest);
	if (suggest.nearest)
		snprintf(hint, sizeof hint, "did you mean %s?", suggest.nearest);
	diag_add(loader->diags, DIAG_ERROR, spec_span(tree, key), suggest.nearest ? hint : "vmm-balloon-spec(5) lists all keys", "a spec has no '%s'",
		 quote.text);
}

/* A section's value is a map or a config string; null leaves the section out. */
static bool has_section_value(struct loader *loader, const struct spec_tree *tree, const struct spec_node *key, const struct schema *schema)
{
	char hint[SCHEMA_HINT_MAX];
	switch (key->value->kind) {
	case SPEC_MAP:
	case SPEC_TEXT:
		return true;
	case SPEC_NULL:
	case SPEC_BAD:
		return false;
	case SPEC_EMPTY:
	case SPEC_LIST:
		break;
	}
	snprintf(hint, sizeof hint, "%s: {%s: %s}", schema->name, schema->props[0].name, schema->props[0].example);
	if (key->value->kind == SPEC_EMPTY)
		diag_add(loader->diags, DIAG_ERROR, spec_span(tree, key), hint, "'%s' has nothing in it", schema->name);
	else
		diag_add(loader->diags, DIAG_ERROR, spec_span(tree, key), hint, "'%s' wants a map of key: value, not a list", schema->name);
	return false;
}

static int apply_key(struct loader *loader, const struct spec_tree *tree, const struct spec_node *key)
{
	const struct schema *vm = vm_sections[SECTION_VM].schema;
	if (key->kind != SPEC_TEXT && key->kind != SPEC_NULL)
		return 0;
	if (schema_find(vm, key->text, key->text_len)) {
		struct assign assign = loader_section(loader, SECTION_VM, false);
		assign_key(&assign, tree, key);
		return loader_section_done(loader, SECTION_VM, &assign);
	}
	for (unsigned i = SECTION_VM + 1; i < N_SECTIONS; i++) {
		if (!spec_key_is(key, vm_sections[i].schema->name))
			continue;
		if (has_section_value(loader, tree, key, vm_sections[i].schema))
			return apply_section(loader, tree, i, key);
		loader->broken[i] = key->value->kind != SPEC_NULL;
		return 0;
	}
	for (const struct schema_driver *const *driver = loader->input->drivers; *driver; driver++)
		if ((*driver)->shorthand && spec_key_is(key, (*driver)->shorthand))
			return has_section_value(loader, tree, key, (*driver)->schema) ? apply_shorthand(loader, tree, *driver, key) : 0;
	if (!spec_key_is(key, "devices"))
		unknown_section(loader, tree, key);
	else if (key->value->kind != SPEC_NULL && key->value->kind != SPEC_BAD)
		return apply_devices(loader, tree, key);
	return 0;
}

static int apply_tree(struct loader *loader, const struct spec_tree *tree)
{
	struct diag_span top = {tree->source, 0, 0};
	int error = 0;
	if (!tree->root) {
		diag_add(loader->diags, DIAG_ERROR, top, "payload: {kernel: FILE}", "the spec is empty");
		return 0;
	}
	if (tree->root->kind != SPEC_MAP) {
		if (tree->root->kind != SPEC_BAD)
			diag_add(loader->diags, DIAG_ERROR, (struct diag_span){tree->source, tree->root->begin, tree->root->begin}, "payload: {kernel: FILE}",
				 "a spec is a map of key: value");
		return 0;
	}
	for (const struct spec_node *key = tree->root->first; key && !error; key = key->next)
		error = apply_key(loader, tree, key);
	return error;
}

int loader_apply_spec(struct loader *loader, bool *read)
{
	struct spec_tree tree;
	int error = spec_tree_init(&tree, &loader->sources->spec, loader->diags);
	if (!error)
		error = apply_tree(loader, &tree);
	spec_tree_finish(&tree);
	*read = error != -EINVAL;
	return error == -EINVAL ? 0 : error;
}
