/* vmm-balloon config: checks a spec and its options and prints what they mean. */
#ifndef CLI_CONFIG_H
#define CLI_CONFIG_H

/* A subcommand as in cli/command.h. */
int cmd_config(int argc, char **argv);

#endif
