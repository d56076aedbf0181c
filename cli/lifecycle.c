#include "cli/lifecycle.h"

#include <signal.h>
#include <string.h>
#include <time.h>

#include "cli/notify.h"
#include "device/acpi_pm.h"
#include "util/log.h"

/* ---- The end --------------------------------------------------------- */

static void note(struct lifecycle *life, enum qmp_note what, enum qmp_cause cause)
{
	if (life->qmp)
		qmp_server_note(life->qmp, what, cause);
}

/* The first end counts. */
static void end(struct lifecycle *life, enum command_status status, enum qmp_cause cause)
{
	if (life->ended)
		return;
	life->ended = true;
	life->status = status;
	notify_send(&life->notify_fd, "STOPPING=1\nSTATUS=The guest has ended");
	note(life, QMP_NOTE_SHUTDOWN, cause);
	loop_end(life->loop);
}

static void end_after_panic(void *opaque)
{
	end(opaque, COMMAND_PANICKED, QMP_CAUSE_GUEST_PANIC);
}

static void press_power_button(struct lifecycle *life)
{
	acpi_pm_press_power_button(life->devices->power);
	note(life, QMP_NOTE_POWERDOWN, QMP_CAUSE_CLIENT);
}

void lifecycle_signal(void *opaque, int signo)
{
	struct lifecycle *life = opaque;
	const char *name = sigabbrev_np(signo);
	if (signo == SIGHUP) {
		log_line(LOG_LEVEL_INFO, NULL, "SIGHUP: the VM goes on; 'vmm-balloon stop' ends it, as does SIGTERM");
		return;
	}
	if (life->button_pressed) {
		log_line(LOG_LEVEL_WARN, NULL, "another SIG%s: the VM ends without the guest", name);
		end(life, COMMAND_OK, QMP_CAUSE_SIGNAL);
		return;
	}
	life->button_pressed = true;
	log_line(LOG_LEVEL_INFO, NULL, "SIG%s: pressed the guest's power button; another one ends the VM", name);
	press_power_button(life);
}

void lifecycle_quit_key(void *opaque)
{
	log_line(LOG_LEVEL_INFO, NULL, "Ctrl-A x: the VM ends without the guest");
	end(opaque, COMMAND_OK, QMP_CAUSE_HOST_UI);
}

/* ---- Boot and reset -------------------------------------------------- */

int lifecycle_load(const struct lifecycle *life, struct boot_state *start, struct fail *why)
{
	uint64_t rsdp_gpa;
	int ret = acpi_build(&life->acpi, life->ram, &rsdp_gpa, why);
	return ret == 0 ? boot_load(life->payload, life->ram, rsdp_gpa, start, why) : ret;
}

static int reset(struct lifecycle *life, struct fail *why)
{
	int ret = vm_reset(life->vm, why);
	if (ret < 0)
		return ret;
	device_set_reset(life->devices);
	ret = ram_discard_all(life->ram);
	if (ret < 0)
		log_line(LOG_LEVEL_WARN, NULL, "reset: not all guest memory could be given back to the host: %s", strerror(-ret));
	struct boot_state start;
	ret = lifecycle_load(life, &start, why);
	return ret == 0 ? vm_start(life->vm, &start, why) : ret;
}

static void do_reset(void *opaque)
{
	struct lifecycle *life = opaque;
	if (life->ended)
		return;
	if (life->panicked) {
		end_after_panic(life);
		return;
	}
	log_line(LOG_LEVEL_DEBUG, NULL, "resetting the VM");
	struct fail why;
	if (reset(life, &why) < 0) {
		fail_log(&why);
		end(life, COMMAND_FAILED, QMP_CAUSE_HOST_ERROR);
		return;
	}
	life->button_pressed = false;
	note(life, QMP_NOTE_RESET, life->reset_cause);
}

static void ask_reset(struct lifecycle *life, enum qmp_cause cause)
{
	life->reset_cause = cause;
	loop_defer(life->loop, &life->reset_work);
}

/* ---- News from the VM ------------------------------------------------ */

