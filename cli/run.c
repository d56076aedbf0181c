#include "cli/run.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/builtin_guest.h"
#include "cli/command.h"
#include "cli/device_set.h"
#include "cli/lifecycle.h"
#include "cli/notify.h"
#include "cli/terminal.h"
#include "cli/vm_options.h"
#include "control/qmp_server.h"
#include "control/runtime_dir.h"
#include "kvm/boot.h"
#include "kvm/jail.h"
#include "kvm/loop.h"
#include "kvm/memory.h"
#include "kvm/sandbox.h"
#include "kvm/system.h"
#include "kvm/vm.h"
#include "util/fail.h"
#include "util/log.h"

/*
 * The payload on its way into guest RAM. Copying a kernel takes as long as all
 * of the rest, most of which waits for the host's kernel: they run side by side.
 */
struct loading {
	pthread_t thread;
	bool started;
	int ret;
	struct fail why;
	struct boot_state start;
};

/* A VM with all of its parts, in the order in which they are set up. */
struct run {
	const struct vm_config *config;
	struct vm_system system;
	struct boot_source payload;
	int serial_file; /* -1: none */
	struct sandbox sandbox;
	struct runtime_dir runtime;
	struct loop loop;
	struct guest_ram ram;
	struct loading loading;
	struct vm *vm;
	struct terminal terminal;
	struct device_set devices;
	struct lifecycle life;
	struct machine machine;
	struct qmp_server *qmp;
};

/*
 * CLOCK_MONOTONIC at exec. The kernel tells the start of a process to 10 ms
 * only (proc(5), starttime). What ran before main() was one thread that loaded
 * this program, so its processor time, which is exact, is what has passed.
 */
static uint64_t exec_time_ns(void)
{
	struct timespec now, used;
	clock_gettime(CLOCK_MONOTONIC, &now);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	return (uint64_t)(now.tv_sec - used.tv_sec) * 1000000000 + (uint64_t)now.tv_nsec - (uint64_t)used.tv_nsec;
}

/* ---- Parts ----------------------------------------------------------- */

static int open_payload(struct run *run, struct fail *why)
{
	if (!run->config->payload.kernel)
		log_line(LOG_LEVEL_INFO, NULL,
			 "no kernel given: starting the built-in guest, which tries the balloon and powers off (--kernel FILE boots yours)");
	size_t builtin_len = (uintptr_t)builtin_guest_end - (uintptr_t)builtin_guest_start;
	return boot_open(&run->payload, &run->config->payload, builtin_guest_start, builtin_len, why);
}

/* Those that somebody upstream ignores (nohup, a shell's background job) stay ignored. */
static sigset_t wanted_signals(void)
{
	static const int signals[] = {SIGTERM, SIGINT, SIGHUP};
	sigset_t set;
	sigemptyset(&set);
	for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
		struct sigaction action;
		if (sigaction(signals[i], NULL, &action) == 0 && action.sa_handler != SIG_IGN)
			sigaddset(&set, signals[i]);
	}
	return set;
}

/* Before any thread is there, since threads inherit the mask. */
static int catch_signals(struct run *run, struct fail *why)
{
	sigset_t set = wanted_signals();
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	return loop_catch_signals(&run->loop, &set, lifecycle_signal, &run->life, why);
}

static void *load_payload(void *opaque)
{
	struct run *run = opaque;
	struct loading *loading = &run->loading;
	loading->ret = sandbox_enter(&run->sandbox, THREAD_LOADER, &loading->why);
	if (loading->ret == 0)
		loading->ret = lifecycle_load(&run->life, &loading->start, &loading->why);
	return NULL;
}

static int start_loading(struct run *run, struct fail *why)
{
	int error = pthread_create(&run->loading.thread, NULL, load_payload, run);
	run->loading.started = error == 0;
	return error ? fail(why, error, "cannot start a thread that loads the kernel; see ulimit -u and ulimit -d") : 0;
}

static int wait_for_loading(struct run *run, struct fail *why)
{
	if (run->loading.started)
		pthread_join(run->loading.thread, NULL);
	run->loading.started = false;
	if (run->loading.ret < 0)
		*why = run->loading.why;
	return run->loading.ret;
}

