#include "kvm/acpi.h"

#include <assert.h>
#include <string.h>

#include "kvm/acpi_dsdt.h"
#include "kvm/board.h"
#include "kvm/e820.h"
#include "util/bytes.h"

/* Layouts: ACPI 6.5, sections 5.2.5 to 5.2.12; MCFG: PCI Firmware Specification 3.3, section 4.1.2. Everything is little-endian, as we are. */
struct rsdp {
	char signature[8];
	uint8_t checksum; /* of the first 20 bytes */
	char oem_id[6];
	uint8_t revision;
	uint32_t rsdt_gpa;
	uint32_t length;
	uint64_t xsdt_gpa;
	uint8_t extended_checksum; /* of all of it */
	uint8_t reserved[3];
} __attribute__((packed));

struct table_header {
	char signature[4];
	uint32_t length;
	uint8_t revision;
	uint8_t checksum;
	char oem_id[6];
	char oem_table_id[8];
	uint32_t oem_revision;
	char creator_id[4];
	uint32_t creator_revision;
} __attribute__((packed));

struct gas {
	uint8_t space;
	uint8_t width_bits;
	uint8_t offset_bits;
	uint8_t access;
	uint64_t address;
} __attribute__((packed));

enum { GAS_IO = 1, GAS_BYTE = 1, GAS_WORD = 2 };

struct fadt {
	struct table_header header;
	uint32_t facs_gpa;
	uint32_t dsdt_gpa;
	uint8_t reserved0;
	uint8_t preferred_profile;
	uint16_t sci_int;
	uint32_t smi_cmd;
	uint8_t acpi_enable, acpi_disable, s4bios_req, pstate_cnt;
	uint32_t pm1a_evt, pm1b_evt, pm1a_cnt, pm1b_cnt, pm2_cnt, pm_tmr, gpe0, gpe1;
	uint8_t pm1_evt_len, pm1_cnt_len, pm2_cnt_len, pm_tmr_len, gpe0_len, gpe1_len, gpe1_base, cst_cnt;
	uint16_t c2_latency, c3_latency, flush_size, flush_stride;
	uint8_t duty_offset, duty_width, day_alarm, month_alarm, century;
	uint16_t boot_arch;
	uint8_t reserved1;
	uint32_t flags;
	struct gas reset_reg;
	uint8_t reset_value;
	uint16_t arm_boot_arch;
	uint8_t minor_revision;
	uint64_t x_facs_gpa, x_dsdt_gpa;
	struct gas x_pm1a_evt, x_pm1b_evt, x_pm1a_cnt, x_pm1b_cnt, x_pm2_cnt, x_pm_tmr, x_gpe0, x_gpe1;
	struct gas sleep_control, sleep_status;
	uint64_t hypervisor_id;
} __attribute__((packed));

static_assert(sizeof(struct fadt) == 276, "FADT of ACPI 6");

enum fadt_boot_arch { BOOT_ARCH_NO_VGA = 1 << 2, BOOT_ARCH_NO_CMOS_RTC = 1 << 5 };
enum fadt_flags {
	FADT_WBINVD = 1 << 0,
	FADT_PROC_C1 = 1 << 2,
	FADT_NO_FIXED_SLEEP_BUTTON = 1 << 5, /* bit 4 clear: the power button is fixed hardware */
	FADT_NO_FIXED_RTC_WAKE = 1 << 6,
	FADT_RESET_REG = 1 << 10,
};

struct facs {
	char signature[4];
	uint32_t length;
	uint32_t hardware_signature;
	uint32_t waking_vector;
	uint32_t global_lock;
	uint32_t flags;
	uint64_t x_waking_vector;
	uint8_t version;
	uint8_t reserved[31];
} __attribute__((packed));

struct madt {
	struct table_header header;
	uint32_t lapic_gpa;
	uint32_t flags;
} __attribute__((packed));

struct madt_lapic {
	uint8_t type, length, uid, apic_id;
	uint32_t flags;
} __attribute__((packed));

struct madt_ioapic {
	uint8_t type, length, id, reserved;
	uint32_t gpa;
	uint32_t gsi_base;
} __attribute__((packed));

struct madt_override {
	uint8_t type, length, bus, irq;
	uint32_t gsi;
	uint16_t flags;
} __attribute__((packed));

struct madt_lapic_nmi {
	uint8_t type, length, uid;
	uint16_t flags;
	uint8_t lint;
} __attribute__((packed));

