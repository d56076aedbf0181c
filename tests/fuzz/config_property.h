/*
 * What must hold for any input of the parser: it gives a config or at least one
 * error, never both and never neither; what a diagnostic points to lies within
 * the input; a config is printed and read back to the same bytes.
 */
#ifndef TESTS_FUZZ_CONFIG_PROPERTY_H
#define TESTS_FUZZ_CONFIG_PROPERTY_H

#include "parser/vmconfig.h"

/* Loads the input and aborts, with what broke on standard error, unless all that holds. Returns whether it was accepted. */
bool config_property_check(const struct vmconfig_input *input);

#endif
