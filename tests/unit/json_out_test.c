#include "control/json_out.h"

#include <CUnit/CUnit.h>
#include <string.h>

#include "tests/unit/suite.h"

static void check(struct json_out *out, const char *expected)
{
	CU_ASSERT_FALSE(out->failed);
	CU_ASSERT_EQUAL(out->len, strlen(expected));
	CU_ASSERT_EQUAL(memcmp(out->bytes, expected, strlen(expected)), 0);
	json_out_finish(out);
}

static void check_string(const char *text, const char *expected)
{
	struct json_out out;

	json_out_init(&out, 1000);
	json_out_string(&out, text);
	check(&out, expected);
}

static void commas_come_by_themselves(void)
{
	struct json_out out;

	json_out_init(&out, 1000);
	json_out_open(&out, '{');
	json_out_member_u64(&out, "a", 0);
	json_out_key(&out, "b");
	json_out_open(&out, '[');
	json_out_close(&out, ']');
	json_out_key(&out, "c");
	json_out_open(&out, '[');
	json_out_bool(&out, true);
	json_out_string(&out, "x");
	json_out_open(&out, '{');
	json_out_close(&out, '}');
	json_out_close(&out, ']');
	json_out_member_bool(&out, "d", false);
	json_out_close(&out, '}');
	check(&out, "{\"a\":0,\"b\":[],\"c\":[true,\"x\",{}],\"d\":false}");
}

static void text_is_ascii(void)
{
	check_string("plain /~", "\"plain /~\"");
	check_string("\"\\\n\x01\x7f", "\"\\\"\\\\\\u000a\\u0001\\u007f\"");
	check_string("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", "\"\\u00e9\\u20ac\\ud83d\\ude00\"");
}

static void bytes_that_are_not_utf8_are_replaced(void)
{
	check_string("\xff\xfe", "\"\\ufffd\\ufffd\"");
	check_string("\xc3", "\"\\ufffd\"");
	check_string("\xc3(", "\"\\ufffd(\"");
	check_string("\xe2\x82", "\"\\ufffd\\ufffd\"");
	check_string("\xc0\x80", "\"\\ufffd\\ufffd\"");			      /* overlong */
	check_string("\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\"");	      /* a surrogate */
	check_string("\xf4\x90\x80\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\""); /* above U+10FFFF */
}

static void numbers_keep_all_their_bits(void)
{
	struct json_out out;

	json_out_init(&out, 1000);
	json_out_u64(&out, UINT64_MAX);
	check(&out, "18446744073709551615");
}

static void values_of_jansson(void)
{
	json_t *value = json_loads("{\"a\":[1,-2,1.5,null,\"\xc3\xa9\\u0000\"]}", JSON_ALLOW_NUL, NULL);
	struct json_out out;

	json_out_init(&out, 1000);
	json_out_value(&out, value);
	json_decref(value);
	check(&out, "{\"a\":[1,-2,1.5,null,\"\\u00E9\\u0000\"]}");
}

static void too_much_fails_and_stays_failed(void)
{
	struct json_out out;

	json_out_init(&out, 10);
	json_out_raw(&out, "12345678", 8);
	json_out_raw(&out, "abc", 3);
	CU_ASSERT_TRUE(out.failed);
	CU_ASSERT_EQUAL(out.len, 8);
	json_out_raw(&out, "a", 1);
	CU_ASSERT_EQUAL(out.len, 8);
	json_out_clear(&out);
	json_out_raw(&out, "0123456789", 10);
	CU_ASSERT_FALSE(out.failed);
	json_out_drop(&out, 4);
	check(&out, "456789");
}

static const struct test_case cases[] = {
	{"commas come by themselves", commas_come_by_themselves},
	{"text is ASCII", text_is_ascii},
	{"bytes that are not UTF-8 are replaced", bytes_that_are_not_utf8_are_replaced},
	{"numbers keep all their bits", numbers_keep_all_their_bits},
	{"values of jansson", values_of_jansson},
	{"too much fails and stays failed", too_much_fails_and_stays_failed},
};

TEST_SUITE(json_out, cases);
