#include "cli/terminal.h"

#include <CUnit/CUnit.h>
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "tests/unit/sanitizers.h"
#include "tests/unit/suite.h"

/* What becomes of the modes of a terminal: a shell (session leader) and its job, on a pseudo-terminal. */

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

static const struct test_case cases[] = {
	{"given back when closed", given_back_when_closed},
	{"given back at exit", given_back_at_exit},
	{"given back when killed", given_back_when_killed},
#ifndef IS_TSAN
	{"given back while stopped", given_back_while_stopped},
	{"made raw again after SIGSTOP", made_raw_again_after_sigstop},
	{"leaves the terminal alone in the background", leaves_the_terminal_alone_in_the_background},
#endif
	{"leaves others' handlers alone", leaves_others_handlers_alone},
};

TEST_SUITE(terminal_modes, cases);
