#include "tests/unit/sandbox_fixture.h"

#include <CUnit/CUnit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define TEMPLATE "/tmp/sandbox_test.XXXXXX"

char sb_folder[sizeof TEMPLATE];

void sb_enter(enum thread_kind kind, void (*last_words)(void))
{
	static struct sandbox sandbox = {.folders = {sb_folder}, .n_folders = 1};
	struct fail why;
	if (sandbox_prepare(&sandbox, last_words, &why) < 0 || sandbox_build(&sandbox, &why) < 0)
		_exit(99);
	if (kind == THREAD_VCPU && sandbox_enter(&sandbox, THREAD_LOOP, &why) < 0)
		_exit(98);
	if (sandbox_enter(&sandbox, kind, &why) < 0)
		_exit(97);
}

int sb_in_child(int (*fn)(void))
{
	fflush(NULL);
	pid_t pid = fork();
	CU_ASSERT_FATAL(pid >= 0);
	if (pid == 0)
		_exit(fn());
	int status = -1;
	waitpid(pid, &status, 0);
	return status;
}

struct sb_ended sb_run_inside(enum thread_kind kind, void (*fn)(const void *arg), const void *arg)
{
	struct sb_ended ended = {.status = -1};
	int pipe_fds[2];
	CU_ASSERT_EQUAL_FATAL(pipe(pipe_fds), 0);
	fflush(NULL);
	pid_t pid = fork();
	CU_ASSERT_FATAL(pid >= 0);
	if (pid == 0) {
		dup2(pipe_fds[1], STDERR_FILENO);
		sb_enter(kind, NULL);
		fn(arg);
		_exit(SB_IT_RETURNED);
	}
	close(pipe_fds[1]);
	size_t len = 0;
	for (ssize_t n = 1; n > 0 && len < sizeof ended.said - 1; len += (size_t)(n > 0 ? n : 0))
		n = read(pipe_fds[0], ended.said + len, sizeof ended.said - 1 - len);
	close(pipe_fds[0]);
	waitpid(pid, &ended.status, 0);
	return ended;
}

void sb_check(bool ok, enum thread_kind kind, const char *what, const struct sb_ended *ended)
{
	if (!ok)
		printf("\n    %s on the %s thread: status 0x%x, said: %s", what, thread_kind_name(kind), (unsigned)ended->status, ended->said);
	CU_ASSERT(ok);
}

int sb_make_folder(void)
{
	strcpy(sb_folder, TEMPLATE);
	return mkdtemp(sb_folder) ? 0 : -1;
}

int sb_remove_folder(void)
{
	return rmdir(sb_folder);
}
