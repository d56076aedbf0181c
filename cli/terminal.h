/*
 * The user's terminal as the guest's serial console.
 *
 * When standard input is a terminal it goes into raw mode: every key, Ctrl-C
 * and Ctrl-Z too, is the guest's, but for those after the escape key Ctrl-A:
 *
 *   Ctrl-A x        ends the VM
 *   Ctrl-A h        shows these keys
 *   Ctrl-A Ctrl-A   sends Ctrl-A (Ctrl-A a does, too)
 *
 * When it is not (a pipe, a file), its bytes go to the guest as they are: no
 * raw mode and no escape key.
 *
 * The terminal gets its modes back when terminal_close() is called, when the
 * process exits, when a fatal signal ends it and while it is stopped. Only
 * SIGKILL, SIGSTOP and _exit() leave it raw; SIGCONT makes it raw again.
 */
#ifndef CLI_TERMINAL_H
#define CLI_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/fail.h"

/* What became of the escape key so far; zero-initialise. */
struct terminal_escape {
	bool pending; /* the last byte was Ctrl-A */
};

enum terminal_key { TERMINAL_KEY_QUIT = 1, TERMINAL_KEY_HELP = 2 };

/*
 * Takes escape sequences out of `bytes` and returns how many bytes are left, at
 * most len. *keys: the enum terminal_key that were asked for, or-ed together.
 * A sequence may be cut at any place. An unknown key after Ctrl-A is swallowed.
 */
size_t terminal_filter(struct terminal_escape *escape, uint8_t *bytes, size_t len, unsigned *keys);

struct terminal {
	int fd_in;  /* for struct serial_config_board: never blocks; -1: none */
	int fd_out; /* likewise */
	bool raw;   /* standard input is a terminal and raw */
	struct terminal_escape escape;
	void (*quit)(void *opaque);
	void *quit_opaque;
};

/*
 * Opens standard input and output for the guest and makes the terminal raw.
 * `quit` is called for Ctrl-A x on the thread that calls terminal_input(). At
 * most one terminal is open at a time. It waits in SIGTTOU until it is in the
 * foreground. Signals that the caller handles, blocks or ignores by now stay
 * the caller's. 0, or -errno with the reason in `why`.
 */
int terminal_open(struct terminal *terminal, void (*quit)(void *opaque), void *opaque, struct fail *why);

/* Gives the terminal its modes back, for good. Any thread, signal handlers too; fine without an open terminal. */
void terminal_give_back(void);

/* Gives the terminal its modes back and closes both fds. Zeroed or never opened is fine. */
void terminal_close(struct terminal *terminal);

/*
 * For the filter of struct serial_config_board, with the terminal as opaque.
 * Hand it over only when terminal->raw: see above.
 */
size_t terminal_input(void *terminal, uint8_t *bytes, size_t len);

#endif
