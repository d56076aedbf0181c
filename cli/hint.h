/* vmm-balloon hint: one run of free page hinting. */
#ifndef CLI_HINT_H
#define CLI_HINT_H

/* A subcommand as in cli/command.h. */
int cmd_hint(int argc, char **argv);

#endif
