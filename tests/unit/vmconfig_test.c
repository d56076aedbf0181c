#include "parser/vmconfig.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/failalloc.h"
#include "tests/unit/suite.h"

/* ---- Drivers of the tests' own ---- */

struct lamp {
	uint64_t size;
	unsigned colour;
	char *id;
	char *file;
	uint64_t pci_device_id;
};

static const char *const colours[] = {"red", "green", NULL};
static const struct schema_prop lamp_props[] = {
	{.name = "size", .type = SCHEMA_SIZE, .offset = offsetof(struct lamp, size), .required = true, .multiple = 4096, .help = "h", .example = "4K"},
	{.name = "colour", .type = SCHEMA_ENUM, .offset = offsetof(struct lamp, colour), .choices = colours, .help = "h", .example = "red"},
	{.name = "id", .type = SCHEMA_ID, .offset = offsetof(struct lamp, id), .help = "h", .example = "l0"},
	{.name = "file", .type = SCHEMA_PATH, .offset = offsetof(struct lamp, file), .help = "h", .example = "f"},
	{.name = "pci_device_id", .type = SCHEMA_UINT, .offset = offsetof(struct lamp, pci_device_id), .min = 1, .max = 31, .help = "h", .example = "3"},
};
static const struct schema lamp_schema = {"lamp", lamp_props, sizeof lamp_props / sizeof lamp_props[0], sizeof(struct lamp)};

/* What check_lamp() saw. */
static struct schema_facts seen_facts;
static size_t n_checks;

static void check_lamp(const struct schema_values *values, const struct schema_facts *facts, struct diag_list *diags)
{
	const struct lamp *lamp = values->data;
	n_checks++;
	seen_facts = *facts;
	if (lamp->size > facts->ram_bytes)
		diag_add(diags, DIAG_ERROR, schema_where(values, "size"), NULL, "too large a lamp");
}

static const struct schema_driver lamp = {.name = "lamp", .shorthand = "light", .desc = "d", .schema = &lamp_schema, .check = check_lamp};
static const struct schema_driver fan = {.name = "fan", .desc = "d", .schema = &lamp_schema, .several = true};
static const struct schema_driver *const drivers[] = {&lamp, &fan, NULL};

/* ---- Loading ---- */

#define MAX_FLAGS 8

static struct vm_config config;
static struct diag_list *diags;
static struct vmconfig_flag flags[MAX_FLAGS];

/* Loads the spec (NULL: none) with the flags, given as option, value, ..., NULL. */
static int load(const char *spec, ...)
{
	struct vmconfig_input input = {
		.spec_path = spec ? "/specs/test.yaml" : NULL,
		.spec_text = spec,
		.spec_len = spec ? strlen(spec) : 0,
		.flags = flags,
		.drivers = drivers,
	};
	va_list args;
	va_start(args, spec);
	for (const char *option; (option = va_arg(args, const char *)) && input.n_flags < MAX_FLAGS;)
		flags[input.n_flags++] = (struct vmconfig_flag){option, va_arg(args, const char *)};
	va_end(args);
	n_checks = 0;
	diags = diag_list_create();
	return vmconfig_load(&config, &input, diags);
}

static void unload(void)
{
	vmconfig_finish(&config);
	diag_list_destroy(diags);
}

/* Accepted; the caller looks at `config` and calls unload(). */
#define LOADS(...)                                                  \
	do {                                                        \
		int loaded = load(__VA_ARGS__, (const char *)NULL); \
		if (loaded != 0)                                    \
			diag_print(diags, stdout, DIAG_PLAIN);      \
		CU_ASSERT_EQUAL_FATAL(loaded, 0);                   \
	} while (0)

/* Refused, with `n` errors of which the first holds that text. */
#define REFUSES(n, text, ...)                                                    \
	do {                                                                     \
		struct diag_view view;                                           \
		CU_ASSERT_EQUAL(load(__VA_ARGS__, (const char *)NULL), -EINVAL); \
		CU_ASSERT_EQUAL(diag_error_count(diags), n);                     \
		CU_ASSERT_FATAL(diag_nth(diags, 0, &view));                      \
		if (!strstr(view.message, text))                                 \
			printf("\nexpected %s, got %s\n", text, view.message);   \
		CU_ASSERT_PTR_NOT_NULL(strstr(view.message, text));              \
		CU_ASSERT_PTR_NULL(config.devices);                              \
		unload();                                                        \
	} while (0)

