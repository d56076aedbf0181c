/*
 * What Cloud Hypervisor's VmConfig has and this program lacks. A spec that
 * names it did not mistype: the message says that it is missing here.
 */
#ifndef PARSER_FOREIGN_H
#define PARSER_FOREIGN_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Whether Cloud Hypervisor has the key in that section; section NULL: at the
 * top. Sets *why to what to do instead, NULL for nothing.
 */
bool foreign_key(const char *section, const char *key, size_t len, const char **why);

/* The nth key of that section that only Cloud Hypervisor has, NULL past the last. */
const char *foreign_key_nth(const char *section, size_t nth);

/* Whether Cloud Hypervisor has that choice for the key of the section. */
bool foreign_choice(const char *section, const char *key, const char *text, size_t len);

#endif
