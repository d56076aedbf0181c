#include "tests/unit/fakekvm.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MAX_FILES 16
#define RUN_BYTES 12288

/* The first stands for /dev/kvm and VMs, each other one for a vCPU. Told apart by what does not come again when they are closed, as numbers do. */
struct file {
	ino_t inode;
	struct kvm_run *run;
};

static struct {
	int fd;
	struct file files[MAX_FILES];
	size_t n_files;
	const struct fakekvm_step *steps;
	size_t n_steps;
	unsigned n_runs;
	unsigned long refused;
	int error;
	struct kvm_msi msi;
} fake = {.fd = -1};

static int add_file(void)
{
	struct stat st;
	struct file *file = &fake.files[fake.n_files++];
	int fd = memfd_create("fakekvm", MFD_CLOEXEC);
	CU_ASSERT_FATAL(fd >= 0 && fake.n_files <= MAX_FILES);
	CU_ASSERT_EQUAL_FATAL(ftruncate(fd, RUN_BYTES), 0);
	CU_ASSERT_EQUAL_FATAL(fstat(fd, &st), 0);
	file->inode = st.st_ino;
	file->run = mmap(NULL, RUN_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CU_ASSERT_PTR_NOT_EQUAL_FATAL(file->run, MAP_FAILED);
	return fd;
}

struct vm_system fakekvm_create(const struct fakekvm_step *steps, size_t n)
{
	fake.steps = steps;
	fake.n_steps = n;
	fake.n_runs = 0;
	fake.refused = 0;
	fake.fd = add_file();
	return (struct vm_system){.fd = fake.fd, .run_bytes = RUN_BYTES, .max_vcpus = 2, .max_slots = 32};
}

void fakekvm_destroy(void)
{
	while (fake.n_files)
		munmap(fake.files[--fake.n_files].run, RUN_BYTES);
	close(fake.fd);
	fake.fd = -1;
}

void fakekvm_refuse(unsigned long request, int error)
{
	fake.refused = request;
	fake.error = error;
}

/* The next descriptor has the same number, if none is left open. */
void fakekvm_check_refusals(const struct fakekvm_refusal *refusals, size_t n, int (*fn)(const struct vm_system *system, struct fail *why))
{
	const struct vm_system system = fakekvm_create(NULL, 0);
	int next = dup(system.fd);
	close(next);
	for (size_t i = 0; i < n; i++) {
		struct fail why = {0};
		fakekvm_refuse(refusals[i].request, refusals[i].error);
		CU_ASSERT_EQUAL(fn(&system, &why), -refusals[i].error);
		CU_ASSERT_EQUAL(why.error, refusals[i].error);
		CU_ASSERT_STRING_EQUAL(why.text, refusals[i].text);
	}
	CU_ASSERT_EQUAL(dup(system.fd), next);
	close(next);
	fakekvm_destroy();
}

unsigned fakekvm_n_runs(void)
{
	return __atomic_load_n(&fake.n_runs, __ATOMIC_ACQUIRE);
}

struct kvm_msi fakekvm_last_msi(void)
{
	return fake.msi;
}

static const struct file *find(int fd)
{
	struct stat st;
	if (!fake.n_files || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return NULL;
	for (size_t i = 0; i < fake.n_files; i++)
		if (fake.files[i].inode == st.st_ino)
			return &fake.files[i];
	return NULL;
}

static int failed(int error)
{
	errno = error;
	return -1;
}

static int run(struct kvm_run *run)
{
	unsigned nth = __atomic_fetch_add(&fake.n_runs, 1, __ATOMIC_ACQ_REL);
	if (nth < fake.n_steps) {
		const struct fakekvm_step *step = &fake.steps[nth];
		if (step->fn)
			step->fn(run);
		return step->error ? failed(step->error) : 0;
	}
	while (!__atomic_load_n(&run->immediate_exit, __ATOMIC_SEQ_CST))
		usleep(1000);
	return failed(EINTR);
}

static int answer(const struct file *file, unsigned long request, void *argument)
{
	if (request == fake.refused)
		return failed(fake.error);
	switch (request) {
	case KVM_CREATE_VM:
		return dup(fake.fd);
	case KVM_CREATE_VCPU:
		return add_file();
	case KVM_RUN:
		return run(file->run);
	case KVM_GET_MSRS:
	case KVM_SET_MSRS:
		return (int)((struct kvm_msrs *)argument)->nmsrs;
	case KVM_SIGNAL_MSI:
		fake.msi = *(struct kvm_msi *)argument;
		return 1;
	default:
		return 0;
	}
}

int ioctl(int fd, unsigned long request, ...)
{
	va_list list;
	va_start(list, request);
	void *argument = va_arg(list, void *);
	va_end(list);
	const struct file *file = find(fd);
	return file ? answer(file, request, argument) : (int)syscall(SYS_ioctl, fd, request, argument);
}
