#include "kvm/aml.h"

#include <CUnit/CUnit.h>
#include <string.h>

#include "tests/unit/suite.h"
#include "util/bytes.h"

static uint8_t buf[1024];
static struct aml aml;

static void start(void)
{
	memset(buf, 0xCC, sizeof buf);
	aml = (struct aml){.buf = buf, .cap = sizeof buf};
}

/* Exactly these bytes since start(); they are what iasl makes of the source in the comments. */
#define EXPECT(...)                                                         \
	do {                                                                \
		static const uint8_t expected[] = {__VA_ARGS__};            \
		CU_ASSERT_FALSE(aml.overflow);                              \
		CU_ASSERT_EQUAL(aml.len, sizeof expected);                  \
		CU_ASSERT_EQUAL(memcmp(buf, expected, sizeof expected), 0); \
		CU_ASSERT_EQUAL(buf[aml.len], 0xCC);                        \
	} while (0)

static void integers_are_as_short_as_can_be(void)
{
	start();
	aml_integer(&aml, 0);
	aml_integer(&aml, 1);
	aml_integer(&aml, 2);
	aml_integer(&aml, 0xFF);
	EXPECT(0x00, 0x01, 0x0A, 0x02, 0x0A, 0xFF);
	start();
	aml_integer(&aml, 0x100);
	aml_integer(&aml, 0xFFFF);
	aml_integer(&aml, 0x10000);
	EXPECT(0x0B, 0x00, 0x01, 0x0B, 0xFF, 0xFF, 0x0C, 0x00, 0x00, 0x01, 0x00);
	start();
	aml_integer(&aml, UINT32_MAX);
	aml_integer(&aml, 0x100000000);
	EXPECT(0x0C, 0xFF, 0xFF, 0xFF, 0xFF, 0x0E, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00);
}

static void names_and_strings(void)
{
	/* Name (_HID, "ACPI0007") */
	start();
	aml_name(&aml, "_HID");
	aml_string(&aml, "ACPI0007");
	EXPECT(0x08, '_', 'H', 'I', 'D', 0x0D, 'A', 'C', 'P', 'I', '0', '0', '0', '7', 0x00);
	/* Name (_HID, EisaId ("PNP0A08")) */
	start();
	aml_name(&aml, "_HID");
	aml_eisa_id(&aml, "PNP0A08");
	EXPECT(0x08, '_', 'H', 'I', 'D', 0x0C, 0x41, 0xD0, 0x0A, 0x08);
}

static void blocks_nest(void)
{
	/* Scope (\_SB) { Device (PCI0) { Name (_UID, One) } }, with lengths in four bytes */
	start();
	aml_mark scope = aml_begin_scope(&aml, "\\_SB_");
	aml_mark device = aml_begin_device(&aml, "PCI0");
	aml_name(&aml, "_UID");
	aml_integer(&aml, 1);
	aml_end(&aml, device);
	aml_end(&aml, scope);
	EXPECT(0x10, 0xC9, 0x01, 0x00, 0x00, '\\', '_', 'S', 'B', '_', 0x5B, 0x82, 0xCE, 0x00, 0x00, 0x00, 'P', 'C', 'I', '0', 0x08, '_', 'U', 'I', 'D', 0x01);
}

static void packages(void)
{
	/* Package (2) { 5, Zero } */
	start();
	aml_mark package = aml_begin_package(&aml, 2);
	aml_integer(&aml, 5);
	aml_integer(&aml, 0);
	aml_end(&aml, package);
	EXPECT(0x12, 0xC8, 0x00, 0x00, 0x00, 0x02, 0x0A, 0x05, 0x00);
}

static void lengths_use_all_of_their_bits(void)
{
	static uint8_t big[0x12345 + 16];

	aml = (struct aml){.buf = big, .cap = sizeof big};
	aml_mark package = aml_begin_package(&aml, 1);
	while (aml.len < 0x12345 + 1)
		aml_integer(&aml, 0);
	aml_end(&aml, package);
	/* 0x12345: low four bits, then eight, then eight */
	CU_ASSERT_EQUAL(big[1], 0xC5);
	CU_ASSERT_EQUAL(big[2], 0x34);
	CU_ASSERT_EQUAL(big[3], 0x12);
	CU_ASSERT_EQUAL(big[4], 0x00);
}

static void fixed_resources(void)
{
	/* ResourceTemplate () { IO (Decode16, 0x3F8, 0x3F8, 1, 8) IRQNoFlags () {4} Memory32Fixed (ReadWrite, 0xE0000000, 0x100000) } */
	start();
	struct aml_resources resources = aml_begin_resources(&aml);
	aml_io(&aml, 0x3F8, 8);
	aml_irq(&aml, 4);
	aml_memory32_fixed(&aml, 0xE0000000, 0x100000);
	aml_end_resources(&aml, resources);
	EXPECT(0x11, 0xC0, 0x02, 0x00, 0x00, 0x0B, 0x19, 0x00,			       /* Buffer (25) */
	       0x47, 0x01, 0xF8, 0x03, 0xF8, 0x03, 0x01, 0x08, 0x22, 0x10, 0x00,       /* */
	       0x86, 0x09, 0x00, 0x01, 0x00, 0x00, 0x00, 0xE0, 0x00, 0x00, 0x10, 0x00, /* */
	       0x79, 0x00);
}

static void windows(void)
{
	start();
	aml_word_bus(&aml, 0, 1);
	EXPECT(0x88, 0x0D, 0x00, 0x02, 0x0C, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00);
	start();
	aml_word_io(&aml, 0xD00, 0xF300);
	EXPECT(0x88, 0x0D, 0x00, 0x01, 0x0C, 0x03, 0x00, 0x00, 0x00, 0x0D, 0xFF, 0xFF, 0x00, 0x00, 0x00, 0xF3);
	start();
	aml_dword_memory(&aml, 0xC0000000, 0x20000000);
	EXPECT(0x87, 0x17, 0x00, 0x00, 0x0C, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xC0, 0xFF, 0xFF, 0xFF, 0xDF, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	       0x00, 0x20);
}

/* At every capacity that is too small nothing is written past it, and the writer says so. */
static void overflow_is_noticed(void)
{
	for (size_t cap = 0; cap < 64; cap++) {
		start();
		aml.cap = cap;
		aml_mark device = aml_begin_device(&aml, "COM1");
		aml_name(&aml, "_CRS");
		struct aml_resources resources = aml_begin_resources(&aml);
		aml_io(&aml, 0x3F8, 8);
		aml_end_resources(&aml, resources);
		aml_end(&aml, device);
		CU_ASSERT_EQUAL(aml.overflow, cap < 33);
		CU_ASSERT(aml.len <= cap);
		for (size_t i = cap; i < sizeof buf; i++)
			if (buf[i] != 0xCC)
				CU_FAIL_FATAL("written past the end");
	}
}

static const struct test_case cases[] = {
	{"integers are as short as can be", integers_are_as_short_as_can_be},
	{"names and strings", names_and_strings},
	{"blocks nest", blocks_nest},
	{"packages", packages},
	{"lengths use all of their bits", lengths_use_all_of_their_bits},
	{"fixed resources", fixed_resources},
	{"windows", windows},
	{"overflow is noticed", overflow_is_noticed},
};
TEST_SUITE(aml, cases);
