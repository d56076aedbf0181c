#include "kvm/chipset.h"

#include <errno.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "kvm/board.h"

/* The legacy interrupt controllers have 8 pins each, 16 together. */
#define PIC_PINS 8

/* The timer's GSI 0 sits on I/O APIC pin 2, as on every PC; the MADT says so (kvm/acpi.c). GSI 2 joins the two PICs and has no device. */
#define TIMER_IOAPIC_PIN 2
#define CASCADE_GSI 2

static int create_kvm_vm(const struct vm_system *system, struct fail *why)
{
	int fd;
	do
		fd = ioctl(system->fd, KVM_CREATE_VM, 0UL);
	while (fd < 0 && errno == EINTR);
	if (fd >= 0)
		return fd;
	if (errno == EBUSY)
		return fail(why, errno, "cannot create a VM: another hypervisor uses this host's virtualisation; stop it first");
	return fail(why, errno, "cannot create a VM");
}

static int add_memory(int fd, const struct gmem *gmem, struct fail *why)
{
	for (size_t i = 0; i < gmem->n_regions; i++) {
		const struct gmem_region *region = &gmem->regions[i];
		struct kvm_userspace_memory_region slot = {
			.slot = (uint32_t)i,
			.guest_phys_addr = region->gpa,
			.memory_size = region->len,
			.userspace_addr = (uintptr_t)region->hva,
		};
		if (ioctl(fd, KVM_SET_USER_MEMORY_REGION, &slot) < 0)
			return fail(why, errno, "cannot give %llu MiB of RAM at 0x%llx to the VM", (unsigned long long)(region->len >> 20),
				    (unsigned long long)region->gpa);
	}
	return 0;
}

static struct kvm_irq_routing_entry route(uint32_t gsi, uint32_t chip, uint32_t pin)
{
	return (struct kvm_irq_routing_entry){.gsi = gsi, .type = KVM_IRQ_ROUTING_IRQCHIP, .u.irqchip = {.irqchip = chip, .pin = pin}};
}

static int route_interrupts(int fd, struct fail *why)
{
	/* struct kvm_irq_routing ends in an array without a length. */
	_Alignas(struct kvm_irq_routing) char bytes[sizeof(struct kvm_irq_routing) + (2 * PIC_PINS + BOARD_N_GSI) * sizeof(struct kvm_irq_routing_entry)] = {0};
	struct kvm_irq_routing *table = (struct kvm_irq_routing *)bytes;
	for (uint32_t gsi = 0; gsi < 2 * PIC_PINS; gsi++)
		if (gsi != CASCADE_GSI)
			table->entries[table->nr++] = route(gsi, gsi < PIC_PINS ? KVM_IRQCHIP_PIC_MASTER : KVM_IRQCHIP_PIC_SLAVE, gsi % PIC_PINS);
	for (uint32_t gsi = 0; gsi < BOARD_N_GSI; gsi++)
		if (gsi != CASCADE_GSI)
			table->entries[table->nr++] = route(gsi, KVM_IRQCHIP_IOAPIC, gsi == 0 ? TIMER_IOAPIC_PIN : gsi);
	if (ioctl(fd, KVM_SET_GSI_ROUTING, table) < 0)
		return fail(why, errno, "cannot route the VM's interrupts");
	return 0;
}

/* Interrupt controllers come before vCPUs, whose local APICs belong to them. */
static int set_up_board(int fd, struct fail *why)
{
	uint64_t identity_map = BOARD_KVM_IDENTITY_MAP;
	if (ioctl(fd, KVM_SET_IDENTITY_MAP_ADDR, &identity_map) < 0 || ioctl(fd, KVM_SET_TSS_ADDR, (unsigned long)BOARD_KVM_TSS) < 0)
		return fail(why, errno, "cannot place KVM's own pages in the VM");
	if (ioctl(fd, KVM_CREATE_IRQCHIP, 0) < 0)
		return fail(why, errno, "cannot create the VM's interrupt controllers");
	/* The dummy speaker answers at port 0x61, whose bits kernels read while they measure clocks. */
	struct kvm_pit_config pit = {.flags = KVM_PIT_SPEAKER_DUMMY};
	if (ioctl(fd, KVM_CREATE_PIT2, &pit) < 0)
		return fail(why, errno, "cannot create the VM's timer");
	return route_interrupts(fd, why);
}

int chipset_create_vm(const struct vm_system *system, const struct gmem *gmem, struct fail *why)
{
	int fd = create_kvm_vm(system, why);
	if (fd < 0)
		return fd;
	/*
	 * KVM's own devices join its buses by way of a grace period of SRCU that nobody waits for; a memory slot has one that
	 * is waited for, and would have to wait for the other as well: several ms of a VM's start.
	 */
	int ret = add_memory(fd, gmem, why);
	if (ret == 0)
		ret = set_up_board(fd, why);
	if (ret == 0)
		return fd;
	close(fd);
	return ret;
}