static const struct lamp *lamp_at(size_t i)
{
	return config.devices[i].values.data;
}

static void defaults(void)
{
	LOADS((const char *)NULL);
	CU_ASSERT_STRING_EQUAL(config.name, "vm");
	CU_ASSERT_PTR_NULL(config.qmp);
	CU_ASSERT_TRUE(config.pvpanic);
	CU_ASSERT_EQUAL(config.cpus.boot_vcpus, 1);
	CU_ASSERT_EQUAL(config.cpus.max_vcpus, 1);
	CU_ASSERT_EQUAL(config.memory.size, 512ull << 20);
	CU_ASSERT_TRUE(config.memory.thp);
	CU_ASSERT_FALSE(config.memory.shared);
	CU_ASSERT_EQUAL(config.memory.hugepage_size, 0);
	CU_ASSERT_PTR_NULL(config.payload.kernel);
	CU_ASSERT_EQUAL(config.serial.mode, SERIAL_TTY);
	CU_ASSERT_EQUAL(config.n_devices, 0);
	unload();
}

static void both_front_ends_say_the_same(void)
{
	static const char *const specs[] = {
		"light: {size: 8K, colour: GREEN, id: l}",
		"light: 'size=8K,colour=Green,id=l'",
		"light: 8K,colour=green,id=l",
		"{\"light\":{\"size\":8192,\"colour\":\"green\",\"id\":\"l\"}}",
		"devices: [{id: l, colour: green, size: 8K, driver: lamp}]",
		"devices: ['lamp,size=8K,colour=green,id=l']",
		"devices: ['driver=lamp,size=8K,colour=green,id=l']",
	};
	for (size_t i = 0; i <= sizeof specs / sizeof specs[0] + 1; i++) {
		if (i < sizeof specs / sizeof specs[0])
			LOADS(specs[i]);
		else if (i == sizeof specs / sizeof specs[0])
			LOADS((const char *)NULL, "--light", "size=8K,colour=green,id=l");
		else
			LOADS((const char *)NULL, "--device", "lamp,size=8K,colour=green,id=l");
		CU_ASSERT_EQUAL_FATAL(config.n_devices, 1);
		CU_ASSERT_PTR_EQUAL(config.devices[0].driver, &lamp);
		CU_ASSERT_EQUAL(lamp_at(0)->size, 8192);
		CU_ASSERT_EQUAL(lamp_at(0)->colour, 1);
		CU_ASSERT_STRING_EQUAL(lamp_at(0)->id, "l");
		CU_ASSERT_EQUAL(n_checks, 1);
		CU_ASSERT_EQUAL(seen_facts.ram_bytes, 512ull << 20);
		unload();
	}
}

static void flags_replace_key_by_key(void)
{
	LOADS("memory: {size: 1G, shared: on}\nlight: {size: 4K, colour: green}\nname: a", "--memory", "2G", "--light", "size=8K", "--name", "b");
	CU_ASSERT_EQUAL(config.memory.size, 2ull << 30);
	CU_ASSERT_TRUE(config.memory.shared);
	CU_ASSERT_EQUAL_FATAL(config.n_devices, 1);
	CU_ASSERT_EQUAL(lamp_at(0)->size, 8192);
	CU_ASSERT_EQUAL(lamp_at(0)->colour, 1);
	CU_ASSERT_STRING_EQUAL(config.name, "b");
	CU_ASSERT_EQUAL(seen_facts.ram_bytes, 2ull << 30);
	CU_ASSERT_STRING_EQUAL(seen_facts.ram_where.source->name, "--memory");
	unload();
	LOADS("devices: [{driver: lamp, size: 4K, id: x}]", "--light", "size=8K", "--light", "colour=green");
	CU_ASSERT_EQUAL_FATAL(config.n_devices, 1);
	CU_ASSERT_EQUAL(lamp_at(0)->size, 8192);
	CU_ASSERT_STRING_EQUAL(lamp_at(0)->id, "x");
	unload();
	REFUSES(1, "given twice", "memory: 1G", "--memory", "2G", "--memory", "size=3G");
	REFUSES(1, "given twice", "light: 4K", "--light", "size=8K", "--light", "size=8K");
}

