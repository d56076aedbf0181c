/* vmm-balloon run: assembles a VM, runs it and takes it apart. */
#ifndef CLI_RUN_H
#define CLI_RUN_H

/* A subcommand as in cli/command.h. */
int cmd_run(int argc, char **argv);

#endif
