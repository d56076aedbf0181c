/* Any bytes as a spec. */
#include "device/registry.h"
#include "tests/fuzz/config_property.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const struct vmconfig_input input = {
		.spec_path = "spec.yaml",
		.spec_text = (const char *)data,
		.spec_len = len,
		.drivers = device_drivers,
	};
	if (data)
		config_property_check(&input);
	return 0;
}
