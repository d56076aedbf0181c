/*
 * What the files of this folder share: one file per subcommand, each with one
 * function `int cmd_NAME(int argc, char **argv)` in its header and one row in
 * the table of main.c. argv[0] is the subcommand's name; the function answers
 * --help itself, on standard output, and returns the exit status.
 */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

enum command_status {
	COMMAND_OK = 0,	       /* it did what it was told, the guest powered off */
	COMMAND_FAILED = 1,    /* the host or the program at run time */
	COMMAND_USAGE = 2,     /* the command line or the spec */
	COMMAND_PANICKED = 3,  /* the guest panicked or triple-faulted */
	COMMAND_TIMED_OUT = 4, /* a wait ran out of time */
};

#endif
