#include "cli/top.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/top_model.h"
#include "cli/top_screen.h"
#include "cli/vm_client.h"
#include "cli/vm_poll.h"
#include "util/log.h"

#define TICK_MS 1000
/* After a target was set: how soon the VMs are asked again. */
#define SOON_MS 100

struct top {
	const struct client_args *args;
	struct top_model model; /* the owner of each VM is its struct vm_poll */
	size_t rows;		/* VMs that the screen shows */
	int64_t tick_ms;	/* when the VMs are asked next */
	char message[200];	/* "" for none */
	char answer[24];
	bool asks_for_target, shows_help, is_over;
	int signal_fd;
	int signo; /* that ended it, 0: none */
};

__attribute__((format(printf, 2, 3))) static void say(struct top *top, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(top->message, sizeof top->message, fmt, ap);
	va_end(ap);
}

static struct top_vm *selected(const struct top *top)
{
	return top->model.n > 0 ? top->model.vms[top->model.selected] : NULL;
}

/* ---- The VMs --------------------------------------------------------- */

static void remove_vm(struct top *top, struct top_vm *vm)
{
	vm_poll_destroy(vm->owner);
	top_model_remove(&top->model, vm);
}

static bool is_among(const struct top_vm *vm, struct vm_poll *const *polls, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (vm_poll_pid(polls[i]) == vm->pid && strcmp(vm_poll_name(polls[i]), vm->name) == 0)
			return true;
	return false;
}

/* VMs come and go. */
static void follow_vms(struct top *top)
{
	struct vm_poll **polls;
	struct fail why;
	ssize_t n = vm_poll_list(top->args, &polls, &why);

	if (n < 0) {
		say(top, "%s", why.text);
		return;
	}
	for (size_t i = top->model.n; i > 0; i--)
		if (!is_among(top->model.vms[i - 1], polls, (size_t)n))
			remove_vm(top, top->model.vms[i - 1]);
	for (ssize_t i = 0; i < n; i++) {
		const char *name = vm_poll_name(polls[i]);
		pid_t pid = vm_poll_pid(polls[i]);
		struct top_vm *vm = top_model_find(&top->model, name, pid) ? NULL : top_model_add(&top->model, name, pid);
		if (vm)
			vm->owner = polls[i];
		else
			vm_poll_destroy(polls[i]);
	}
	free(polls);
}

static void tick(struct top *top, int64_t now_ms)
{
	follow_vms(top);
	for (size_t i = 0; i < top->model.n; i++) {
		struct top_vm *vm = top->model.vms[i];
		vm->is_silent = vm_poll_is_silent(vm->owner);
		vm_poll_ask(vm->owner);
	}
	top->tick_ms = now_ms + TICK_MS;
}

static void take(struct top *top, struct top_vm *vm)
{
	char objection[VM_POLL_OBJECTION_MAX];
	struct vm_state state;

	if (vm_poll_take(vm->owner)) {
		vm_state_read(&state, vm_poll_answers(vm->owner));
		top_vm_sample(vm, &state, client_now_ms());
	}
	vm->is_silent = vm_poll_is_silent(vm->owner);
	if (vm_poll_take_objection(vm->owner, objection))
		say(top, "%s: %s", vm->name, objection);
}

/* ---- Targets --------------------------------------------------------- */

/* The target counts as set at once: + and - may come faster than answers. */
static void set_target(struct top *top, struct top_vm *vm, uint64_t bytes)
{
	char size[CLIENT_SIZE_MAX], ram[CLIENT_SIZE_MAX];
	uint64_t ram_bytes = vm->state.ram_bytes;

	if (!vm->has_state || ram_bytes == UINT64_MAX || bytes == UINT64_MAX) {
		say(top, "%s: nothing is known of it yet", vm->name);
	} else if (!vm->state.has_balloon) {
		say(top, "%s: this VM has no balloon", vm->name);
	} else if (bytes >= ram_bytes) {
		say(top, "%s: a balloon of %s leaves nothing of the VM's %s", vm->name, client_size(size, bytes), client_size(ram, ram_bytes));
	} else if (!vm_poll_set_left(vm->owner, ram_bytes - bytes)) {
		say(top, "%s: it does not answer", vm->name);
	} else {
		if (vm->state.tells_all)
			vm->state.target_bytes = bytes;
		say(top, "%s: target %s", vm->name, client_size(size, bytes));
		top->tick_ms = client_now_ms() + SOON_MS;
	}
}

