#include "kvm/aml.h"

#include <assert.h>
#include <string.h>

#include "util/bytes.h"

/* ACPI 6.5, section 20.3, AML byte stream byte values. */
enum {
	OP_ZERO = 0x00,
	OP_ONE = 0x01,
	OP_NAME = 0x08,
	OP_BYTE = 0x0A,
	OP_WORD = 0x0B,
	OP_DWORD = 0x0C,
	OP_STRING = 0x0D,
	OP_QWORD = 0x0E,
	OP_SCOPE = 0x10,
	OP_BUFFER = 0x11,
	OP_PACKAGE = 0x12,
	OP_EXT = 0x5B,
	OP_EXT_DEVICE = 0x82,
};

/* Section 20.2.4: bits 7-6 of the first byte count the bytes that follow, bits 3-0 are the length's low four. */
#define PKG_LENGTH_LEN 4
#define PKG_LENGTH_LEAD (3 << 6)

static void put(struct aml *aml, const void *bytes, size_t len)
{
	if (aml->overflow || len > aml->cap - aml->len) {
		aml->overflow = true;
		return;
	}
	memcpy(aml->buf + aml->len, bytes, len);
	aml->len += len;
}

static void put_u8(struct aml *aml, unsigned value)
{
	uint8_t byte = (uint8_t)value;

	put(aml, &byte, 1);
}

static void put_le(struct aml *aml, uint64_t value, size_t len)
{
	uint8_t bytes[8];

	store_le64(bytes, value);
	put(aml, bytes, len);
}

static void put_name(struct aml *aml, const char *name)
{
	assert(strlen(name) == (name[0] == '\\' ? 5 : 4));
	put(aml, name, strlen(name));
}

static aml_mark begin_package_length(struct aml *aml)
{
	aml_mark mark = aml->len;

	put_le(aml, 0, PKG_LENGTH_LEN);
	return mark;
}

void aml_end(struct aml *aml, aml_mark mark)
{
	if (aml->overflow)
		return;
	uint32_t len = (uint32_t)(aml->len - mark); /* its own bytes included */

	store_le32(aml->buf + mark, (len >> 4) << 8 | PKG_LENGTH_LEAD | (len & 0xF));
}

aml_mark aml_begin_scope(struct aml *aml, const char *name)
{
	put_u8(aml, OP_SCOPE);
	aml_mark mark = begin_package_length(aml);
	put_name(aml, name);
	return mark;
}

aml_mark aml_begin_device(struct aml *aml, const char *name)
{
	put_u8(aml, OP_EXT);
	put_u8(aml, OP_EXT_DEVICE);
	aml_mark mark = begin_package_length(aml);
	put_name(aml, name);
	return mark;
}

aml_mark aml_begin_package(struct aml *aml, uint8_t n_elements)
{
	put_u8(aml, OP_PACKAGE);
	aml_mark mark = begin_package_length(aml);
	put_u8(aml, n_elements);
	return mark;
}

void aml_name(struct aml *aml, const char *name)
{
	put_u8(aml, OP_NAME);
	put_name(aml, name);
}

void aml_integer(struct aml *aml, uint64_t value)
{
	if (value <= 1) {
		put_u8(aml, value ? OP_ONE : OP_ZERO);
	} else if (value <= UINT8_MAX) {
		put_u8(aml, OP_BYTE);
		put_le(aml, value, 1);
	} else if (value <= UINT16_MAX) {
		put_u8(aml, OP_WORD);
		put_le(aml, value, 2);
	} else if (value <= UINT32_MAX) {
		put_u8(aml, OP_DWORD);
		put_le(aml, value, 4);
	} else {
		put_u8(aml, OP_QWORD);
		put_le(aml, value, 8);
	}
}

void aml_string(struct aml *aml, const char *ascii)
{
	put_u8(aml, OP_STRING);
	put(aml, ascii, strlen(ascii) + 1);
}

