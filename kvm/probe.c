#include "kvm/probe.h"

#include <errno.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kvm/board.h"
#include "kvm/boot.h"
#include "kvm/cpuid.h"

#define RAM_BYTES 0x10000
#define CODE_GPA 0x1000
#define WRITTEN_GPA 0x7000 /* in EBX when the code starts (kvm/boot.h, PVH) */
#define PAGE_SHIFT 12
#define PORT_DONE 0x80

/*
 * Instructions that work in flat 32-bit protected mode on every x86-64
 * processor, and that no interpreter of kernel mode known so far can do (Linux,
 * arch/x86/kvm/emulate.c): arithmetic of the x87, of MMX, limits of segments.
 */
static const struct {
	const char *name;
	uint8_t code[4];
	uint8_t n;
} instructions[] = {
	{"FLD1", {0xD9, 0xE8}, 2},
	{"EMMS", {0x0F, 0x77}, 2},
	{"LSL", {0x0F, 0x03, 0xC0}, 3},
};
#define N_INSTRUCTIONS (sizeof instructions / sizeof instructions[0])

/* A guest with nothing but memory and one vCPU. */
struct small_vm {
	int fd, vcpu_fd;
	uint8_t *ram;
	struct kvm_run *run;
	size_t run_bytes;
};

unsigned vm_probe_n_instructions(void)
{
	return N_INSTRUCTIONS;
}

/* movb $1, (%ebx); the instruction; outb %al, $PORT_DONE */
static void write_code(uint8_t *at, size_t index)
{
	static const uint8_t before[] = {0xC6, 0x03, 0x01}, after[] = {0xE6, PORT_DONE};
	memcpy(at, before, sizeof before);
	memcpy(at + sizeof before, instructions[index].code, instructions[index].n);
	memcpy(at + sizeof before + instructions[index].n, after, sizeof after);
}

static int add_ram(struct small_vm *vm, struct fail *why)
{
	vm->ram = mmap(NULL, RAM_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (vm->ram == MAP_FAILED)
		return fail(why, errno, "cannot map 64 KiB");
	struct kvm_userspace_memory_region slot = {.flags = KVM_MEM_LOG_DIRTY_PAGES, .memory_size = RAM_BYTES, .userspace_addr = (uintptr_t)vm->ram};
	uint64_t identity_map = BOARD_KVM_IDENTITY_MAP;
	if (ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &slot) < 0)
		return fail(why, errno, "cannot give RAM to a VM");
	if (ioctl(vm->fd, KVM_SET_IDENTITY_MAP_ADDR, &identity_map) < 0 || ioctl(vm->fd, KVM_SET_TSS_ADDR, (unsigned long)BOARD_KVM_TSS) < 0)
		return fail(why, errno, "cannot place KVM's own pages in a VM");
	return 0;
}

static int add_vcpu(struct small_vm *vm, const struct vm_system *system, struct fail *why)
{
	static const struct boot_state start = {.protocol = BOOT_PVH, .entry_gpa = CODE_GPA, .info_gpa = WRITTEN_GPA};
	vm->vcpu_fd = ioctl(vm->fd, KVM_CREATE_VCPU, 0UL);
	if (vm->vcpu_fd < 0)
		return fail(why, errno, "cannot create a vCPU");
	vm->run_bytes = system->run_bytes;
	vm->run = mmap(NULL, vm->run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, vm->vcpu_fd, 0);
	if (vm->run == MAP_FAILED)
		return fail(why, errno, "cannot map the shared area of a vCPU");
	struct cpuid_supported cpuid;
	int ret = cpuid_ask(&cpuid, system->fd, why);
	if (ret < 0)
		return ret;
	ret = cpuid_set_vcpu(&cpuid, vm->vcpu_fd, 0, 1, why);
	cpuid_forget(&cpuid);
	return ret == 0 ? boot_set_vcpu(vm->vcpu_fd, &start, why) : ret;
}

static void finish(struct small_vm *vm)
{
	if (vm->run != MAP_FAILED)
		munmap(vm->run, vm->run_bytes);
	if (vm->vcpu_fd >= 0)
		close(vm->vcpu_fd);
	if (vm->ram != MAP_FAILED)
		munmap(vm->ram, RAM_BYTES);
	if (vm->fd >= 0)
		close(vm->fd);
}

/* Sets *does to whether the guest came to its end. */
static int run(struct small_vm *vm, bool *does, struct fail *why)
{
	while (ioctl(vm->vcpu_fd, KVM_RUN, 0) < 0)
		if (errno != EINTR)
			return fail(why, errno, "KVM cannot run a vCPU");
	*does = vm->run->exit_reason == KVM_EXIT_IO && vm->run->io.port == PORT_DONE && vm->ram[WRITTEN_GPA] == 1;
	if (*does || (vm->run->exit_reason == KVM_EXIT_INTERNAL_ERROR && vm->run->internal.suberror == KVM_INTERNAL_ERROR_EMULATION))
		return 0;
	return fail(why, 0, "a guest of three instructions ended with KVM exit %u", vm->run->exit_reason);
}

static bool log_has_write(const struct small_vm *vm)
{
	uint64_t bits = 0; /* one for each of the 16 pages */
	struct kvm_dirty_log log = {.dirty_bitmap = &bits};
	return ioctl(vm->fd, KVM_GET_DIRTY_LOG, &log) == 0 && bits & 1ULL << (WRITTEN_GPA >> PAGE_SHIFT);
}

static int try_instruction(const struct vm_system *system, size_t index, struct vm_probe *probe, struct fail *why)
{
	struct small_vm vm = {.vcpu_fd = -1, .ram = MAP_FAILED, .run = MAP_FAILED};
	bool does = false;
	vm.fd = ioctl(system->fd, KVM_CREATE_VM, 0UL);
	int ret = vm.fd < 0 ? fail(why, errno, "cannot create a VM") : 0;
	if (ret == 0)
		ret = add_ram(&vm, why);
	if (ret == 0)
		ret = add_vcpu(&vm, system, why);
	if (ret == 0) {
		write_code(vm.ram + CODE_GPA, index);
		ret = run(&vm, &does, why);
	}
	if (ret == 0) {
		probe->logs_writes = log_has_write(&vm);
		if (!does && !probe->refused)
			probe->refused = instructions[index].name;
	}
	finish(&vm);
	return ret;
}

int vm_probe_run(const struct vm_system *system, struct vm_probe *probe, struct fail *why)
{
	int ret = 0;
	*probe = (struct vm_probe){0};
	for (size_t i = 0; i < N_INSTRUCTIONS && ret == 0; i++)
		ret = try_instruction(system, i, probe, why);
	return ret;
}
