/* What no single value can tell: how properties of the VM's own sections fit together, and with the host. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "parser/loader.h"

#define HUGEPAGE_2M (2ull << 20)
#define HUGEPAGE_1G (1ull << 30)

static struct diag_span where(const struct loader *loader, enum section_index section, const char *name)
{
	return schema_where(&loader->sections[section], name);
}

static struct diag_span where_or_whole(const struct loader *loader, enum section_index section, const char *name)
{
	return schema_where_or_whole(&loader->sections[section], name);
}

/* A flag settled `upper`; what the spec says of `lower`, which depended on it, is void. */
static bool is_void(struct diag_span upper, struct diag_span lower)
{
	return assign_is_flag(upper) && !assign_is_flag(lower);
}

static void note_where(struct loader *loader, struct diag_span at, const char *name)
{
	if (at.source)
		diag_note(loader->diags, at, "'%s' is set here", name);
}

/* ---- cpus ---- */

static void check_max_vcpus(struct loader *loader)
{
	struct cpus_config *cpus = &loader->config->cpus;
	struct diag_span boot = where(loader, SECTION_CPUS, "boot_vcpus"), max = where(loader, SECTION_CPUS, "max_vcpus");
	char hint[SCHEMA_HINT_MAX], number[SCHEMA_SIZE_TEXT_MAX];
	if (!max.source || is_void(boot, max))
		cpus->max_vcpus = cpus->boot_vcpus;
	if (cpus->max_vcpus == cpus->boot_vcpus)
		return;
	const char *name = boot.source ? "max_vcpus" : "boot_vcpus";
	snprintf(number, sizeof number, "%" PRIu64, boot.source ? cpus->boot_vcpus : cpus->max_vcpus);
	diag_add(loader->diags, DIAG_ERROR, max, schema_hint(hint, max, name, number),
		 "'max_vcpus' is %" PRIu64 " and 'boot_vcpus' %" PRIu64 "; they must be equal, as no vCPU can be added later", cpus->max_vcpus,
		 cpus->boot_vcpus);
	note_where(loader, boot, "boot_vcpus");
}

static void check_cpus(struct loader *loader)
{
	long online = sysconf(_SC_NPROCESSORS_ONLN);
	check_max_vcpus(loader);
	if (online > 0 && loader->config->cpus.boot_vcpus > (uint64_t)online)
		diag_add(loader->diags, DIAG_WARNING, where(loader, SECTION_CPUS, "boot_vcpus"), NULL, "%" PRIu64 " vCPUs on a host with %ld CPUs will be slow",
			 loader->config->cpus.boot_vcpus, online);
}

/* ---- memory ---- */

static void check_hugepage_size(struct loader *loader)
{
	struct memory_config *memory = &loader->config->memory;
	struct diag_span size = where(loader, SECTION_MEMORY, "hugepage_size"), hugepages = where(loader, SECTION_MEMORY, "hugepages");
	char hint[SCHEMA_HINT_MAX];
	if (!memory->hugepages && is_void(hugepages, size))
		memory->hugepage_size = 0;
	if (memory->hugepage_size == 0)
		return;
	if (!memory->hugepages) {
		diag_add(loader->diags, DIAG_ERROR, size, schema_hint(hint, size, "hugepages", "on"), "'hugepage_size' needs hugepages");
		note_where(loader, hugepages, "hugepages");
	} else if (memory->hugepage_size != HUGEPAGE_2M && memory->hugepage_size != HUGEPAGE_1G) {
		diag_add(loader->diags, DIAG_ERROR, size, schema_hint(hint, size, "hugepage_size", "2M"), "'hugepage_size' is 2M or 1G on x86-64");
		memory->hugepage_size = 0;
	}
}

/* Without a size it is the host's default, which is 2 MiB at least. */
static void check_hugepage_alignment(struct loader *loader)
{
	const struct memory_config *memory = &loader->config->memory;
	uint64_t page = memory->hugepage_size ? memory->hugepage_size : HUGEPAGE_2M;
	if (!memory->hugepages || memory->size % page == 0)
		return;
	struct diag_span at = where_or_whole(loader, SECTION_MEMORY, "size");
	char hint[SCHEMA_HINT_MAX], rounded[SCHEMA_SIZE_TEXT_MAX], page_text[SCHEMA_SIZE_TEXT_MAX];
	schema_size_text(rounded, (memory->size / page + 1) * page);
	diag_add(loader->diags, DIAG_ERROR, at, schema_hint(hint, at, "size", rounded), "'size' must be a multiple of the huge page size, %s",
		 schema_size_text(page_text, page));
	const char *why = memory->hugepage_size ? "hugepage_size" : "hugepages";
	note_where(loader, where(loader, SECTION_MEMORY, why), why);
}

static void check_thp(struct loader *loader)
{
	struct memory_config *memory = &loader->config->memory;
	struct diag_span thp = where(loader, SECTION_MEMORY, "thp"), hugepages = where(loader, SECTION_MEMORY, "hugepages");
	char hint[SCHEMA_HINT_MAX];
	if (!memory->hugepages)
		return;
	if (memory->thp && thp.source && !is_void(hugepages, thp)) {
		diag_add(loader->diags, DIAG_WARNING, thp, schema_hint(hint, thp, "thp", "off"), "'thp' does nothing with hugepages");
		note_where(loader, hugepages, "hugepages");
	}
	memory->thp = false;
}

