#include "parser/sections.h"

#include <string.h>

#define KIB (1ull << 10)
#define MIB (1ull << 20)
#define GIB (1ull << 30)
#define TIB (1ull << 40)

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct schema_prop vm_props[] = {
	{
		.name = "name",
		.type = SCHEMA_ID,
		.offset = offsetof(struct vm_config, name),
		.def_text = "the spec's file name without its suffix, or vm",
		.help = "Name of the VM, in messages and of its control socket",
		.example = "web-1",
	},
	{
		.name = "qmp",
		.type = SCHEMA_PATH,
		.offset = offsetof(struct vm_config, qmp),
		.def_text = "NAME.sock in the runtime directory",
		.help = "Path of the QMP control socket",
		.example = "web-1.sock",
	},
	{
		.name = "pvpanic",
		.type = SCHEMA_BOOL,
		.offset = offsetof(struct vm_config, pvpanic),
		.def = 1,
		.help = "Give the guest a device that tells the host when its kernel panics",
		.example = "off",
	},
	{
		.name = "sandbox",
		.type = SCHEMA_BOOL,
		.offset = offsetof(struct vm_config, sandbox),
		.def = 1,
		.help = "Keep this process from the host but for what a running VM needs",
		.example = "off",
	},
	{
		.name = "user",
		.type = SCHEMA_STRING,
		.offset = offsetof(struct vm_config, user),
		.def_text = "the one who starts the VM",
		.help = "User to run as, by name or number, when root starts the VM",
		.example = "vm",
	},
	{
		.name = "group",
		.type = SCHEMA_STRING,
		.offset = offsetof(struct vm_config, group),
		.def_text = "that of the user",
		.help = "Group to run as, by name or number, when root starts the VM",
		.example = "vm",
	},
};

static const struct schema_prop cpus_props[] = {
	{
		.name = "boot_vcpus",
		.alias = "boot",
		.type = SCHEMA_UINT,
		.offset = offsetof(struct cpus_config, boot_vcpus),
		.def = 1,
		.min = 1,
		.max = 64,
		.help = "Number of vCPUs",
		.example = "2",
	},
	{
		.name = "max_vcpus",
		.alias = "max",
		.type = SCHEMA_UINT,
		.offset = offsetof(struct cpus_config, max_vcpus),
		.def_text = "boot_vcpus",
		.min = 1,
		.max = 64,
		.help = "The same number: vCPUs cannot be added to a running VM",
		.example = "2",
	},
};

static const struct schema_prop memory_props[] = {
	{
		.name = "size",
		.type = SCHEMA_SIZE,
		.offset = offsetof(struct memory_config, size),
		.def = 512 * MIB,
		.min = 16 * MIB,
		/* A balloon counts pages of 4 KiB in 32 bits (VIRTIO 1.4, section 5.5.4, num_pages). */
		.max = 16 * TIB - 4 * KIB,
		.multiple = 4 * KIB,
		.help = "Guest RAM",
		.example = "1G",
	},
	{
		.name = "shared",
		.type = SCHEMA_BOOL,
		.offset = offsetof(struct memory_config, shared),
		.help = "Back RAM by a file in memory that other processes can map, not by private memory",
		.example = "on",
	},
	{
		.name = "hugepages",
		.type = SCHEMA_BOOL,
		.offset = offsetof(struct memory_config, hugepages),
		.help = "Take RAM from the host's reserved huge pages; only whole ones can be given back",
		.example = "on",
	},
	{
		.name = "hugepage_size",
		.type = SCHEMA_SIZE,
		.offset = offsetof(struct memory_config, hugepage_size),
		.def_text = "the host's default",
		.min = 2 * MIB,
		.max = GIB,
		.multiple = 2 * MIB,
		.help = "Size of a huge page, 2M or 1G; needs hugepages: on",
		.example = "2M",
	},
	{
		.name = "thp",
		.type = SCHEMA_BOOL,
		.offset = offsetof(struct memory_config, thp),
		.def = 1,
		.def_text = "on; off with hugepages",
		.help = "Let the host use transparent huge pages for RAM; faster, while a balloon of single pages gives back less at once",
		.example = "off",
	},
	{
		.name = "prefault",
		.type = SCHEMA_BOOL,
		.offset = offsetof(struct memory_config, prefault),
		.help = "Take all of RAM from the host before the guest starts",
		.example = "on",
	},
	{
		.name = "mergeable",
		.type = SCHEMA_BOOL,
		.offset = offsetof(struct memory_config, mergeable),
		.help = "Let the host merge equal pages of private memory (KSM)",
		.example = "on",
	},
};

