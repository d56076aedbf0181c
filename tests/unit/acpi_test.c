#include "kvm/acpi.h"

#include <CUnit/CUnit.h>
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kvm/board.h"
#include "kvm/e820.h"
#include "tests/unit/suite.h"
#include "util/bytes.h"

#define MIB (UINT64_C(1) << 20)

static struct guest_ram ram;

static void build(const struct acpi_params *params)
{
	uint64_t rsdp_gpa = 0;
	struct fail why;

	CU_ASSERT_EQUAL_FATAL(ram_init(&ram, &(struct memory_config){.size = 4 * MIB}, &why), 0);
	CU_ASSERT_EQUAL_FATAL(acpi_build(params, &ram, &rsdp_gpa, &why), 0);
	CU_ASSERT_EQUAL(rsdp_gpa, 0xE0000);
}

static uint8_t *at(uint64_t gpa)
{
	uint8_t *hva = gmem_at(&ram.gmem, gpa, 1);

	assert(gpa >= E820_BIOS_BASE && gpa < E820_BIOS_END && hva);
	return hva;
}

static uint8_t sum(const uint8_t *bytes, size_t len)
{
	uint8_t total = 0;

	while (len--)
		total = (uint8_t)(total + *bytes++);
	return total;
}

/* The table of that name, from RSDP and XSDT or, for FACS and DSDT, from FADT. */
static const uint8_t *table(const char *signature)
{
	const uint8_t *xsdt = at(load_le64(at(0xE0000) + 24));
	size_t n = (load_le32(xsdt + 4) - 36) / 8;

	if (strcmp(signature, "XSDT") == 0)
		return xsdt;
	if (strcmp(signature, "FACS") == 0)
		return at(load_le32(table("FACP") + 36));
	if (strcmp(signature, "DSDT") == 0)
		return at(load_le64(table("FACP") + 140));
	const uint8_t *found = NULL;
	for (size_t i = 0; i < n && !found; i++) {
		const uint8_t *candidate = at(load_le64(xsdt + 36 + i * 8));
		if (memcmp(candidate, signature, 4) == 0)
			found = candidate;
	}
	assert(found);
	return found;
}

static const char *const with_header[] = {"XSDT", "FACP", "DSDT", "APIC", "MCFG"};

static void checksums_and_lengths_are_right(void)
{
	build(&(struct acpi_params){.n_vcpus = 2, .pvpanic = true, .serial = true});
	CU_ASSERT_EQUAL(memcmp(at(0xE0000), "RSD PTR ", 8), 0);
	CU_ASSERT_EQUAL(at(0xE0000)[15], 2);
	CU_ASSERT_EQUAL(sum(at(0xE0000), 20), 0);
	CU_ASSERT_EQUAL(sum(at(0xE0000), 36), 0);
	for (size_t i = 0; i < sizeof with_header / sizeof with_header[0]; i++) {
		const uint8_t *found = table(with_header[i]);
		uint32_t len = load_le32(found + 4);
		CU_ASSERT_EQUAL(memcmp(found, with_header[i], 4), 0);
		CU_ASSERT_FATAL(len > 36 && found + len <= at(E820_BIOS_END - 1) + 1);
		CU_ASSERT_EQUAL(sum(found, len), 0);
		CU_ASSERT_EQUAL(memcmp(found + 10, "VMMBLN", 6), 0);
	}
	CU_ASSERT_EQUAL(memcmp(table("FACS"), "FACS", 4), 0);
	CU_ASSERT_EQUAL(load_le32(table("FACS") + 4), 64);
	CU_ASSERT_EQUAL((uintptr_t)table("FACS") % 64, 0);
	ram_finish(&ram);
}

