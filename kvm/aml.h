/*
 * A writer of AML, the byte code of ACPI tables (ACPI 6.5, chapter 20). It
 * appends to a caller's buffer; a package is opened with aml_begin_*, which
 * returns a mark, and closed with aml_end or its own end function, in reverse
 * order. When the buffer is full the writer sets `overflow` and writes no
 * more, so only the end has to be checked.
 *
 * Package lengths are always written in their four-byte form: no need to know
 * a length before its contents.
 */
#ifndef KVM_AML_H
#define KVM_AML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct aml {
	uint8_t *buf;
	size_t len;
	size_t cap;
	bool overflow;
};

/* Where an open package began. */
typedef size_t aml_mark;

/* A name is one segment of four letters, with "\\" in front when it starts at the root: "\\_SB_", "PCI0". */
aml_mark aml_begin_scope(struct aml *aml, const char *name);
aml_mark aml_begin_device(struct aml *aml, const char *name);
aml_mark aml_begin_package(struct aml *aml, uint8_t n_elements);
void aml_end(struct aml *aml, aml_mark mark);

/* NameOp: the value is what is written next. */
void aml_name(struct aml *aml, const char *name);
void aml_integer(struct aml *aml, uint64_t value);
void aml_string(struct aml *aml, const char *ascii);
/* An EISA id such as "PNP0A08", as the integer that _HID and _CID carry. */
void aml_eisa_id(struct aml *aml, const char *id);

/* A resource template: a buffer of descriptors with an end tag. */
struct aml_resources {
	aml_mark package;
	size_t length_at; /* the buffer size, patched at the end */
};

struct aml_resources aml_begin_resources(struct aml *aml);
void aml_end_resources(struct aml *aml, struct aml_resources resources);
/* Fixed I/O ports [base, base + len). */
void aml_io(struct aml *aml, uint16_t base, uint8_t len);
/* An edge-triggered, active-high ISA interrupt. */
void aml_irq(struct aml *aml, unsigned irq);
/* A fixed, writable 32-bit memory range. */
void aml_memory32_fixed(struct aml *aml, uint32_t base, uint32_t len);
/* Address spaces that a bridge passes on, [min, min + len). */
void aml_word_bus(struct aml *aml, uint16_t min, uint16_t len);
void aml_word_io(struct aml *aml, uint16_t min, uint16_t len);
void aml_dword_memory(struct aml *aml, uint32_t min, uint32_t len);

#endif
