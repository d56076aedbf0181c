#include "parser/suggest.h"

#include <CUnit/CUnit.h>
#include <string.h>

#include "tests/unit/suite.h"

static const char *nearest(const char *word)
{
	static const char *const words[] = {"size", "deflate_on_oom", "free_page_reporting", "id", "statistics"};
	struct suggest search = {.word = word, .len = strlen(word)};
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		suggest_offer(&search, words[i]);
	return search.nearest ? search.nearest : "";
}

static void finds_slips(void)
{
	CU_ASSERT_STRING_EQUAL(nearest("sise"), "size");
	CU_ASSERT_STRING_EQUAL(nearest("siez"), "size");
	CU_ASSERT_STRING_EQUAL(nearest("sizes"), "size");
	CU_ASSERT_STRING_EQUAL(nearest("sze"), "size");
	CU_ASSERT_STRING_EQUAL(nearest("SIZE"), "size");
	CU_ASSERT_STRING_EQUAL(nearest("deflate-on-oom"), "deflate_on_oom");
	CU_ASSERT_STRING_EQUAL(nearest("free_page_report"), "free_page_reporting");
}

static void leaves_alone_what_is_far(void)
{
	CU_ASSERT_STRING_EQUAL(nearest("colour"), "");
	CU_ASSERT_STRING_EQUAL(nearest("x"), "");
	CU_ASSERT_STRING_EQUAL(nearest(""), "");
	CU_ASSERT_STRING_EQUAL(nearest("stats"), "");
}

static void leaves_alone_what_is_long(void)
{
	char word[SUGGEST_MAX_LEN + 2];
	memset(word, 'x', sizeof word - 1);
	word[sizeof word - 1] = '\0';
	struct suggest search = {.word = word, .len = sizeof word - 1};
	suggest_offer(&search, word);
	CU_ASSERT_PTR_NULL(search.nearest);
	search.len--;
	suggest_offer(&search, word + 1);
	CU_ASSERT_PTR_EQUAL(search.nearest, word + 1);
}

static void of_equals_the_first_wins(void)
{
	struct suggest search = {.word = "catz", .len = 4};
	suggest_offer(&search, "cats");
	suggest_offer(&search, "cath");
	CU_ASSERT_STRING_EQUAL(search.nearest, "cats");
	suggest_offer(&search, "catz");
	CU_ASSERT_STRING_EQUAL(search.nearest, "catz");
}

static const struct test_case cases[] = {
	{"finds slips", finds_slips},
	{"leaves alone what is far", leaves_alone_what_is_far},
	{"leaves alone what is long", leaves_alone_what_is_long},
	{"of equals the first wins", of_equals_the_first_wins},
};
TEST_SUITE(suggest, cases);
