/* The body of the DSDT, which kvm/acpi.c wraps into a table. */
#ifndef KVM_ACPI_DSDT_H
#define KVM_ACPI_DSDT_H

#include "kvm/acpi.h"
#include "kvm/aml.h"

void acpi_dsdt_build(struct aml *aml, const struct acpi_params *params);

#endif
