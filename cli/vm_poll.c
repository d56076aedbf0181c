#include "cli/vm_poll.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/vm_client.h"

/* What an answer will be about. */
enum pending { PENDING_STATS = VM_N_ANSWERS, PENDING_TARGET };
#define MAX_PENDING 16

struct vm_poll {
	char name[RUNTIME_PATH_MAX], socket_path[RUNTIME_PATH_MAX];
	pid_t pid;
	struct qmp_client *client;	    /* NULL: no connection */
	unsigned char pending[MAX_PENDING]; /* commands without an answer yet, oldest first: enum vm_answer or enum pending */
	size_t n_pending;
	bool asked;	  /* a state, and it has not come */
	bool failed;	  /* the last time */
	int64_t asked_ms; /* when */
	bool has_answers;
	json_t *answers[VM_N_ANSWERS]; /* of the last round */
	json_t *coming[VM_N_ANSWERS];  /* of this one, so far */
	char objection[VM_POLL_OBJECTION_MAX];
};

static void drop(json_t *values[VM_N_ANSWERS])
{
	for (size_t i = 0; i < VM_N_ANSWERS; i++) {
		json_decref(values[i]);
		values[i] = NULL;
	}
}

/* The connection is of no use any more. */
static void hang_up(struct vm_poll *poll)
{
	qmp_client_close(poll->client);
	poll->client = NULL;
	poll->n_pending = 0;
	poll->asked = false;
	poll->failed = true;
	poll->has_answers = false;
	drop(poll->answers);
	drop(poll->coming);
}

struct vm_poll *vm_poll_create(const char *name, pid_t pid, const char *socket_path)
{
	struct vm_poll *poll = calloc(1, sizeof *poll);

	if (!poll)
		return NULL;
	snprintf(poll->name, sizeof poll->name, "%s", name);
	snprintf(poll->socket_path, sizeof poll->socket_path, "%s", socket_path);
	poll->pid = pid;
	return poll;
}

void vm_poll_destroy(struct vm_poll *poll)
{
	if (!poll)
		return;
	hang_up(poll);
	free(poll);
}

const char *vm_poll_name(const struct vm_poll *poll)
{
	return poll->name;
}

const char *vm_poll_socket(const struct vm_poll *poll)
{
	return poll->socket_path;
}

pid_t vm_poll_pid(const struct vm_poll *poll)
{
	return poll->pid;
}

/* ---- Asking ---------------------------------------------------------- */

static bool send_command(struct vm_poll *poll, const char *command, json_t *args, unsigned char about)
{
	if (qmp_client_send(poll->client, command, args, NULL) < 0)
		return false;
	poll->pending[poll->n_pending++] = about;
	return true;
}

void vm_poll_ask(struct vm_poll *poll)
{
	if (poll->asked)
		return;
	poll->asked_ms = client_now_ms();
	bool good = poll->client || qmp_client_begin(poll->socket_path, &poll->client, NULL) == 0;
	for (unsigned char i = 0; i < VM_N_ANSWERS && good; i++)
		good = send_command(poll, vm_state_commands[i], NULL, i);
	good = good && send_command(poll, "x-balloon-request-stats", NULL, PENDING_STATS);
	if (!good)
		hang_up(poll);
	else
		poll->asked = true;
}

bool vm_poll_set_left(struct vm_poll *poll, uint64_t left_bytes)
{
	/* A round of questions must still find room. */
	if (!poll->client || poll->failed || poll->n_pending + VM_N_ANSWERS + 2 > MAX_PENDING)
		return false;
	poll->objection[0] = '\0';
	if (send_command(poll, "balloon", json_pack("{s:I}", "value", (json_int_t)left_bytes), PENDING_TARGET))
		return true;
	hang_up(poll);
	return false;
}

int vm_poll_fd(const struct vm_poll *poll)
{
	return poll->client ? qmp_client_fd(poll->client) : -1;
}

/* ---- Answers --------------------------------------------------------- */

/* One answer, or an error instead of it. True when it completes a state. */
static bool take_answer(struct vm_poll *poll, json_t *value, const struct fail *error)
{
	unsigned char about = poll->pending[0];

	memmove(poll->pending, poll->pending + 1, --poll->n_pending);
	if (about == PENDING_TARGET && error)
		client_plain(poll->objection, sizeof poll->objection, error->text);
	if (about >= VM_N_ANSWERS) {
		json_decref(value);
		return false;
	}
	poll->coming[about] = value;
	if (about != VM_N_ANSWERS - 1)
		return false;
	drop(poll->answers);
	memcpy(poll->answers, poll->coming, sizeof poll->answers);
	memset(poll->coming, 0, sizeof poll->coming);
	poll->has_answers = true;
	poll->asked = poll->failed = false;
	return true;
}

