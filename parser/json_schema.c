/* The JSON Schema of a spec (draft 2020-12), from the property tables. */
#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "parser/emit.h"
#include "parser/foreign.h"
#include "parser/sections.h"

/* As the value parser reads them where YAML has a string. Limits apply to numbers only, so they do not hurt "1G". */
#define SIZE_PATTERN "^[0-9]+([KMGTkmgt](iB)?)?$"
#define UINT_PATTERN "^[0-9]+$"
#define BOOL_PATTERN "^([Oo][Nn]|[Oo][Ff][Ff]|[Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee])$"
#define ID_PATTERN "^(?!__)[A-Za-z0-9_.-]{1,63}$"

#define PATTERN_MAX 1024

/* The types that a value may have; null leaves it unset. */
static void emit_types(struct emit *emit, const char *first, const char *second)
{
	emit_list_begin(emit, "type");
	emit_string(emit, NULL, first);
	if (second)
		emit_string(emit, NULL, second);
	emit_string(emit, NULL, "null");
	emit_close(emit);
}

static void emit_number(struct emit *emit, const struct schema_prop *prop)
{
	emit_types(emit, "integer", "string");
	emit_string(emit, "pattern", prop->type == SCHEMA_SIZE ? SIZE_PATTERN : UINT_PATTERN);
	emit_uint(emit, "minimum", prop->min);
	if (prop->max > 0)
		emit_uint(emit, "maximum", prop->max);
	if (prop->multiple > 1)
		emit_uint(emit, "multipleOf", prop->multiple);
}

/* What editors offer, then what is accepted, too: the same words in any case. */
static void emit_words(struct emit *emit, const char *const *words, const char *pattern, bool is_bool)
{
	emit_list_begin(emit, "anyOf");
	emit_map_begin(emit, NULL);
	emit_list_begin(emit, "enum");
	for (; *words; words++)
		emit_string(emit, NULL, *words);
	if (is_bool) {
		emit_bool(emit, NULL, true);
		emit_bool(emit, NULL, false);
	}
	emit_null(emit, NULL);
	emit_close(emit);
	emit_close(emit);
	emit_map_begin(emit, NULL);
	emit_string(emit, "type", "string");
	emit_string(emit, "pattern", pattern);
	emit_close(emit);
	emit_close(emit);
}

/* "^([Tt][Tt][Yy]|...)$" */
static void choices_pattern(const struct schema_prop *prop, char pattern[PATTERN_MAX])
{
	size_t len = 0;
	for (size_t i = 0; prop->choices[i]; i++) {
		len += (size_t)snprintf(pattern + len, PATTERN_MAX - len, "%s", i > 0 ? "|" : "^(");
		for (const char *c = prop->choices[i]; *c; c++)
			len += (size_t)snprintf(pattern + len, PATTERN_MAX - len, "[%c%c]", toupper((unsigned char)*c), *c);
		assert(len < PATTERN_MAX - 8);
	}
	snprintf(pattern + len, PATTERN_MAX - len, ")$");
}

static void emit_type(struct emit *emit, const struct schema_prop *prop)
{
	static const char *const toggles[] = {"on", "off", NULL};
	char pattern[PATTERN_MAX];
	switch (prop->type) {
	case SCHEMA_SIZE:
	case SCHEMA_UINT:
		emit_number(emit, prop);
		return;
	case SCHEMA_BOOL:
		emit_words(emit, toggles, BOOL_PATTERN, true);
		return;
	case SCHEMA_ENUM:
		choices_pattern(prop, pattern);
		emit_words(emit, prop->choices, pattern, false);
		return;
	case SCHEMA_ID:
		emit_types(emit, "string", "number");
		emit_string(emit, "pattern", ID_PATTERN);
		return;
	case SCHEMA_PATH:
		emit_types(emit, "string", "number");
		emit_uint(emit, "minLength", 1);
		return;
	case SCHEMA_STRING:
		emit_types(emit, "string", "number");
		return;
	}
}

/* A default that only stands for "unset" is told in the description. */
static void emit_default(struct emit *emit, const struct schema_prop *prop)
{
	char text[SCHEMA_SIZE_TEXT_MAX];
	if (prop->required || prop->def_text)
		return;
	if (prop->type == SCHEMA_SIZE)
		emit_string(emit, "default", schema_size_text(text, prop->def));
	else if (prop->type == SCHEMA_UINT)
		emit_uint(emit, "default", prop->def);
	else if (prop->type == SCHEMA_BOOL)
		emit_string(emit, "default", prop->def ? "on" : "off");
	else if (prop->type == SCHEMA_ENUM)
		emit_string(emit, "default", prop->choices[prop->def]);
}

static void emit_prop(struct emit *emit, const struct schema_prop *prop)
{
	char text[512];
	snprintf(text, sizeof text, "%s%s%s", prop->help, prop->def_text ? "; default: " : "", prop->def_text ? prop->def_text : "");
	emit_map_begin(emit, prop->name);
	emit_string(emit, "description", text);
	emit_type(emit, prop);
	emit_default(emit, prop);
	emit_list_begin(emit, "examples");
	emit_string(emit, NULL, prop->example);
	emit_close(emit);
	emit_close(emit);
}

