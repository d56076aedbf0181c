#include "tests/unit/bzimage.h"

#include <string.h>

uint8_t bzimage[BZIMAGE_LEN];

struct setup_header *bzimage_header(void)
{
	return (struct setup_header *)(void *)(bzimage + 0x1F1);
}

void bzimage_make(void)
{
	memset(bzimage, 0, sizeof bzimage);
	*bzimage_header() = (struct setup_header){
		.setup_sects = 1,
		.syssize = BZIMAGE_CODE_LEN / 16,
		.boot_flag = 0xAA55,
		.jump = 0x66EB, /* the header ends at 0x268 */
		.header = 0x53726448,
		.version = 0x020F,
		.loadflags = LOADED_HIGH,
		.initrd_addr_max = 0x7FFFFFFF,
		.kernel_alignment = 0x200000,
		.relocatable_kernel = 1,
		.xloadflags = XLF_KERNEL_64 | XLF_CAN_BE_LOADED_ABOVE_4G,
		.cmdline_size = 2047,
		.setup_data = 0x1234,
		.pref_address = BZIMAGE_PREF,
		.init_size = BZIMAGE_INIT_SIZE,
	};
	for (size_t i = 0; i < BZIMAGE_CODE_LEN; i++)
		bzimage[BZIMAGE_SETUP_LEN + i] = (uint8_t)(i % 253);
}

void bzimage_start(struct bootram *boot, uint64_t ram_mib)
{
	bootram_init(boot, ram_mib, bzimage, sizeof bzimage);
}

bool bzimage_is_loaded_at(const struct bootram *boot, uint64_t gpa)
{
	return boot->state.entry_gpa == gpa + 0x200 && memcmp(bootram_at(boot, gpa, BZIMAGE_CODE_LEN), bzimage + BZIMAGE_SETUP_LEN, BZIMAGE_CODE_LEN) == 0;
}

const struct boot_params *bzimage_zero_page(const struct bootram *boot)
{
	return (const void *)bootram_at(boot, boot->state.info_gpa, sizeof(struct boot_params));
}
