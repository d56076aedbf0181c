/*
 * Property tables. One table names each property of a section or of a device
 * with its type, default, range and help; it drives the config-string parser,
 * the YAML parser, the printing of a resolved spec, `vmm-balloon devices` and
 * the JSON Schema, and the man page is compared with it.
 *
 * The values land in a plain C struct at `offset`. The C type of a field
 * follows from its schema_type:
 *   SCHEMA_SIZE, SCHEMA_UINT   uint64_t  (SIZE is in bytes)
 *   SCHEMA_BOOL                bool
 *   SCHEMA_ENUM                unsigned  (index into `choices`)
 *   SCHEMA_STRING, _PATH, _ID  char *    (owned by the struct, NULL when unset)
 */
#ifndef PARSER_SCHEMA_H
#define PARSER_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "parser/diag.h"

enum schema_type {
	SCHEMA_SIZE,   /* digits, then at most one of K M G T and "iB"; binary units */
	SCHEMA_UINT,   /* decimal digits */
	SCHEMA_BOOL,   /* on off true false, any case */
	SCHEMA_ENUM,   /* one of `choices`, any case */
	SCHEMA_STRING, /* any text without NUL */
	SCHEMA_PATH,   /* as STRING, not empty; in a spec relative to the spec's folder */
	SCHEMA_ID,     /* letters, digits, _ . - ; not starting with "__"; at most 63 bytes */
};

struct schema_prop {
	const char *name;
	enum schema_type type;
	size_t offset;
	bool required;
	uint64_t def;		    /* default of SIZE, UINT, BOOL (0, 1), ENUM (index); strings default to NULL */
	const char *def_text;	    /* what manuals print as the default where `def` cannot say it, else NULL */
	uint64_t min, max;	    /* SIZE, UINT: inclusive range; max 0 means the whole 64 bits */
	uint64_t multiple;	    /* SIZE: must be a multiple of this; 0 means any */
	const char *const *choices; /* ENUM: NULL-terminated */
	const char *help;	    /* one line, no full stop */
	const char *example;	    /* a value that is valid for the property, as typed */
};

struct schema {
	const char *name; /* "balloon", "memory": what messages call it */
	const struct schema_prop *props;
	size_t n_props;
	size_t struct_size; /* bytes of the struct that the offsets point into */
};

/*
 * One parsed instance: the struct, and for each property where the user set it
 * (span.source NULL: not set, the default holds).
 */
struct schema_values {
	const struct schema *schema;
	void *data;		 /* struct_size bytes, owned */
	struct diag_span *where; /* n_props spans, owned */
	struct diag_span whole;	 /* the section itself, for errors about what is missing */
};

/* Facts of the VM that a device's cross-check may need. */
struct schema_facts {
	uint64_t ram_bytes;
	struct diag_span ram_where; /* where the size was set; source NULL when nowhere */
};

/* What the front ends know of a driver that `--device DRIVER,...` and `devices:` may name. Const, never freed. */
struct schema_driver {
	const char *name;      /* "virtio-balloon" */
	const char *shorthand; /* "balloon": the section and the option that mean this driver; NULL for none */
	const char *desc;      /* one line, no full stop */
	const struct schema *schema;
	/* Cross-checks of one instance against the VM; adds diagnostics. NULL for none. */
	void (*check)(const struct schema_values *values, const struct schema_facts *facts, struct diag_list *diags);
};

/* Allocates `data` and `where` and writes the defaults. -ENOMEM. */
int schema_values_init(struct schema_values *values, const struct schema *schema);
void schema_values_finish(struct schema_values *values); /* zeroed values are fine */

/* Where `name` was set; span.source NULL when it was not. `name` must be a property of the schema. */
struct diag_span schema_where(const struct schema_values *values, const char *name);

#endif
