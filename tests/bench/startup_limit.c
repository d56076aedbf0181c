/*
 * The least that a program can do to run a virtual CPU: opens /dev/kvm, makes
 * a VM with interrupt controllers, one page of memory and one vCPU, and runs
 * it. What startup and footprint measure themselves against.
 *
 *   startup_limit [hold]
 *
 * Prints the microseconds from exec to the first KVM_RUN. With "hold" it waits
 * to be killed afterwards, so that its memory can be looked at.
 */
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096
#define GUEST_CODE 0x1000

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;
	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static int fail(const char *what)
{
	perror(what);
	return 1;
}

/* The vCPU starts in real mode at GUEST_CODE. */
static int aim_vcpu(int vcpu)
{
	struct kvm_sregs sregs;
	struct kvm_regs regs = {.rip = GUEST_CODE, .rflags = 2};
	if (ioctl(vcpu, KVM_GET_SREGS, &sregs) < 0)
		return -1;
	sregs.cs.base = 0;
	sregs.cs.selector = 0;
	if (ioctl(vcpu, KVM_SET_SREGS, &sregs) < 0)
		return -1;
	return ioctl(vcpu, KVM_SET_REGS, &regs);
}

int main(int argc, char **argv)
{
	/* Before main() there was one thread, loading this program: its processor time is what has passed since exec. */
	uint64_t exec_ns = clock_ns(CLOCK_MONOTONIC) - clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	int vm = kvm < 0 ? -1 : ioctl(kvm, KVM_CREATE_VM, 0);
	if (vm < 0)
		return fail("/dev/kvm");
	uint8_t *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED)
		return fail("mmap");
	memcpy(page, (const uint8_t[]){0xE6, 0x80, 0xF4}, 3); /* out %al, $0x80; hlt */
	struct kvm_userspace_memory_region region = {.guest_phys_addr = GUEST_CODE, .memory_size = PAGE, .userspace_addr = (uintptr_t)page};
	if (ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region) < 0)
		return fail("KVM_SET_USER_MEMORY_REGION");
	/* Where Intel's KVM keeps what it needs for real mode; elsewhere they do nothing. */
	uint64_t identity_map = 0xFFFBC000;
	if (ioctl(vm, KVM_SET_IDENTITY_MAP_ADDR, &identity_map) < 0 || ioctl(vm, KVM_SET_TSS_ADDR, 0xFFFBD000UL) < 0)
		return fail("KVM_SET_TSS_ADDR");
	if (ioctl(vm, KVM_CREATE_IRQCHIP, 0) < 0)
		return fail("KVM_CREATE_IRQCHIP");
	int vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	int run_len = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	struct kvm_run *run = vcpu < 0 || run_len < 0 ? MAP_FAILED : mmap(NULL, (size_t)run_len, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
	if (run == MAP_FAILED || aim_vcpu(vcpu) < 0)
		return fail("KVM_CREATE_VCPU");
	uint64_t start_us = (clock_ns(CLOCK_MONOTONIC) - exec_ns) / 1000;
	if (ioctl(vcpu, KVM_RUN, 0) < 0)
		return fail("KVM_RUN");
	printf("%llu\n", (unsigned long long)start_us);
	fflush(stdout);
	if (argc > 1 && strcmp(argv[1], "hold") == 0)
		pause();
	return run->exit_reason == KVM_EXIT_IO ? 0 : 1;
}