bool vm_poll_take(struct vm_poll *poll)
{
	bool is_new = false;

	while (poll->client) {
		struct fail why;
		json_t *value;
		int ret = qmp_client_next(poll->client, &value, &why);
		if (ret == -EAGAIN)
			break;
		if ((ret < 0 && ret != -EREMOTEIO) || poll->n_pending == 0) {
			json_decref(value);
			hang_up(poll);
		} else if (take_answer(poll, value, ret < 0 ? &why : NULL)) {
			is_new = true;
		}
	}
	return is_new && poll->has_answers;
}

bool vm_poll_is_busy(const struct vm_poll *poll)
{
	return poll->asked;
}

bool vm_poll_is_silent(const struct vm_poll *poll)
{
	return poll->failed || (poll->asked && client_now_ms() - poll->asked_ms >= VM_POLL_SILENT_MS);
}

json_t *const *vm_poll_answers(const struct vm_poll *poll)
{
	return poll->has_answers ? poll->answers : NULL;
}

bool vm_poll_take_objection(struct vm_poll *poll, char text[VM_POLL_OBJECTION_MAX])
{
	memcpy(text, poll->objection, sizeof poll->objection);
	poll->objection[0] = '\0';
	return *text;
}

/* ---- Many ------------------------------------------------------------ */

/* What vm_poll_list() works on. */
struct listing {
	struct runtime_vm *running;
	size_t n_running;
	struct vm_poll **polls;
	size_t n;
};

static int add(struct listing *list, const char *name, pid_t pid, const char *socket_path, struct fail *why)
{
	for (size_t i = 0; i < list->n; i++) {
		assert(list->polls[i]);
		if (strcmp(list->polls[i]->socket_path, socket_path) == 0)
			return 0;
	}
	list->polls[list->n] = vm_poll_create(name, pid, socket_path);
	if (!list->polls[list->n])
		return fail(why, ENOMEM, "cannot ask the VMs");
	list->n++;
	return 0;
}

/* A VM by its name or by its socket's path. */
static int add_named(struct listing *list, const char *name, struct fail *why)
{
	char path[RUNTIME_PATH_MAX];
	pid_t pid = 0;
	int ret = runtime_dir_find(name, path, why);

	if (ret == -ENOENT) /* no VM ever ran, and this one does not run either */
		ret = 0;
	for (size_t i = 0; i < list->n_running; i++)
		if (strcmp(list->running[i].name, name) == 0)
			pid = list->running[i].pid;
	return ret < 0 ? ret : add(list, name, pid, path, why);
}

static int fill(struct listing *list, const struct client_args *args, struct fail *why)
{
	ssize_t n = runtime_dir_list(&list->running, why);
	int ret = 0;

	if (n < 0)
		return (int)n;
	list->n_running = (size_t)n;
	list->polls = calloc(list->n_running + args->n_words + 1, sizeof(struct vm_poll *));
	if (!list->polls)
		return fail(why, ENOMEM, "cannot ask the VMs");
	for (size_t i = 0; i < args->n_words && ret == 0; i++)
		ret = add_named(list, args->words[i], why);
	if (*args->qmp_path && ret == 0)
		ret = add_named(list, args->qmp_path, why);
	if (args->n_words > 0 || *args->qmp_path)
		return ret;
	for (size_t i = 0; i < list->n_running && ret == 0; i++)
		ret = add(list, list->running[i].name, list->running[i].pid, list->running[i].socket_path, why);
	return ret;
}

ssize_t vm_poll_list(const struct client_args *args, struct vm_poll ***polls, struct fail *why)
{
	struct listing list = {.n = 0};
	int ret = fill(&list, args, why);

	free(list.running);
	if (ret == 0) {
		*polls = list.polls;
		return (ssize_t)list.n;
	}
	vm_poll_destroy_all(list.polls, list.n);
	return ret;
}

void vm_poll_destroy_all(struct vm_poll **polls, size_t n)
{
	for (size_t i = 0; i < n; i++)
		vm_poll_destroy(polls[i]);
	free(polls);
}

/* Whether an answer is still worth waiting for. */
static bool is_due(const struct vm_poll *poll)
{
	return vm_poll_is_busy(poll) && !vm_poll_is_silent(poll);
}

void vm_poll_round(struct vm_poll **polls, size_t n)
{
	struct pollfd *fds = calloc(n + 1, sizeof *fds);
	size_t n_due = fds ? n : 0;

	for (size_t i = 0; i < n; i++)
		vm_poll_ask(polls[i]);
	while (n_due > 0) {
		n_due = 0;
		for (size_t i = 0; i < n; i++) {
			fds[i] = (struct pollfd){.fd = is_due(polls[i]) ? vm_poll_fd(polls[i]) : -1, .events = POLLIN};
			n_due += fds[i].fd >= 0;
		}
		if (n_due > 0 && poll(fds, n, 50) < 0 && errno != EINTR)
			break;
		for (size_t i = 0; i < n; i++)
			if (fds[i].revents)
				vm_poll_take(polls[i]);
	}
	free(fds);
}