static unsigned hex_digit(char c)
{
	assert((c >= '0' && c <= '9') || (c >= 'A' && c <= 'F'));
	return (unsigned)(c <= '9' ? c - '0' : c - 'A' + 10);
}

/* Section 19.3.4, EISAID: three letters of five bits, four hex digits, and then the bytes in reverse. */
void aml_eisa_id(struct aml *aml, const char *id)
{
	uint32_t value = 0;

	assert(strlen(id) == 7);
	for (size_t i = 0; i < 3; i++)
		value = value << 5 | ((unsigned)(id[i] - 'A' + 1) & 0x1F);
	for (size_t i = 3; i < 7; i++)
		value = value << 4 | hex_digit(id[i]);
	aml_integer(aml, __builtin_bswap32(value));
}

struct aml_resources aml_begin_resources(struct aml *aml)
{
	struct aml_resources resources;

	put_u8(aml, OP_BUFFER);
	resources.package = begin_package_length(aml);
	put_u8(aml, OP_WORD);
	resources.length_at = aml->len;
	put_le(aml, 0, 2);
	return resources;
}

/* Section 6.4.2.9: a checksum of zero in the end tag counts as a good one. */
void aml_end_resources(struct aml *aml, struct aml_resources resources)
{
	put_u8(aml, 0x79);
	put_u8(aml, 0);
	if (!aml->overflow)
		store_le16(aml->buf + resources.length_at, (uint16_t)(aml->len - resources.length_at - 2));
	aml_end(aml, resources.package);
}

/* Section 6.4.2.5, I/O port descriptor: decodes 16 bits, range minimum and maximum, alignment, length. */
void aml_io(struct aml *aml, uint16_t base, uint8_t len)
{
	put_u8(aml, 0x47);
	put_u8(aml, 1);
	put_le(aml, base, 2);
	put_le(aml, base, 2);
	put_u8(aml, 1);
	put_u8(aml, len);
}

/* Section 6.4.2.1, IRQ descriptor without flags: edge-triggered, active high. */
void aml_irq(struct aml *aml, unsigned irq)
{
	put_u8(aml, 0x22);
	put_le(aml, 1U << irq, 2);
}

/* Section 6.4.3.4, 32-bit fixed memory range descriptor. */
void aml_memory32_fixed(struct aml *aml, uint32_t base, uint32_t len)
{
	put_u8(aml, 0x86);
	put_le(aml, 9, 2);
	put_u8(aml, 1); /* writable */
	put_le(aml, base, 4);
	put_le(aml, len, 4);
}

/* Section 6.4.3.5, address space descriptors. `width` is that of each of the five numbers. */
enum space { SPACE_MEMORY = 0, SPACE_IO = 1, SPACE_BUS = 2 };

static void address_space(struct aml *aml, uint8_t tag, size_t width, enum space space, uint8_t type_flags, uint64_t min, uint64_t len)
{
	enum { PRODUCER = 0, MIN_FIXED = 1 << 2, MAX_FIXED = 1 << 3 };

	put_u8(aml, tag);
	put_le(aml, 3 + 5 * width, 2);
	put_u8(aml, space);
	put_u8(aml, PRODUCER | MIN_FIXED | MAX_FIXED);
	put_u8(aml, type_flags);
	put_le(aml, 0, width); /* granularity */
	put_le(aml, min, width);
	put_le(aml, min + len - 1, width);
	put_le(aml, 0, width); /* translation */
	put_le(aml, len, width);
}

void aml_word_bus(struct aml *aml, uint16_t min, uint16_t len)
{
	address_space(aml, 0x88, 2, SPACE_BUS, 0, min, len);
}

void aml_word_io(struct aml *aml, uint16_t min, uint16_t len)
{
	address_space(aml, 0x88, 2, SPACE_IO, 3 /* the entire range, ISA and not */, min, len);
}

void aml_dword_memory(struct aml *aml, uint32_t min, uint32_t len)
{
	address_space(aml, 0x87, 4, SPACE_MEMORY, 1 /* not cacheable, writable */, min, len);
}
