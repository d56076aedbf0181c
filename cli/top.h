/* vmm-balloon top: the running VMs on a screen, with keys to move their balloons. */
#ifndef CLI_TOP_H
#define CLI_TOP_H

/* A subcommand as in cli/command.h. */
int cmd_top(int argc, char **argv);

#endif
