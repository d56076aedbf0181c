/* What reading the spec and the flags shares. Used by vmconfig.c, vmconfig_spec.c, vmconfig_flags.c and checks.c only. */
#ifndef PARSER_LOADER_H
#define PARSER_LOADER_H

#include "parser/assign.h"
#include "parser/sections.h"
#include "parser/vmconfig.h"

/* Texts that spans of a loaded config point into; they live as long as the config. */
struct vmconfig_sources {
	struct diag_source spec;
	struct diag_source spec_strings; /* the same text: the config strings in it */
	char *spec_text;
	struct diag_source *flags; /* n_flags of the input */
};

/* A device while it is being put together. */
struct loader_device {
	bool broken;	     /* its values are not what the user meant */
	bool unclear;	     /* a key could not be told */
	bool from_shorthand; /* a `balloon:` section or a --balloon option, which may go on filling it */
};

struct loader {
	const struct vmconfig_input *input;
	struct vm_config *config; /* being filled; the sections' values point into it */
	struct vmconfig_sources *sources;
	struct diag_list *diags;
	char *work_dir; /* absolute; where paths in flags start */
	char *spec_dir; /* absolute; where paths in the spec start */
	struct schema_values sections[N_SECTIONS];
	bool broken[N_SECTIONS];
	struct loader_device devices[VMCONFIG_MAX_DEVICES]; /* beside config->devices */
};

/* All return 0 when they could go on to the end, whatever they diagnosed, or -ENOMEM. */

/* vmconfig_spec.c: reads the file into sources->spec; *read tells whether there is one to go on with. */
int loader_read_spec(struct loader *loader, bool *read);
/* *read turns false when it is not YAML. */
int loader_apply_spec(struct loader *loader, bool *read);
/* vmconfig_flags.c */
int loader_apply_flags(struct loader *loader);

/* What `section` is filled through, from the spec or from flags. */
struct assign loader_section(struct loader *loader, enum section_index section, bool is_flag);
/* To be called with it when done; keeps `broken`. Returns its no_memory. */
int loader_section_done(struct loader *loader, enum section_index section, const struct assign *assign);

/*
 * vmconfig_devices.c: adds a device with its defaults; `at` is what stands for
 * it in messages. *index is its place in config->devices, SIZE_MAX when there
 * is no room (diagnosed).
 */
int loader_add_device(struct loader *loader, const struct schema_driver *driver, struct diag_span at, size_t *index);
struct assign loader_device(struct loader *loader, size_t index, bool is_flag);
int loader_device_done(struct loader *loader, size_t index, const struct assign *assign);

/* The driver of that name; NULL after diagnosing that there is none. */
const struct schema_driver *loader_find_driver(struct loader *loader, const char *name, size_t len, struct diag_span at);

/* `DRIVER,key=value,...` */
int loader_device_string(struct loader *loader, const char *text, size_t len, struct diag_span at);
/* A driver's shorthand, section or option: fills the device that the spec has already, or adds one. SIZE_MAX as above. */
int loader_shorthand_device(struct loader *loader, const struct schema_driver *driver, struct diag_span at, size_t *index);

/* In a config string a serial port's file implies the mode, as Cloud Hypervisor's does. `source` is where the string stood. */
void loader_imply_serial_mode(struct loader *loader, const struct diag_source *source);

/* Sources of flags lie above the spec's. */
#define LAYER_FLAGS 1

/* checks.c and checks_devices.c: what no single value can tell. */
void loader_check(struct loader *loader);
void loader_check_devices(struct loader *loader);

#endif
