/*
 * Fills one section or device from either front end. Sources come in layers:
 * the spec below, the flags above. A flag replaces what the spec set; within a
 * layer each property is set once.
 */
#ifndef PARSER_ASSIGN_H
#define PARSER_ASSIGN_H

#include "parser/keyval.h"
#include "parser/schema.h"
#include "parser/spec_tree.h"

/* What is being filled. */
struct assign {
	struct schema_values *values;
	const char *path_base; /* absolute folder that relative paths start from */
	struct diag_list *diags;
	const struct diag_source *spec_strings; /* the spec's text as a source of config strings */
	bool unclear;				/* set when a key could not be told: it may have been any */
	bool broken;				/* set when a diagnostic was added: the values are not what the user meant */
	int no_memory;				/* set to -ENOMEM */
};

/* One property from the text of a value. `key_at` is what repeats point to. */
void assign_value(struct assign *assign, const struct schema_prop *prop, const char *text, size_t len, struct diag_span key_at, struct diag_span value_at);

/* The (remaining) options of a config string. A value alone is the main property's. */
void assign_string(struct assign *assign, struct keyval_reader *reader);
/* One option of a config string. */
void assign_option(struct assign *assign, const struct keyval *option);

/* A section's value in a spec: a map, or a config string. `skip` is a key of the map that the caller reads, NULL for none. */
void assign_node(struct assign *assign, const struct spec_tree *tree, const struct spec_node *node, const char *skip);

/* One key and its value in a map of a spec. */
void assign_key(struct assign *assign, const struct spec_tree *tree, const struct spec_node *key);

/* Diagnoses each required property that nothing has set. */
void assign_check_required(struct assign *assign);

/* Whether the span belongs to the upper layer, the flags. */
bool assign_is_flag(struct diag_span at);

#endif
