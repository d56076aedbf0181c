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
	const char *alias; /* another name that config strings accept (not YAML), NULL for none */
	enum schema_type type;
	bool required;
	size_t offset;
	uint64_t def;		    /* default of SIZE, UINT, BOOL (0, 1), ENUM (index); strings default to NULL */
	const char *def_text;	    /* what manuals print as the default where `def` cannot say it, else NULL */
	uint64_t min, max;	    /* SIZE, UINT: inclusive range; max 0: no upper end. A default outside it means "not set" */
	uint64_t multiple;	    /* SIZE: must be a multiple of this; 0 means any */
	const char *const *choices; /* ENUM: NULL-terminated */
	const char *help;	    /* one line, no full stop */
	const char *example;	    /* a value that is valid for the property, as typed */
};

struct schema {
	const char *name;		 /* "balloon", "memory": what messages call it */
	const struct schema_prop *props; /* the first is the main one: a bare value sets it (`--memory 1G`) */
	size_t n_props;
	size_t struct_size; /* bytes of the struct that the offsets point into */
};

/*
 * One parsed instance: the struct, and for each property where the user set it
 * (span.source NULL: not set, the default holds).
 */
struct schema_values {
	const struct schema *schema;
	void *data;		 /* struct_size bytes */
	bool borrowed;		 /* data is the caller's, who also frees its strings; otherwise owned */
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
	bool several; /* a VM may have more than one; otherwise a second one is an error */
	/* Cross-checks of one instance against the VM; adds diagnostics. NULL for none. */
	void (*check)(const struct schema_values *values, const struct schema_facts *facts, struct diag_list *diags);
};

/* Allocates `data` and `where` and writes the defaults. -ENOMEM. */
int schema_values_init(struct schema_values *values, const struct schema *schema);
/* The same into the caller's struct, which outlives `values`. */
int schema_values_init_in(struct schema_values *values, const struct schema *schema, void *data);
void schema_values_finish(struct schema_values *values); /* zeroed values are fine */

/* Where `name` was set; span.source NULL when it was not. `name` must be a property of the schema. */
struct diag_span schema_where(const struct schema_values *values, const char *name);
/* Where an error about `name` points: where it was set, else the section. */
struct diag_span schema_where_or_whole(const struct schema_values *values, const char *name);

/* Frees the strings of a struct that the schema describes and sets them to NULL. */
void schema_free_strings(const struct schema *schema, void *data);

/* The property called `name`, NULL for none. */
const struct schema_prop *schema_find(const struct schema *schema, const char *name, size_t len);

/* "512M", "4K", "17": the largest unit that divides `bytes`, as the parser reads it back. Returns buf. */
#define SCHEMA_SIZE_TEXT_MAX 32
const char *schema_size_text(char buf[SCHEMA_SIZE_TEXT_MAX], uint64_t bytes);

/* "from 1 to 31", "at least 16M and less than 16T", "1 or more": the range of a SIZE or UINT. Returns buf. */
#define SCHEMA_RANGE_MAX 96
const char *schema_range_text(char buf[SCHEMA_RANGE_MAX], const struct schema_prop *prop);

/*
 * A hint in the syntax of the place that `at` points to: "size=1G" in a config
 * string, "size: 1G" in a spec, "1G" where the text is the value. Returns buf.
 */
#define SCHEMA_HINT_MAX 192
const char *schema_hint(char buf[SCHEMA_HINT_MAX], struct diag_span at, const char *name, const char *value);

#endif
