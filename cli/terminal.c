#include "cli/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#define CTRL_A 0x01

/* ---- Keys ------------------------------------------------------------ */

size_t terminal_filter(struct terminal_escape *escape, uint8_t *bytes, size_t len, unsigned *keys)
{
	size_t kept = 0;

	*keys = 0;
	for (size_t i = 0; i < len; i++) {
		uint8_t byte = bytes[i];
		if (!escape->pending) {
			if (byte == CTRL_A)
				escape->pending = true;
			else
				bytes[kept++] = byte;
			continue;
		}
		escape->pending = false;
		if (byte == CTRL_A || byte == 'a')
			bytes[kept++] = CTRL_A;
		else if (byte == 'x')
			*keys |= TERMINAL_KEY_QUIT;
		else if (byte == 'h' || byte == '?')
			*keys |= TERMINAL_KEY_HELP;
	}
	return kept;
}

size_t terminal_input(void *opaque, uint8_t *bytes, size_t len)
{
	static const char help[] = "\r\n"
				   "Ctrl-A h        show these keys\r\n"
				   "Ctrl-A x        end the VM\r\n"
				   "Ctrl-A Ctrl-A   send Ctrl-A to the guest\r\n";
	struct terminal *terminal = opaque;
	unsigned keys;

	len = terminal_filter(&terminal->escape, bytes, len, &keys);
	if (keys & TERMINAL_KEY_HELP) {
		/* A terminal that takes nothing just now shows no help either. */
		ssize_t written = write(terminal->fd_out, help, sizeof help - 1);
		(void)written;
	}
	if (keys & TERMINAL_KEY_QUIT)
		terminal->quit(terminal->quit_opaque);
	return len;
}

/* ---- Modes ----------------------------------------------------------- */

/*
 * The terminal that is open. Signal handlers and exit handlers have no argument
 * through which it could reach them, so it cannot live in struct terminal.
 */
static struct {
	volatile sig_atomic_t is_raw; /* `fd`, `before` and `raw` hold what they say */
	int fd;
	struct termios before, raw;
	struct {
		volatile sig_atomic_t is_changed;
		int fd, flags;
	} shared[2]; /* standard input and output that had to be made non-blocking for everybody who shares them */
} the_terminal;

/*
 * Sets the modes, unless the terminal is another's just now: in the background
 * they are the foreground's to choose, and setting them would stop us
 * (SIGTTOU). A terminal that does not control us (ENOTTY) is nobody else's.
 */
static void set_modes(const struct termios *modes)
{
	pid_t foreground = tcgetpgrp(the_terminal.fd);
	if (foreground >= 0 && foreground != getpgrp())
		return;

	sigset_t ttou, before;
	sigemptyset(&ttou);
	sigaddset(&ttou, SIGTTOU);
	pthread_sigmask(SIG_BLOCK, &ttou, &before);
	tcsetattr(the_terminal.fd, TCSANOW, modes);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void terminal_give_back(void)
{
	if (the_terminal.is_raw)
		set_modes(&the_terminal.before);
	for (int i = 0; i < 2; i++)
		if (the_terminal.shared[i].is_changed)
			fcntl(the_terminal.shared[i].fd, F_SETFL, the_terminal.shared[i].flags);
}

/* ---- Signals --------------------------------------------------------- */

/* All whose default is to end the process. */
static const int fatal_signals[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGILL,	  SIGTRAP,   SIGABRT, SIGBUS, SIGFPE,  SIGUSR1, SIGSEGV, SIGUSR2,
				    SIGPIPE, SIGALRM, SIGTERM, SIGSTKFLT, SIGVTALRM, SIGPROF, SIGIO,  SIGXCPU, SIGXFSZ, SIGPWR,	 SIGSYS};

/* By now the default is in force again (SA_RESETHAND): the status that the parent sees tells of the signal. */
static void on_fatal(int signo)
{
	terminal_give_back();
	raise(signo);
}

static void on_continue(int signo)
{
	int saved_errno = errno;
	(void)signo;

	if (the_terminal.is_raw)
		set_modes(&the_terminal.raw);
	errno = saved_errno;
}

/* Stops as the default would; SIGCONT comes after it, and its handler goes on from there. */
static void on_stop(int signo)
{
	int saved_errno = errno;
	struct sigaction ours, standard = {.sa_handler = SIG_DFL};

	terminal_give_back();
	sigaction(signo, &standard, &ours);
	raise(signo);
	sigaction(signo, &ours, NULL);
	on_continue(signo);
	errno = saved_errno;
}

/* Leaves alone what the caller handles or ignores. */
static void handle_default(int signo, void (*handler)(int signo), int flags)
{
	struct sigaction ours = {.sa_handler = handler, .sa_flags = flags}, theirs;

	sigemptyset(&ours.sa_mask);
	if (sigaction(signo, NULL, &theirs) == 0 && !(theirs.sa_flags & SA_SIGINFO) && theirs.sa_handler == SIG_DFL)
		sigaction(signo, &ours, NULL);
}

static void unhandle(int signo, void (*handler)(int signo))
{
	struct sigaction now;

	if (sigaction(signo, NULL, &now) == 0 && !(now.sa_flags & SA_SIGINFO) && now.sa_handler == handler)
		signal(signo, SIG_DFL);
}

static void handle_signals(void)
{
	for (size_t i = 0; i < sizeof fatal_signals / sizeof fatal_signals[0]; i++)
		handle_default(fatal_signals[i], on_fatal, SA_RESETHAND | SA_NODEFER);
	handle_default(SIGTSTP, on_stop, SA_NODEFER | SA_RESTART);
	handle_default(SIGCONT, on_continue, SA_RESTART);
}

static void unhandle_signals(void)
{
	for (size_t i = 0; i < sizeof fatal_signals / sizeof fatal_signals[0]; i++)
		unhandle(fatal_signals[i], on_fatal);
	unhandle(SIGTSTP, on_stop);
	unhandle(SIGCONT, on_continue);
}

/* ---- Opening --------------------------------------------------------- */

/* O_NONBLOCK belongs to the open file description, which the shell and others share: terminal_give_back() undoes it. */
static int make_shared_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0)
		return -errno;
	if (flags & O_NONBLOCK)
		return 0;
	if (fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -errno;
	the_terminal.shared[fd].fd = fd;
	the_terminal.shared[fd].flags = flags;
	the_terminal.shared[fd].is_changed = 1;
	return 0;
}