static void devices_add_up(void)
{
	LOADS("devices: [{driver: fan, size: 4K}, {driver: fan, size: 8K}]", "--device", "fan,size=12K", "--light", "4K");
	CU_ASSERT_EQUAL_FATAL(config.n_devices, 4);
	CU_ASSERT_EQUAL(lamp_at(2)->size, 12288);
	CU_ASSERT_PTR_EQUAL(config.devices[3].driver, &lamp);
	unload();
	REFUSES(1, "one lamp at most", "light: 4K", "--device", "lamp,size=4K");
	REFUSES(1, "one lamp at most", "light: 4K\ndevices: ['lamp,size=4K']");
	REFUSES(1, "one lamp at most", NULL, "--device", "lamp,size=4K", "--device", "lamp,size=4K");
	REFUSES(1, "one lamp at most", NULL, "--device", "lamp,size=4K", "--light", "size=4K");
}

static void ids_and_slots_are_unique(void)
{
	REFUSES(1, "the id 'x'", "devices: [{driver: fan, size: 4K, id: x}, {driver: fan, size: 4K, id: x}]");
	REFUSES(1, "the id 'x'", "light: {size: 4K, id: x}", "--device", "fan,size=4K,id=x");
	REFUSES(1, "PCI slot 3", "light: {size: 4K, pci_device_id: 3}", "--device", "fan,size=4K,pci_device_id=3");
	LOADS("devices: [{driver: fan, size: 4K, id: x, pci_device_id: 1}, {driver: fan, size: 4K, id: X, pci_device_id: 2}]");
	unload();
}

static void there_is_room_for_31(void)
{
	char spec[2048];
	size_t len = (size_t)snprintf(spec, sizeof spec, "devices:\n");
	for (size_t i = 0; i < VMCONFIG_MAX_DEVICES; i++)
		len += (size_t)snprintf(spec + len, sizeof spec - len, "- {driver: fan, size: 4K}\n");
	LOADS(spec);
	CU_ASSERT_EQUAL(config.n_devices, VMCONFIG_MAX_DEVICES);
	unload();
	REFUSES(1, "room for 31", spec, "--device", "fan,size=4K");
}

static void checks_look_at_good_values_only(void)
{
	REFUSES(1, "too large", "light: 1G");
	CU_ASSERT_EQUAL(n_checks, 1);
	REFUSES(1, "wants one unit", "light: 1GG");
	CU_ASSERT_EQUAL(n_checks, 0);
	REFUSES(1, "wants on or off", "memory: {shared: yes}\nlight: 1G");
	CU_ASSERT_EQUAL(n_checks, 0);
	REFUSES(1, "lacks 'size'", "light: {colour: red}");
	CU_ASSERT_EQUAL(n_checks, 0);
	REFUSES(1, "lamp has no 'sise'", "light: {sise: 4K}");
	REFUSES(1, "not YAML", "light: {", "--memory", "1G");
	REFUSES(2, "not YAML", "light: {", "--memory", "1GB");
}

static void paths_are_relative_to_where_they_stand(void)
{
	char *here = getcwd(NULL, 0), expected[4200];
	snprintf(expected, sizeof expected, "%s/b", here);
	/* /specs does not exist, so the spec's folder is "/". */
	LOADS("light: {size: 4K, file: .//a}", "--qmp", "./b");
	CU_ASSERT_STRING_EQUAL(lamp_at(0)->file, "/a");
	CU_ASSERT_STRING_EQUAL(config.qmp, expected);
	unload();
	LOADS("qmp: /abs/olute");
	CU_ASSERT_STRING_EQUAL(config.qmp, "/abs/olute");
	unload();
	free(here);
}

