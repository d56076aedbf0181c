#include "device/host.h"

const struct gmem_region *gmem_region_of(const struct gmem *gmem, uint64_t gpa)
{
	for (size_t i = 0; i < gmem->n_regions; i++)
		if (gpa - gmem->regions[i].gpa < gmem->regions[i].len)
			return &gmem->regions[i];
	return NULL;
}

void *gmem_at(const struct gmem *gmem, uint64_t gpa, uint64_t len)
{
	const struct gmem_region *region = gmem_region_of(gmem, gpa);
	/* The subtractions cannot wrap, where gpa + len could. */
	if (!region || len > region->len - (gpa - region->gpa))
		return NULL;
	return region->hva + (gpa - region->gpa);
}

uint64_t gmem_size(const struct gmem *gmem)
{
	uint64_t bytes = 0;
	for (size_t i = 0; i < gmem->n_regions; i++)
		bytes += gmem->regions[i].len;
	return bytes;
}
