/*
 * Metrics of VMs as text. OpenMetrics 1.0 is the default; the older Prometheus
 * text format (0.0.4) differs in three things: a counter's family is called by
 * its sample's name, with _total; there is no # UNIT; there is no # EOF.
 */
#ifndef CLI_METRICS_TEXT_H
#define CLI_METRICS_TEXT_H

#include <jansson.h>
#include <stdio.h>

#include "cli/vm_state.h"

enum metrics_format { METRICS_OPENMETRICS, METRICS_PROMETHEUS };

/* One VM: its name as it is, and its answers as in vm_state.h, NULL when it does not answer. */
struct metrics_vm {
	const char *name;
	json_t *const *answers;
};

/* Writes all; what a VM does not tell has no sample. Whether that worked is for ferror(out) to say. */
void metrics_write(FILE *out, enum metrics_format format, const struct metrics_vm *vms, size_t n);

#endif
