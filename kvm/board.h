/*
 * The board's map: which address, port and interrupt line each part has. ACPI
 * tables are built from it, cli/run.c hands it to the devices.
 *
 *   0              RAM, up to 3 GiB of it
 *   0xC0000000     window for PCI BARs, 512 MiB
 *   0xE0000000     PCI configuration space (ECAM) of bus 0, 1 MiB
 *   0xFEC00000     I/O APIC
 *   0xFEE00000     local APIC
 *   0xFFFBC000     KVM's identity map page, then its TSS (Intel needs both)
 *   0x100000000    RAM, the rest
 */
#ifndef KVM_BOARD_H
#define KVM_BOARD_H

#define BOARD_RAM_LOW_MAX 0xC0000000ULL
#define BOARD_RAM_HIGH_BASE 0x100000000ULL

#define BOARD_PCI_WINDOW_BASE 0xC0000000ULL
#define BOARD_PCI_WINDOW_LEN 0x20000000ULL
#define BOARD_ECAM_BASE 0xE0000000ULL
#define BOARD_ECAM_LEN 0x100000ULL
#define BOARD_IOAPIC_BASE 0xFEC00000ULL
#define BOARD_LAPIC_BASE 0xFEE00000ULL
#define BOARD_KVM_IDENTITY_MAP 0xFFFBC000ULL
#define BOARD_KVM_TSS 0xFFFBD000ULL

#define BOARD_PORT_SERIAL 0x3F8 /* COM1 */
#define BOARD_PORT_PVPANIC 0x505
#define BOARD_PORT_PM1_EVT 0x600 /* status word, enable word */
#define BOARD_PORT_PM1_CNT 0x604 /* control word */
#define BOARD_PORT_RESET 0x60C	 /* ACPI reset register, one byte */
#define BOARD_RESET_VALUE 0x52
#define BOARD_PORT_PCI 0xCF8 /* configuration address and data */
#define BOARD_PORT_KBD 0x64  /* keyboard controller command: 0xFE resets */

#define BOARD_IRQ_SERIAL 4
#define BOARD_IRQ_SCI 9
#define BOARD_PCI_GSI_BASE 16 /* INTx: GSI 16 + (slot + pin) % 8 */
#define BOARD_PCI_N_GSI 8
#define BOARD_N_GSI 24

#define BOARD_MAX_VCPUS 64

#endif
