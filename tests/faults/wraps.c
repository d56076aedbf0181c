/*
 * Functions that stand in front of the C library's. No header declares them
 * here: all arguments are integers or pointers, so they fit one mould. By the
 * x86-64 ABI six come in registers and one more may lie on the stack; what a
 * call does not have is passed on unread.
 */
#include "tests/faults/calls.h"

#define X(name, returns, takes, detail)                                                                      \
	long name(long a, long b, long c, long d, long e, long f, long g);                                   \
	long name(long a, long b, long c, long d, long e, long f, long g)                                    \
	{                                                                                                    \
		return inject_call(CALL_##name, __builtin_return_address(0), (long[]){a, b, c, d, e, f, g}); \
	}
CALLS(X)
#undef X
