#include "tests/bench/arguments.h"

#include <stdio.h>
#include <string.h>

static bool read_option(struct arguments *arguments, const char *option)
{
	if (!strcmp(option, "--json"))
		arguments->as_json = true;
	else if (!strcmp(option, "--quick"))
		arguments->is_quick = true;
	else if (!strcmp(option, "--false-discards"))
		arguments->lies = true;
	else
		return false;
	return true;
}

static bool read_all(struct arguments *arguments, char **args)
{
	while (*args && **args == '-')
		if (!read_option(arguments, *args++))
			return false;
	if (!*args)
		return true;
	arguments->memory = backing_named(*args++);
	return arguments->memory && !*args;
}

bool arguments_read(struct arguments *arguments, const char *bench, int argc, char **argv)
{
	*arguments = (struct arguments){0};
	if (argc && read_all(arguments, argv + 1))
		return true;
	fprintf(stderr, "usage: %s [--json] [--quick] [--false-discards] [MEMORY]\n", bench);
	return false;
}
