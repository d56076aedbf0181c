/* vmm-balloon stop: the power button, then force. */
#ifndef CLI_STOP_H
#define CLI_STOP_H

/* A subcommand as in cli/command.h. */
int cmd_stop(int argc, char **argv);

#endif
