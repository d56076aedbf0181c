/*
 * The guest's ACPI tables, built from kvm/board.h: RSDP, XSDT, FADT, FACS,
 * DSDT, MADT, MCFG. All of them lie in the BIOS area, 0xE0000 to 0xFFFFF.
 *
 * Not a hardware-reduced platform: the SCI, the PM1a registers and the power
 * button are fixed hardware (device/acpi_pm.c), so that a kernel needs no driver
 * for a clean shutdown.
 */
#ifndef KVM_ACPI_H
#define KVM_ACPI_H

#include <stdbool.h>
#include <stdint.h>

#include "kvm/memory.h"
#include "util/fail.h"

/* SLP_TYP of soft-off in \_S5: the value that the PM1 control register (device/acpi_pm.h) takes for it. */
#define ACPI_SLP_TYP_S5 5

struct acpi_params {
	unsigned n_vcpus; /* 1 to BOARD_MAX_VCPUS; APIC ids are 0 to n_vcpus - 1 */
	bool pvpanic;
	bool serial; /* COM1 is there */
};

/*
 * Writes the tables into guest RAM. *rsdp_gpa is where the RSDP went. To be
 * called at boot and, since a reset empties RAM, after each reset. Returns 0,
 * or -errno when RAM has no BIOS area (less than 1 MiB).
 */
int acpi_build(const struct acpi_params *params, struct guest_ram *ram, uint64_t *rsdp_gpa, struct fail *why);

#endif
