#include "kvm/seccomp_filter.h"

/* Numbers have gaps. Arrays, not pointers: nothing to relocate when the program starts. */
static const char names[][32] = {
#include "build/syscall_names.h" /* [0] = "read", ... by Makefile.in from <sys/syscall.h> */
};

const char *syscall_name(int number)
{
	if (number < 0 || (unsigned)number >= sizeof names / sizeof names[0] || !names[number][0])
		return NULL;
	return names[number];
}