static void parse_target(struct top *top, struct top_vm *vm)
{
	struct diag_list *diags = diag_list_create();
	struct diag_view view;
	uint64_t bytes;

	if (diags && client_parse_size(top->answer, &bytes, diags) == 0)
		set_target(top, vm, bytes);
	else
		say(top, "%s: %s", vm->name, diags && diag_nth(diags, 0, &view) ? view.message : "out of memory");
	diag_list_destroy(diags);
}

/* ---- Keys ------------------------------------------------------------ */

static void on_key_of_answer(struct top *top, int key)
{
	size_t len = strlen(top->answer);
	struct top_vm *vm = selected(top);

	if (key == TOP_KEY_ESCAPE || !vm) {
		top->asks_for_target = false;
	} else if (key == TOP_KEY_ENTER) {
		top->asks_for_target = false;
		if (len > 0)
			parse_target(top, vm);
	} else if (key == TOP_KEY_ERASE && len > 0) {
		top->answer[len - 1] = '\0';
	} else if (key >= ' ' && key < 0x7f && len + 1 < sizeof top->answer) {
		top->answer[len] = (char)key;
		top->answer[len + 1] = '\0';
	}
}

static void on_key_for_vm(struct top *top, int key)
{
	struct top_vm *vm = selected(top);

	if (!vm)
		return;
	if (key == '+' || key == '=' || key == '-') {
		set_target(top, vm, vm->has_state ? top_target_step(&vm->state, key != '-') : UINT64_MAX);
	} else if (key == 't' || key == TOP_KEY_ENTER) {
		top->asks_for_target = true;
		top->answer[0] = '\0';
	}
}

static void on_key(struct top *top, int key)
{
	ptrdiff_t page = (ptrdiff_t)top->rows, all = (ptrdiff_t)top->model.n, by = 0;

	if (key == TOP_KEY_REDRAW)
		return;
	if (top->asks_for_target) {
		on_key_of_answer(top, key);
		return;
	}
	top->message[0] = '\0';
	if (top->shows_help || key == '?' || key == 'h') {
		top->shows_help = !top->shows_help;
		return;
	}
	if (key == 'q')
		top->is_over = true;
	else if (key == TOP_KEY_UP || key == 'k')
		by = -1;
	else if (key == TOP_KEY_DOWN || key == 'j')
		by = 1;
	else if (key == TOP_KEY_PAGE_UP)
		by = -page;
	else if (key == TOP_KEY_PAGE_DOWN)
		by = page;
	else if (key == TOP_KEY_FIRST)
		by = -all;
	else if (key == TOP_KEY_LAST)
		by = all;
	else
		on_key_for_vm(top, key);
	top_model_select(&top->model, by, top->rows);
}

/* ---- The loop -------------------------------------------------------- */

static void draw(struct top *top, int64_t now_ms)
{
	const struct top_vm *vm = selected(top);
	char question[96] = "";
	struct top_page page = {.message = *top->message ? top->message : NULL, .is_help = top->shows_help};

	top->rows = top_screen_rows();
	top_model_select(&top->model, 0, top->rows);
	if (top->asks_for_target && vm) {
		snprintf(question, sizeof question, "Target of %s: ", vm->name);
		page.question = question;
		page.answer = top->answer;
	}
	top_screen_draw(&top->model, &page, now_ms);
}

