/* Writes maps, lists and scalars as YAML or JSON, in a form that the parser reads back to the same. */
#ifndef PARSER_EMIT_H
#define PARSER_EMIT_H

#include <inttypes.h>

#include "parser/vmconfig.h"

/* The deepest nesting that is written: JSON Schema needs 9. */
#define EMIT_MAX_DEPTH 16

struct emit {
	FILE *out;
	enum vmconfig_format format;
	unsigned depth;
	bool is_list[EMIT_MAX_DEPTH];
	bool has_item[EMIT_MAX_DEPTH];
	bool in_item; /* YAML: "- " is written, the item's first key follows on its line */
};

/* The outermost map. */
void emit_begin(struct emit *emit, FILE *out, enum vmconfig_format format);
void emit_end(struct emit *emit);

/* In a map `key` is the key; in a list it is NULL. */
void emit_map_begin(struct emit *emit, const char *key);
void emit_list_begin(struct emit *emit, const char *key);
void emit_close(struct emit *emit); /* of either */
void emit_null(struct emit *emit, const char *key);
void emit_string(struct emit *emit, const char *key, const char *text);
void emit_bool(struct emit *emit, const char *key, bool value);
void emit_uint(struct emit *emit, const char *key, uint64_t value);
/* "512M" in YAML, bytes in JSON, which Cloud Hypervisor reads. */
void emit_size(struct emit *emit, const char *key, uint64_t bytes);

#endif
