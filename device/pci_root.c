#include "device/pci_root.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/bytes.h"

#define CONFIG_ENABLE 0x80000000u
#define ECAM_FUNCTION_LEN 4096u
#define ECAM_BUS_LEN (1u << 20)
#define PORT_REGION_LEN 8
#define PORT_DATA 4 /* offset of CONFIG_DATA */
#define FUNCTIONS_PER_SLOT 8
#define ABSENT UINT64_MAX /* what a read that nobody answers returns, cut to its size */

struct pci_root {
	struct pci_root_params params;
	pthread_mutex_t lock; /* guards slots, address, next_base and every bar.decoded */
	struct pci_function *slots[PCI_N_SLOTS];
	uint32_t address;   /* CONFIG_ADDRESS */
	uint64_t next_base; /* where the next BAR may go */
	struct io_region ports;
	struct io_region ecam;
	struct pci_function bridge;
	pthread_mutex_t bridge_lock;
	pthread_mutex_t line_lock; /* leaf; held over host irq_set so that levels arrive in order */
	unsigned line_users[PCI_MAX_GSI];
};

/* ---- Interrupt lines ------------------------------------------------- */

void pci_root_drive_line(struct pci_root *root, unsigned slot, bool active)
{
	unsigned line = slot % root->params.n_gsi;
	struct host *host = root->params.host;

	pthread_mutex_lock(&root->line_lock);
	unsigned before = root->line_users[line];
	root->line_users[line] += active ? 1 : -1;
	if (!before != !root->line_users[line])
		host->ops->irq_set(host, root->params.gsi_base + line, active);
	pthread_mutex_unlock(&root->line_lock);
}

/* ---- BARs ------------------------------------------------------------ */

static bool is_in_window(const struct pci_root *root, uint64_t base, uint64_t len)
{
	const struct pci_root_params *p = &root->params;
	return base >= p->mmio_base && base - p->mmio_base < p->mmio_len && len <= p->mmio_len - (base - p->mmio_base);
}

/*
 * Decodes each BAR where its register says, if Command.Memory allows it. The
 * bridge forwards its window only: a BAR that the guest points at RAM, at the
 * ECAM or at an interrupt controller answers nowhere. Between BARs that overlap
 * the host's rule decides: the one that was mapped first answers.
 */
static void update_decoding(struct pci_root *root, struct pci_function *fn)
{
	struct host *host = root->params.host;
	bool enabled = fn->config[PCI_COMMAND] & PCI_COMMAND_MEMORY;

	for (unsigned i = 0; i < PCI_N_BARS; i++) {
		struct pci_bar *bar = &fn->bars[i];
		if (!bar->len)
			continue;
		uint64_t base = load_le32(fn->config + PCI_BASE_ADDRESS_0 + sizeof(uint32_t) * i) & PCI_BASE_ADDRESS_MEM_MASK;
		bool wanted = enabled && is_in_window(root, base, bar->len);
		if (bar->decoded && wanted && bar->region.base == base)
			continue;
		if (bar->decoded)
			host->ops->io_unmap(host, &bar->region);
		bar->decoded = false;
		if (!wanted)
			continue;
		bar->region.base = base;
		bar->decoded = host->ops->io_map(host, &bar->region) == 0;
	}
}

static int assign_bars(struct pci_root *root, struct pci_function *fn)
{
	uint64_t next = root->next_base;
	for (unsigned i = 0; i < PCI_N_BARS; i++) {
		struct pci_bar *bar = &fn->bars[i];
		if (!bar->len)
			continue;
		uint64_t base = (next + bar->len - 1) & ~((uint64_t)bar->len - 1);
		if (!is_in_window(root, base, bar->len))
			return -ENOSPC;
		store_le32(fn->config + PCI_BASE_ADDRESS_0 + sizeof(uint32_t) * i, (uint32_t)base);
		next = base + bar->len;
	}
	root->next_base = next;
	return 0;
}

/* ---- Configuration space --------------------------------------------- */

/* The low `size` bytes of `value`; size 1 to 8. */
static uint64_t cut(uint64_t value, unsigned size)
{
	return size >= 8 ? value : value & ((1ULL << 8 * size) - 1);
}

/* Only accesses of 1, 2 or 4 bytes within one dword exist on the bus. */
static bool is_bus_access(uint64_t offset, unsigned size)
{
	return (size == 1 || size == 2 || size == 4) && (offset & 3) + size <= 4;
}

