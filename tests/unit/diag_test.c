#include "parser/diag.h"

#include <CUnit/CUnit.h>
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/suite.h"

static struct diag_list *list;

static void begin(void)
{
	list = diag_list_create();
	CU_ASSERT_PTR_NOT_NULL_FATAL(list);
}

static struct diag_source source_of(const char *name, const char *text)
{
	return (struct diag_source){.name = name, .text = text, .len = strlen(text)};
}

static struct diag_span span(const struct diag_source *source, size_t begin, size_t end)
{
	return (struct diag_span){source, begin, end};
}

/* What is printed of the list, which is destroyed; valid until the next call. */
static const char *end_with(enum diag_colour colour)
{
	static char shown[8192];
	FILE *out = fmemopen(shown, sizeof shown, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(out);
	diag_print(list, out, colour);
	fclose(out);
	diag_list_destroy(list);
	list = NULL;
	return shown;
}

static void end_prints(const char *expected)
{
	const char *text = end_with(DIAG_PLAIN);
	if (strcmp(text, expected) != 0)
		printf("\nexpected:\n%sgot:\n%s", expected, text);
	CU_ASSERT_STRING_EQUAL(text, expected);
}

static void prints_the_contract_example(void)
{
	struct diag_source source = source_of("--balloon", "size=1G,deflate_on_oom=yes");
	begin();
	diag_add(list, DIAG_ERROR, span(&source, 23, 26), "deflate_on_oom=on", "'%s' wants on or off, got '%s'", "deflate_on_oom", "yes");
	CU_ASSERT_EQUAL(diag_error_count(list), 1);
	CU_ASSERT_EQUAL(diag_warning_count(list), 0);
	end_prints("--balloon:1:24: error: 'deflate_on_oom' wants on or off, got 'yes'\n"
		   "  size=1G,deflate_on_oom=yes\n"
		   "                         ^~~\n"
		   "  hint: deflate_on_oom=on\n");
}

static void knows_when_only_the_host_is_to_blame(void)
{
	struct diag_source source = source_of("a", "kernel");
	begin();
	CU_ASSERT_FALSE(diag_is_host_to_blame(list));
	diag_add(list, DIAG_ERROR, span(&source, 0, 6), NULL, "cannot be read");
	diag_blame_host(list);
	CU_ASSERT_TRUE(diag_is_host_to_blame(list));
	diag_add(list, DIAG_WARNING, span(&source, 0, 1), NULL, "odd");
	CU_ASSERT_TRUE(diag_is_host_to_blame(list));
	diag_add(list, DIAG_ERROR, span(&source, 0, 1), NULL, "wrong");
	CU_ASSERT_FALSE(diag_is_host_to_blame(list));
	diag_list_destroy(list);
}

static void finds_the_line(void)
{
	struct diag_source source = source_of("a", "one\r\ntwo\nthree");
	struct diag_view view;
	begin();
	static const struct {
		size_t at;
		unsigned long line, column;
	} places[] = {{0, 1, 1}, {3, 1, 4}, {4, 1, 4}, {5, 2, 1}, {8, 2, 4}, {9, 3, 1}, {14, 3, 6}};
	size_t n = sizeof places / sizeof places[0];
	for (size_t i = 0; i < n; i++)
		diag_add(list, DIAG_ERROR, span(&source, places[i].at, places[i].at), NULL, "%zu", i);
	for (size_t i = 0; i < n; i++) {
		CU_ASSERT_FATAL(diag_nth(list, i, &view));
		CU_ASSERT_EQUAL(view.line, places[i].line);
		CU_ASSERT_EQUAL(view.column, places[i].column);
		CU_ASSERT_EQUAL(view.begin, places[i].at);
	}
	CU_ASSERT_FALSE(diag_nth(list, n, &view));
	diag_list_destroy(list);
}

static void columns_are_the_terminals(void)
{
	/* A tab to column 8, a wide character, a combining mark, a control character. */
	struct diag_source source = source_of("a", "x\t\xe6\x97\xa5"
						   "e\xcc\x81\x01!");
	begin();
	diag_add(list, DIAG_ERROR, span(&source, 9, 10), NULL, "here");
	end_prints("a:1:16: error: here\n"
		   "  x       \xe6\x97\xa5"
		   "e\xcc\x81\\x01!\n"
		   "                 ^\n");
}

static void underlines_no_further_than_the_line(void)
{
	struct diag_source source = source_of("a", "ab\ncd");
	begin();
	diag_add(list, DIAG_ERROR, span(&source, 1, 5), NULL, "over two lines");
	diag_add(list, DIAG_ERROR, span(&source, 5, 5), NULL, "at the end");
	end_prints("a:1:2: error: over two lines\n  ab\n   ^\n"
		   "a:2:3: error: at the end\n  cd\n    ^\n");
}

static void shows_part_of_a_long_line(void)
{
	enum { LEN = 1000 };
	char text[LEN + 1];
	for (size_t i = 0; i < LEN; i++)
		text[i] = (char)('0' + i % 10);
	text[LEN] = '\0';
	struct diag_source source = source_of("a", text);
	begin();
	diag_add(list, DIAG_ERROR, span(&source, 500, 900), NULL, "x");
	const char *shown = end_with(DIAG_PLAIN);
	const char *line = strchr(shown, '\n') + 1, *caret_line = strchr(line, '\n') + 1;
	CU_ASSERT_EQUAL(strncmp(line, "  ...0123", 9), 0);
	CU_ASSERT_EQUAL(caret_line[strcspn(caret_line, "^")], '^');
	CU_ASSERT_EQUAL(line[strcspn(caret_line, "^")], '0');
	CU_ASSERT_TRUE(caret_line - line < 140);
	CU_ASSERT_TRUE(strlen(caret_line) < 140);
	CU_ASSERT_PTR_NOT_NULL(strstr(line, "...\n"));
}

static void a_long_line_may_be_cut_in_a_wide_character(void)
{
	char text[601];
	for (size_t i = 0; i < 200; i++)
		memcpy(text + 3 * i, "\xe6\x97\xa5", 3);
	text[600] = '\0';
	struct diag_source source = source_of("a", text);
	begin();
	memcpy(text + 303, "ab!", 3); /* makes the columns odd behind it */
	diag_add(list, DIAG_ERROR, span(&source, 305, 306), NULL, "x");
	const char *shown = end_with(DIAG_PLAIN);
	const char *line = strchr(shown, '\n') + 1, *caret_line = strchr(line, '\n') + 1;
	/* Each wide character is three bytes and two columns. */
	size_t caret = strcspn(caret_line, "^"), bytes = strcspn(line, "!"), wide = 0;
	for (size_t i = 0; i < bytes; i++)
		wide += (unsigned char)line[i] == 0xe6;
	CU_ASSERT_EQUAL(bytes - wide, caret);
}

static void notes_name_a_second_place(void)
{
	struct diag_source spec = source_of("vm.yaml", "memory: 1G\n"), flag = source_of("--balloon", "2G");
	begin();
	diag_add(list, DIAG_WARNING, span(&flag, 0, 2), "less", "too much");
	diag_note(list, span(&spec, 8, 10), "of %s", "this");
	CU_ASSERT_EQUAL(diag_warning_count(list), 1);
	end_prints("--balloon:1:1: warning: too much\n  2G\n  ^~\n"
		   "  see vm.yaml:1:9: of this\n    memory: 1G\n            ^~\n"
		   "  hint: less\n");
}

static void sorts_by_source_and_place(void)
{
	struct diag_source first = source_of("b", "xyz"), second = source_of("a", "xyz");
	static const char other[] = "xyz";
	second.text = other;
	struct diag_view view;
	begin();
	diag_add(list, DIAG_ERROR, span(&first, 2, 3), NULL, "2");
	diag_add(list, DIAG_ERROR, span(&second, 0, 1), NULL, "3");
	diag_add(list, DIAG_ERROR, span(&first, 0, 1), NULL, "0");
	diag_add(list, DIAG_ERROR, span(&first, 0, 1), NULL, "1");
	for (size_t i = 0; i < 4; i++) {
		CU_ASSERT_FATAL(diag_nth(list, i, &view));
		CU_ASSERT_EQUAL((size_t)atoi(view.message), i);
	}
	diag_list_destroy(list);
}

static void keeps_ten_and_counts_the_rest(void)
{
	struct diag_source source = source_of("a", "0123456789abcdef");
	begin();
	for (size_t i = 0; i < 13; i++)
		diag_add(list, DIAG_ERROR, span(&source, i, i + 1), NULL, "%zu", i);
	CU_ASSERT_TRUE(diag_is_full(list));
	/* A note to what was only counted goes nowhere. */
	diag_note(list, span(&source, 0, 1), "nowhere");
	CU_ASSERT_EQUAL(diag_error_count(list), 13);
	const char *text = end_with(DIAG_PLAIN);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "error: 9\n"));
	CU_ASSERT_PTR_NULL(strstr(text, "error: 10\n"));
	CU_ASSERT_PTR_NULL(strstr(text, "nowhere"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "vmm-balloon: 3 more errors\n"));
}