static void fadt_describes_the_board(void)
{
	build(&(struct acpi_params){.n_vcpus = 1});
	const uint8_t *fadt = table("FACP");
	CU_ASSERT_EQUAL(load_le32(fadt + 4), 276);
	CU_ASSERT_EQUAL(fadt[8], 6);
	CU_ASSERT_EQUAL(load_le32(fadt + 40), load_le64(fadt + 140)); /* DSDT, twice the same */
	CU_ASSERT_EQUAL(load_le64(fadt + 132), 0);		      /* FACS once */
	CU_ASSERT_EQUAL(load_le16(fadt + 46), BOARD_IRQ_SCI);
	CU_ASSERT_EQUAL(load_le32(fadt + 48), 0); /* no SMI_CMD: always in ACPI mode */
	CU_ASSERT_EQUAL(load_le32(fadt + 56), BOARD_PORT_PM1_EVT);
	CU_ASSERT_EQUAL(load_le32(fadt + 64), BOARD_PORT_PM1_CNT);
	CU_ASSERT_EQUAL(fadt[88], 4);
	CU_ASSERT_EQUAL(fadt[89], 2);
	CU_ASSERT_EQUAL(load_le64(fadt + 152), BOARD_PORT_PM1_EVT);
	CU_ASSERT_EQUAL(load_le64(fadt + 176), BOARD_PORT_PM1_CNT);
	CU_ASSERT_EQUAL(load_le16(fadt + 109), 0x24);	       /* no VGA, no CMOS clock, no 8042 */
	CU_ASSERT_EQUAL(load_le32(fadt + 112) & (1 << 20), 0); /* not hardware-reduced */
	CU_ASSERT_EQUAL(load_le32(fadt + 112) & (1 << 4), 0);  /* the power button is fixed hardware */
	CU_ASSERT(load_le32(fadt + 112) & (1 << 5));	       /* the sleep button is not */
	CU_ASSERT(load_le32(fadt + 112) & (1 << 10));	       /* there is a reset register */
	CU_ASSERT_EQUAL(fadt[116], 1);			       /* in I/O space */
	CU_ASSERT_EQUAL(load_le64(fadt + 120), BOARD_PORT_RESET);
	CU_ASSERT_EQUAL(fadt[128], BOARD_RESET_VALUE);
	ram_finish(&ram);
}

static void madt_lists_each_vcpu(void)
{
	static const unsigned counts[] = {1, 2, 63, 64};

	for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
		build(&(struct acpi_params){.n_vcpus = counts[i]});
		const uint8_t *madt = table("APIC");
		unsigned n_lapics = 0, n_ioapics = 0, n_overrides = 0;
		uint32_t len = load_le32(madt + 4), offset = 44;
		CU_ASSERT_EQUAL(load_le32(madt + 36), BOARD_LAPIC_BASE);
		CU_ASSERT_EQUAL(load_le32(madt + 40), 1);
		for (; offset + 2 <= len && madt[offset + 1] >= 2; offset += madt[offset + 1]) {
			const uint8_t *entry = madt + offset;
			if (entry[0] == 0) {
				CU_ASSERT(entry[2] == n_lapics && entry[3] == n_lapics && load_le32(entry + 4) == 1);
				n_lapics++;
			} else if (entry[0] == 1) {
				CU_ASSERT(load_le32(entry + 4) == BOARD_IOAPIC_BASE && load_le32(entry + 8) == 0);
				n_ioapics++;
			} else if (entry[0] == 2) {
				CU_ASSERT(entry[3] == 0 ? load_le32(entry + 4) == 2 && load_le16(entry + 8) == 0
							: entry[3] == BOARD_IRQ_SCI && load_le32(entry + 4) == BOARD_IRQ_SCI && load_le16(entry + 8) == 0xD);
				n_overrides++;
			}
		}
		CU_ASSERT_EQUAL(offset, len);
		CU_ASSERT_EQUAL(n_lapics, counts[i]);
		CU_ASSERT_EQUAL(n_ioapics, 1);
		CU_ASSERT_EQUAL(n_overrides, 2);
		ram_finish(&ram);
	}
}