static void note_panic(struct lifecycle *life)
{
	if (life->panicked)
		return;
	life->panicked = true;
	log_line(LOG_LEVEL_ERROR, NULL, "the guest panicked");
	loop_timer_arm(life->loop, &life->panic_timer, LIFECYCLE_PANIC_GRACE_MS);
}

void lifecycle_event(void *opaque, const struct host_event *event)
{
	struct lifecycle *life = opaque;
	if (life->ended)
		return;
	switch (event->kind) {
	case HOST_EVENT_POWEROFF:
		end(life, life->panicked ? COMMAND_PANICKED : COMMAND_OK, life->panicked ? QMP_CAUSE_GUEST_PANIC : QMP_CAUSE_GUEST);
		break;
	case HOST_EVENT_RESET:
		ask_reset(life, QMP_CAUSE_GUEST);
		break;
	case HOST_EVENT_PANIC:
		note_panic(life);
		break;
	case HOST_EVENT_CRASH_LOADED:
		log_line(LOG_LEVEL_WARN, NULL, "the guest panicked; its crash kernel takes over");
		break;
	default:
		break;
	}
	if (life->qmp)
		qmp_server_event(life->qmp, event);
}

void lifecycle_died(void *opaque, enum vcpu_death how)
{
	struct lifecycle *life = opaque;
	if (how == VCPU_TRIPLE_FAULTED)
		end(life, COMMAND_PANICKED, QMP_CAUSE_GUEST_PANIC);
	else
		end(life, COMMAND_FAILED, QMP_CAUSE_HOST_ERROR);
}

/* Not on the vCPU's thread, whose sandbox knows no sockets. */
static void tell_ready(void *opaque)
{
	struct lifecycle *life = opaque;
	notify_send(&life->notify_fd, "READY=1\nSTATUS=The guest runs");
}

void lifecycle_first_run(void *opaque)
{
	struct lifecycle *life = opaque;
	/* Later ones follow resets. */
	if (!life->exec_ns)
		return;
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	uint64_t now_ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
	loop_defer(life->loop, &life->ready_work);
	log_line(LOG_LEVEL_DEBUG, NULL, "first KVM_RUN %llu us after exec", (unsigned long long)(now_ns - life->exec_ns) / 1000);
	life->exec_ns = 0;
}

/* ---- Wishes of a client ---------------------------------------------- */

static enum machine_status op_status(void *opaque)
{
	struct lifecycle *life = opaque;
	if (life->ended)
		return MACHINE_SHUTDOWN;
	if (life->panicked)
		return MACHINE_PANICKED;
	return vm_is_paused(life->vm) ? MACHINE_PAUSED : MACHINE_RUNNING;
}

static int op_pause(void *opaque)
{
	struct lifecycle *life = opaque;
	vm_pause(life->vm);
	return 0;
}

static int op_resume(void *opaque)
{
	struct lifecycle *life = opaque;
	vm_resume(life->vm);
	return 0;
}

static int op_reset(void *opaque)
{
	ask_reset(opaque, QMP_CAUSE_CLIENT);
	return 0;
}

static int op_power_button(void *opaque)
{
	press_power_button(opaque);
	return 0;
}

static void op_quit(void *opaque)
{
	end(opaque, COMMAND_OK, QMP_CAUSE_CLIENT);
}

static int op_ram_rss_bytes(void *opaque, uint64_t *bytes)
{
	struct lifecycle *life = opaque;
	return ram_rss_bytes(life->ram, bytes);
}

static pid_t op_vcpu_tid(void *opaque, unsigned index)
{
	struct lifecycle *life = opaque;
	return vm_vcpu_tid(life->vm, index);
}

const struct machine_ops lifecycle_machine_ops = {
	.status = op_status,
	.pause = op_pause,
	.resume = op_resume,
	.reset = op_reset,
	.power_button = op_power_button,
	.quit = op_quit,
	.ram_rss_bytes = op_ram_rss_bytes,
	.vcpu_tid = op_vcpu_tid,
};

void lifecycle_init(struct lifecycle *life)
{
	life->status = COMMAND_FAILED;
	life->ready_work = (struct host_work){.fn = tell_ready, .opaque = life};
	life->reset_work = (struct host_work){.fn = do_reset, .opaque = life};
	life->panic_timer = (struct host_timer){.fn = end_after_panic, .opaque = life};
}