static void errors_take_the_place_of_warnings(void)
{
	struct diag_source source = source_of("a", "x");
	struct diag_view view;
	begin();
	for (size_t i = 0; i < 12; i++)
		diag_add(list, DIAG_WARNING, span(&source, 0, 1), NULL, "w");
	CU_ASSERT_FALSE(diag_is_full(list));
	diag_add(list, DIAG_ERROR, span(&source, 0, 1), NULL, "e");
	size_t n_errors = 0, n = 0;
	for (; diag_nth(list, n, &view); n++)
		n_errors += view.severity == DIAG_ERROR;
	CU_ASSERT_EQUAL(n, DIAG_MAX_SHOWN);
	CU_ASSERT_EQUAL(n_errors, 1);
	const char *text = end_with(DIAG_PLAIN);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "vmm-balloon: 3 more warnings\n"));
}

static void copies_all_text(void)
{
	char name[] = "a", line[] = "xyz", hint[] = "h";
	struct diag_source *source = malloc(sizeof *source);
	assert(source);
	*source = source_of(name, line);
	begin();
	diag_add(list, DIAG_ERROR, span(source, 0, 1), hint, "%s", line);
	memset(name, '?', 1);
	memset(line, '?', 3);
	memset(hint, '?', 1);
	free(source);
	end_prints("a:1:1: error: xyz\n  xyz\n  ^\n  hint: h\n");
}

