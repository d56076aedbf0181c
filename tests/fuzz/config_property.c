#include "tests/fuzz/config_property.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void require(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "property broken: %s\n", what);
	abort();
}

/* Length of the text that a source of that name has. */
static size_t source_len(const struct vmconfig_input *input, const char *name)
{
	size_t longest = 0;
	if (input->spec_path && strcmp(name, input->spec_path) == 0)
		return input->spec_len;
	for (size_t i = 0; i < input->n_flags; i++)
		if (strcmp(input->flags[i].option, name) == 0 && strlen(input->flags[i].value) > longest)
			longest = strlen(input->flags[i].value);
	return longest;
}

static void check_diags(const struct vmconfig_input *input, const struct diag_list *diags)
{
	struct diag_view view;
	size_t n_errors = 0;
	for (size_t i = 0; diag_nth(diags, i, &view); i++) {
		n_errors += view.severity == DIAG_ERROR;
		require(view.message && *view.message, "a diagnostic says something");
		require(view.begin <= view.end, "a span has an order");
		require(!view.source || view.end <= source_len(input, view.source), "a span lies within its source");
		require(!view.source || (view.line >= 1 && view.column >= 1), "lines and columns count from 1");
	}
	require(n_errors == diag_error_count(diags) || n_errors > 0, "errors that are counted are shown");
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	diag_print(diags, out, DIAG_COLOUR);
	fclose(out);
	/* Ten diagnostics, each with a path in its message at most. */
	require(len < 10 * 4 * 5120, "diagnostics of any input are short");
	free(text);
}

static char *print(const struct vm_config *config, enum vmconfig_format format)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	require(out && vmconfig_print(config, format, out) == 0, "a config can be printed");
	fclose(out);
	return text;
}

/* Reads `text` back and prints it as `format`: it must be `expected`. */
static void check_reread(const struct vmconfig_input *input, const char *text, enum vmconfig_format format, const char *expected)
{
	struct vmconfig_input again = {.spec_path = "reread", .spec_text = text, .spec_len = strlen(text), .drivers = input->drivers};
	struct diag_list *diags = diag_list_create();
	struct vm_config config;
	int error = vmconfig_load(&config, &again, diags);
	if (error)
		diag_print(diags, stderr, DIAG_PLAIN);
	require(error == 0, "what was printed is accepted");
	char *printed = print(&config, format);
	if (strcmp(printed, expected) != 0)
		fprintf(stderr, "--- first\n%s--- then\n%s", expected, printed);
	require(strcmp(printed, expected) == 0, "what was printed reads back to the same bytes");
	free(printed);
	vmconfig_finish(&config);
	diag_list_destroy(diags);
}

bool config_property_check(const struct vmconfig_input *input)
{
	struct diag_list *diags = diag_list_create();
	struct vm_config config;
	int error = vmconfig_load(&config, input, diags);
	require(error == 0 || error == -EINVAL || error == -ENOMEM, "the result is one of three");
	require((error == -EINVAL) == (diag_error_count(diags) > 0), "either a config or an error");
	check_diags(input, diags);
	if (error == 0) {
		char *texts[] = {print(&config, VMCONFIG_YAML), print(&config, VMCONFIG_JSON)};
		for (unsigned from = 0; from < 2; from++)
			for (unsigned to = 0; to < 2; to++)
				check_reread(input, texts[from], to ? VMCONFIG_JSON : VMCONFIG_YAML, texts[to]);
		free(texts[0]);
		free(texts[1]);
	}
	vmconfig_finish(&config);
	diag_list_destroy(diags);
	return error == 0;
}