enum { MADT_LAPIC = 0, MADT_IOAPIC = 1, MADT_OVERRIDE = 2, MADT_LAPIC_NMI = 4 };
enum { MADT_PC_AT = 1 /* there are 8259s too */, LAPIC_ENABLED = 1, ALL_PROCESSORS = 0xFF };
enum { INTI_CONFORMS = 0, INTI_LEVEL_HIGH = 3 << 2 | 1 };

struct mcfg {
	struct table_header header;
	uint64_t reserved;
	uint64_t base_gpa;
	uint16_t segment;
	uint8_t first_bus, last_bus;
	uint32_t reserved1;
} __attribute__((packed));

/* About 4 KiB of it are for interrupt routing, another 2 for 64 processors. */
#define DSDT_MAX_LEN 16384

/* FADT, MADT, MCFG */
#define XSDT_N_ENTRIES 3
struct xsdt {
	struct table_header header;
	uint64_t entries[XSDT_N_ENTRIES];
} __attribute__((packed));

/* The BIOS area, handed out from its start. */
struct area {
	uint8_t *hva;
	uint64_t gpa;
	size_t used;
	size_t len;
	bool overflow;
};

/* Returns the address that the guest knows the bytes by. */
static uint64_t place(struct area *area, const void *bytes, size_t len, size_t align)
{
	size_t at = (area->used + align - 1) / align * align;

	if (area->overflow || at > area->len || len > area->len - at) {
		area->overflow = true;
		return 0;
	}
	memcpy(area->hva + at, bytes, len);
	area->used = at + len;
	return area->gpa + at;
}

static uint8_t checksum(const void *bytes, size_t len)
{
	uint8_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + ((const uint8_t *)bytes)[i]);
	return (uint8_t)-sum;
}

/* `table` begins with its header, of which only the revision need be set. */
static uint64_t place_table(struct area *area, void *table, const char *signature, size_t len)
{
	struct table_header *header = table;

	memcpy(header->signature, signature, sizeof header->signature);
	memcpy(header->oem_id, "VMMBLN", sizeof header->oem_id);
	memcpy(header->oem_table_id, "BALLOON ", sizeof header->oem_table_id);
	memcpy(header->creator_id, "VMBL", sizeof header->creator_id);
	header->length = (uint32_t)len;
	header->oem_revision = 1;
	header->creator_revision = 1;
	header->checksum = 0;
	header->checksum = checksum(table, len);
	return place(area, table, len, 16);
}

static uint64_t place_facs(struct area *area)
{
	struct facs facs = {.signature = "FACS", .length = sizeof facs, .version = 2};

	return place(area, &facs, sizeof facs, 64);
}

static uint64_t place_dsdt(struct area *area, const struct acpi_params *params)
{
	uint8_t buf[DSDT_MAX_LEN];
	struct aml aml = {.buf = buf, .len = sizeof(struct table_header), .cap = sizeof buf};

	memset(buf, 0, sizeof(struct table_header));
	((struct table_header *)buf)->revision = 2; /* integers of 64 bits */
	acpi_dsdt_build(&aml, params);
	assert(!aml.overflow);
	return place_table(area, buf, "DSDT", aml.len);
}

static struct gas io_register(uint16_t port, uint8_t width_bits, uint8_t access)
{
	return (struct gas){.space = GAS_IO, .width_bits = width_bits, .access = access, .address = port};
}

static uint64_t place_fadt(struct area *area, uint64_t facs_gpa, uint64_t dsdt_gpa)
{
	struct fadt fadt = {
		.header.revision = 6,
		.facs_gpa = (uint32_t)facs_gpa, /* and not in x_facs_gpa: only one of the two may be set */
		.dsdt_gpa = (uint32_t)dsdt_gpa,
		.x_dsdt_gpa = dsdt_gpa,
		.sci_int = BOARD_IRQ_SCI,
		.pm1a_evt = BOARD_PORT_PM1_EVT,
		.pm1_evt_len = 4,
		.x_pm1a_evt = io_register(BOARD_PORT_PM1_EVT, 32, GAS_WORD),
		.pm1a_cnt = BOARD_PORT_PM1_CNT,
		.pm1_cnt_len = 2,
		.x_pm1a_cnt = io_register(BOARD_PORT_PM1_CNT, 16, GAS_WORD),
		.c2_latency = 101,  /* above 100: there is no C2 */
		.c3_latency = 1001, /* above 1000: there is no C3 */
		.boot_arch = BOOT_ARCH_NO_VGA | BOOT_ARCH_NO_CMOS_RTC,
		.flags = FADT_WBINVD | FADT_PROC_C1 | FADT_NO_FIXED_SLEEP_BUTTON | FADT_NO_FIXED_RTC_WAKE | FADT_RESET_REG,
		.reset_reg = io_register(BOARD_PORT_RESET, 8, GAS_BYTE),
		.reset_value = BOARD_RESET_VALUE,
		.minor_revision = 5,
	};

	return place_table(area, &fadt, "FACP", sizeof fadt);
}