static int create_vm(struct run *run, struct fail *why)
{
	struct vm_params params = {
		.system = &run->system,
		.ram = &run->ram,
		.loop = &run->loop,
		.sandbox = &run->sandbox,
		.n_vcpus = (unsigned)run->config->cpus.boot_vcpus,
		.observer = {.event = lifecycle_event, .died = lifecycle_died, .first_run = lifecycle_first_run, .opaque = &run->life},
	};
	return vm_create(&run->vm, &params, why);
}

static int open_serial_file(struct run *run, struct fail *why)
{
	const char *path = run->config->serial.file;
	if (run->config->serial.mode != SERIAL_FILE)
		return 0;
	run->serial_file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0666);
	if (run->serial_file < 0)
		return fail(why, errno, "cannot open %s for the serial console", path);
	return 0;
}

static int open_serial_tty(struct run *run, struct serial_config_board *serial, struct fail *why)
{
	int ret = terminal_open(&run->terminal, lifecycle_quit_key, &run->life, why);
	if (ret < 0)
		return ret;
	serial->fd_in = run->terminal.fd_in;
	serial->fd_out = run->terminal.fd_out;
	serial->filter = run->terminal.raw ? terminal_input : NULL;
	serial->filter_opaque = &run->terminal;
	return 0;
}

static int create_devices(struct run *run, struct fail *why)
{
	struct serial_config_board serial = {.fd_in = -1, .fd_out = run->serial_file};
	unsigned mode = run->config->serial.mode;
	int ret = mode == SERIAL_TTY ? open_serial_tty(run, &serial, why) : 0;
	if (ret < 0)
		return ret;
	return device_set_create(&run->devices, vm_host(run->vm), run->config, mode == SERIAL_OFF ? NULL : &serial, why);
}

static int serve_qmp(struct run *run, struct fail *why)
{
	run->machine = (struct machine){
		.ops = &lifecycle_machine_ops,
		.opaque = &run->life,
		.name = run->config->name,
		.ram_bytes = run->config->memory.size,
		.n_vcpus = (unsigned)run->config->cpus.boot_vcpus,
		.balloon = run->devices.balloon,
		.balloon_is_named = run->devices.balloon_is_named,
	};
	int ret = runtime_dir_listen(&run->runtime, run->config->qmp, why);
	if (ret < 0)
		return ret;
	if (run->config->user) /* root's own list does not have it */
		log_line(LOG_LEVEL_INFO, NULL, "user %s runs this VM and has it in its list; root reaches it by --qmp %s", run->config->user,
			 run->runtime.socket_path);
	ret = qmp_server_create(vm_host(run->vm), &run->machine, run->runtime.listen_fd, &run->qmp);
	return ret < 0 ? fail(why, -ret, "cannot serve QMP on %s", run->runtime.socket_path) : 0;
}

static int prepare_sandbox(struct run *run, struct fail *why)
{
	if (!run->config->sandbox) {
		log_line(LOG_LEVEL_WARN, NULL, "sandbox: off; a guest that breaks out can do what this user can");
		return 0;
	}
	return sandbox_prepare(&run->sandbox, terminal_give_back, why);
}

/* From here on nothing can be opened. The socket and the VM's name are given back at the end. */
static int close_sandbox(struct run *run, struct fail *why)
{
	char socket_path[RUNTIME_PATH_MAX];
	memcpy(socket_path, run->runtime.socket_path, sizeof socket_path);
	run->sandbox.folders[run->sandbox.n_folders++] = run->runtime.dir;
	run->sandbox.folders[run->sandbox.n_folders++] = dirname(socket_path);
	return sandbox_enter(&run->sandbox, THREAD_LOOP, why);
}

static int boot(struct run *run, struct fail *why)
{
	run->life.vm = run->vm;
	run->life.qmp = run->qmp;
	return vm_start(run->vm, &run->loading.start, why);
}

/* ---- The boot script ------------------------------------------------- */

