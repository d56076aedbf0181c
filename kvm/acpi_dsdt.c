#include "kvm/acpi_dsdt.h"

#include <stdio.h>

#include "kvm/board.h"

/* _STA, ACPI 6.5, section 6.3.7: present, enabled, shown to the user, functioning. */
#define STA_SHOWN 0xF
#define STA_HIDDEN 0xB

#define PCI_N_SLOTS 32
#define PCI_N_PINS 4
#define PCI_CONFIG_PORTS_LEN 8
#define SERIAL_PORTS_LEN 8
#define PVPANIC_PORTS_LEN 1

static void integer_object(struct aml *aml, const char *name, uint64_t value)
{
	aml_name(aml, name);
	aml_integer(aml, value);
}

static void eisa_id_object(struct aml *aml, const char *name, const char *id)
{
	aml_name(aml, name);
	aml_eisa_id(aml, id);
}

/* Section 6.2.13: {address of the slot with any function, pin, no link device, GSI}. Slot 0 is the bridge, which has no interrupt. */
static void interrupt_routing(struct aml *aml)
{
	aml_name(aml, "_PRT");
	aml_mark table = aml_begin_package(aml, (PCI_N_SLOTS - 1) * PCI_N_PINS);

	for (unsigned slot = 1; slot < PCI_N_SLOTS; slot++)
		for (unsigned pin = 0; pin < PCI_N_PINS; pin++) {
			aml_mark entry = aml_begin_package(aml, 4);
			aml_integer(aml, slot << 16 | 0xFFFF);
			aml_integer(aml, pin);
			aml_integer(aml, 0);
			aml_integer(aml, BOARD_PCI_GSI_BASE + (slot + pin) % BOARD_PCI_N_GSI);
			aml_end(aml, entry);
		}
	aml_end(aml, table);
}

static void host_bridge(struct aml *aml)
{
	const unsigned behind_config = BOARD_PORT_PCI + PCI_CONFIG_PORTS_LEN;
	aml_mark device = aml_begin_device(aml, "PCI0");

	eisa_id_object(aml, "_HID", "PNP0A08");
	eisa_id_object(aml, "_CID", "PNP0A03");
	integer_object(aml, "_UID", 0);
	integer_object(aml, "_SEG", 0);
	integer_object(aml, "_BBN", 0);
	aml_name(aml, "_CRS");
	struct aml_resources resources = aml_begin_resources(aml);
	aml_word_bus(aml, 0, 1);
	aml_io(aml, BOARD_PORT_PCI, PCI_CONFIG_PORTS_LEN);
	aml_word_io(aml, 0, BOARD_PORT_PCI);
	aml_word_io(aml, (uint16_t)behind_config, (uint16_t)(0x10000 - behind_config));
	aml_dword_memory(aml, BOARD_PCI_WINDOW_BASE, BOARD_PCI_WINDOW_LEN);
	aml_end_resources(aml, resources);
	interrupt_routing(aml);
	aml_end(aml, device);
}

/* PCI Firmware Specification 3.3, section 4.1.2: ECAM is to be reserved by a motherboard resource, or Linux will not use it. */
static void motherboard(struct aml *aml)
{
	aml_mark device = aml_begin_device(aml, "MBRD");

	eisa_id_object(aml, "_HID", "PNP0C02");
	integer_object(aml, "_UID", 0);
	aml_name(aml, "_CRS");
	struct aml_resources resources = aml_begin_resources(aml);
	aml_memory32_fixed(aml, BOARD_ECAM_BASE, BOARD_ECAM_LEN);
	aml_end_resources(aml, resources);
	aml_end(aml, device);
}

static void serial_port(struct aml *aml)
{
	aml_mark device = aml_begin_device(aml, "COM1");

	eisa_id_object(aml, "_HID", "PNP0501");
	integer_object(aml, "_UID", 1);
	integer_object(aml, "_STA", STA_SHOWN);
	aml_name(aml, "_CRS");
	struct aml_resources resources = aml_begin_resources(aml);
	aml_io(aml, BOARD_PORT_SERIAL, SERIAL_PORTS_LEN);
	aml_irq(aml, BOARD_IRQ_SERIAL);
	aml_end_resources(aml, resources);
	aml_end(aml, device);
}

/* docs/specs/pvpanic of QEMU. */
static void pvpanic(struct aml *aml)
{
	aml_mark device = aml_begin_device(aml, "PEVT");

	aml_name(aml, "_HID");
	aml_string(aml, "QEMU0001");
	integer_object(aml, "_STA", STA_HIDDEN);
	aml_name(aml, "_CRS");
	struct aml_resources resources = aml_begin_resources(aml);
	aml_io(aml, BOARD_PORT_PVPANIC, PVPANIC_PORTS_LEN);
	aml_end_resources(aml, resources);
	aml_end(aml, device);
}

/* Section 8.4: what the UIDs of the MADT refer to. */
static void processors(struct aml *aml, unsigned n_vcpus)
{
	for (unsigned i = 0; i < n_vcpus; i++) {
		char name[5];

		snprintf(name, sizeof name, "C%03X", i & 0xFFF);
		aml_mark device = aml_begin_device(aml, name);
		aml_name(aml, "_HID");
		aml_string(aml, "ACPI0007");
		integer_object(aml, "_UID", i);
		aml_end(aml, device);
	}
}

/* Section 7.4.2: SLP_TYP for PM1a and PM1b, two reserved elements. */
static void soft_off(struct aml *aml)
{
	aml_name(aml, "_S5_");
	aml_mark package = aml_begin_package(aml, 4);
	aml_integer(aml, ACPI_SLP_TYP_S5);
	aml_integer(aml, ACPI_SLP_TYP_S5);
	aml_integer(aml, 0);
	aml_integer(aml, 0);
	aml_end(aml, package);
}

void acpi_dsdt_build(struct aml *aml, const struct acpi_params *params)
{
	soft_off(aml);
	aml_mark scope = aml_begin_scope(aml, "\\_SB_");
	processors(aml, params->n_vcpus);
	motherboard(aml);
	host_bridge(aml);
	if (params->serial)
		serial_port(aml);
	if (params->pvpanic)
		pvpanic(aml);
	aml_end(aml, scope);
}