static const struct schema_prop payload_props[] = {
	{
		.name = "kernel",
		.type = SCHEMA_PATH,
		.offset = offsetof(struct payload_config, kernel),
		.def_text = "the built-in guest",
		.help = "Kernel to boot: a bzImage, or an ELF image with a PVH entry point",
		.example = "vmlinuz",
	},
	{
		.name = "initramfs",
		.type = SCHEMA_PATH,
		.offset = offsetof(struct payload_config, initramfs),
		.def_text = "none",
		.help = "Initial RAM file system",
		.example = "initrd.img",
	},
	{
		.name = "cmdline",
		.type = SCHEMA_STRING,
		.offset = offsetof(struct payload_config, cmdline),
		.def_text = "empty",
		.help = "Command line of the kernel",
		.example = "console=ttyS0",
	},
};

/* In the order of enum serial_mode. */
static const char *const serial_modes[] = {"tty", "file", "null", "off", NULL};

static const struct schema_prop serial_props[] = {
	{
		.name = "mode",
		.type = SCHEMA_ENUM,
		.offset = offsetof(struct serial_config, mode),
		.def = SERIAL_TTY,
		.choices = serial_modes,
		.help = "Where the first serial port goes: the terminal, a file, nowhere; or there is none",
		.example = "tty",
	},
	{
		.name = "file",
		.type = SCHEMA_PATH,
		.offset = offsetof(struct serial_config, file),
		.def_text = "none",
		.help = "File for mode file, created or emptied; in a config string it implies the mode",
		.example = "console.log",
	},
};

static const struct schema vm_schema = {"vm", vm_props, COUNT(vm_props), sizeof(struct vm_config)};
static const struct schema cpus_schema = {"cpus", cpus_props, COUNT(cpus_props), sizeof(struct cpus_config)};
static const struct schema memory_schema = {"memory", memory_props, COUNT(memory_props), sizeof(struct memory_config)};
static const struct schema payload_schema = {"payload", payload_props, COUNT(payload_props), sizeof(struct payload_config)};
static const struct schema serial_schema = {"serial", serial_props, COUNT(serial_props), sizeof(struct serial_config)};

const struct section vm_sections[N_SECTIONS] = {
	[SECTION_VM] = {&vm_schema, 0, "The keys at the top of a spec"},
	[SECTION_CPUS] = {&cpus_schema, offsetof(struct vm_config, cpus), "Virtual CPUs"},
	[SECTION_MEMORY] = {&memory_schema, offsetof(struct vm_config, memory), "Guest RAM and what backs it"},
	[SECTION_PAYLOAD] = {&payload_schema, offsetof(struct vm_config, payload), "What boots"},
	[SECTION_SERIAL] = {&serial_schema, offsetof(struct vm_config, serial), "The first serial port"},
};

const struct section_option section_options[] = {
	{"--name", SECTION_VM, "name", "NAME", "Name of the VM", NULL},
	{"--kernel", SECTION_PAYLOAD, "kernel", "FILE", "Kernel to boot; default: the built-in guest", NULL},
	{"--initramfs", SECTION_PAYLOAD, "initramfs", "FILE", "Initial RAM file system", NULL},
	{"--cmdline", SECTION_PAYLOAD, "cmdline", "STRING", "Command line of the kernel", NULL},
	{"--cpus", SECTION_CPUS, NULL, "N", "Number of vCPUs, 1 to 64", NULL},
	{"--memory", SECTION_MEMORY, NULL, "SIZE[,key=value...]", "Guest RAM and what backs it", NULL},
	{"--serial", SECTION_SERIAL, NULL, "tty|null|off|file=PATH", "Where the first serial port goes", NULL},
	{"--qmp", SECTION_VM, "qmp", "PATH", "QMP control socket", NULL},
	{"--user", SECTION_VM, "user", "NAME", "User to run as when root starts the VM", NULL},
	{"--group", SECTION_VM, "group", "NAME", "Group to run as when root starts the VM", NULL},
	{"--no-sandbox", SECTION_VM, "sandbox", NULL, "Run the VM without protection of the host", "off"},
};
const size_t n_section_options = COUNT(section_options);

const struct section_option *section_option_find(const char *name)
{
	for (size_t i = 0; i < n_section_options; i++)
		if (strcmp(section_options[i].name, name) == 0)
			return &section_options[i];
	return NULL;
}

const struct schema_driver *driver_of_option(const struct schema_driver *const *drivers, const char *option)
{
	if (strncmp(option, "--", 2) != 0)
		return NULL;
	for (; *drivers; drivers++)
		if ((*drivers)->shorthand && strcmp((*drivers)->shorthand, option + 2) == 0)
			return *drivers;
	return NULL;
}

bool vmconfig_has_option(const struct schema_driver *const *drivers, const char *option)
{
	return section_option_find(option) || driver_of_option(drivers, option) || strcmp(option, DEVICE_OPTION) == 0;
}
