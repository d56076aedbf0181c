/*
 * What the two loaders, boot_bzimage.c and boot_pvh.c, share. Nobody else
 * needs it.
 */
#ifndef KVM_BOOT_IMAGE_H
#define KVM_BOOT_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kvm/boot.h"

/* The first bytes of a kernel file, enough for every header and magic number. Zero where the file is shorter. */
#define BOOT_HEAD_LEN 4096
struct boot_head {
	_Alignas(8) uint8_t bytes[BOOT_HEAD_LEN];
	size_t len; /* bytes that the file has of it */
};

/* Everything below 1 MiB is kept free of kernels: boot structures and firmware tables are there. */
#define BOOT_KERNEL_MIN_GPA 0x100000ULL

/* Reads exactly [offset, offset + len) into dst, which may be guest RAM. A file that has less of it is a failure. */
int boot_file_read(const struct boot_file *file, uint64_t offset, void *dst, uint64_t len, struct fail *why);

bool bzimage_is(const struct boot_head *head);
int bzimage_load(const struct boot_source *src, const struct boot_head *head, struct guest_ram *ram, uint64_t rsdp_gpa, struct boot_state *out,
		 struct fail *why);

bool elf_is(const struct boot_head *head);
int pvh_load(const struct boot_source *src, const struct boot_head *head, struct guest_ram *ram, uint64_t rsdp_gpa, struct boot_state *out, struct fail *why);

/* What a file that is neither looks like, as the end of the sentence "cannot boot FILE: ". Never NULL. */
const char *boot_describe(const struct boot_head *head);
/* The same for an ELF file that is not one of x86-64; NULL when it is. */
const char *boot_describe_elf(const struct boot_head *head);

/* Writes the command line to BOOT_CMDLINE_GPA. max_len: what the kernel takes, without the NUL. */
int boot_put_cmdline(const struct boot_source *src, const struct guest_ram *ram, uint64_t max_len, struct fail *why);

/*
 * Reads the initramfs to the highest place in [min_gpa, max_gpa) that RAM
 * below 4 GiB has. Without one, *gpa is 0.
 */
int boot_put_initramfs(const struct boot_source *src, const struct guest_ram *ram, uint64_t min_gpa, uint64_t max_gpa, uint64_t *gpa, struct fail *why);

#endif