/* `devfn` is slot * 8 + function; offset counts within the function. The root is locked. */
static uint64_t config_read(struct pci_root *root, unsigned devfn, unsigned offset, unsigned size)
{
	struct pci_function *fn = devfn % FUNCTIONS_PER_SLOT ? NULL : root->slots[devfn / FUNCTIONS_PER_SLOT];
	if (!fn || offset >= PCI_CONFIG_LEN || !is_bus_access(offset, size))
		return cut(ABSENT, size);

	uint64_t value = 0;
	pthread_mutex_lock(fn->lock);
	if (fn->ops && fn->ops->config_read)
		fn->ops->config_read(fn, offset, size);
	for (unsigned i = 0; i < size; i++)
		value |= (uint64_t)fn->config[offset + i] << 8 * i;
	pthread_mutex_unlock(fn->lock);
	return value;
}

static bool touches(unsigned offset, unsigned size, unsigned begin, unsigned end)
{
	return offset < end && offset + size > begin;
}

static void config_write(struct pci_root *root, unsigned devfn, unsigned offset, unsigned size, uint64_t value)
{
	struct pci_function *fn = devfn % FUNCTIONS_PER_SLOT ? NULL : root->slots[devfn / FUNCTIONS_PER_SLOT];
	if (!fn || offset >= PCI_CONFIG_LEN || !is_bus_access(offset, size))
		return;

	pthread_mutex_lock(fn->lock);
	for (unsigned i = 0; i < size; i++) {
		uint8_t mask = fn->writable[offset + i];
		fn->config[offset + i] = (uint8_t)((fn->config[offset + i] & ~mask) | (value >> 8 * i & mask));
	}
	if (touches(offset, size, PCI_COMMAND, PCI_COMMAND + 2) || touches(offset, size, PCI_BASE_ADDRESS_0, PCI_BASE_ADDRESS_5 + 4))
		update_decoding(root, fn);
	if (touches(offset, size, PCI_COMMAND, PCI_COMMAND + 2))
		pci_function_update_line(fn);
	if (fn->ops && fn->ops->config_written)
		fn->ops->config_written(fn, offset, size);
	pthread_mutex_unlock(fn->lock);
}

/*
 * CONFIG_ADDRESS takes whole dwords only; smaller accesses to its port belong
 * to other devices of a real bus (section 3.2.2.3.2), of which there are none.
 */
static bool is_address_access(uint64_t offset, unsigned size)
{
	return offset == 0 && size == 4;
}

/* Whether CONFIG_ADDRESS selects anything on bus 0. */
static bool is_selecting(const struct pci_root *root)
{
	return (root->address & CONFIG_ENABLE) && (root->address >> 16 & 0xFF) == 0;
}

static uint64_t ports_read(void *opaque, uint64_t offset, unsigned size)
{
	struct pci_root *root = opaque;
	uint64_t value = cut(ABSENT, size);

	pthread_mutex_lock(&root->lock);
	if (is_address_access(offset, size))
		value = root->address;
	else if (offset >= PORT_DATA && is_selecting(root))
		value = config_read(root, root->address >> 8 & 0xFF, (root->address & 0xFC) + (offset & 3), size);
	pthread_mutex_unlock(&root->lock);
	return value;
}

static void ports_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
	struct pci_root *root = opaque;

	pthread_mutex_lock(&root->lock);
	if (is_address_access(offset, size))
		root->address = (uint32_t)value & 0x80FFFFFCu; /* the rest is reserved, reads zero */
	else if (offset >= PORT_DATA && is_selecting(root))
		config_write(root, root->address >> 8 & 0xFF, (root->address & 0xFC) + (offset & 3), size, value);
	pthread_mutex_unlock(&root->lock);
}

static uint64_t ecam_read(void *opaque, uint64_t offset, unsigned size)
{
	struct pci_root *root = opaque;
	if (offset >= ECAM_BUS_LEN)
		return cut(ABSENT, size);

	pthread_mutex_lock(&root->lock);
	uint64_t value = config_read(root, offset / ECAM_FUNCTION_LEN, offset % ECAM_FUNCTION_LEN, size);
	pthread_mutex_unlock(&root->lock);
	return value;
}

static void ecam_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
	struct pci_root *root = opaque;
	if (offset >= ECAM_BUS_LEN)
		return;

	pthread_mutex_lock(&root->lock);
	config_write(root, offset / ECAM_FUNCTION_LEN, offset % ECAM_FUNCTION_LEN, size, value);
	pthread_mutex_unlock(&root->lock);
}

static const struct io_ops ports_ops = {.read = ports_read, .write = ports_write};
static const struct io_ops ecam_ops = {.read = ecam_read, .write = ecam_write};

/* ---- Functions ------------------------------------------------------- */

static int choose_slot(const struct pci_root *root, unsigned *slot)
{
	if (*slot >= PCI_N_SLOTS)
		return -EINVAL;
	if (*slot)
		return root->slots[*slot] ? -EEXIST : 0;
	for (unsigned i = 1; i < PCI_N_SLOTS; i++)
		if (!root->slots[i]) {
			*slot = i;
			return 0;
		}
	return -ENOSPC;
}

