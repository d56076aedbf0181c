#include "tests/unit/bootram.h"

#include <CUnit/CUnit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint8_t *copy(const void *data, size_t len)
{
	uint8_t *bytes = malloc(len ? len : 1);

	if (!bytes)
		abort();
	memcpy(bytes, data, len);
	return bytes;
}

void bootram_init(struct bootram *boot, uint64_t ram_mib, const void *data, size_t len)
{
	*boot = (struct bootram){0};
	CU_ASSERT_EQUAL_FATAL(ram_init(&boot->ram, &(struct memory_config){.size = ram_mib * MIB}, &boot->why), 0);
	boot->src = (struct boot_source){
		.kernel = {.name = "tested-kernel", .fd = -1, .data = copy(data, len), .len = len},
		.initramfs = {.fd = -1},
		.cmdline = "console=ttyS0 quiet",
	};
}

void bootram_finish(struct bootram *boot)
{
	free((void *)boot->src.kernel.data);
	free((void *)boot->src.initramfs.data);
	ram_finish(&boot->ram);
}

void bootram_add_initramfs(struct bootram *boot, size_t len)
{
	uint8_t *bytes = malloc(len);

	if (!bytes)
		abort();
	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)(i % 251);
	boot->src.initramfs = (struct boot_file){.name = "tested-initramfs", .fd = -1, .data = bytes, .len = len};
}

int bootram_load(struct bootram *boot)
{
	boot->why = (struct fail){0};
	CU_ASSERT_EQUAL(ram_discard_all(&boot->ram), 0);
	int rc = boot_load(&boot->src, &boot->ram, RSDP_GPA, &boot->state, &boot->why);
	CU_ASSERT(rc == 0 || (rc < 0 && boot->why.text[0] && !strchr(boot->why.text, '\n')));
	return rc;
}

bool bootram_fails(struct bootram *boot, const char *words)
{
	if (bootram_load(boot) == 0) {
		printf("\n    booted, instead of \"%s\"\n    ", words);
		return false;
	}
	bool ok = strstr(boot->why.text, words) && strstr(boot->why.text, "tested-");
	if (!ok)
		printf("\n    \"%s\" instead of \"%s\"\n    ", boot->why.text, words);
	return ok;
}

const uint8_t *bootram_at(const struct bootram *boot, uint64_t gpa, uint64_t len)
{
	const uint8_t *hva = gmem_at(&boot->ram.gmem, gpa, len);

	CU_ASSERT_PTR_NOT_NULL_FATAL(hva);
	return hva;
}

bool bootram_has_initramfs(const struct bootram *boot, uint64_t gpa)
{
	return memcmp(bootram_at(boot, gpa, boot->src.initramfs.len), boot->src.initramfs.data, boot->src.initramfs.len) == 0;
}

void bootram_mutate(const void *data, size_t len, size_t header_len, unsigned n)
{
	static const uint8_t edges[] = {0x00, 0x01, 0x7F, 0x80, 0xFF};
	struct bootram boot;
	uint64_t seed = 1;

	bootram_init(&boot, 32, data, len);
	bootram_add_initramfs(&boot, 5000);
	uint8_t *bytes = (uint8_t *)boot.src.kernel.data;
	for (unsigned i = 0; i < n; i++) {
		for (unsigned changes = 1 + i % 4; changes; changes--) {
			seed = seed * 6364136223846793005 + 1442695040888963407;
			uint64_t random = seed >> 20;
			uint8_t value = random & 1 ? edges[(random >> 1) % sizeof edges] : (uint8_t)(random >> 1);
			bytes[(random >> 10) % (i % 2 ? len : header_len)] = value;
		}
		bootram_load(&boot);
		memcpy(bytes, data, len);
	}
	CU_ASSERT_EQUAL(bootram_load(&boot), 0);
	bootram_finish(&boot);
}
