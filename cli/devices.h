/* vmm-balloon devices: the drivers, and what each can be told. */
#ifndef CLI_DEVICES_H
#define CLI_DEVICES_H

/* A subcommand as in cli/command.h. */
int cmd_devices(int argc, char **argv);

#endif
