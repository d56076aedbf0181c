#include "kvm/vcpu.h"

#include <assert.h>
#include <errno.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define KICK_SIGNAL SIGUSR1
#define KICK_AGAIN_MS 10

/* A device's discard of a full balloon buffer is the deepest path. Only what is touched costs memory. */
#define STACK_BYTES ((size_t)128 * 1024)

enum wish { WISH_PAUSE, WISH_RUN, WISH_QUIT };

struct vcpu {
	struct vcpu_group *group;
	unsigned index;
	int fd;
	struct kvm_run *run; /* shared with KVM */
	pthread_t thread;
	_Atomic pid_t tid; /* 0: not running yet */
	bool dead;	   /* its own thread's */
};

struct vcpu_group {
	struct vcpu_env env;
	size_t run_bytes;
	pthread_mutex_t lock;
	pthread_cond_t wish_changed;
	pthread_cond_t parked;
	_Atomic enum wish wish; /* written under the lock */
	unsigned n_parked;	/* the lock's */
	unsigned n_threads;
	unsigned n;
	struct vcpu vcpus[];
};

/* ---- Exits ----------------------------------------------------------- */

static void do_io(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	uint8_t *data = (uint8_t *)run + run->io.data_offset;
	/* A string instruction: the same port `count` times, one element after the other. */
	for (uint32_t i = 0; i < run->io.count; i++, data += run->io.size) {
		if (run->io.direction == KVM_EXIT_IO_IN)
			iobus_read(vcpu->group->env.pio, run->io.port, data, run->io.size);
		else
			iobus_write(vcpu->group->env.pio, run->io.port, data, run->io.size);
	}
}

static void do_mmio(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	if (run->mmio.is_write)
		iobus_write(vcpu->group->env.mmio, run->mmio.phys_addr, run->mmio.data, run->mmio.len);
	else
		iobus_read(vcpu->group->env.mmio, run->mmio.phys_addr, run->mmio.data, run->mmio.len);
}

static void die(struct vcpu *vcpu, int run_error, enum vcpu_death how)
{
	struct exit_state state;
	struct vcpu_env *env = &vcpu->group->env;
	exit_report_read(&state, vcpu->index, vcpu->fd, vcpu->run, run_error, &env->host->gmem);
	vcpu->dead = true;
	env->died(env->opaque, how, &state);
}

static void do_system_event(struct vcpu *vcpu)
{
	static const enum host_event_kind kinds[] = {
		[KVM_SYSTEM_EVENT_SHUTDOWN] = HOST_EVENT_POWEROFF,
		[KVM_SYSTEM_EVENT_RESET] = HOST_EVENT_RESET,
		[KVM_SYSTEM_EVENT_CRASH] = HOST_EVENT_PANIC,
	};
	struct host *host = vcpu->group->env.host;
	uint32_t type = vcpu->run->system_event.type;
	if (type < KVM_SYSTEM_EVENT_SHUTDOWN || type > KVM_SYSTEM_EVENT_CRASH) {
		die(vcpu, 0, VCPU_FAILED);
		return;
	}
	struct host_event event = {.kind = kinds[type], .device_id = "kvm"};
	host->ops->event(host, &event);
}

static void handle_exit(struct vcpu *vcpu)
{
	switch (vcpu->run->exit_reason) {
	case KVM_EXIT_IO:
		do_io(vcpu);
		break;
	case KVM_EXIT_MMIO:
		do_mmio(vcpu);
		break;
	case KVM_EXIT_INTR:
		break;
	case KVM_EXIT_SYSTEM_EVENT:
		do_system_event(vcpu);
		break;
	case KVM_EXIT_SHUTDOWN:
		die(vcpu, 0, VCPU_TRIPLE_FAULTED);
		break;
	default:
		die(vcpu, 0, VCPU_FAILED);
	}
}

