#include "cli/device_set.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "device/acpi_pm.h"
#include "device/balloon.h"
#include "device/kbd_reset.h"
#include "device/pvpanic.h"
#include "device/registry.h"
#include "kvm/acpi.h"
#include "kvm/board.h"

static int add(struct device_set *set, const struct device_class *class, const struct device_init *init, struct device **out, struct fail *why)
{
	assert(set->n < sizeof set->all / sizeof set->all[0]);
	struct device *dev;
	int ret = class->create(init, &dev);
	if (ret < 0)
		return fail(why, -ret, "cannot create %s", init->id);
	set->all[set->n++] = dev;
	if (out)
		*out = dev;
	return 0;
}

static int add_pci(struct device_set *set, struct host *host, struct fail *why)
{
	struct pci_root_params params = {
		.host = host,
		.port = BOARD_PORT_PCI,
		.ecam_base = BOARD_ECAM_BASE,
		.ecam_len = BOARD_ECAM_LEN,
		.mmio_base = BOARD_PCI_WINDOW_BASE,
		.mmio_len = BOARD_PCI_WINDOW_LEN,
		.gsi_base = BOARD_PCI_GSI_BASE,
		.n_gsi = BOARD_PCI_N_GSI,
	};
	int ret = pci_root_create(&params, &set->pci);
	return ret < 0 ? fail(why, -ret, "cannot create the PCI bus") : 0;
}

static int add_serial(struct device_set *set, struct host *host, const struct serial_config_board *serial, struct fail *why)
{
	if (!serial)
		return 0;
	struct serial_config_board config = *serial;
	config.port = BOARD_PORT_SERIAL;
	config.gsi = BOARD_IRQ_SERIAL;
	return add(set, &serial_class, &(struct device_init){.id = "serial0", .config = &config, .host = host}, NULL, why);
}

_Static_assert(ACPI_SLP_TYP_S5 == ACPI_PM_SLP_TYP_S5, "the tables name the sleep type that the register takes");

static int add_power(struct device_set *set, struct host *host, struct fail *why)
{
	struct acpi_pm_config pm = {
		.evt_port = BOARD_PORT_PM1_EVT,
		.cnt_port = BOARD_PORT_PM1_CNT,
		.reset_port = BOARD_PORT_RESET,
		.reset_value = BOARD_RESET_VALUE,
		.sci_gsi = BOARD_IRQ_SCI,
	};
	struct kbd_reset_config kbd = {.port = BOARD_PORT_KBD};
	int ret = add(set, &acpi_pm_class, &(struct device_init){.id = "acpi-pm", .config = &pm, .host = host}, &set->power, why);
	return ret < 0 ? ret : add(set, &kbd_reset_class, &(struct device_init){.id = "kbd-reset", .config = &kbd, .host = host}, NULL, why);
}

static int add_pvpanic(struct device_set *set, struct host *host, const struct vm_config *config, struct fail *why)
{
	if (!config->pvpanic)
		return 0;
	struct pvpanic_config pvpanic = {.port = BOARD_PORT_PVPANIC};
	return add(set, &pvpanic_class, &(struct device_init){.id = "pvpanic", .config = &pvpanic, .host = host}, NULL, why);
}

static const char *chosen_id(const struct schema_values *values)
{
	for (size_t i = 0; i < values->schema->n_props; i++) {
		const struct schema_prop *prop = &values->schema->props[i];
		if (prop->type == SCHEMA_ID && strcmp(prop->name, "id") == 0)
			return *(char *const *)((const char *)values->data + prop->offset);
	}
	return NULL;
}

static bool is_taken(const struct device_set *set, const char *id)
{
	for (size_t i = 0; i < set->n; i++)
		if (strcmp(set->all[i]->id, id) == 0)
			return true;
	return false;
}

/* A device without a name of its own is called after its driver: the first free of balloon0, balloon1, ... */
static void invent_id(const struct device_set *set, const struct schema_driver *driver, char *id, size_t len)
{
	unsigned i = 0;
	do
		snprintf(id, len, "%s%u", driver->shorthand ? driver->shorthand : driver->name, i++);
	while (is_taken(set, id));
}

static int add_user_device(struct device_set *set, struct host *host, const struct vmconfig_device *wanted, struct fail *why)
{
	const struct device_class *class = registry_find(wanted->driver->name);
	assert(class);
	char id[DEVICE_ID_MAX];
	const char *chosen = chosen_id(&wanted->values);
	if (chosen)
		snprintf(id, sizeof id, "%s", chosen);
	else
		invent_id(set, wanted->driver, id, sizeof id);
	if (is_taken(set, id))
		return fail(why, 0, "two devices have the id %s", id);
	struct device_init init = {.id = id, .config = wanted->values.data, .host = host, .pci = set->pci};
	bool first_balloon = class == &balloon_class && !set->balloon;
	if (first_balloon)
		set->balloon_is_named = chosen != NULL;
	return add(set, class, &init, first_balloon ? &set->balloon : NULL, why);
}

int device_set_create(struct device_set *set, struct host *host, const struct vm_config *config, const struct serial_config_board *serial, struct fail *why)
{
	int ret = add_pci(set, host, why);
	if (ret == 0)
		ret = add_serial(set, host, serial, why);
	if (ret == 0)
		ret = add_power(set, host, why);
	if (ret == 0)
		ret = add_pvpanic(set, host, config, why);
	for (size_t i = 0; i < config->n_devices && ret == 0; i++)
		ret = add_user_device(set, host, &config->devices[i], why);
	return ret;
}

void device_set_reset(struct device_set *set)
{
	for (size_t i = 0; i < set->n; i++)
		device_reset(set->all[i]);
	pci_root_reset(set->pci);
}

void device_set_finish(struct device_set *set)
{
	while (set->n > 0)
		device_destroy(set->all[--set->n]);
	pci_root_destroy(set->pci);
	*set = (struct device_set){0};
}
