#include "tests/fuzz/machine.h"

#include <linux/pci_regs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/bytes.h"
#include "util/log.h"

uint8_t fuzz_u8(struct fuzz_input *in)
{
	if (!in->left)
		return 0;
	in->left--;
	return *in->at++;
}

uint16_t fuzz_u16(struct fuzz_input *in)
{
	uint16_t low = fuzz_u8(in);
	return low | (uint16_t)(fuzz_u8(in) << 8);
}

uint32_t fuzz_u32(struct fuzz_input *in)
{
	uint32_t low = fuzz_u16(in);
	return low | (uint32_t)fuzz_u16(in) << 16;
}

uint64_t fuzz_u64(struct fuzz_input *in)
{
	uint64_t low = fuzz_u32(in);
	return low | (uint64_t)fuzz_u32(in) << 32;
}

static void expect(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "fuzz: %s\n", what);
	abort();
}

/* The fake checks the ranges before it calls this; giving memory back for real is too slow here. */
static void count_discard(struct fakehost *fh, const struct gmem_range *ranges, size_t n, struct discard_result *result)
{
	(void)fh;
	for (size_t i = 0; i < n; i++)
		result->discarded_bytes += ranges[i].len;
}

void fuzz_machine_begin(struct fakeguest *fg, struct fuzz_input *in)
{
	uint8_t bits = fuzz_u8(in);
	const struct balloon_config config = {
		.size = bits & 8 ? 1 << 20 : 0,
		.deflate_on_oom = bits & 1,
		.free_page_reporting = bits & 2,
		.statistics = bits & 16 ? 1 : 0,
	};
	log_set_level(LOG_LEVEL_ERROR);
	fg_create(fg, &config, bits & 4 ? 2 << 20 : 4096);
	fg->fh->discard = count_discard;
	fg->fh->discards_unrecorded = true;
}

void fuzz_machine_end(struct fakeguest *fg)
{
	/* The longest thing that one request can ask for is all of RAM as page numbers, 1024 times. */
	expect(fakehost_settle(fg->fh, 64 << 20), "deferred work never ends");
	device_reset(fg->dev);
	pci_root_reset(fg->root);
	expect(!fakehost_has_timer(fg->fh), "a timer is armed after power-on");
	expect(!fg->fh->irq_level[FG_GSI], "the interrupt line is high after power-on");
	expect(fg->fh->n_regions == 2, "a BAR is decoded after power-on");
	fg_probe(fg);
	expect(fg_status(fg) == 0 && fg_dc(fg, DC_ACTUAL) == 0, "state is left after power-on");

	fg_init(fg, F_STATS);
	const uint32_t pfns[] = {0x1000, 0x1001};
	uint64_t irqs = fg_irqs(fg, 1), bytes = fg->fh->discarded_bytes;
	fg_send_pfns(fg, 0, pfns, 2);
	expect(fg_status(fg) == 0xF && fg_used_idx(fg, 0) == 1 && fg_irqs(fg, 1) == irqs + 1, "a proper driver is not served");
	expect(fg->fh->discarded_bytes == bytes + (fg->fh->host.gmem.page_size == 4096 ? 8192 : 0), "a proper request is not carried out");
	expect(fg_destroy(fg) == 0, "a promise to the host is broken");
}