static uint64_t place_madt(struct area *area, unsigned n_vcpus)
{
	struct {
		struct madt madt;
		struct madt_ioapic ioapic;
		struct madt_override timer;
		struct madt_override sci;
		struct madt_lapic_nmi nmi;
		struct madt_lapic lapics[BOARD_MAX_VCPUS];
	} __attribute__((packed)) table = {
		.madt = {.header.revision = 5, .lapic_gpa = BOARD_LAPIC_BASE, .flags = MADT_PC_AT},
		.ioapic = {.type = MADT_IOAPIC, .length = sizeof table.ioapic, .gpa = BOARD_IOAPIC_BASE},
		.timer = {.type = MADT_OVERRIDE, .length = sizeof table.timer, .irq = 0, .gsi = 2, .flags = INTI_CONFORMS},
		.sci = {.type = MADT_OVERRIDE, .length = sizeof table.sci, .irq = BOARD_IRQ_SCI, .gsi = BOARD_IRQ_SCI, .flags = INTI_LEVEL_HIGH},
		.nmi = {.type = MADT_LAPIC_NMI, .length = sizeof table.nmi, .uid = ALL_PROCESSORS, .lint = 1},
	};

	for (unsigned i = 0; i < n_vcpus; i++)
		table.lapics[i] = (struct madt_lapic){
			.type = MADT_LAPIC, .length = sizeof table.lapics[i], .uid = (uint8_t)i, .apic_id = (uint8_t)i, .flags = LAPIC_ENABLED};
	return place_table(area, &table, "APIC", sizeof table - (BOARD_MAX_VCPUS - n_vcpus) * sizeof table.lapics[0]);
}

static uint64_t place_mcfg(struct area *area)
{
	struct mcfg mcfg = {.header.revision = 1, .base_gpa = BOARD_ECAM_BASE, .last_bus = BOARD_ECAM_LEN / 0x100000 - 1};

	return place_table(area, &mcfg, "MCFG", sizeof mcfg);
}

int acpi_build(const struct acpi_params *params, struct guest_ram *ram, uint64_t *rsdp_gpa, struct fail *why)
{
	struct area area = {.gpa = E820_BIOS_BASE, .len = E820_BIOS_END - E820_BIOS_BASE};
	struct rsdp rsdp = {.signature = "RSD PTR ", .oem_id = "VMMBLN", .revision = 2, .length = sizeof rsdp};
	struct xsdt xsdt = {.header.revision = 1};

	assert(params->n_vcpus >= 1 && params->n_vcpus <= BOARD_MAX_VCPUS);
	area.hva = gmem_at(&ram->gmem, area.gpa, area.len);
	if (!area.hva)
		return fail(why, 0, "guest RAM has no room for ACPI tables; raise memory.size");
	area.used = sizeof rsdp; /* it comes first, where a search for it begins, and is written last */

	uint64_t facs_gpa = place_facs(&area);
	uint64_t dsdt_gpa = place_dsdt(&area, params);
	xsdt.entries[0] = place_fadt(&area, facs_gpa, dsdt_gpa);
	xsdt.entries[1] = place_madt(&area, params->n_vcpus);
	xsdt.entries[2] = place_mcfg(&area);
	rsdp.xsdt_gpa = place_table(&area, &xsdt, "XSDT", sizeof xsdt);
	assert(!area.overflow);
	rsdp.checksum = checksum(&rsdp, offsetof(struct rsdp, length));
	rsdp.extended_checksum = checksum(&rsdp, sizeof rsdp);
	memcpy(area.hva, &rsdp, sizeof rsdp);
	*rsdp_gpa = area.gpa;
	return 0;
}
