#include "tests/bench/area.h"

#include <stdlib.h>
#include <sys/mman.h>

#include "kvm/board.h"
#include "kvm/discard.h"
#include "tests/unit/fakeguest.h"

uint64_t area_gpa(const struct area *area, size_t page)
{
	uint64_t gpa = FG_PAGES + page * AREA_PAGE, low = area->ram->gmem.regions[0].len;
	return gpa < low ? gpa : BOARD_RAM_HIGH_BASE + (gpa - low);
}

static uint8_t *hva_of(const struct area *area, size_t page)
{
	return gmem_at(&area->ram->gmem, area_gpa(area, page), AREA_PAGE);
}

/* Of the pages [page, end) how many lie together from the first one on. */
static size_t pages_together(const struct area *area, size_t page, size_t end)
{
	size_t in_low = (area->ram->gmem.regions[0].len - FG_PAGES) / AREA_PAGE;
	return page < in_low && in_low < end ? in_low - page : end - page;
}

void area_mark(const struct area *area)
{
	for (size_t page = 0, n; page < area->n_pages; page += n) {
		n = pages_together(area, page, area->n_pages);
		if (madvise(hva_of(area, page), n * AREA_PAGE, MADV_DODUMP) < 0)
			abort();
	}
}

void area_touch(const struct area *area, size_t page, size_t n)
{
	for (size_t end = page + n, together; page < end; page += together) {
		volatile uint8_t *at = hva_of(area, page);
		together = pages_together(area, page, end);
		for (size_t i = 0; i < together; i++)
			at[i * AREA_PAGE] = 1;
	}
}

void area_renew(const struct area *area)
{
	for (size_t page = 0, n; page < area->n_pages; page += n) {
		n = pages_together(area, page, area->n_pages);
		const struct gmem_range range = {.gpa = area_gpa(area, page), .len = n * AREA_PAGE};
		struct discard_result result;
		discard_ranges(area->ram, &range, 1, &result);
	}
	area_touch(area, 0, area->n_pages);
}

double area_huge_share(const struct area *area)
{
	double huge = 0;
	for (size_t page = 0, n; page < area->n_pages; page += n) {
		n = pages_together(area, page, area->n_pages);
		huge += backing_huge_share(hva_of(area, page), n * AREA_PAGE) * (double)n;
	}
	return huge / (double)area->n_pages;
}
