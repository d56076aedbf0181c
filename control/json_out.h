/*
 * Text of JSON values, built up in a buffer. jansson reads for us, but does not
 * write: its integers end at INT64_MAX, and QMP says "no value" with
 * 18446744073709551615.
 *
 * Commas are put in by themselves; that keys and values alternate and brackets
 * close is the caller's to see to. All text is ASCII: other characters become
 * \uXXXX, bytes that are not UTF-8 become \ufffd.
 *
 * When memory is short or the text would exceed `max` the buffer is failed:
 * it stays as it was and takes no more.
 */
#ifndef CONTROL_JSON_OUT_H
#define CONTROL_JSON_OUT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json_out {
	char *bytes; /* not NUL-terminated */
	size_t len, cap, max;
	bool failed;
	bool comma; /* the next value or key needs one */
};

void json_out_init(struct json_out *out, size_t max);
void json_out_finish(struct json_out *out); /* zeroed is fine */

/* Empty again and not failed; keeps the memory. */
void json_out_clear(struct json_out *out);

/* Takes n bytes away from the front. */
void json_out_drop(struct json_out *out, size_t n);

/* Bytes as they are, without a comma. */
void json_out_raw(struct json_out *out, const char *bytes, size_t len);

void json_out_open(struct json_out *out, char bracket);	 /* '{' or '[' */
void json_out_close(struct json_out *out, char bracket); /* '}' or ']' */
void json_out_key(struct json_out *out, const char *key);
void json_out_string(struct json_out *out, const char *text);
void json_out_u64(struct json_out *out, uint64_t value);
void json_out_bool(struct json_out *out, bool value);
void json_out_value(struct json_out *out, const json_t *value);

/* A member of an object: key and value. */
void json_out_member_string(struct json_out *out, const char *key, const char *text);
void json_out_member_u64(struct json_out *out, const char *key, uint64_t value);
void json_out_member_bool(struct json_out *out, const char *key, bool value);

#endif
