/* What can be wrong with a spec before its keys mean anything. Used by spec_tree.c only. */
#ifndef PARSER_SPEC_TREE_ERRORS_H
#define PARSER_SPEC_TREE_ERRORS_H

#include "parser/spec_tree.h"

/* libyaml gave up at byte `at`; `while_what` (NULL for none) began at byte `context`. */
void spec_syntax_error(const struct diag_source *source, size_t at, const char *problem, size_t context, const char *while_what, struct diag_list *diags);

/* A node that is no key stands where a key should. Makes it SPEC_BAD unless it holds others. */
void spec_key_error(struct diag_span at, struct spec_node *node, struct diag_list *diags);

/* `at` begins with an anchor, a tag or both. */
void spec_property_error(struct diag_span at, struct diag_list *diags);
void spec_alias_error(struct diag_span at, struct diag_list *diags);

/* Diagnoses each key of the map that stood in it before, and makes it SPEC_BAD. 0 or -ENOMEM. */
int spec_check_repeats(const struct spec_tree *tree, struct spec_node *map, struct diag_list *diags);

#endif
