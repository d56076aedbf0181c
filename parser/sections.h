/* The property tables of the VM itself, and the options that set them. Drivers bring their own tables. */
#ifndef PARSER_SECTIONS_H
#define PARSER_SECTIONS_H

#include "parser/vmconfig.h"

enum section_index { SECTION_VM, SECTION_CPUS, SECTION_MEMORY, SECTION_PAYLOAD, SECTION_SERIAL, N_SECTIONS };

/* One section of struct vm_config. SECTION_VM holds the keys at the top of a spec, the others one map each. */
struct section {
	const struct schema *schema;
	size_t offset; /* in struct vm_config */
	const char *desc;
};
extern const struct section vm_sections[N_SECTIONS];

/* One command-line option that sets part of a section. */
struct section_option {
	const char *name; /* "--memory" */
	enum section_index section;
	const char *prop; /* the option's text is this property's value; NULL: it is a config string */
	const char *arg;  /* for help; NULL: the option takes no value and stands for `implied` */
	const char *help; /* one line, no full stop */
	const char *implied;
};
extern const struct section_option section_options[];
extern const size_t n_section_options;

/* The option that adds a device of any driver. */
#define DEVICE_OPTION "--device"

/* The option "--memory", NULL for none. Device options are not among them. */
const struct section_option *section_option_find(const char *name);

/* The driver that "--balloon" means, NULL for none. */
const struct schema_driver *driver_of_option(const struct schema_driver *const *drivers, const char *option);

#endif
