#ifdef __CET__
#include <cet.h> /* a note: there is no code in here that an indirect jump could miss */
#endif

/* The image that make links from tests/guest, taken in as it is: cli/builtin_guest.h. Assembled in the build folder. */
	.section .rodata
	.balign 16
	.globl builtin_guest_start
builtin_guest_start:
	.incbin "build/guest/guest.elf"
	.globl builtin_guest_end
builtin_guest_end:

	.section .note.GNU-stack, "", @progbits
