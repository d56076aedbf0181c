#include "kvm/system.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Documentation/virt/kvm/api.rst, 4.1: "Applications should refuse to run if KVM_GET_API_VERSION returns a value other than 12". */
#define API_VERSION 12

struct capability {
	int number;
	const char *name;
};

/* Each is used without a fallback. All are in Linux since 4.12, the youngest is KVM_CAP_IMMEDIATE_EXIT. */
static const struct capability needed[] = {
	{KVM_CAP_USER_MEMORY, "KVM_CAP_USER_MEMORY"},
	{KVM_CAP_SET_TSS_ADDR, "KVM_CAP_SET_TSS_ADDR"},
	{KVM_CAP_SET_IDENTITY_MAP_ADDR, "KVM_CAP_SET_IDENTITY_MAP_ADDR"},
	{KVM_CAP_EXT_CPUID, "KVM_CAP_EXT_CPUID"},
	{KVM_CAP_IRQCHIP, "KVM_CAP_IRQCHIP"},
	{KVM_CAP_IRQ_ROUTING, "KVM_CAP_IRQ_ROUTING"},
	{KVM_CAP_SIGNAL_MSI, "KVM_CAP_SIGNAL_MSI"},
	{KVM_CAP_PIT2, "KVM_CAP_PIT2"},
	{KVM_CAP_MP_STATE, "KVM_CAP_MP_STATE"},
	{KVM_CAP_IMMEDIATE_EXIT, "KVM_CAP_IMMEDIATE_EXIT"},
};

const char *vm_system_remedy(int error)
{
	switch (error) {
	case ENOENT:
		return "load the kvm_intel or kvm_amd module; if that fails, switch virtualisation on in the firmware, "
		       "or nested virtualisation if this host is itself a VM; a container has to be given the device";
	case ENODEV:
	case ENXIO:
		return "no KVM module stands behind it: load kvm_intel or kvm_amd";
	case EACCES:
		return "add this user to the group kvm (usermod -aG kvm USER) and log in again";
	case EPERM:
		return "the container or the unit forbids the device: allow it there (--device /dev/kvm, DeviceAllow=/dev/kvm rw)";
	case EBUSY:
		return "another hypervisor holds this host's virtualisation: stop it first";
	default:
		return "";
	}
}

static int explain_open_failure(int error, struct fail *why)
{
	const char *remedy = vm_system_remedy(error);
	/* The errno comes before the remedy, so it is part of the text. */
	fail(why, 0, "cannot open " VM_SYSTEM_PATH ": %s%s%s", strerror(error), *remedy ? "; " : "", remedy);
	return -error;
}

static int check_capabilities(int fd, struct fail *why)
{
	for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++)
		if (ioctl(fd, KVM_CHECK_EXTENSION, needed[i].number) <= 0)
			return fail(why, ENOTSUP, "this host's KVM lacks %s: Linux 4.12 or newer on x86-64 is needed", needed[i].name);
	return 0;
}

/* The number that KVM gives for a capability, or `otherwise` where it does not know the capability (api.rst, 4.7 and 4.4). */
static unsigned capability_or(int fd, int number, unsigned otherwise)
{
	int value = ioctl(fd, KVM_CHECK_EXTENSION, number);
	return value > 0 ? (unsigned)value : otherwise;
}

static int check(struct vm_system *system, struct fail *why)
{
	int version = ioctl(system->fd, KVM_GET_API_VERSION, 0);
	if (version < 0)
		return fail(why, errno, VM_SYSTEM_PATH " does not answer as KVM does: check what that file is");
	if (version != API_VERSION)
		return fail(why, ENOTSUP, VM_SYSTEM_PATH " speaks version %d of the KVM API, version %d is needed", version, API_VERSION);
	int ret = check_capabilities(system->fd, why);
	if (ret < 0)
		return ret;
	int run_bytes = ioctl(system->fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (run_bytes < (int)sizeof(struct kvm_run))
		return fail(why, run_bytes < 0 ? errno : ENOTSUP, "cannot learn the size of a vCPU's shared area from " VM_SYSTEM_PATH);
	system->run_bytes = (size_t)run_bytes;
	system->max_vcpus = capability_or(system->fd, KVM_CAP_MAX_VCPUS, capability_or(system->fd, KVM_CAP_NR_VCPUS, 4));
	system->max_slots = capability_or(system->fd, KVM_CAP_NR_MEMSLOTS, 32);
	return 0;
}

int vm_system_open(struct vm_system *system, struct fail *why)
{
	memset(system, 0, sizeof *system);
	system->fd = open(VM_SYSTEM_PATH, O_RDWR | O_CLOEXEC);
	if (system->fd < 0)
		return explain_open_failure(errno, why);
	int ret = check(system, why);
	if (ret < 0)
		vm_system_close(system);
	return ret;
}

void vm_system_close(struct vm_system *system)
{
	if (system->fd >= 0)
		close(system->fd);
	system->fd = -1;
}
