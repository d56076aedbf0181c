/*
 * The config string, the grammar of Cloud Hypervisor's options read strictly:
 *
 *   string := ws? option ("," option)* ws?     option := key "=" value
 *   value  := bare | quoted                    quoted := '"' (any but '"' | '""')* '"'
 *
 * Commas inside quotes or [...] do not split. The first option may be a value
 * alone: what it means is the caller's (`--memory 1G`, `--device DRIVER,...`).
 */
#ifndef PARSER_KEYVAL_H
#define PARSER_KEYVAL_H

#include "parser/diag.h"

/* Longest config string in bytes. */
#define KEYVAL_MAX_LEN 65536

/* One option. Pointers live until the next keyval_next() or keyval_finish(). */
struct keyval {
	const char *key; /* NULL: a value alone, the first option only */
	size_t key_len;
	const char *value; /* unquoted */
	size_t value_len;
	bool quoted;
	struct diag_span key_at;   /* of a value alone: the value */
	struct diag_span value_at; /* with its quotes */
};

/* A walk over the options of one string. */
struct keyval_reader {
	const char *text;
	size_t len;
	struct diag_span at; /* the whole string */
	bool exact;	     /* the string stands at `at` byte by byte, so parts of it can be pointed to */
	size_t next;
	size_t n_options;
	char *unquoted; /* room for one value, owned */
	size_t n_errors;
	size_t last_comma; /* that an error was about, SIZE_MAX for none */
	struct diag_list *diags;
};

/*
 * Begins a walk over `text`, which outlives it; `at` is where it came from: the
 * same bytes, or other ones that stand for them (an escaped YAML scalar), then
 * errors point to all of it. 0, -EINVAL after adding a diagnostic (empty, too
 * long), -ENOMEM. keyval_finish() is due in any case.
 */
int keyval_init(struct keyval_reader *reader, const char *text, size_t len, struct diag_span at, struct diag_list *diags);
void keyval_finish(struct keyval_reader *reader);

/*
 * The next well-formed option; malformed ones are diagnosed and passed over.
 * False at the end.
 */
bool keyval_next(struct keyval_reader *reader, struct keyval *out);

#endif
