/* Any bytes as the values of options: a letter says which option, a newline ends a value. */
#include <stdlib.h>
#include <string.h>

#include "device/registry.h"
#include "tests/fuzz/config_property.h"

#define MAX_FLAGS 4

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const char *option_of(char letter)
{
	static const char *const options[] = {"--balloon", "--memory",	"--device", "--serial", "--cpus",
					      "--name",	   "--cmdline", "--kernel", "--qmp",	"--initramfs"};
	return options[((unsigned char)letter - (unsigned char)'a') % (sizeof options / sizeof options[0])];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct vmconfig_flag flags[MAX_FLAGS];
	struct vmconfig_input input = {.flags = flags, .drivers = device_drivers};
	char *text = malloc(len + 1), *next = text;
	if (!text)
		return 0;
	if (len > 0)
		memcpy(text, data, len);
	text[len] = '\0';
	while (input.n_flags < MAX_FLAGS && next && *next) {
		char *value = next + 1, *end = strchr(value, '\n');
		if (end)
			*end = '\0';
		flags[input.n_flags++] = (struct vmconfig_flag){option_of(*next), value};
		next = end ? end + 1 : NULL;
	}
	config_property_check(&input);
	free(text);
	return 0;
}
