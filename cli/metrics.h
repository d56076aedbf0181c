/* vmm-balloon metrics: what running VMs count, for Prometheus. */
#ifndef CLI_METRICS_H
#define CLI_METRICS_H

/* A subcommand as in cli/command.h. */
int cmd_metrics(int argc, char **argv);

#endif
