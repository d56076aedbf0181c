#include "kvm/vm.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "kvm/board.h"
#include "kvm/chipset.h"
#include "kvm/cpuid.h"
#include "kvm/discard.h"
#include "kvm/event_queue.h"
#include "kvm/iobus.h"
#include "kvm/write_watch.h"
#include "util/log.h"

struct vm {
	struct host host; /* first: the ops get from it to the VM */
	struct vm_params params;
	int fd;
	struct cpuid_supported cpuid;
	struct iobus pio, mmio;
	struct vcpu_group *vcpus; /* NULL: not started */
	bool paused;
	struct write_watch writes;
	struct timespec held_since;
	struct event_queue events;
	struct host_work events_work;
	atomic_flag death_claimed; /* by the first vCPU that dies */
	atomic_bool somebody_died; /* the next two are valid */
	enum vcpu_death death;
	struct exit_state death_state;
	struct host_work death_work;
};

static struct vm *vm_of(struct host *host)
{
	return (struct vm *)host;
}

/* ---- The host that devices see --------------------------------------- */

static int op_io_map(struct host *host, struct io_region *region)
{
	return iobus_map(region->space == IO_PIO ? &vm_of(host)->pio : &vm_of(host)->mmio, region);
}

static void op_io_unmap(struct host *host, struct io_region *region)
{
	iobus_unmap(region->space == IO_PIO ? &vm_of(host)->pio : &vm_of(host)->mmio, region);
}

static void op_irq_set(struct host *host, uint32_t gsi, bool level)
{
	assert(gsi < BOARD_N_GSI);
	struct kvm_irq_level line = {.irq = gsi, .level = level};
	if (ioctl(vm_of(host)->fd, KVM_IRQ_LINE, &line) < 0)
		log_line(LOG_LEVEL_WARN, NULL, "KVM refuses interrupt line %u: %m", gsi);
}

static int op_msi_send(struct host *host, uint64_t address, uint32_t data)
{
	struct kvm_msi msi = {.address_lo = (uint32_t)address, .address_hi = (uint32_t)(address >> 32), .data = data};
	/* Positive: delivered; 0: the guest blocked it (api.rst, 4.70). */
	return ioctl(vm_of(host)->fd, KVM_SIGNAL_MSI, &msi) < 0 ? -errno : 0;
}

static void op_discard(struct host *host, const struct gmem_range *ranges, size_t n, struct discard_result *result)
{
	discard_ranges(vm_of(host)->params.ram, ranges, n, result);
}

static int op_watch_writes(struct host *host, bool on)
{
	struct vm *vm = vm_of(host);
	if (on)
		return write_watch_start(&vm->writes, vm->fd);
	write_watch_stop(&vm->writes, vm->fd);
	return 0;
}

static void op_hold_vcpus(struct host *host)
{
	struct vm *vm = vm_of(host);
	clock_gettime(CLOCK_MONOTONIC, &vm->held_since);
	if (vm->vcpus && !vm->paused)
		vcpu_group_pause(vm->vcpus);
}

static uint64_t op_release_vcpus(struct host *host)
{
	struct vm *vm = vm_of(host);
	struct timespec now;
	if (vm->vcpus && !vm->paused)
		vcpu_group_resume(vm->vcpus);
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)((now.tv_sec - vm->held_since.tv_sec) * 1000000 + (now.tv_nsec - vm->held_since.tv_nsec) / 1000);
}

static void op_discard_unwritten(struct host *host, const struct gmem_range *ranges, size_t n, struct discard_result *result)
{
	write_watch_discard(&vm_of(host)->writes, vm_of(host)->fd, ranges, n, result);
}

static uint64_t op_now_ms(struct host *host)
{
	(void)host;
	return loop_now_ms();
}

static void op_timer_arm(struct host *host, struct host_timer *timer, uint64_t delay_ms)
{
	loop_timer_arm(vm_of(host)->params.loop, timer, delay_ms);
}

static void op_timer_cancel(struct host *host, struct host_timer *timer)
{
	loop_timer_cancel(vm_of(host)->params.loop, timer);
}

static void op_defer(struct host *host, struct host_work *work)
{
	loop_defer(vm_of(host)->params.loop, work);
}

static int op_watch(struct host *host, struct host_watch *watch, uint32_t events)
{
	return loop_watch(vm_of(host)->params.loop, watch, events);
}

static void op_unwatch(struct host *host, struct host_watch *watch)
{
	loop_unwatch(vm_of(host)->params.loop, watch);
}

static void op_event(struct host *host, const struct host_event *event)
{
	struct vm *vm = vm_of(host);
	if (event_queue_put(&vm->events, event))
		loop_defer(vm->params.loop, &vm->events_work);
}

static const struct host_ops vm_host_ops = {
	.io_map = op_io_map,
	.io_unmap = op_io_unmap,
	.irq_set = op_irq_set,
	.msi_send = op_msi_send,
	.discard = op_discard,
	.watch_writes = op_watch_writes,
	.hold_vcpus = op_hold_vcpus,
	.release_vcpus = op_release_vcpus,
	.discard_unwritten = op_discard_unwritten,
	.now_ms = op_now_ms,
	.timer_arm = op_timer_arm,
	.timer_cancel = op_timer_cancel,
	.defer = op_defer,
	.watch = op_watch,
	.unwatch = op_unwatch,
	.event = op_event,
};

struct host *vm_host(struct vm *vm)
{
	return &vm->host;
}

/* ---- News for the observer ------------------------------------------- */

