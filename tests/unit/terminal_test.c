#include "cli/terminal.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/suite.h"

/* ---- Keys ------------------------------------------------------------ */

static void check_keys(const char *typed, size_t chunk, const char *sent, unsigned keys)
{
	struct terminal_escape escape = {0};
	char got[64] = "";
	size_t len = 0;
	unsigned all = 0;

	for (size_t i = 0; i < strlen(typed); i += chunk) {
		uint8_t bytes[64];
		size_t n = strlen(typed) - i < chunk ? strlen(typed) - i : chunk;
		unsigned some;
		for (size_t j = 0; j < n; j++)
			bytes[j] = (uint8_t)typed[i + j];
		n = terminal_filter(&escape, bytes, n, &some);
		memcpy(got + len, bytes, n);
		len += n;
		all |= some;
	}
	got[len] = '\0';
	CU_ASSERT_STRING_EQUAL(got, sent);
	CU_ASSERT_EQUAL(all, keys);
}

static void escape_sequences_however_cut(void)
{
	for (size_t chunk = 1; chunk < 8; chunk++) {
		check_keys("ls\r\x03\x1a\x04", chunk, "ls\r\x03\x1a\x04", 0);
		check_keys("a\x01xb", chunk, "ab", TERMINAL_KEY_QUIT);
		check_keys("a\x01hb\x01?", chunk, "ab", TERMINAL_KEY_HELP);
		check_keys("\x01\x01\x01"
			   "a",
			   chunk, "\x01\x01", 0);
		check_keys("\x01\x01x", chunk, "\x01x", 0);
		check_keys("\x01qx", chunk, "x", 0);
		check_keys("\x01", chunk, "", 0);
		check_keys("\x01h\x01x", chunk, "", TERMINAL_KEY_HELP | TERMINAL_KEY_QUIT);
	}
}

static unsigned quits;

static void count_quit(void *opaque)
{
	(void)opaque;
	quits++;
}

static void keys_act(void)
{
	int fds[2];
	char text[256] = "";
	uint8_t bytes[] = "1\x01h\x01x2";
	CU_ASSERT_EQUAL_FATAL(pipe(fds), 0);
	struct terminal terminal = {.fd_out = fds[1], .quit = count_quit};

	quits = 0;
	CU_ASSERT_EQUAL(terminal_input(&terminal, bytes, 6), 2);
	CU_ASSERT_EQUAL(memcmp(bytes, "12", 2), 0);
	CU_ASSERT_EQUAL(quits, 1);
	CU_ASSERT(read(fds[0], text, sizeof text - 1) > 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "Ctrl-A x"));
	close(fds[0]);
	close(fds[1]);
}

/* ---- Standard input and output that are no terminal ------------------ */

static void no_quit(void *opaque)
{
	(void)opaque;
}

/* Ends the job with 99 when what it expects does not hold. */
static void expect(bool holds)
{
	if (!holds)
		_exit(99);
}

static struct terminal job_terminal;

/* In a child, as it replaces them. */
static int with_stdio(int in, int out, void (*job)(void))
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		close(STDIN_FILENO);
		close(STDOUT_FILENO);
		if (in >= 0)
			dup2(in, STDIN_FILENO);
		if (out >= 0)
			dup2(out, STDOUT_FILENO);
		job();
		_exit(98);
	}
	waitpid(pid, &status, 0);
	return status;
}

static void job_on_pipes(void)
{
	struct fail why;
	char byte;

	expect(terminal_open(&job_terminal, no_quit, NULL, &why) == 0);
	expect(!job_terminal.raw);
	expect(read(job_terminal.fd_in, &byte, 1) == 1 && byte == 'i');
	expect(read(job_terminal.fd_in, &byte, 1) < 0 && errno == EAGAIN);
	expect(write(job_terminal.fd_out, "o", 1) == 1);
	expect(!(fcntl(STDIN_FILENO, F_GETFL) & O_NONBLOCK));
	terminal_close(&job_terminal);
	_exit(0);
}

static void pipes_are_opened_anew(void)
{
	int in[2], out[2];
	char byte = 0;

	CU_ASSERT_EQUAL_FATAL(pipe(in) | pipe(out), 0);
	CU_ASSERT_EQUAL(write(in[1], "i", 1), 1);
	CU_ASSERT_EQUAL(with_stdio(in[0], out[1], job_on_pipes), 0);
	CU_ASSERT_EQUAL(read(out[0], &byte, 1), 1);
	CU_ASSERT_EQUAL(byte, 'o');
	for (int i = 0; i < 2; i++) {
		close(in[i]);
		close(out[i]);
	}
}

static void job_on_socket(void)
{
	struct fail why;
	char byte;

	expect(terminal_open(&job_terminal, no_quit, NULL, &why) == 0);
	expect(read(job_terminal.fd_in, &byte, 1) < 0 && errno == EAGAIN);
	exit(0);
}

static void shared_flags_are_given_back(void)
{
	int fds[2];

	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	CU_ASSERT_EQUAL(with_stdio(fds[0], fds[0], job_on_socket), 0);
	CU_ASSERT_EQUAL(fcntl(fds[0], F_GETFL) & O_NONBLOCK, 0);
	close(fds[0]);
	close(fds[1]);
}

static void job_on_nothing(void)
{
	struct fail why;

	expect(terminal_open(&job_terminal, no_quit, NULL, &why) == 0);
	expect(job_terminal.fd_in == -1 && job_terminal.fd_out == -1);
	terminal_close(&job_terminal);
	_exit(0);
}

static void closed_descriptors_are_no_failure(void)
{
	CU_ASSERT_EQUAL(with_stdio(-1, -1, job_on_nothing), 0);
}

static const struct test_case cases[] = {
	{"escape sequences however cut", escape_sequences_however_cut},
	{"keys act", keys_act},
	{"pipes are opened anew", pipes_are_opened_anew},
	{"shared flags are given back", shared_flags_are_given_back},
	{"closed descriptors are no failure", closed_descriptors_are_no_failure},
};

TEST_SUITE(terminal, cases);