static void take_signal(struct top *top)
{
	struct signalfd_siginfo info;

	if (read(top->signal_fd, &info, sizeof info) == (ssize_t)sizeof info && info.ssi_signo != SIGWINCH) {
		top->signo = (int)info.ssi_signo;
		top->is_over = true;
	}
}

/* Waits for a key, a signal, a VM's answer or the next tick. False when memory is short or the terminal has gone. */
static bool wait_and_take(struct top *top)
{
	size_t n = top->model.n;
	struct pollfd *fds = calloc(n + 2, sizeof *fds);
	int64_t left_ms = top->tick_ms - client_now_ms();
	bool good = fds;

	if (!fds)
		return false;
	fds[0] = (struct pollfd){.fd = STDIN_FILENO, .events = POLLIN};
	fds[1] = (struct pollfd){.fd = top->signal_fd, .events = POLLIN};
	for (size_t i = 0; i < n; i++)
		fds[2 + i] = (struct pollfd){.fd = vm_poll_fd(top->model.vms[i]->owner), .events = POLLIN};
	if (poll(fds, n + 2, left_ms > 0 ? (int)left_ms : 0) > 0) {
		for (size_t i = 0; i < n; i++)
			if (fds[2 + i].revents)
				take(top, top->model.vms[i]);
		if (fds[1].revents)
			take_signal(top);
		for (int key; fds[0].revents && !top->is_over && (key = top_screen_key()) != TOP_KEY_NONE;)
			on_key(top, key);
		good = !(fds[0].revents & (POLLHUP | POLLERR | POLLNVAL));
	}
	free(fds);
	return good;
}

static void run(struct top *top)
{
	while (!top->is_over) {
		int64_t now_ms = client_now_ms();
		if (now_ms >= top->tick_ms)
			tick(top, now_ms);
		draw(top, now_ms);
		if (!wait_and_take(top))
			return;
	}
}

/* Signals that end a program come through a descriptor: the terminal is given back before they do. */
static int open_signals(sigset_t *before)
{
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGHUP);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGQUIT);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGUSR1);
	sigaddset(&signals, SIGUSR2);
	sigaddset(&signals, SIGALRM);
	sigaddset(&signals, SIGWINCH);
	sigprocmask(SIG_BLOCK, &signals, before);
	return signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
}

/* Ends as the signal would have ended it. */
static void end_by(int signo, const sigset_t *before)
{
	signal(signo, SIG_DFL);
	raise(signo);
	sigprocmask(SIG_SETMASK, before, NULL);
}

static int show(const struct client_args *args)
{
	struct top top = {.args = args};
	sigset_t before;

	top.signal_fd = open_signals(&before);
	if (top.signal_fd < 0 || !top_screen_open()) {
		log_line(LOG_LEVEL_ERROR, NULL, "top: this terminal is not known; is TERM right?");
		return COMMAND_FAILED;
	}
	run(&top);
	top_screen_close();
	while (top.model.n > 0)
		remove_vm(&top, top.model.vms[0]);
	top_model_finish(&top.model);
	close(top.signal_fd);
	if (top.signo)
		end_by(top.signo, &before);
	return COMMAND_OK;
}

int cmd_top(int argc, char **argv)
{
	static const struct client_usage usage = {
		.arguments = "[NAME...]",
		.about = "Shows the running VMs, or those that are named, on the terminal, second by\n"
			 "second: RAM, the balloon's target and actual, what the host holds (RSS), what\n"
			 "the guest says it has, how fast memory moves, and the last minutes. Keys select\n"
			 "a VM and change its target; ? explains them, q quits.\n",
		.vms = CLIENT_ANY_VMS,
	};
	struct client_args args;
	int status;

	if (!client_parse(&usage, argc, argv, &args, &status))
		return status;
	if (isatty(STDIN_FILENO) && isatty(STDOUT_FILENO))
		return show(&args);
	log_line(LOG_LEVEL_ERROR, NULL, "top: standard input and output must be a terminal; see vmm-balloon help list and metrics");
	return COMMAND_USAGE;
}
