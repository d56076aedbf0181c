/*
 * Functions that stand in front of the C library's. No header declares them
 * here: all arguments are integers or pointers, so they fit one mould. By the
 * x86-64 ABI six come in registers and one more may lie on the stack; what a
 * call does not have is passed on unread.
 */
#include <stdarg.h>

#include "tests/faults/calls.h"

#define MAX_ARGS 31

#define X(name, returns, takes, detail)                                                                      \
	long name(long a, long b, long c, long d, long e, long f, long g);                                   \
	long name(long a, long b, long c, long d, long e, long f, long g)                                    \
	{                                                                                                    \
		return inject_call(CALL_##name, __builtin_return_address(0), (long[]){a, b, c, d, e, f, g}); \
	}
CALLS(X)
#undef X

/* Of any number of arguments: as the other call of its kind. */
int execl(const char *path, const char *arg, ...);

int execl(const char *path, const char *arg, ...)
{
	const char *argv[MAX_ARGS + 1] = {arg};
	va_list args;
	va_start(args, arg);
	for (int i = 0; i < MAX_ARGS && argv[i]; i++)
		argv[i + 1] = va_arg(args, const char *);
	va_end(args);
	return (int)inject_call(CALL_execv, __builtin_return_address(0), (long[7]){(long)path, (long)argv});
}
