#include "cli/terminal.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "tests/unit/sanitizers.h"
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

/* ---- Modes: a shell (session leader) and its job, on a pseudo-terminal - */

static void no_quit(void *opaque)
{
	(void)opaque;
}

static bool is_raw_mode(int fd)
{
	struct termios modes;

	return tcgetattr(fd, &modes) == 0 && !(modes.c_lflag & (ICANON | ECHO | ISIG)) && !(modes.c_oflag & OPOST);
}

static bool is_cooked_mode(int fd)
{
	struct termios modes;

	return tcgetattr(fd, &modes) == 0 && (modes.c_lflag & ICANON) && (modes.c_lflag & ECHO) && (modes.c_lflag & ISIG) && (modes.c_oflag & OPOST);
}

/* Ends the job with 99 when what it expects does not hold. */
static void expect(bool holds)
{
	if (!holds)
		_exit(99);
}

static struct terminal job_terminal;

static void open_job_terminal(void)
{
	struct fail why;

	expect(terminal_open(&job_terminal, no_quit, NULL, &why) == 0);
	expect(job_terminal.raw && is_raw_mode(STDIN_FILENO));
	expect(fcntl(job_terminal.fd_in, F_GETFL) & O_NONBLOCK);
	expect(fcntl(job_terminal.fd_out, F_GETFL) & O_NONBLOCK);
	expect(!(fcntl(STDIN_FILENO, F_GETFL) & O_NONBLOCK));
}

static bool shell_sets_its_modes(void)
{
	struct termios modes;

	if (tcgetattr(STDIN_FILENO, &modes) < 0)
		return false;
	modes.c_lflag |= ICANON | ECHO | ISIG;
	modes.c_oflag |= OPOST;
	return tcsetattr(STDIN_FILENO, TCSANOW, &modes) == 0;
}

/* Runs the job in the foreground as a shell does; true when it ended or stopped with `status` and left the terminal as it was. */
static bool shell_runs(void (*job)(void), bool (*check)(pid_t pid, int status))
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		setpgid(0, 0);
		tcsetpgrp(STDIN_FILENO, getpid());
		job();
		_exit(98);
	}
	setpgid(pid, pid);
	if (waitpid(pid, &status, WUNTRACED) != pid)
		return false;
	tcsetpgrp(STDIN_FILENO, getpgrp()); /* SIGTTOU is ignored here */
	if (WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP && !shell_sets_its_modes())
		return false;
	return is_cooked_mode(STDIN_FILENO) && check(pid, status);
}

static void on_terminal(void (*job)(void), bool (*check)(pid_t pid, int status))
{
	int master, slave, status;

	CU_ASSERT_EQUAL_FATAL(openpty(&master, &slave, NULL, NULL, NULL), 0);
	pid_t shell = fork();
	if (shell == 0) {
		setsid();
		ioctl(slave, TIOCSCTTY, 0);
		for (int fd = 0; fd < 3; fd++)
			dup2(slave, fd);
		signal(SIGTTOU, SIG_IGN);
		_exit(shell_runs(job, check) ? 0 : 1);
	}
	CU_ASSERT_EQUAL(waitpid(shell, &status, 0), shell);
	CU_ASSERT_EQUAL(status, 0);
	close(master);
	close(slave);
}

/* As a program starts: nothing is handled (a sanitizer may handle faults). */
static void default_signals(void)
{
	struct rlimit no_core = {0, 0};

	setrlimit(RLIMIT_CORE, &no_core);
	for (int signo = 1; signo < 32; signo++)
		signal(signo, SIG_DFL);
}

static void job_closes(void)
{
	open_job_terminal();
	terminal_close(&job_terminal);
	expect(is_cooked_mode(STDIN_FILENO));
	_exit(0);
}

static void job_exits(void)
{
	open_job_terminal();
	exit(0);
}

static int job_signal;

static void job_is_killed(void)
{
	default_signals();
	open_job_terminal();
	raise(job_signal);
}

static bool ended_well(pid_t pid, int status)
{
	(void)pid;
	return status == 0;
}

static bool was_killed(pid_t pid, int status)
{
	(void)pid;
	return WIFSIGNALED(status) && WTERMSIG(status) == job_signal;
}

static void given_back_when_closed(void)
{
	on_terminal(job_closes, ended_well);
}