static void dependants_follow_what_a_flag_settles(void)
{
	LOADS("cpus: {boot_vcpus: 1, max_vcpus: 1}", "--cpus", "2");
	CU_ASSERT_EQUAL(config.cpus.max_vcpus, 2);
	unload();
	LOADS("serial: {mode: file, file: /tmp/x}", "--serial", "off");
	CU_ASSERT_EQUAL(config.serial.mode, SERIAL_OFF);
	CU_ASSERT_PTR_NULL(config.serial.file);
	unload();
	LOADS("serial: {mode: tty}", "--serial", "file=/tmp/x");
	CU_ASSERT_EQUAL(config.serial.mode, SERIAL_FILE);
	CU_ASSERT_STRING_EQUAL(config.serial.file, "/tmp/x");
	unload();
	LOADS("memory: {hugepages: on, hugepage_size: 2M}", "--memory", "hugepages=off");
	CU_ASSERT_EQUAL(config.memory.hugepage_size, 0);
	CU_ASSERT_TRUE(config.memory.thp);
	unload();
	LOADS("memory: {thp: on}", "--memory", "hugepages=on");
	CU_ASSERT_FALSE(config.memory.thp);
	CU_ASSERT_EQUAL(diag_warning_count(diags), 0);
	unload();
}

static void null_leaves_unset(void)
{
	LOADS("memory: {size: null}\ncpus: null\nlight: null\ndevices: ~\nserial: {file: null}\ndisks: null\nname: ~");
	CU_ASSERT_EQUAL(config.memory.size, 512ull << 20);
	CU_ASSERT_EQUAL(config.n_devices, 0);
	CU_ASSERT_STRING_EQUAL(config.name, "test");
	unload();
	LOADS("serial: {mode: null}");
	CU_ASSERT_EQUAL(config.serial.mode, SERIAL_NULL);
	unload();
	REFUSES(1, "lacks 'size'", "light: {size: null}");
}

static void a_file_that_cannot_be_read_is_a_diagnostic(void)
{
	struct vmconfig_input input = {.spec_path = "/no/such/spec.yaml", .drivers = drivers};
	struct diag_view view;
	diags = diag_list_create();
	CU_ASSERT_EQUAL(vmconfig_load(&config, &input, diags), -EINVAL);
	CU_ASSERT_TRUE(diag_nth(diags, 0, &view));
	CU_ASSERT_PTR_NULL(view.source);
	CU_ASSERT_PTR_NOT_NULL(strstr(view.message, "No such file"));
	unload();
}

static void spans_outlive_the_load(void)
{
	LOADS("light: {size: 8K}", "--light", "colour=green");
	struct diag_span size = schema_where(&config.devices[0].values, "size"), colour = schema_where(&config.devices[0].values, "colour");
	CU_ASSERT_EQUAL(strncmp(size.source->text + size.begin, "8K", 2), 0);
	CU_ASSERT_EQUAL(strncmp(colour.source->text + colour.begin, "green", 5), 0);
	CU_ASSERT_STRING_EQUAL(colour.source->name, "--light");
	unload();
}

static char *printed(enum vmconfig_format format)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	CU_ASSERT_EQUAL(vmconfig_print(&config, format, out), 0);
	fclose(out);
	return text;
}

static void prints_what_reads_back(void)
{
	LOADS("name: 'null'\nserial: {mode: 'off'}\npayload: {cmdline: \"a\\tb\\\\ \\\" \\u2028 \\x07 \xe6\x97\xa5 # : - \"}\n"
	      "devices: [{driver: fan, size: 4K, id: 'true'}, {driver: lamp, size: 8K}]");
	char *yaml = printed(VMCONFIG_YAML), *json = printed(VMCONFIG_JSON);
	CU_ASSERT_PTR_NOT_NULL(strstr(yaml, "name: \"null\"\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(yaml, "devices:\n  - driver: fan\n    size: 4K\n    colour: red\n    id: \"true\"\n  - driver: lamp\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(json, "\"cmdline\": \"a\\tb\\\\ \\\" \\u2028 \\u0007 \xe6\x97\xa5 # : - \""));
	unload();
	char *texts[] = {yaml, json};
	for (unsigned i = 0; i < 2; i++) {
		LOADS(texts[i]);
		char *again[] = {printed(VMCONFIG_YAML), printed(VMCONFIG_JSON)};
		for (unsigned j = 0; j < 2; j++) {
			CU_ASSERT_STRING_EQUAL(again[j], texts[j]);
			free(again[j]);
		}
		unload();
	}
	free(yaml);
	free(json);
}

