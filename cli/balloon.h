/* vmm-balloon balloon: shows or sets a balloon, and waits for it. */
#ifndef CLI_BALLOON_H
#define CLI_BALLOON_H

/* A subcommand as in cli/command.h. */
int cmd_balloon(int argc, char **argv);

#endif