static int set_up(struct run *run, struct fail *why)
{
	int ret = open_payload(run, why);
	if (ret == 0)
		ret = vm_system_open(&run->system, why);
	if (ret == 0)
		ret = open_serial_file(run, why);
	if (ret == 0)
		ret = jail_enter(run->config->user, run->config->group, why);
	if (ret == 0)
		ret = prepare_sandbox(run, why);
	if (ret == 0)
		ret = runtime_dir_claim(&run->runtime, run->config->name, why);
	if (ret == 0)
		ret = loop_init(&run->loop, why);
	if (ret == 0)
		ret = catch_signals(run, why);
	if (ret == 0)
		ret = ram_init(&run->ram, &run->config->memory, why);
	if (ret == 0)
		ret = sandbox_build(&run->sandbox, why);
	if (ret == 0)
		ret = start_loading(run, why);
	if (ret == 0)
		ret = create_vm(run, why);
	if (ret == 0)
		ret = create_devices(run, why);
	if (ret == 0)
		ret = serve_qmp(run, why);
	if (ret == 0)
		ret = wait_for_loading(run, why);
	if (ret == 0)
		ret = close_sandbox(run, why);
	if (ret == 0)
		ret = boot(run, why);
	return ret;
}

/* Whatever set_up() got to. */
static void tear_down(struct run *run)
{
	struct fail why;
	wait_for_loading(run, &why);
	if (run->vm)
		vm_pause(run->vm);
	qmp_server_destroy(run->qmp);
	device_set_finish(&run->devices);
	terminal_close(&run->terminal);
	vm_destroy(run->vm);
	ram_finish(&run->ram);
	loop_finish(&run->loop);
	runtime_dir_release(&run->runtime);
	sandbox_finish(&run->sandbox);
	if (run->serial_file >= 0)
		close(run->serial_file);
	vm_system_close(&run->system);
	boot_close(&run->payload);
}

static enum command_status run_vm(const struct vm_config *config, uint64_t exec_ns)
{
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* a limit on files is an error to report, of a memfd too */
	struct run run = {.config = config, .system.fd = -1, .serial_file = -1};
	run.life = (struct lifecycle){
		.loop = &run.loop,
		.ram = &run.ram,
		.devices = &run.devices,
		.payload = &run.payload,
		.acpi = {.n_vcpus = (unsigned)config->cpus.boot_vcpus, .pvpanic = config->pvpanic, .serial = config->serial.mode != SERIAL_OFF},
		.notify_fd = notify_open(),
		.exec_ns = exec_ns,
	};
	lifecycle_init(&run.life);
	struct fail why = {0};
	int ret = set_up(&run, &why);
	if (ret == 0) {
		ret = loop_run(&run.loop);
		if (ret < 0)
			fail(&why, -ret, "the event loop failed");
	}
	tear_down(&run);
	if (run.life.notify_fd >= 0)
		close(run.life.notify_fd);
	if (ret < 0) {
		fail_log(&why);
		return COMMAND_FAILED;
	}
	return run.life.status;
}

/* ---- The subcommand -------------------------------------------------- */

static void print_help(const struct own_option *own, size_t n_own)
{
	fputs("Usage: vmm-balloon run [SPEC.yaml] [options]\n"
	      "\n"
	      "Boots a VM and stays until it ends. Its serial console is the terminal: Ctrl-A x\n"
	      "ends the VM, Ctrl-A h shows all keys. SPEC - is standard input. Without a kernel\n"
	      "the built-in guest runs, which tries the balloon and powers off.\n"
	      "\n",
	      stdout);
	vm_options_help(stdout, own, n_own);
	fputs("\n"
	      "SIGTERM presses the power button, a second one ends the VM.\n"
	      "\n"
	      "Exit status: 0 the guest powered off, or the VM was ended by its user; 1 the\n"
	      "host failed; 2 usage or spec; 3 the guest panicked or triple-faulted.\n",
	      stdout);
}

static int load_and_run(const struct vm_options *options, uint64_t exec_ns)
{
	struct vm_config config;
	int status = vm_options_load(options, &config);
	if (status == COMMAND_OK)
		status = run_vm(&config, exec_ns);
	vmconfig_finish(&config);
	return status;
}

int cmd_run(int argc, char **argv)
{
	uint64_t exec_ns = exec_time_ns();
	unsigned verbose = 0, help = 0;
	const struct own_option own[] = {
		{"--verbose", 'v', NULL, "Say more on standard error", &verbose, NULL},
		{"--help", 'h', NULL, "Print this and exit", &help, NULL},
	};
	size_t n_own = sizeof own / sizeof own[0];
	struct vm_options options;
	int status = vm_options_parse(&options, argc, argv, own, n_own);
	log_set_level(verbose ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
	if (status == COMMAND_OK && help)
		print_help(own, n_own);
	else if (status == COMMAND_OK)
		status = load_and_run(&options, exec_ns);
	vm_options_finish(&options);
	return status;
}