static void escapes_messages_hints_and_names(void)
{
	struct diag_source source = source_of("a\033b", "x");
	begin();
	diag_add(list, DIAG_ERROR, span(&source, 0, 1), "\033[2J", "got '%s'", "\033]0;title\a");
	end_prints("a\\x1bb:1:1: error: got '\\x1b]0;title\\x07'\n  x\n  ^\n  hint: \\x1b[2J\n");
}

static void quotes_are_short(void)
{
	struct diag_quote quote;
	char text[200];
	memset(text, 'y', sizeof text);
	CU_ASSERT_STRING_EQUAL(diag_quote(&quote, "a\0b", 3), "a\\x00b");
	diag_quote(&quote, text, sizeof text);
	CU_ASSERT_EQUAL(strlen(quote.text), DIAG_QUOTE_COLUMNS + strlen("..."));
	memset(text, 1, sizeof text);
	CU_ASSERT_TRUE(strlen(diag_quote(&quote, text, sizeof text)) < sizeof quote.text);
	for (size_t i = 0; i < sizeof text; i++)
		text[i] = "\xcc\x81"[i % 2]; /* takes no column at all */
	CU_ASSERT_TRUE(strlen(diag_quote(&quote, text, sizeof text)) < sizeof quote.text);
}

static void without_a_place_it_is_the_programs(void)
{
	begin();
	diag_add(list, DIAG_ERROR, (struct diag_span){0}, NULL, "cannot read");
	end_prints("vmm-balloon: error: cannot read\n");
}

static void colours_when_asked(void)
{
	struct diag_source source = source_of("a", "x");
	begin();
	diag_add(list, DIAG_ERROR, span(&source, 0, 1), "h", "e");
	const char *text = end_with(DIAG_COLOUR);
	CU_ASSERT_STRING_EQUAL(text, "\033[1ma:1:1:\033[m \033[1;31merror:\033[m e\n  x\n  \033[1;32m^\033[m\n  \033[36mhint:\033[m h\n");
	FILE *file = tmpfile();
	CU_ASSERT_EQUAL(diag_colour_for(file), DIAG_PLAIN);
	fclose(file);
}

static const struct test_case cases[] = {
	{"prints the contract's example", prints_the_contract_example},
	{"knows when only the host is to blame", knows_when_only_the_host_is_to_blame},
	{"finds the line", finds_the_line},
	{"columns are the terminal's", columns_are_the_terminals},
	{"underlines no further than the line", underlines_no_further_than_the_line},
	{"shows part of a long line", shows_part_of_a_long_line},
	{"a long line may be cut in a wide character", a_long_line_may_be_cut_in_a_wide_character},
	{"notes name a second place", notes_name_a_second_place},
	{"sorts by source and place", sorts_by_source_and_place},
	{"keeps ten and counts the rest", keeps_ten_and_counts_the_rest},
	{"errors take the place of warnings", errors_take_the_place_of_warnings},
	{"copies all text", copies_all_text},
	{"escapes messages, hints and names", escapes_messages_hints_and_names},
	{"quotes are short", quotes_are_short},
	{"without a place it is the program's", without_a_place_it_is_the_programs},
	{"colours when asked", colours_when_asked},
};
TEST_SUITE(diag, cases);
