#include <assert.h>
#include <stdio.h>
#include <unistd.h>

#include "tests/unit/fakehost.h"

static int saved_stderr = -1;
static FILE *captured;

void fakehost_capture_log(void)
{
	captured = tmpfile();
	assert(captured && saved_stderr < 0);
	saved_stderr = dup(STDERR_FILENO);
	dup2(fileno(captured), STDERR_FILENO);
}

unsigned fakehost_end_log(void)
{
	dup2(saved_stderr, STDERR_FILENO);
	close(saved_stderr);
	saved_stderr = -1;
	unsigned lines = 0;
	rewind(captured);
	for (int c; (c = getc(captured)) != EOF;)
		lines += c == '\n';
	fclose(captured);
	return lines;
}
