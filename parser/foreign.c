#include "parser/foreign.h"

#include <string.h>
#include <strings.h>

struct foreign {
	const char *section; /* NULL: top level */
	const char *key;
	const char *why; /* NULL: nothing to add */
};

/* VmConfig and the structs under it, as of Cloud Hypervisor 49. */
static const struct foreign keys[] = {
	{NULL, "console", "console: {mode: off}, and serial: {mode: tty} for a terminal"},
	{NULL, "debug_console", "serial: {mode: tty}"},
	{NULL, "disks", "payload: {initramfs: FILE} with the root file system in it"},
	{NULL, "fs", NULL},
	{NULL, "fw_cfg", NULL},
	{NULL, "gdb", NULL},
	{NULL, "generic_vhost_user", NULL},
	{NULL, "iommu", NULL},
	{NULL, "ivshmem", NULL},
	{NULL, "landlock_enable", NULL},
	{NULL, "landlock_rules", NULL},
	{NULL, "net", NULL},
	{NULL, "numa", NULL},
	{NULL, "pci_segments", NULL},
	{NULL, "platform", NULL},
	{NULL, "pmem", NULL},
	{NULL, "preserved_fds", NULL},
	{NULL, "pvmemcontrol", NULL},
	{NULL, "rate_limit_groups", NULL},
	{NULL, "rng", NULL},
	{NULL, "rtc", NULL},
	{NULL, "sgx_epc", NULL},
	{NULL, "tpm", NULL},
	{NULL, "user_devices", NULL},
	{NULL, "vdpa", NULL},
	{NULL, "vsock", NULL},
	{NULL, "watchdog", NULL},
	{"cpus", "affinity", NULL},
	{"cpus", "core_scheduling", NULL},
	{"cpus", "features", NULL},
	{"cpus", "kvm_hyperv", NULL},
	{"cpus", "max_phys_bits", "leave it out; the guest sees the host's"},
	{"cpus", "nested", NULL},
	{"cpus", "profile", NULL},
	{"cpus", "topology", NULL},
	{"memory", "hotplug_method", "leave it out; a balloon moves memory here"},
	{"memory", "hotplug_size", "leave it out; a balloon moves memory here"},
	{"memory", "hotplugged_size", "leave it out; a balloon moves memory here"},
	{"memory", "reserve", NULL},
	{"memory", "zones", NULL},
	{"payload", "firmware", "kernel: FILE"},
	{"payload", "fw_cfg_config", NULL},
	{"payload", "host_data", NULL},
	{"payload", "igvm", "kernel: FILE"},
	{"serial", "iommu", NULL},
	{"serial", "socket", "mode file, with its file"},
	{"balloon", "iommu", NULL},
	{"balloon", "pci_segment", NULL},
	{"devices", "path", "driver: NAME; `vmm-balloon devices` lists the drivers"},
};

/* ConsoleOutputMode. */
static const struct foreign_choice {
	const char *section, *key, *choice;
} choices[] = {
	{"serial", "mode", "pty"},
	{"serial", "mode", "socket"},
};

static bool is_section(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

bool foreign_key(const char *section, const char *key, size_t len, const char **why)
{
	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
		if (is_section(keys[i].section, section) && strlen(keys[i].key) == len && memcmp(keys[i].key, key, len) == 0) {
			*why = keys[i].why;
			return true;
		}
	return false;
}

const char *foreign_key_nth(const char *section, size_t nth)
{
	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
		if (is_section(keys[i].section, section) && nth-- == 0)
			return keys[i].key;
	return NULL;
}

bool foreign_choice(const char *section, const char *key, const char *text, size_t len)
{
	for (size_t i = 0; i < sizeof choices / sizeof choices[0]; i++) {
		const struct foreign_choice *c = &choices[i];
		if (strcmp(c->section, section) == 0 && strcmp(c->key, key) == 0 && strlen(c->choice) == len && strncasecmp(c->choice, text, len) == 0)
			return true;
	}
	return false;
}
