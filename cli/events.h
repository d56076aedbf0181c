/* vmm-balloon events: what happens to a VM, as it happens. */
#ifndef CLI_EVENTS_H
#define CLI_EVENTS_H

/* A subcommand as in cli/command.h. */
int cmd_events(int argc, char **argv);

#endif
