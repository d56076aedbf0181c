#include "device/msix.h"

#include <assert.h>
#include <string.h>

#include "util/bytes.h"

/* Offsets in a table entry: PCI_MSIX_ENTRY_LOWER_ADDR 0, _UPPER_ADDR 4, _DATA 8, _VECTOR_CTRL 12. */

void msix_init(struct msix *msix, struct pci_function *fn, struct host *host, unsigned n_vectors, unsigned bar, uint32_t table_offset, uint32_t pba_offset)
{
	assert(n_vectors >= 1 && n_vectors <= MSIX_MAX_VECTORS && bar < PCI_N_BARS && table_offset % 8 == 0 && pba_offset % 8 == 0);
	msix->fn = fn;
	msix->host = host;
	msix->n_vectors = n_vectors;
	msix->cap = pci_function_add_cap(fn, PCI_CAP_ID_MSIX, PCI_CAP_MSIX_SIZEOF);
	uint8_t *cap = fn->config + msix->cap;
	store_le16(cap + PCI_MSIX_FLAGS, (uint16_t)(n_vectors - 1));
	store_le32(cap + PCI_MSIX_TABLE, table_offset | bar);
	store_le32(cap + PCI_MSIX_PBA, pba_offset | bar);
	store_le16(fn->writable + msix->cap + PCI_MSIX_FLAGS, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	msix_reset(msix);
}

void msix_reset(struct msix *msix)
{
	memset(msix->table, 0, sizeof msix->table);
	for (unsigned i = 0; i < msix->n_vectors; i++)
		store_le32(msix->table + i * MSIX_ENTRY_LEN + PCI_MSIX_ENTRY_VECTOR_CTRL, PCI_MSIX_ENTRY_CTRL_MASKBIT);
	msix->pending = 0;
}

static uint16_t flags_of(const struct msix *msix)
{
	return load_le16(msix->fn->config + msix->cap + PCI_MSIX_FLAGS);
}

bool msix_is_enabled(const struct msix *msix)
{
	return flags_of(msix) & PCI_MSIX_FLAGS_ENABLE;
}

static bool can_send(const struct msix *msix, unsigned vector)
{
	const uint8_t *entry = msix->table + vector * MSIX_ENTRY_LEN;
	return (flags_of(msix) & (PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL)) == PCI_MSIX_FLAGS_ENABLE && pci_function_is_master(msix->fn) &&
	       !(load_le32(entry + PCI_MSIX_ENTRY_VECTOR_CTRL) & PCI_MSIX_ENTRY_CTRL_MASKBIT);
}

static void send(struct msix *msix, unsigned vector)
{
	const uint8_t *entry = msix->table + vector * MSIX_ENTRY_LEN;
	/* Whether the address makes sense is for the host to say: it knows where the interrupt controllers are. */
	if (msix->host->ops->msi_send(msix->host, load_le64(entry + PCI_MSIX_ENTRY_LOWER_ADDR), load_le32(entry + PCI_MSIX_ENTRY_DATA)) == 0)
		msix->sent++;
	else
		msix->refused++;
}

void msix_notify(struct msix *msix, unsigned vector)
{
	if (vector >= msix->n_vectors)
		return;
	if (can_send(msix, vector))
		send(msix, vector);
	else
		msix->pending |= 1ULL << vector;
}

void msix_flush(struct msix *msix)
{
	for (uint64_t left = msix->pending; left; left &= left - 1) {
		unsigned vector = (unsigned)__builtin_ctzll(left);
		if (!can_send(msix, vector))
			continue;
		msix->pending &= ~(1ULL << vector);
		send(msix, vector);
	}
}

static bool is_inside(uint64_t offset, unsigned size, uint64_t len)
{
	return (size == 4 || size == 8) && offset % size == 0 && offset < len && size <= len - offset;
}

static uint64_t load(const uint8_t *p, unsigned size)
{
	return size == 8 ? load_le64(p) : load_le32(p);
}

uint64_t msix_table_read(const struct msix *msix, uint64_t offset, unsigned size)
{
	return is_inside(offset, size, msix->n_vectors * MSIX_ENTRY_LEN) ? load(msix->table + offset, size) : 0;
}

void msix_table_write(struct msix *msix, uint64_t offset, unsigned size, uint64_t value)
{
	if (!is_inside(offset, size, msix->n_vectors * MSIX_ENTRY_LEN))
		return;
	if (size == 8)
		store_le64(msix->table + offset, value);
	else
		store_le32(msix->table + offset, (uint32_t)value);

	/* Of vector control only the mask bit exists. */
	uint8_t *control = msix->table + offset / MSIX_ENTRY_LEN * MSIX_ENTRY_LEN + PCI_MSIX_ENTRY_VECTOR_CTRL;
	store_le32(control, load_le32(control) & PCI_MSIX_ENTRY_CTRL_MASKBIT);
	msix_flush(msix);
}

uint64_t msix_pba_read(const struct msix *msix, uint64_t offset, unsigned size)
{
	uint8_t bits[MSIX_PBA_LEN];
	store_le64(bits, msix->pending);
	return is_inside(offset, size, sizeof bits) ? load(bits + offset, size) : 0;
}