static void check_mergeable(struct loader *loader)
{
	const struct memory_config *memory = &loader->config->memory;
	const char *why = memory->shared ? "shared" : "hugepages";
	if (!memory->mergeable || (!memory->shared && !memory->hugepages))
		return;
	struct diag_span at = where(loader, SECTION_MEMORY, "mergeable");
	char hint[SCHEMA_HINT_MAX];
	diag_add(loader->diags, DIAG_WARNING, at, schema_hint(hint, at, "mergeable", "off"),
		 "'mergeable' does nothing with '%s': the host merges small private pages only", why);
	note_where(loader, where(loader, SECTION_MEMORY, why), why);
}

static void check_memory(struct loader *loader)
{
	check_hugepage_size(loader);
	check_hugepage_alignment(loader);
	check_thp(loader);
	check_mergeable(loader);
}

/* ---- payload, serial, qmp ---- */

/* errno of why the file cannot be read, 0 when it can. Nothing is opened: it may be a device. */
static int read_error(const char *path)
{
	struct stat st;
	if (stat(path, &st) < 0 || access(path, R_OK) < 0)
		return errno;
	return S_ISDIR(st.st_mode) ? EISDIR : 0;
}

static void check_file(struct loader *loader, const char *name, const char *path)
{
	int error = path ? read_error(path) : 0;
	if (!error)
		return;
	diag_add(loader->diags, DIAG_ERROR, where(loader, SECTION_PAYLOAD, name), NULL, "cannot read the %s '%s': %s", name, path, strerror(error));
	diag_blame_host(loader->diags);
}

static void check_payload(struct loader *loader)
{
	const struct payload_config *payload = &loader->config->payload;
	struct diag_span initramfs = where(loader, SECTION_PAYLOAD, "initramfs");
	char hint[SCHEMA_HINT_MAX];
	check_file(loader, "kernel", payload->kernel);
	check_file(loader, "initramfs", payload->initramfs);
	if (payload->initramfs && !payload->kernel && !where(loader, SECTION_PAYLOAD, "kernel").source) {
		bool is_option = assign_is_flag(initramfs);
		diag_add(loader->diags, DIAG_ERROR, initramfs, is_option ? "--kernel FILE" : schema_hint(hint, initramfs, "kernel", "FILE"),
			 "'initramfs' needs a kernel; the built-in guest has no use for it");
	}
}

/* errno of why no file can be created there, 0 when it can or one is there already. */
static int create_error(const char *path)
{
	struct stat st;
	if (stat(path, &st) == 0)
		return S_ISDIR(st.st_mode) ? EISDIR : access(path, W_OK) < 0 ? errno : 0;
	char *folder = strdup(path);
	if (!folder)
		return ENOMEM;
	char *slash = strrchr(folder, '/');
	slash[slash == folder] = '\0';
	int error = access(folder, W_OK | X_OK) < 0 ? errno : 0;
	free(folder);
	return error;
}

static void check_writable(struct loader *loader, const char *path, struct diag_span at)
{
	int error = create_error(path);
	if (!error)
		return;
	diag_add(loader->diags, DIAG_ERROR, at, NULL, "cannot write to '%s': %s", path, strerror(error));
	diag_blame_host(loader->diags);
}

static void check_serial(struct loader *loader)
{
	struct serial_config *serial = &loader->config->serial;
	struct diag_span mode = where(loader, SECTION_SERIAL, "mode"), file = where(loader, SECTION_SERIAL, "file");
	char hint[SCHEMA_HINT_MAX];
	if (serial->mode != SERIAL_FILE && is_void(mode, file)) {
		free(serial->file);
		serial->file = NULL;
	}
	if (serial->mode == SERIAL_FILE && !serial->file) {
		diag_add(loader->diags, DIAG_ERROR, mode, schema_hint(hint, mode, "file", "PATH"), "mode 'file' needs a 'file'");
	} else if (serial->mode != SERIAL_FILE && serial->file) {
		diag_add(loader->diags, DIAG_ERROR, file, schema_hint(hint, file, "mode", "file"), "'file' needs mode 'file'");
		note_where(loader, mode, "mode");
	} else if (serial->file) {
		check_writable(loader, serial->file, file);
	}
}

static void check_qmp(struct loader *loader)
{
	static const struct sockaddr_un address;
	const char *path = loader->config->qmp;
	if (path && strlen(path) >= sizeof address.sun_path)
		diag_add(loader->diags, DIAG_ERROR, where(loader, SECTION_VM, "qmp"), "a shorter path", "a socket's path has at most %zu bytes, '%s' has %zu",
			 sizeof address.sun_path - 1, path, strlen(path));
}

void loader_check(struct loader *loader)
{
	static void (*const checks[N_SECTIONS])(struct loader *) = {
		[SECTION_VM] = check_qmp,	   [SECTION_CPUS] = check_cpus,	    [SECTION_MEMORY] = check_memory,
		[SECTION_PAYLOAD] = check_payload, [SECTION_SERIAL] = check_serial,
	};
	for (unsigned i = 0; i < N_SECTIONS; i++)
		if (!loader->broken[i])
			checks[i](loader);
	loader_check_devices(loader);
}