static void deliver_events(void *opaque)
{
	struct vm *vm = opaque;
	struct queued_event queued;
	while (event_queue_take(&vm->events, &queued)) {
		struct host_event event = {.kind = queued.kind, .device_id = queued.device_id, .value = queued.value};
		vm->params.observer.event(vm->params.observer.opaque, &event);
	}
}

/* On the thread of the vCPU. */
static void note_death(void *opaque, enum vcpu_death how, const struct exit_state *state)
{
	struct vm *vm = opaque;
	if (atomic_flag_test_and_set(&vm->death_claimed))
		return;
	vm->death = how;
	vm->death_state = *state;
	vm->somebody_died = true;
	loop_defer(vm->params.loop, &vm->death_work);
}

/* Reported here and not on the vCPU's thread: what the guest has written to its console so far comes first. */
static void deliver_death(void *opaque)
{
	struct vm *vm = opaque;
	/* A reset may have come first. */
	if (!vm->somebody_died)
		return;
	exit_report_log(&vm->death_state);
	vm->params.observer.died(vm->params.observer.opaque, vm->death);
}

static void note_first_run(void *opaque)
{
	struct vm *vm = opaque;
	vm->params.observer.first_run(vm->params.observer.opaque);
}

/* ---- Life ------------------------------------------------------------ */

int vm_create(struct vm **out, const struct vm_params *params, struct fail *why)
{
	*out = NULL;
	int fd = chipset_create_vm(params->system, &params->ram->gmem, why);
	if (fd < 0)
		return fd;
	struct vm *vm = calloc(1, sizeof *vm);
	if (!vm) {
		close(fd);
		return fail(why, ENOMEM, "cannot create a VM");
	}
	int ret = cpuid_ask(&vm->cpuid, params->system->fd, why);
	if (ret < 0) {
		free(vm);
		close(fd);
		return ret;
	}
	vm->host.ops = &vm_host_ops;
	vm->host.gmem = params->ram->gmem;
	vm->params = *params;
	vm->fd = fd;
	iobus_init(&vm->pio, IO_PIO);
	iobus_init(&vm->mmio, IO_MMIO);
	write_watch_init(&vm->writes, params->ram);
	event_queue_init(&vm->events);
	vm->events_work = (struct host_work){.fn = deliver_events, .opaque = vm};
	vm->death_work = (struct host_work){.fn = deliver_death, .opaque = vm};
	*out = vm;
	return 0;
}

void vm_destroy(struct vm *vm)
{
	if (!vm)
		return;
	vcpu_group_destroy(vm->vcpus);
	close(vm->fd);
	event_queue_finish(&vm->events);
	write_watch_finish(&vm->writes);
	iobus_finish(&vm->mmio);
	iobus_finish(&vm->pio);
	cpuid_forget(&vm->cpuid);
	free(vm);
}

/* Power-on state of all vCPUs. Those after the first wait in KVM for the INIT and SIPI of the guest's kernel. */
static int set_up_vcpus(struct vm *vm, const struct boot_state *boot, struct fail *why)
{
	unsigned n = vm->params.n_vcpus;
	int ret = 0;
	for (unsigned i = 0; i < n && ret == 0; i++) {
		int fd = vcpu_group_fd(vm->vcpus, i);
		ret = cpuid_set_vcpu(&vm->cpuid, fd, i, n, why);
		if (ret == 0)
			ret = boot_set_msrs(fd, why);
	}
	return ret == 0 ? boot_set_vcpu(vcpu_group_fd(vm->vcpus, 0), boot, why) : ret;
}

int vm_start(struct vm *vm, const struct boot_state *boot, struct fail *why)
{
	struct vcpu_env env = {
		.host = &vm->host,
		.pio = &vm->pio,
		.mmio = &vm->mmio,
		.sandbox = vm->params.sandbox,
		.first_run = note_first_run,
		.died = note_death,
		.opaque = vm,
	};
	int ret = vcpu_group_create(&vm->vcpus, vm->params.system, vm->fd, vm->params.n_vcpus, &env, why);
	if (ret == 0)
		ret = set_up_vcpus(vm, boot, why);
	if (ret == 0)
		ret = vcpu_group_start(vm->vcpus, why);
	if (ret == 0 && !vm->paused)
		vcpu_group_resume(vm->vcpus);
	return ret;
}

int vm_reset(struct vm *vm, struct fail *why)
{
	vcpu_group_destroy(vm->vcpus);
	vm->vcpus = NULL;
	write_watch_stop(&vm->writes, -1);
	event_queue_clear(&vm->events);
	vm->somebody_died = false;
	atomic_flag_clear(&vm->death_claimed);
	int fd = chipset_create_vm(vm->params.system, &vm->host.gmem, why);
	if (fd < 0)
		return fd;
	/* In one step, so that no interrupt that a device raises meanwhile meets a closed descriptor. */
	int ret = dup3(fd, vm->fd, O_CLOEXEC) < 0 ? fail(why, errno, "cannot replace the VM") : 0;
	close(fd);
	return ret;
}

void vm_pause(struct vm *vm)
{
	vm->paused = true;
	if (vm->vcpus)
		vcpu_group_pause(vm->vcpus);
}

void vm_resume(struct vm *vm)
{
	vm->paused = false;
	if (vm->vcpus)
		vcpu_group_resume(vm->vcpus);
}

bool vm_is_paused(const struct vm *vm)
{
	return vm->paused;
}

pid_t vm_vcpu_tid(const struct vm *vm, unsigned index)
{
	return vm->vcpus ? vcpu_group_tid(vm->vcpus, index) : 0;
}
