#include "parser/utf8.h"

#include <CUnit/CUnit.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/suite.h"

static void decodes_each_length(void)
{
	uint32_t code = 0;
	CU_ASSERT_EQUAL(utf8_decode("a", 1, &code), 1);
	CU_ASSERT_EQUAL(code, 'a');
	CU_ASSERT_EQUAL(utf8_decode("\xc3\xa9", 2, &code), 2);
	CU_ASSERT_EQUAL(code, 0xe9);
	CU_ASSERT_EQUAL(utf8_decode("\xe6\x97\xa5", 3, &code), 3);
	CU_ASSERT_EQUAL(code, 0x65e5);
	CU_ASSERT_EQUAL(utf8_decode("\xf0\x9f\x98\x80", 4, &code), 4);
	CU_ASSERT_EQUAL(code, 0x1f600);
	CU_ASSERT_EQUAL(utf8_decode("\0", 1, &code), 1);
	CU_ASSERT_EQUAL(code, 0);
}

static void refuses_what_is_not_utf8(void)
{
	static const struct {
		const char *text;
		size_t len;
	} bad[] = {
		{"\x80", 1},		 /* a continuation alone */
		{"\xc0\xaf", 2},	 /* overlong '/' */
		{"\xc1\xbf", 2},	 /* overlong */
		{"\xe0\x80\xaf", 3},	 /* overlong */
		{"\xf0\x80\x80\xaf", 4}, /* overlong */
		{"\xed\xa0\x80", 3},	 /* surrogate U+D800 */
		{"\xed\xbf\xbf", 3},	 /* surrogate U+DFFF */
		{"\xf4\x90\x80\x80", 4}, /* U+110000 */
		{"\xf8\x88\x80\x80", 4}, /* five bytes */
		{"\xff", 1},
		{"\xe6\x97", 2},  /* cut off */
		{"\xe6\x97z", 3}, /* no continuation */
	};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		uint32_t code;
		CU_ASSERT_EQUAL(utf8_decode(bad[i].text, bad[i].len, &code), 0);
		CU_ASSERT_EQUAL(utf8_first_invalid(bad[i].text, bad[i].len), 0);
	}
	CU_ASSERT_EQUAL(utf8_first_invalid("ab\xff", 3), 2);
	CU_ASSERT_EQUAL(utf8_first_invalid("caf\xc3\xa9", 5), 5);
	CU_ASSERT_EQUAL(utf8_first_invalid("", 0), 0);
}

static void knows_widths(void)
{
	CU_ASSERT_EQUAL(utf8_width('a'), 1);
	CU_ASSERT_EQUAL(utf8_width(0xe9), 1);
	CU_ASSERT_EQUAL(utf8_width(0x301), 0);
	CU_ASSERT_EQUAL(utf8_width(0x65e5), 2);
	CU_ASSERT_EQUAL(utf8_width(0xff21), 2);
	CU_ASSERT_EQUAL(utf8_width(0x1f600), 2);
}

static void shows(const char *text, size_t len, const char *expected, size_t used, unsigned columns)
{
	char out[UTF8_SHOWN_MAX];
	size_t got_used;
	CU_ASSERT_EQUAL(utf8_show(text, len, &got_used, out), columns);
	CU_ASSERT_STRING_EQUAL(out, expected);
	CU_ASSERT_EQUAL(got_used, used);
}

static void shows_nothing_that_drives_a_terminal(void)
{
	shows("a", 1, "a", 1, 1);
	shows("\xe6\x97\xa5", 3, "\xe6\x97\xa5", 3, 2);
	shows("\x1b", 1, "\\x1b", 1, 4);
	shows("\0", 1, "\\x00", 1, 4);
	shows("\x7f", 1, "\\x7f", 1, 4);
	shows("\xff", 1, "\\xff", 1, 4);
	shows("\xc2\x9b", 2, "\\u{009b}", 2, 8);	  /* CSI in one character */
	shows("\xe2\x80\xae", 3, "\\u{202e}", 3, 8);	  /* right-to-left override */
	shows("\xef\xbb\xbf", 3, "\\u{feff}", 3, 8);	  /* byte order mark */
	shows("\xf3\xa0\x81\x81", 4, "\\u{e0041}", 4, 9); /* a tag character, invisible */
}

static void escapes_a_string(void)
{
	char *text = utf8_escaped("a\tb\xff\xe2\x80\xae");
	CU_ASSERT_STRING_EQUAL(text, "a\\x09b\\xff\\u{202e}");
	free(text);
	text = utf8_escaped("");
	CU_ASSERT_STRING_EQUAL(text, "");
	free(text);
}

static const struct test_case cases[] = {
	{"decodes each length", decodes_each_length},
	{"refuses what is not UTF-8", refuses_what_is_not_utf8},
	{"knows widths", knows_widths},
	{"shows nothing that drives a terminal", shows_nothing_that_drives_a_terminal},
	{"escapes a string", escapes_a_string},
};
TEST_SUITE(utf8, cases);
