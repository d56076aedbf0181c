/*
 * The one value parser: text to a field of a struct, as a property table says.
 * Both front ends, config strings and YAML, come here.
 */
#ifndef PARSER_VALUE_H
#define PARSER_VALUE_H

#include "parser/schema.h"

/* A value as the user wrote it, unquoted, and whose it is to be. */
struct value_text {
	const struct schema *schema;
	const struct schema_prop *prop;
	const char *text;
	size_t len;
	struct diag_span at; /* what an error points to */
};

/* Longest path, without the NUL (PATH_MAX of <linux/limits.h> counts it). */
#define VALUE_PATH_MAX 4095
/* Longest id, without the NUL. */
#define VALUE_ID_MAX 63

/*
 * Parses the value and stores it at `field`, whose C type is the property's.
 * Paths are stored as written. 0; -EINVAL after adding one diagnostic, with
 * the form to write instead; -ENOMEM. On failure *field is as before.
 */
int value_parse(const struct value_text *value, void *field, struct diag_list *diags);

/* Adds the diagnostic and returns -EINVAL. `instead` is the value to write, NULL: the property's example. */
__attribute__((format(printf, 4, 5))) int value_error(const struct value_text *value, struct diag_list *diags, const char *instead, const char *fmt, ...);

/* The parts of value_parse() with a file of their own: SIZE and UINT. */
int value_parse_size(const struct value_text *value, uint64_t *bytes, struct diag_list *diags);
int value_parse_uint(const struct value_text *value, uint64_t *number, struct diag_list *diags);

/* Whether the text is an id: letters, digits, _ . - ; not empty, at most VALUE_ID_MAX, not starting with "__". */
bool value_is_id(const char *text, size_t len);
/* An id that is as near to the text as can be; "vm" when nothing is left. */
void value_make_id(const char *text, size_t len, char out[VALUE_ID_MAX + 1]);

/* "tty, file, null or off" */
#define VALUE_CHOICES_MAX 160
const char *value_choices(const struct schema_prop *prop, char buf[VALUE_CHOICES_MAX]);

#endif
