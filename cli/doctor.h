/* vmm-balloon doctor: what this host can do for VMs. */
#ifndef CLI_DOCTOR_H
#define CLI_DOCTOR_H

/* A subcommand as in cli/command.h. */
int cmd_doctor(int argc, char **argv);

#endif
