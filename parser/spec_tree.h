/*
 * YAML as a bounded tree of nodes that know where they stand in the text. It
 * is the part of YAML that JSON needs and people write: maps, lists, scalars.
 * Aliases, anchors, tags, several documents, repeated keys and keys that are
 * no scalars are errors; so are NUL, control characters and invalid UTF-8.
 */
#ifndef PARSER_SPEC_TREE_H
#define PARSER_SPEC_TREE_H

#include "parser/diag.h"

#define SPEC_MAX_LEN (1u << 20)	  /* bytes of a spec */
#define SPEC_MAX_NODES (1u << 16) /* keys and values */
#define SPEC_MAX_DEPTH 16	  /* a spec needs 4 */

enum spec_kind {
	SPEC_TEXT,
	SPEC_NULL,  /* null or ~, not quoted */
	SPEC_EMPTY, /* nothing where a value should be */
	SPEC_MAP,
	SPEC_LIST,
	SPEC_BAD, /* diagnosed already */
};

/* Owned by its tree. */
struct spec_node {
	enum spec_kind kind;
	size_t begin, end; /* bytes of the source; of a map or a list only `begin` is exact */
	const char *text;  /* SPEC_TEXT, SPEC_NULL, SPEC_EMPTY: the value, not NUL-terminated */
	size_t text_len;
	struct spec_node *first; /* SPEC_MAP: the first key; SPEC_LIST: the first item */
	struct spec_node *next;	 /* the next key or item */
	struct spec_node *value; /* of a key */
	bool owns_text;
};

struct spec_tree {
	const struct diag_source *source;
	struct spec_node *nodes;
	size_t n_nodes;
	struct spec_node *root; /* NULL: the text has no value at all */
};

/*
 * Parses the source, which outlives the tree. 0; -EINVAL when the text is not
 * YAML and so there is no tree; -ENOMEM. Other errors only add diagnostics:
 * the caller compares error counts. spec_tree_finish() is due in any case.
 */
int spec_tree_init(struct spec_tree *tree, const struct diag_source *source, struct diag_list *diags);
void spec_tree_finish(struct spec_tree *tree);

struct diag_span spec_span(const struct spec_tree *tree, const struct spec_node *node);
/* The span of a scalar's text without its quotes where it stands there byte by byte, else the whole of it. */
struct diag_span spec_text_span(const struct spec_tree *tree, const struct spec_node *node);

/* Whether a value says that there is nothing: null, false, off, 0, an empty list, a map of such values. */
bool spec_is_off(const struct spec_node *value);

/* Whether a key is called that. */
bool spec_key_is(const struct spec_node *key, const char *name);

#endif
