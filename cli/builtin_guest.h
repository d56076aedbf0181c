/* The built-in guest: an ELF image with a PVH note (tests/guest) inside this program, put there by builtin_guest.S. */
#ifndef CLI_BUILTIN_GUEST_H
#define CLI_BUILTIN_GUEST_H

extern const char builtin_guest_start[];
extern const char builtin_guest_end[];

#endif
