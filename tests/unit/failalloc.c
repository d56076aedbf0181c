#include "tests/unit/failalloc.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#include "tests/unit/sanitizers.h"

#define NEVER (-1)

static _Thread_local struct {
	long left; /* allocations before the one that fails, NEVER for none */
	bool all;
	bool failed;
	long in_use; /* blocks that this thread allocated, less those that it freed */
} plan = {NEVER, false, false, 0};

void failalloc_begin(long nth, bool all)
{
	plan.left = nth;
	plan.all = all;
	plan.failed = false;
}

bool failalloc_end(void)
{
	plan.left = NEVER;
	return plan.failed;
}

long failalloc_in_use(void)
{
	return plan.in_use;
}

/* Those two bring an allocator of their own. */
#if !defined(IS_ASAN) && !defined(IS_TSAN)

/* glibc's own entry points, for who replaces the others. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *old, size_t size);
void __libc_free(void *block);

static bool must_fail(void)
{
	if (plan.left == NEVER)
		return false;
	if (plan.left > 0) {
		plan.left--;
		return false;
	}
	plan.failed = true;
	if (!plan.all)
		plan.left = NEVER;
	errno = ENOMEM;
	return true;
}

static void *counted(void *block)
{
	plan.in_use += block != NULL;
	return block;
}

void *malloc(size_t size)
{
	return must_fail() ? NULL : counted(__libc_malloc(size));
}

void *calloc(size_t n, size_t size)
{
	return must_fail() ? NULL : counted(__libc_calloc(n, size));
}

void *realloc(void *old, size_t size)
{
	if (must_fail())
		return NULL;
	void *block = __libc_realloc(old, size);
	plan.in_use += !old && block;
	plan.in_use -= old && !block && size == 0;
	return block;
}

void free(void *block)
{
	plan.in_use -= block != NULL;
	__libc_free(block);
}

#endif