/* {"enum": [null, false, 0, [], {}]} */
static void emit_nothing(struct emit *emit)
{
	emit_map_begin(emit, NULL);
	emit_list_begin(emit, "enum");
	emit_null(emit, NULL);
	emit_bool(emit, NULL, false);
	emit_uint(emit, NULL, 0);
	emit_list_begin(emit, NULL);
	emit_close(emit);
	emit_map_begin(emit, NULL);
	emit_close(emit);
	emit_close(emit);
	emit_close(emit);
}

/* {"properties": {"mode": {"pattern": ...}}, "required": ["mode"]} */
static void emit_console_off(struct emit *emit)
{
	emit_map_begin(emit, NULL);
	emit_map_begin(emit, "properties");
	emit_map_begin(emit, "mode");
	emit_string(emit, "pattern", "^[Oo][Ff][Ff]$");
	emit_close(emit);
	emit_close(emit);
	emit_list_begin(emit, "required");
	emit_string(emit, NULL, "mode");
	emit_close(emit);
	emit_close(emit);
}

/* What only Cloud Hypervisor has may be there as long as it says that there is nothing. */
static void emit_foreign(struct emit *emit, const char *section)
{
	const char *key = foreign_key_nth(section, 0);
	if (!key)
		return;
	emit_map_begin(emit, "patternProperties");
	for (size_t i = 0; key; key = foreign_key_nth(section, ++i)) {
		char pattern[64];
		snprintf(pattern, sizeof pattern, "^%s$", key);
		emit_map_begin(emit, pattern);
		emit_list_begin(emit, "anyOf");
		emit_nothing(emit);
		if (!section && (strcmp(key, "console") == 0 || strcmp(key, "debug_console") == 0))
			emit_console_off(emit);
		emit_close(emit);
		emit_close(emit);
	}
	emit_close(emit);
}

/* The properties of one map, and of those that only belong to its kind: `driver` NULL for none. */
static void emit_props(struct emit *emit, const struct schema *schema, const char *driver)
{
	size_t n_required = driver != NULL;
	for (size_t i = 0; i < schema->n_props; i++)
		n_required += schema->props[i].required;
	emit_map_begin(emit, "properties");
	if (driver) {
		emit_map_begin(emit, "driver");
		emit_string(emit, "const", driver);
		emit_close(emit);
	}
	for (size_t i = 0; i < schema->n_props; i++)
		emit_prop(emit, &schema->props[i]);
	emit_close(emit);
	emit_foreign(emit, schema->name);
	emit_bool(emit, "additionalProperties", false);
	if (n_required == 0)
		return;
	emit_list_begin(emit, "required");
	if (driver)
		emit_string(emit, NULL, "driver");
	for (size_t i = 0; i < schema->n_props; i++)
		if (schema->props[i].required)
			emit_string(emit, NULL, schema->props[i].name);
	emit_close(emit);
}

/* A map, or a config string. */
static void emit_section(struct emit *emit, const char *name, const char *desc, const struct schema *schema)
{
	emit_map_begin(emit, name);
	emit_string(emit, "description", desc);
	emit_list_begin(emit, "type");
	emit_string(emit, NULL, "object");
	emit_string(emit, NULL, "string");
	emit_string(emit, NULL, "integer"); /* `cpus: 2` */
	emit_string(emit, NULL, "null");
	emit_close(emit);
	emit_props(emit, schema, NULL);
	emit_close(emit);
}

static void emit_devices(struct emit *emit, const struct schema_driver *const *drivers)
{
	emit_map_begin(emit, "devices");
	emit_string(emit, "description", "Devices, each a map with its driver, or a config string DRIVER,key=value,...");
	emit_types(emit, "array", NULL);
	emit_uint(emit, "maxItems", VMCONFIG_MAX_DEVICES);
	emit_map_begin(emit, "items");
	emit_list_begin(emit, "anyOf");
	for (; *drivers; drivers++) {
		emit_map_begin(emit, NULL);
		emit_string(emit, "description", (*drivers)->desc);
		emit_string(emit, "type", "object");
		emit_props(emit, (*drivers)->schema, (*drivers)->name);
		emit_close(emit);
	}
	emit_map_begin(emit, NULL);
	emit_string(emit, "type", "string");
	emit_close(emit);
	emit_close(emit);
	emit_close(emit);
	emit_close(emit);
}

int vmconfig_print_schema(const struct schema_driver *const *drivers, FILE *out)
{
	const struct schema *vm = vm_sections[SECTION_VM].schema;
	struct emit emit;
	emit_begin(&emit, out, VMCONFIG_JSON);
	emit_string(&emit, "$schema", "https://json-schema.org/draft/2020-12/schema");
	emit_string(&emit, "title", "vmm-balloon VM spec");
	emit_string(&emit, "type", "object");
	emit_map_begin(&emit, "properties");
	for (size_t i = 0; i < vm->n_props; i++)
		emit_prop(&emit, &vm->props[i]);
	for (unsigned i = SECTION_VM + 1; i < N_SECTIONS; i++)
		emit_section(&emit, vm_sections[i].schema->name, vm_sections[i].desc, vm_sections[i].schema);
	for (size_t i = 0; drivers[i]; i++)
		if (drivers[i]->shorthand)
			emit_section(&emit, drivers[i]->shorthand, drivers[i]->desc, drivers[i]->schema);
	emit_devices(&emit, drivers);
	emit_close(&emit);
	emit_foreign(&emit, NULL);
	emit_bool(&emit, "additionalProperties", false);
	emit_end(&emit);
	return fflush(out) < 0 || ferror(out) ? -EIO : 0;
}
