/*
 * Puts a kernel, its initramfs and its command line into guest RAM and the
 * boot vCPU at its entry point.
 *
 * Two kinds of kernel: a bzImage, by the 64-bit boot protocol of
 * Documentation/arch/x86/boot.rst, and an ELF file with a Xen PVH entry note,
 * by the start-of-day of xen/include/public/arch-x86/hvm/start_info.h. A
 * distribution's vmlinuz is the first; an uncompressed vmlinux and the
 * built-in guest are the second. No byte of a file is trusted.
 *
 * Order: boot_open before the sandbox closes; then at boot and after each
 * reset ram_discard_all (reset only), acpi_build, boot_load, boot_set_vcpu.
 *
 * Low memory while the guest starts, all of it below E820_LOW_RAM_END and free
 * for the kernel to use once it has read it:
 *   0x500      GDT
 *   0x6000     hvm_start_info, its memory map and module list (PVH)
 *   0x7000     zero page (bzImage)
 *   0x9000     page tables: PML4, PDPT, four page directories (bzImage)
 *   0x20000    command line
 */
#ifndef KVM_BOOT_H
#define KVM_BOOT_H

#include <stddef.h>
#include <stdint.h>

#include "kvm/memory.h"
#include "parser/vmconfig.h"
#include "util/fail.h"

#define BOOT_GDT_GPA 0x500
#define BOOT_GDT_LEN 32 /* bytes: null, unused, code at selector 0x10, data at 0x18 */
#define BOOT_START_INFO_GPA 0x6000
#define BOOT_ZERO_PAGE_GPA 0x7000
#define BOOT_PAGE_TABLES_GPA 0x9000
#define BOOT_CMDLINE_GPA 0x20000
#define BOOT_CMDLINE_MAX 0x10000 /* bytes, the NUL included; a kernel may accept less */

/*
 * Bytes that the kernel or the initramfs is read from: an open file or memory.
 * Files are read, never mapped: one that shrinks under us is a short read,
 * while a mapping would end the program with SIGBUS. What goes to the guest is
 * read straight into its RAM.
 */
struct boot_file {
	const char *name; /* for messages; borrowed */
	int fd;		  /* -1: `data` */
	const uint8_t *data;
	uint64_t len;
};

/* Everything to boot from, opened and kept open for resets. */
struct boot_source {
	struct boot_file kernel;
	struct boot_file initramfs; /* name NULL: none */
	const char *cmdline;	    /* borrowed, never NULL */
};

enum boot_protocol { BOOT_BZIMAGE, BOOT_PVH };

/* Where the boot vCPU starts. */
struct boot_state {
	enum boot_protocol protocol;
	uint64_t entry_gpa;
	uint64_t info_gpa; /* zero page or hvm_start_info */
};

/*
 * Opens the files of `payload`, whose strings have to outlive *src. Without
 * a kernel there, `builtin` is booted (an ELF image with a PVH note, borrowed).
 * Returns 0 or -errno; on failure *src is as after boot_close.
 */
int boot_open(struct boot_source *src, const struct payload_config *payload, const void *builtin, size_t builtin_len, struct fail *why);
void boot_close(struct boot_source *src); /* zeroed is fine, twice too */

/*
 * Loads everything into RAM that reads as zero. rsdp_gpa comes from
 * acpi_build. Returns 0 and fills in *out, or -errno with a text that names
 * the file and, if it is no kernel, says what it looks like.
 */
int boot_load(const struct boot_source *src, struct guest_ram *ram, uint64_t rsdp_gpa, struct boot_state *out, struct fail *why);

/* Registers of the boot vCPU: 64-bit long mode for a bzImage, flat 32-bit protected mode for PVH. It is fresh: nothing has run on it. */
int boot_set_vcpu(int vcpu_fd, const struct boot_state *state, struct fail *why);

/*
 * Model-specific registers that firmware would have set, the same on every
 * vCPU (Linux complains of processors that differ): memory type write-back,
 * fast strings. For each vCPU before it runs.
 */
int boot_set_msrs(int vcpu_fd, struct fail *why);

#endif