static void given_back_at_exit(void)
{
	on_terminal(job_exits, ended_well);
}

static void given_back_when_killed(void)
{
	static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL, SIGSYS, SIGUSR1, SIGALRM, SIGPIPE};

	for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
		job_signal = signals[i];
		on_terminal(job_is_killed, was_killed);
	}
}

#ifndef IS_TSAN /* which delivers a signal that a handler raises over and over */

static void job_stops_and_goes_on(void)
{
	default_signals();
	open_job_terminal();
	raise(SIGTSTP);
	/* The shell has put us back into the foreground. */
	expect(is_raw_mode(STDIN_FILENO));
	raise(SIGTSTP);
	expect(is_raw_mode(STDIN_FILENO));
	exit(0);
}

static bool goes_on(pid_t pid, int status)
{
	for (int i = 0; i < 2; i++) {
		if (!WIFSTOPPED(status) || WSTOPSIG(status) != SIGTSTP || !is_cooked_mode(STDIN_FILENO))
			return false;
		tcsetpgrp(STDIN_FILENO, pid);
		kill(pid, SIGCONT);
		if (waitpid(pid, &status, WUNTRACED) != pid)
			return false;
	}
	return status == 0 && is_cooked_mode(STDIN_FILENO);
}

static void given_back_while_stopped(void)
{
	on_terminal(job_stops_and_goes_on, goes_on);
}

/* SIGSTOP cannot be caught: the shell sets its own modes, and SIGCONT brings ours back. */
static void job_is_stopped(void)
{
	default_signals();
	open_job_terminal();
	raise(SIGSTOP);
	expect(is_raw_mode(STDIN_FILENO));
	exit(0);
}

static bool goes_on_raw(pid_t pid, int status)
{
	tcsetpgrp(STDIN_FILENO, pid);
	kill(pid, SIGCONT);
	return waitpid(pid, &status, 0) == pid && status == 0 && is_cooked_mode(STDIN_FILENO);
}

static void job_stops_and_waits(void)
{
	default_signals();
	open_job_terminal();
	raise(SIGTSTP);
	expect(is_cooked_mode(STDIN_FILENO));
	raise(SIGTERM);
}

/* "bg", then "kill": the terminal is the shell's all the time, and it neither changes nor stops the job. */
static bool stays_in_the_background(pid_t pid, int status)
{
	if (!WIFSTOPPED(status))
		return false;
	kill(pid, SIGCONT);
	if (waitpid(pid, &status, WUNTRACED) != pid)
		return false;
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM && is_cooked_mode(STDIN_FILENO);
}

static void made_raw_again_after_sigstop(void)
{
	on_terminal(job_is_stopped, goes_on_raw);
}

static void leaves_the_terminal_alone_in_the_background(void)
{
	on_terminal(job_stops_and_waits, stays_in_the_background);
}

#endif

static void ignore(int signo)
{
	(void)signo;
}

static void job_has_handlers(void)
{
	struct sigaction now;

	default_signals();
	signal(SIGTERM, ignore);
	signal(SIGHUP, SIG_IGN);
	open_job_terminal();
	sigaction(SIGTERM, NULL, &now);
	expect(now.sa_handler == ignore);
	sigaction(SIGHUP, NULL, &now);
	expect(now.sa_handler == SIG_IGN);
	terminal_close(&job_terminal);
	sigaction(SIGINT, NULL, &now);
	expect(now.sa_handler == SIG_DFL);
	_exit(0);
}

static void leaves_others_handlers_alone(void)
{
	on_terminal(job_has_handlers, ended_well);
}

/* Standard input and output that are not a terminal, in a child, as it replaces them. */
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
	{"given back when closed", given_back_when_closed},
	{"given back at exit", given_back_at_exit},
	{"given back when killed", given_back_when_killed},
#ifndef IS_TSAN
	{"given back while stopped", given_back_while_stopped},
	{"made raw again after SIGSTOP", made_raw_again_after_sigstop},
	{"leaves the terminal alone in the background", leaves_the_terminal_alone_in_the_background},
#endif
	{"leaves others' handlers alone", leaves_others_handlers_alone},
	{"pipes are opened anew", pipes_are_opened_anew},
	{"shared flags are given back", shared_flags_are_given_back},
	{"closed descriptors are no failure", closed_descriptors_are_no_failure},
};

TEST_SUITE(terminal, cases);
