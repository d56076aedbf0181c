/*
 * JSON text to values, which are jansson's. Its parser takes no notice of an
 * allocation that failed (2.14: the text of a token is then shorter than it
 * believes, and it writes past the end). So it is left in the middle instead,
 * and what it had allocated is freed.
 */
#ifndef CONTROL_JSON_PARSE_H
#define CONTROL_JSON_PARSE_H

#include <jansson.h>

/* As json_loadb(); NULL with the text "out of memory" when there is none. One thread of a process. */
json_t *json_parse(const char *text, size_t len, size_t flags, json_error_t *error);

/* For memory of jansson's that is not a value: free() is not for it. */
void json_release(void *block);

#endif