static void a_failing_print_says_so(void)
{
	LOADS((const char *)NULL);
	FILE *full = fopen("/dev/full", "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(full);
	CU_ASSERT_EQUAL(vmconfig_print(&config, VMCONFIG_YAML, full), -EIO);
	CU_ASSERT_EQUAL(vmconfig_print_schema(drivers, full), -EIO);
	fclose(full);
	unload();
}

/* Each allocation fails in turn: the load ends with -ENOMEM, or did without, and gives everything back. */
static void comes_back_when_memory_is_short(void)
{
	static const char spec[] = "name: web\nmemory: {size: 1G, shared: on, mergeable: on}\npayload: {cmdline: \"a\\tb\"}\nserial: 'file=/tmp/x'\n"
				   "light: {size: 1G, id: 'l'}\ndevices: ['fan,size=4K', {driver: fan, size: 8K, file: f}]\nunknown: 1\n";
	const struct vmconfig_flag flag = {"--light", "size=8K,colour=green"};
	struct vmconfig_input input = {.spec_path = "s", .spec_text = spec, .flags = &flag, .n_flags = 1, .drivers = drivers};
	for (unsigned variant = 0; variant < 4; variant++) {
		/* With the unknown key, and so a diagnostic, and without. */
		input.spec_len = variant & 1 ? sizeof spec - 1 : sizeof spec - 1 - strlen("unknown: 1\n");
		bool failed = true;
		for (long nth = 0; failed && nth < 10000; nth++) {
			long before = failalloc_in_use();
			diags = diag_list_create();
			failalloc_begin(nth, variant & 2);
			int error = vmconfig_load(&config, &input, diags);
			failed = failalloc_end();
			CU_ASSERT_TRUE(error == -ENOMEM || error == -EINVAL || error == 0);
			CU_ASSERT_TRUE(failed || (error == -EINVAL) == (diag_error_count(diags) > 0));
			unload();
			CU_ASSERT_EQUAL(failalloc_in_use(), before);
		}
		CU_ASSERT_FALSE(failed);
	}
}

static void knows_its_options(void)
{
	static const char *const options[] = {"--name",	  "--kernel", "--initramfs", "--cmdline", "--cpus",
					      "--memory", "--serial", "--qmp",	     "--device",  "--light"};
	for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
		CU_ASSERT_TRUE(vmconfig_has_option(drivers, options[i]));
	CU_ASSERT_FALSE(vmconfig_has_option(drivers, "--fan"));
	CU_ASSERT_FALSE(vmconfig_has_option(drivers, "light"));
	CU_ASSERT(vmconfig_has_option(drivers, "--no-sandbox"));
}

static const struct test_case cases[] = {
	{"defaults", defaults},
	{"both front ends say the same", both_front_ends_say_the_same},
	{"flags replace key by key", flags_replace_key_by_key},
	{"devices add up", devices_add_up},
	{"ids and slots are unique", ids_and_slots_are_unique},
	{"there is room for 31 devices", there_is_room_for_31},
	{"checks look at good values only", checks_look_at_good_values_only},
	{"paths are relative to where they stand", paths_are_relative_to_where_they_stand},
	{"dependants follow what a flag settles", dependants_follow_what_a_flag_settles},
	{"null leaves unset", null_leaves_unset},
	{"a file that cannot be read is a diagnostic", a_file_that_cannot_be_read_is_a_diagnostic},
	{"spans outlive the load", spans_outlive_the_load},
	{"prints what reads back", prints_what_reads_back},
	{"a failing print says so", a_failing_print_says_so},
	{"comes back when memory is short", comes_back_when_memory_is_short},
	{"knows its options", knows_its_options},
};
TEST_SUITE(vmconfig, cases);