static void mcfg_points_at_ecam(void)
{
	build(&(struct acpi_params){.n_vcpus = 1});
	const uint8_t *mcfg = table("MCFG");
	CU_ASSERT_EQUAL(load_le32(mcfg + 4), 60);
	CU_ASSERT_EQUAL(load_le64(mcfg + 44), BOARD_ECAM_BASE);
	CU_ASSERT_EQUAL(load_le16(mcfg + 52), 0);
	CU_ASSERT_EQUAL(mcfg[54], 0);
	CU_ASSERT_EQUAL(mcfg[55], BOARD_ECAM_LEN / MIB - 1);
	ram_finish(&ram);
}

static void too_little_ram_is_a_failure(void)
{
	uint64_t rsdp_gpa;
	struct fail why = {0};

	CU_ASSERT_EQUAL_FATAL(ram_init(&ram, &(struct memory_config){.size = MIB - 4096}, &why), 0);
	CU_ASSERT(acpi_build(&(struct acpi_params){.n_vcpus = 1}, &ram, &rsdp_gpa, &why) < 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(why.text, "raise memory.size"));
	ram_finish(&ram);
}

static void two_builds_are_equal(void)
{
	static uint8_t first[E820_BIOS_END - E820_BIOS_BASE];
	const struct acpi_params params = {.n_vcpus = 3, .serial = true};

	build(&params);
	memcpy(first, at(E820_BIOS_BASE), sizeof first);
	ram_finish(&ram);
	build(&params);
	CU_ASSERT_EQUAL(memcmp(first, at(E820_BIOS_BASE), sizeof first), 0);
	ram_finish(&ram);
}

/* ---- Through the eyes of iasl (Debian package acpica-tools) ---------- */

static char dir[64];
static char dsl[1 << 20];

/* Runs `command` in `dir`. */
static int run(const char *command)
{
	char line[512];

	snprintf(line, sizeof line, "cd %s && %s", dir, command);
	return system(line);
}