int pci_root_add(struct pci_root *root, struct pci_function *fn, unsigned slot)
{
	pthread_mutex_lock(&root->lock);
	int err = choose_slot(root, &slot);
	if (!err)
		err = assign_bars(root, fn);
	if (!err) {
		pthread_mutex_lock(fn->lock);
		/* Firmware leaves the line's number here; with ACPI the guest looks elsewhere. */
		if (fn->config[PCI_INTERRUPT_PIN])
			fn->config[PCI_INTERRUPT_LINE] = (uint8_t)(root->params.gsi_base + slot % root->params.n_gsi);
		memcpy(fn->power_on, fn->config, sizeof fn->power_on);
		fn->root = root;
		fn->slot = slot;
		root->slots[slot] = fn;
		pthread_mutex_unlock(fn->lock);
	}
	pthread_mutex_unlock(&root->lock);
	return err;
}

static void return_to_power_on(struct pci_root *root, struct pci_function *fn)
{
	pthread_mutex_lock(fn->lock);
	memcpy(fn->config, fn->power_on, sizeof fn->config);
	update_decoding(root, fn);
	pci_function_update_line(fn);
	pthread_mutex_unlock(fn->lock);
}

void pci_root_reset_function(struct pci_root *root, struct pci_function *fn)
{
	pthread_mutex_lock(&root->lock);
	return_to_power_on(root, fn);
	pthread_mutex_unlock(&root->lock);
}

void pci_root_remove(struct pci_root *root, struct pci_function *fn)
{
	if (!root || fn->root != root)
		return;
	pthread_mutex_lock(&root->lock);
	return_to_power_on(root, fn);
	root->slots[fn->slot] = NULL;
	fn->root = NULL;
	pthread_mutex_unlock(&root->lock);
}

/* ---- The bridge ------------------------------------------------------ */

/*
 * The bridge has the IDs of QEMU's generic host bridge: an ECAM and nothing
 * else. Guests know it as such, while the IDs of a real chipset (8086:1237)
 * would bring in the quirks and register probes that go with that chipset.
 */
static const struct pci_ids bridge_ids = {
	.vendor = 0x1B36, .device = 0x0008, .subsystem_vendor = 0x1AF4, .subsystem = 0x1100, .class_code = 0x060000, /* host bridge */
};

int pci_root_create(const struct pci_root_params *params, struct pci_root **out)
{
	struct host *host = params->host;
	if (!params->n_gsi || params->n_gsi > PCI_MAX_GSI || params->mmio_base + params->mmio_len > 1ULL << 32 ||
	    (params->ecam_len && params->ecam_len < ECAM_BUS_LEN))
		return -EINVAL;
	struct pci_root *root = calloc(1, sizeof *root);
	if (!root)
		return -ENOMEM;
	root->params = *params;
	root->next_base = params->mmio_base;
	pthread_mutex_init(&root->lock, NULL);
	pthread_mutex_init(&root->bridge_lock, NULL);
	pthread_mutex_init(&root->line_lock, NULL);
	root->ports = (struct io_region){.space = IO_PIO, .base = params->port, .len = PORT_REGION_LEN, .ops = &ports_ops, .opaque = root};
	root->ecam = (struct io_region){.space = IO_MMIO, .base = params->ecam_base, .len = params->ecam_len, .ops = &ecam_ops, .opaque = root};

	pci_function_init(&root->bridge, NULL, &root->bridge_lock, &bridge_ids);
	memcpy(root->bridge.power_on, root->bridge.config, sizeof root->bridge.power_on);
	root->bridge.root = root;
	root->slots[0] = &root->bridge;

	int err = host->ops->io_map(host, &root->ports);
	if (err)
		goto out;
	if (params->ecam_len)
		err = host->ops->io_map(host, &root->ecam);
	if (err) {
		host->ops->io_unmap(host, &root->ports);
		goto out;
	}
	*out = root;
	return 0;
out:
	free(root);
	return err;
}

void pci_root_destroy(struct pci_root *root)
{
	if (!root)
		return;
	for (unsigned i = 1; i < PCI_N_SLOTS; i++)
		assert(!root->slots[i]);
	struct host *host = root->params.host;
	if (root->params.ecam_len)
		host->ops->io_unmap(host, &root->ecam);
	host->ops->io_unmap(host, &root->ports);
	pthread_mutex_destroy(&root->line_lock);
	pthread_mutex_destroy(&root->bridge_lock);
	pthread_mutex_destroy(&root->lock);
	free(root);
}

void pci_root_reset(struct pci_root *root)
{
	pthread_mutex_lock(&root->lock);
	root->address = 0;
	return_to_power_on(root, &root->bridge);
	pthread_mutex_unlock(&root->lock);
}
