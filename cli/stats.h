/* vmm-balloon stats: a guest's own view of its memory. */
#ifndef CLI_STATS_H
#define CLI_STATS_H

/* A subcommand as in cli/command.h. */
int cmd_stats(int argc, char **argv);

#endif