static void dump(const char *signature)
{
	char path[96];
	const uint8_t *found = table(signature);

	snprintf(path, sizeof path, "%s/%s.dat", dir, signature);
	FILE *file = fopen(path, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	CU_ASSERT_EQUAL(fwrite(found, 1, load_le32(found + 4), file), load_le32(found + 4));
	fclose(file);
}

static void read_dsdt(void)
{
	char path[96];

	snprintf(path, sizeof path, "%s/DSDT.dsl", dir);
	FILE *file = fopen(path, "r");
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	size_t len = fread(dsl, 1, sizeof dsl - 1, file);
	dsl[len] = 0;
	fclose(file);
}

/* Disassembles all tables, compiles the DSDT again; false: there is no iasl. */
static bool disassemble(const struct acpi_params *params)
{
	if (system("command -v iasl >/dev/null 2>&1") != 0) {
		printf("\n    skipped: iasl is not installed (Debian package acpica-tools)\n    ");
		return false;
	}
	snprintf(dir, sizeof dir, "/tmp/vmm-balloon-acpi-XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	build(params);
	for (size_t i = 0; i < sizeof with_header / sizeof with_header[0]; i++)
		dump(with_header[i]);
	dump("FACS");
	CU_ASSERT_EQUAL(run("for f in *.dat; do iasl -d $f || exit 1; done >log 2>&1"), 0);
	CU_ASSERT_NOT_EQUAL(run("grep -iE 'error|warning|remark|invalid|checksum' log"), 0);
	CU_ASSERT_NOT_EQUAL(run("grep -iE 'should be|invalid|unknown|[*]{4}' *.dsl"), 0);
	CU_ASSERT_EQUAL(run("iasl -tc DSDT.dsl >log 2>&1 && grep -q '0 Errors, 0 Warnings, 0 Remarks' log"), 0);
	read_dsdt();
	return true;
}

static void tidy(void)
{
	CU_ASSERT_EQUAL(run("rm *.* log && rmdir \"$PWD\""), 0);
	ram_finish(&ram);
}

static size_t count(const char *words)
{
	size_t n = 0;

	for (const char *p = dsl; (p = strstr(p, words)); p++)
		n++;
	return n;
}

static void iasl_is_content(void)
{
	static const struct acpi_params variants[] = {{.n_vcpus = 1}, {.n_vcpus = 64, .pvpanic = true, .serial = true}};

	for (size_t i = 0; i < 2; i++) {
		if (!disassemble(&variants[i]))
			return;
		CU_ASSERT_EQUAL(count("\"ACPI0007\""), variants[i].n_vcpus);
		CU_ASSERT_EQUAL(count("\"QEMU0001\""), variants[i].pvpanic);
		CU_ASSERT_EQUAL(count("EisaId (\"PNP0501\")"), variants[i].serial);
		CU_ASSERT_EQUAL(count("EisaId (\"PNP0A08\")"), 1);
		CU_ASSERT_EQUAL(count("EisaId (\"PNP0A03\")"), 1);
		CU_ASSERT_EQUAL(count("EisaId (\"PNP0C02\")"), 1);
		CU_ASSERT_EQUAL(count("_PRT"), 2); /* the name and the comment that iasl adds to it */
		tidy();
	}
}

/* White space apart, `words` stand in the DSDT one after the other. */
static bool has(const char *words)
{
	for (const char *start = dsl; *start; start++) {
		const char *have = start, *want = words;
		while (*want && *have) {
			if (*have == ' ' || *have == '\n' || *have == '\t')
				have++;
			else if (*want == ' ')
				want++;
			else if (*have++ != *want++)
				break;
			if (!*want)
				return true;
		}
	}
	return false;
}

static void dsdt_matches_the_board(void)
{
	char words[160];

	if (!disassemble(&(struct acpi_params){.n_vcpus = 1, .pvpanic = true, .serial = true}))
		return;
	for (unsigned slot = 1; slot < 32; slot++)
		for (unsigned pin = 0; pin < 4; pin++) {
			static const char *const pins[] = {"Zero", "One", "0x02", "0x03"};
			snprintf(words, sizeof words, "Package (0x04) { 0x%04XFFFF, %s, Zero, 0x%02X }", slot, pins[pin], 16 + (slot + pin) % 8);
			CU_ASSERT(has(words));
		}
	CU_ASSERT_FALSE(has("Package (0x04) { 0xFFFF,"));
	CU_ASSERT(has("_S5, Package (0x04)") && has("{ 0x05, 0x05, Zero, Zero }"));
	CU_ASSERT(has("Memory32Fixed (ReadWrite, 0xE0000000, // Address Base 0x00100000,"));
	CU_ASSERT(has("0xC0000000, // Range Minimum 0xDFFFFFFF, // Range Maximum 0x00000000, // Translation Offset 0x20000000,"));
	CU_ASSERT(has("0x0000, // Range Minimum 0x0CF7, // Range Maximum"));
	CU_ASSERT(has("0x0D00, // Range Minimum 0xFFFF, // Range Maximum"));
	CU_ASSERT(has("IO (Decode16, 0x0CF8, // Range Minimum 0x0CF8, // Range Maximum 0x01, // Alignment 0x08,"));
	CU_ASSERT(has("IO (Decode16, 0x03F8, // Range Minimum 0x03F8, // Range Maximum 0x01, // Alignment 0x08,"));
	CU_ASSERT(has("IRQNoFlags () {4}"));
	CU_ASSERT(has("IO (Decode16, 0x0505, // Range Minimum 0x0505,"));
	tidy();
}

static const struct test_case cases[] = {
	{"checksums and lengths are right", checksums_and_lengths_are_right},
	{"FADT describes the board", fadt_describes_the_board},
	{"MADT lists each vCPU", madt_lists_each_vcpu},
	{"MCFG points at ECAM", mcfg_points_at_ecam},
	{"too little RAM is a failure", too_little_ram_is_a_failure},
	{"two builds are equal", two_builds_are_equal},
	{"iasl is content", iasl_is_content},
	{"DSDT matches the board", dsdt_matches_the_board},
};
TEST_SUITE(acpi, cases);