/* Enters the guest and serves the exit that ends it. */
static void run_once(struct vcpu *vcpu)
{
	if (ioctl(vcpu->fd, KVM_RUN, 0) == 0) {
		handle_exit(vcpu);
		return;
	}
	int error = errno;
	/* EAGAIN: a vCPU that waited for its SIPI got it. */
	if (error == EINTR || error == EAGAIN)
		__atomic_store_n(&vcpu->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
	else
		die(vcpu, error, VCPU_FAILED);
}

/* ---- Threads --------------------------------------------------------- */

/* Waits until this vCPU may run. Returns false when its thread is to end. */
static bool park(struct vcpu *vcpu)
{
	struct vcpu_group *group = vcpu->group;
	pthread_mutex_lock(&group->lock);
	group->n_parked++;
	pthread_cond_signal(&group->parked);
	while (group->wish == WISH_PAUSE || (group->wish == WISH_RUN && vcpu->dead))
		pthread_cond_wait(&group->wish_changed, &group->lock);
	bool run = group->wish == WISH_RUN;
	if (run)
		group->n_parked--;
	pthread_mutex_unlock(&group->lock);
	return run;
}

/* A thread that is not locked up runs no guest. */
static void enter_sandbox(struct vcpu *vcpu)
{
	struct fail why;
	if (sandbox_enter(vcpu->group->env.sandbox, THREAD_VCPU, &why) == 0)
		return;
	fail_log(&why);
	die(vcpu, 0, VCPU_FAILED);
}

static void *vcpu_main(void *arg)
{
	struct vcpu *vcpu = arg;
	struct vcpu_group *group = vcpu->group;
	vcpu->tid = gettid();
	char name[16];
	snprintf(name, sizeof name, "vcpu%u", vcpu->index);
	pthread_setname_np(pthread_self(), name);

	/* A parent may have left it blocked, and masks are inherited. */
	sigset_t kick;
	sigemptyset(&kick);
	sigaddset(&kick, KICK_SIGNAL);
	pthread_sigmask(SIG_UNBLOCK, &kick, NULL);

	enter_sandbox(vcpu);
	bool go_on = park(vcpu);
	if (go_on && vcpu->index == 0)
		group->env.first_run(group->env.opaque);
	while (go_on) {
		run_once(vcpu);
		if (vcpu->dead || group->wish != WISH_RUN)
			go_on = park(vcpu);
	}
	return NULL;
}

/* Its only effect is that it interrupts. */
static void on_kick(int signo)
{
	(void)signo;
}

static void kick_all(struct vcpu_group *group)
{
	for (unsigned i = 0; i < group->n_threads; i++) {
		__atomic_store_n(&group->vcpus[i].run->immediate_exit, 1, __ATOMIC_SEQ_CST);
		pthread_kill(group->vcpus[i].thread, KICK_SIGNAL);
	}
}

/* Under the lock: kicks until every thread has parked. */
static void wait_until_parked(struct vcpu_group *group)
{
	while (group->n_parked < group->n_threads) {
		kick_all(group);
		struct timespec deadline;
		clock_gettime(CLOCK_MONOTONIC, &deadline);
		deadline.tv_nsec += KICK_AGAIN_MS * 1000000L;
		deadline.tv_sec += deadline.tv_nsec / 1000000000L;
		deadline.tv_nsec %= 1000000000L;
		int ret = 0;
		while (group->n_parked < group->n_threads && ret != ETIMEDOUT)
			ret = pthread_cond_timedwait(&group->parked, &group->lock, &deadline);
	}
}

void vcpu_group_pause(struct vcpu_group *group)
{
	pthread_mutex_lock(&group->lock);
	group->wish = WISH_PAUSE;
	wait_until_parked(group);
	pthread_mutex_unlock(&group->lock);
}

void vcpu_group_resume(struct vcpu_group *group)
{
	pthread_mutex_lock(&group->lock);
	if (group->wish == WISH_PAUSE) {
		/* Refused with EINVAL while the guest's kernel has no kvmclock: nothing to tell it then (api.rst, 4.65). */
		for (unsigned i = 0; i < group->n; i++)
			ioctl(group->vcpus[i].fd, KVM_KVMCLOCK_CTRL, 0);
		group->wish = WISH_RUN;
		pthread_cond_broadcast(&group->wish_changed);
	}
	pthread_mutex_unlock(&group->lock);
}

static int start_thread(struct vcpu *vcpu, const pthread_attr_t *attr)
{
	int error = pthread_create(&vcpu->thread, attr, vcpu_main, vcpu);
	if (!error)
		vcpu->group->n_threads++;
	return error;
}

int vcpu_group_start(struct vcpu_group *group, struct fail *why)
{
	/* SA_RESTART spares the system calls of device callbacks; KVM_RUN ends with EINTR nonetheless. */
	struct sigaction action = {.sa_handler = on_kick, .sa_flags = SA_RESTART};
	sigaction(KICK_SIGNAL, &action, NULL);

	pthread_attr_t attr;
	pthread_attr_init(&attr);
	/* The minimum grows with the processor's register state, which a signal saves on the stack. */
	long min_bytes = sysconf(_SC_THREAD_STACK_MIN);
	pthread_attr_setstacksize(&attr, STACK_BYTES + (min_bytes > 0 ? (size_t)min_bytes : 0));
	int error = 0;
	for (unsigned i = 0; i < group->n && !error; i++)
		error = start_thread(&group->vcpus[i], &attr);
	pthread_attr_destroy(&attr);
	return error ? fail(why, error, "cannot start a thread for each of %u vCPUs", group->n) : 0;
}

/* ---- Life ------------------------------------------------------------ */

static int create_vcpu(struct vcpu *vcpu, int vm_fd, struct fail *why)
{
	vcpu->fd = ioctl(vm_fd, KVM_CREATE_VCPU, (unsigned long)vcpu->index);
	if (vcpu->fd < 0)
		return fail(why, errno, "cannot create vCPU %u", vcpu->index);
	void *run = mmap(NULL, vcpu->group->run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);
	if (run == MAP_FAILED)
		return fail(why, errno, "cannot map the shared area of vCPU %u", vcpu->index);
	vcpu->run = run;
	return 0;
}

int vcpu_group_create(struct vcpu_group **out, const struct vm_system *system, int vm_fd, unsigned n, const struct vcpu_env *env, struct fail *why)
{
	*out = NULL;
	assert(n >= 1);
	if (n > system->max_vcpus)
		return fail(why, 0, "this host's KVM runs at most %u vCPUs in one VM: lower cpus.boot_vcpus", system->max_vcpus);
	struct vcpu_group *group = calloc(1, sizeof *group + n * sizeof group->vcpus[0]);
	if (!group)
		return fail(why, ENOMEM, "cannot create %u vCPUs", n);
	group->env = *env;
	group->run_bytes = system->run_bytes;
	group->n = n;
	pthread_mutex_init(&group->lock, NULL);
	pthread_cond_init(&group->wish_changed, NULL);
	pthread_condattr_t attr;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&group->parked, &attr);
	pthread_condattr_destroy(&attr);
	for (unsigned i = 0; i < n; i++)
		group->vcpus[i] = (struct vcpu){.group = group, .index = i, .fd = -1};
	int ret = 0;
	for (unsigned i = 0; i < n && ret == 0; i++)
		ret = create_vcpu(&group->vcpus[i], vm_fd, why);
	if (ret < 0) {
		vcpu_group_destroy(group);
		return ret;
	}
	*out = group;
	return 0;
}

static void destroy_vcpu(struct vcpu *vcpu)
{
	if (vcpu->run)
		munmap(vcpu->run, vcpu->group->run_bytes);
	if (vcpu->fd >= 0)
		close(vcpu->fd);
}

void vcpu_group_destroy(struct vcpu_group *group)
{
	if (!group)
		return;
	pthread_mutex_lock(&group->lock);
	group->wish = WISH_QUIT;
	wait_until_parked(group);
	pthread_cond_broadcast(&group->wish_changed);
	pthread_mutex_unlock(&group->lock);
	for (unsigned i = 0; i < group->n_threads; i++)
		pthread_join(group->vcpus[i].thread, NULL);
	for (unsigned i = 0; i < group->n; i++)
		destroy_vcpu(&group->vcpus[i]);
	pthread_cond_destroy(&group->parked);
	pthread_cond_destroy(&group->wish_changed);
	pthread_mutex_destroy(&group->lock);
	free(group);
}

int vcpu_group_fd(const struct vcpu_group *group, unsigned index)
{
	return group->vcpus[index].fd;
}

pid_t vcpu_group_tid(const struct vcpu_group *group, unsigned index)
{
	return index < group->n ? group->vcpus[index].tid : 0;
}
