/* vmm-balloon list: the VMs that run, and what their balloons do. */
#ifndef CLI_LIST_H
#define CLI_LIST_H

/* A subcommand as in cli/command.h. */
int cmd_list(int argc, char **argv);

#endif