/*
 * A descriptor of our own for standard input or output that never blocks. A
 * terminal or a pipe can be opened anew through /proc, which leaves the
 * others' description alone. *own is -1 when the standard one is closed.
 */
static int open_nonblocking(int fd, int access, int *own)
{
	char path[32];
	struct stat st;

	*own = -1;
	if (fstat(fd, &st) < 0)
		return errno == EBADF ? 0 : -errno;
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	if (S_ISCHR(st.st_mode) || S_ISFIFO(st.st_mode))
		*own = open(path, access | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (*own >= 0)
		return 0;
	*own = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (*own < 0)
		return -errno;
	return S_ISREG(st.st_mode) ? 0 : make_shared_nonblocking(fd);
}

/* The kernel stops us here until we are in the foreground. Where nobody could bring us there it says EIO: that terminal sends nothing. */
static int make_raw(struct terminal *terminal)
{
	if (terminal->fd_in < 0 || tcgetattr(terminal->fd_in, &the_terminal.before) < 0)
		return 0;
	the_terminal.raw = the_terminal.before;
	cfmakeraw(&the_terminal.raw);
	the_terminal.raw.c_cc[VMIN] = 1;
	the_terminal.raw.c_cc[VTIME] = 0;
	the_terminal.fd = terminal->fd_in;
	/* From before it is raw: a signal in between sets what is set already. */
	the_terminal.is_raw = 1;
	if (tcsetattr(terminal->fd_in, TCSANOW, &the_terminal.raw) == 0) {
		terminal->raw = true;
		return 0;
	}
	int error = errno;
	the_terminal.is_raw = 0;
	return error == EIO ? 0 : -error;
}

int terminal_open(struct terminal *terminal, void (*quit)(void *opaque), void *opaque, struct fail *why)
{
	static bool is_registered;

	memset(terminal, 0, sizeof *terminal);
	terminal->fd_in = terminal->fd_out = -1;
	terminal->quit = quit;
	terminal->quit_opaque = opaque;
	if (!is_registered && atexit(terminal_give_back) != 0)
		return fail(why, ENOMEM, "cannot prepare for the terminal");
	is_registered = true;
	handle_signals();

	int ret = open_nonblocking(STDIN_FILENO, O_RDONLY, &terminal->fd_in);
	if (ret < 0) {
		fail(why, -ret, "cannot open standard input");
		goto close;
	}
	ret = open_nonblocking(STDOUT_FILENO, O_WRONLY, &terminal->fd_out);
	if (ret < 0) {
		fail(why, -ret, "cannot open standard output");
		goto close;
	}
	ret = make_raw(terminal);
	if (ret < 0) {
		fail(why, -ret, "cannot set the terminal's modes");
		goto close;
	}
	return 0;

close:
	terminal_close(terminal);
	return ret;
}

static void close_fd(int *fd)
{
	if (*fd > STDERR_FILENO)
		close(*fd);
	*fd = -1;
}

void terminal_close(struct terminal *terminal)
{
	terminal_give_back();
	unhandle_signals();
	the_terminal.is_raw = 0;
	the_terminal.shared[0].is_changed = the_terminal.shared[1].is_changed = 0;
	terminal->raw = false;
	close_fd(&terminal->fd_in);
	close_fd(&terminal->fd_out);
}
