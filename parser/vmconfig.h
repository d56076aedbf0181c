/*
 * The resolved VM spec. Keys are Cloud Hypervisor's VmConfig names.
 *
 * Devices are opaque here: their drivers, property tables and cross-checks come
 * from the caller (device/registry.c) as a list of struct schema_driver.
 */
#ifndef PARSER_VMCONFIG_H
#define PARSER_VMCONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "parser/diag.h"
#include "parser/schema.h"

struct cpus_config {
	uint64_t boot_vcpus; /* 1 to 64 */
	uint64_t max_vcpus;  /* equals boot_vcpus: there is no vCPU hotplug */
};

struct memory_config {
	uint64_t size;		/* bytes, a multiple of 4096 (of the huge page size with hugepages) */
	bool shared;		/* a memfd instead of private anonymous memory */
	bool hugepages;		/* hugetlb */
	uint64_t hugepage_size; /* bytes, 2 MiB or 1 GiB; 0: the host's default */
	bool thp;		/* MADV_HUGEPAGE on guest RAM; never with hugepages */
	bool prefault;		/* populate all of RAM before the guest starts */
	bool mergeable;		/* MADV_MERGEABLE (KSM) */
};

struct payload_config {
	char *kernel; /* resolved path; NULL: the built-in guest */
	char *initramfs;
	char *cmdline;
};

enum serial_mode { SERIAL_TTY, SERIAL_FILE, SERIAL_NULL, SERIAL_OFF };

struct serial_config {
	unsigned mode; /* enum serial_mode */
	char *file;    /* SERIAL_FILE: where output goes, created or truncated */
};

struct vmconfig_device {
	const struct schema_driver *driver;
	struct schema_values values;
};

struct vm_config {
	char *name; /* never NULL once resolved */
	char *qmp;  /* path of the QMP socket; NULL: the runtime directory's */
	bool pvpanic;
	bool sandbox;
	char *user;  /* to run as when root starts the VM: name or number; NULL: as who starts it */
	char *group; /* likewise; NULL: the user's own */
	struct cpus_config cpus;
	struct memory_config memory;
	struct payload_config payload;
	struct serial_config serial;
	struct vmconfig_device *devices; /* the balloon section is one of them */
	size_t n_devices;
	struct vmconfig_sources *sources; /* what the devices' spans point into */
};

/* Up to this many --device options and `devices:` entries: PCI slots 1 to 31. */
#define VMCONFIG_MAX_DEVICES 31

/*
 * Options are --name --kernel --initramfs --cmdline --cpus --memory --serial
 * --qmp --user --group --no-sandbox --device and each driver's shorthand (--balloon). The input and all
 * that it points to outlive the config. Paths in flags are relative to the
 * working directory, those in a spec to its folder; resolved, they are absolute.
 */
struct vmconfig_input {
	const char *spec_path; /* NULL: no spec, flags only; "-" is standard input */
	const char *spec_text; /* NULL: read spec_path; otherwise this is the spec, and spec_path is only its name */
	size_t spec_len;
	const struct vmconfig_flag { /* in command-line order */
		const char *option;  /* "--balloon"; also the source's name in diagnostics */
		const char *value;
	} * flags;
	size_t n_flags;
	const struct schema_driver *const *drivers; /* NULL-terminated; device/registry.h has the real one */
};

/* Whether `option` ("--memory") is one that vmconfig_load() knows. */
bool vmconfig_has_option(const struct schema_driver *const *drivers, const char *option);

/*
 * Reads the spec, applies the flags over it, key by key, fills in defaults and
 * runs every cross-check. Returns 0 and fills *config when no error was added
 * to `diags` (warnings may be there), -EINVAL when there was one, -ENOMEM.
 * An unreadable spec file is a diagnostic too. On failure *config is zeroed.
 */
int vmconfig_load(struct vm_config *config, const struct vmconfig_input *input, struct diag_list *diags);
void vmconfig_finish(struct vm_config *config); /* zeroed is fine */

enum vmconfig_format { VMCONFIG_YAML, VMCONFIG_JSON };

/* Prints the resolved spec; reading it back gives the same spec. Returns 0 or -EIO. */
int vmconfig_print(const struct vm_config *config, enum vmconfig_format format, FILE *out);

/* Prints a JSON Schema (draft 2020-12) of all that a spec may say. Returns 0 or -EIO. */
int vmconfig_print_schema(const struct schema_driver *const *drivers, FILE *out);

#endif
