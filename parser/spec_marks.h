/* libyaml counts characters, spans count bytes. */
#ifndef PARSER_SPEC_MARKS_H
#define PARSER_SPEC_MARKS_H

#include <stdint.h>

#include "parser/diag.h"

struct spec_marks {
	const struct diag_source *source;
	size_t text_begin; /* after a byte order mark, which libyaml does not count */
	size_t n_characters;
	uint32_t *checkpoints; /* byte offset of each CHECKPOINT_EVERYth character; NULL: all is ASCII */
};

/*
 * Checks that the text is one that YAML allows: UTF-8 without control
 * characters. 0, -EINVAL after adding a diagnostic, -ENOMEM.
 */
int spec_marks_init(struct spec_marks *marks, const struct diag_source *source, struct diag_list *diags);
void spec_marks_finish(struct spec_marks *marks);

/* The byte at which the `index`th character stands, at most the length of the source. */
size_t spec_marks_byte(const struct spec_marks *marks, size_t index);

#endif
