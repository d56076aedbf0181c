/*
 * KVM's part of the board: a VM as it is at power-on, with RAM, interrupt
 * controllers, timer and the wiring between them, but without vCPUs.
 */
#ifndef KVM_CHIPSET_H
#define KVM_CHIPSET_H

#include "device/host.h"
#include "kvm/system.h"
#include "util/fail.h"

/* Returns the VM's fd, which the caller closes, or -errno. */
int chipset_create_vm(const struct vm_system *system, const struct gmem *gmem, struct fail *why);

#endif
