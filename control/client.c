#include "control/client.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "control/json_parse.h"

/* Longest line that a server may send: QEMU's query-qmp-schema has some 200 kB. */
#define LINE_MAX_BYTES (16UL << 20)
/* Events that wait while an answer is awaited; a server that sends more gets no further. */
#define MAX_EVENTS 1000
/* A server that never pauses keeps nobody beyond the deadline for longer than this. */
#define FLOOD_MS 1000

struct event {
	struct event *next;
	char line[];
};

struct qmp_client {
	int fd;
	char *bytes; /* received: `len` of them, of which the first `used` were handed out */
	size_t len, used, cap;
	size_t searched;	    /* bytes after `used` without a line's end */
	bool greeted, agreed;	    /* qmp_client_begin(): how far the negotiation has come */
	struct event *first, *last; /* oldest first */
	unsigned n_events;
	struct event *handed_out; /* whose line the caller has */
	char error_class[64];
};

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- Lines ----------------------------------------------------------- */

/* -1: no deadline. */
static int wait_for_input(struct qmp_client *client, int64_t deadline_ms, struct fail *why)
{
	for (;;) {
		struct pollfd fd = {.fd = client->fd, .events = POLLIN};
		int64_t left_ms = deadline_ms < 0 ? -1 : deadline_ms - now_ms();
		if (deadline_ms >= 0 && left_ms < 0)
			left_ms = 0;
		int n = poll(&fd, 1, left_ms > INT32_MAX ? INT32_MAX : (int)left_ms);
		if (n > 0 && (deadline_ms < 0 || now_ms() <= deadline_ms + FLOOD_MS))
			return 0;
		if (n > 0)
			return fail(why, ETIMEDOUT, "the VM talks, but does not answer");
		if (n == 0 && deadline_ms >= 0 && now_ms() >= deadline_ms)
			return fail(why, ETIMEDOUT, "the VM does not answer");
		if (n < 0 && errno != EINTR)
			return fail(why, errno, "cannot wait for the VM");
	}
}

static int receive_some(struct qmp_client *client, struct fail *why)
{
	if (client->used > 0) {
		client->len -= client->used;
		memmove(client->bytes, client->bytes + client->used, client->len);
		client->used = 0;
	}
	if (client->len == client->cap) {
		size_t cap = client->cap ? 2 * client->cap : 4096;
		char *bytes = cap <= LINE_MAX_BYTES ? realloc(client->bytes, cap) : NULL;
		if (!bytes)
			return fail(why, ENOMEM, "the VM's answer is too long");
		client->bytes = bytes;
		client->cap = cap;
	}
	ssize_t n = recv(client->fd, client->bytes + client->len, client->cap - client->len, MSG_DONTWAIT);
	if (n > 0)
		client->len += (size_t)n;
	if (n == 0 || (n < 0 && errno == ECONNRESET)) {
		fail(why, 0, "the VM has ended");
		return -ECONNRESET;
	}
	return n > 0 || errno == EAGAIN || errno == EINTR ? 0 : fail(why, errno, "cannot read from the VM");
}

/* The next received line that is not empty, NUL-terminated, without its end; valid until more is received. NULL: none is whole yet. */
static char *take_line(struct qmp_client *client)
{
	while (client->len > client->used + client->searched) {
		char *begin = client->bytes + client->used;
		char *end = memchr(begin + client->searched, '\n', client->len - client->used - client->searched);
		if (!end) {
			client->searched = client->len - client->used;
			break;
		}
		client->used += (size_t)(end - begin) + 1;
		client->searched = 0;
		if (end > begin && end[-1] == '\r')
			end--;
		*end = '\0';
		if (end > begin)
			return begin;
	}
	return NULL;
}

static int read_line(struct qmp_client *client, int64_t deadline_ms, char **line, struct fail *why)
{
	while (!(*line = take_line(client))) {
		int ret = wait_for_input(client, deadline_ms, why);
		if (ret == 0)
			ret = receive_some(client, why);
		if (ret < 0)
			return ret;
	}
	return 0;
}

/* ---- Messages -------------------------------------------------------- */

static int keep_event(struct qmp_client *client, const char *line, struct fail *why)
{
	size_t len = strlen(line) + 1;
	struct event *event = client->n_events < MAX_EVENTS ? malloc(sizeof *event + len) : NULL;

	if (!event)
		return fail(why, ENOMEM, "too many events at once");
	memcpy(event->line, line, len);
	event->next = NULL;
	if (client->last)
		client->last->next = event;
	else
		client->first = event;
	client->last = event;
	client->n_events++;
	return 0;
}

static int parse_message(const char *line, json_t **message, struct fail *why)
{
	json_error_t error;

	*message = json_parse(line, strlen(line), JSON_DECODE_INT_AS_REAL | JSON_ALLOW_NUL, &error);
	if (json_is_object(*message))
		return 0;
	json_decref(*message);
	return fail(why, EPROTO, "what answers does not speak QMP");
}

static int read_message(struct qmp_client *client, int64_t deadline_ms, json_t **message, char **line, struct fail *why)
{
	int ret = read_line(client, deadline_ms, line, why);

	return ret < 0 ? ret : parse_message(*line, message, why);
}

/* Takes an answer apart: 0, -EREMOTEIO; -EPROTO when it is none. */
static int take_answer(struct qmp_client *client, const json_t *message, json_t **result, struct fail *why)
{
	json_t *value = json_object_get(message, "return");
	const json_t *error = json_object_get(message, "error");

	if (value) {
		if (result)
			*result = json_incref(value);
		return 0;
	}
	if (!error)
		return fail(why, EPROTO, "what answers does not speak QMP");
	const char *desc = json_string_value(json_object_get(error, "desc"));
	const char *class = json_string_value(json_object_get(error, "class"));
	snprintf(client->error_class, sizeof client->error_class, "%s", class ? class : "");
	fail(why, 0, "%s", desc ? desc : "unknown error");
	return -EREMOTEIO;
}

/* Events that come before the answer are kept. */
static int read_answer(struct qmp_client *client, json_t **result, struct fail *why)
{
	int64_t deadline_ms = now_ms() + QMP_CLIENT_ANSWER_MS;

	for (;;) {
		json_t *message;
		char *line;
		int ret = read_message(client, deadline_ms, &message, &line, why);
		if (ret < 0)
			return ret;
		bool is_event = json_object_get(message, "event");
		ret = is_event ? keep_event(client, line, why) : take_answer(client, message, result, why);
		json_decref(message);
		if (!is_event || ret < 0)
			return ret;
	}
}

static int send_all(struct qmp_client *client, const char *text, struct fail *why)
{
	size_t len = strlen(text);

	while (len > 0) {
		ssize_t n = send(client->fd, text, len, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EPIPE || errno == ECONNRESET)) {
			fail(why, 0, "the VM has ended");
			return -ECONNRESET;
		}
		if (n < 0 && errno == EAGAIN)
			return fail(why, ETIMEDOUT, "the VM does not read what it is told");
		if (n < 0)
			return fail(why, errno, "cannot send to the VM");
		text += n;
		len -= (size_t)n;
	}
	return 0;
}

int qmp_client_send(struct qmp_client *client, const char *command, json_t *args, struct fail *why)
{
	json_t *message = args ? json_pack("{s:s,s:o}", "execute", command, "arguments", args) : json_pack("{s:s}", "execute", command);
	char *text = message ? json_dumps(message, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;
	int ret = text ? send_all(client, text, why) : fail(why, ENOMEM, "cannot make the command %s", command);

	json_release(text);
	json_decref(message);
	return ret;
}

int qmp_client_call(struct qmp_client *client, const char *command, json_t *args, json_t **result, struct fail *why)
{
	int ret = qmp_client_send(client, command, args, why);

	return ret == 0 ? read_answer(client, result, why) : ret;
}

const char *qmp_client_error_class(const struct qmp_client *client)
{
	return client->error_class;
}

int qmp_client_event(struct qmp_client *client, int timeout_ms, const char **line, struct fail *why)
{
	int64_t deadline_ms = timeout_ms < 0 ? -1 : now_ms() + timeout_ms;

	free(client->handed_out);
	client->handed_out = NULL;
	while (!client->first) {
		json_t *message;
		char *text;
		int ret = read_message(client, deadline_ms, &message, &text, why);
		if (ret < 0)
			return ret;
		ret = json_object_get(message, "event") ? keep_event(client, text, why) : fail(why, EPROTO, "what answers does not speak QMP");
		json_decref(message);
		if (ret < 0)
			return ret;
	}
	client->handed_out = client->first;
	client->first = client->first->next;
	if (!client->first)
		client->last = NULL;
	client->n_events--;
	*line = client->handed_out->line;
	return 0;
}

/* ---- Life ------------------------------------------------------------ */

/* flags: SOCK_NONBLOCK or 0. */
static int connect_to(const char *path, int flags, struct fail *why)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct timeval patience = {.tv_sec = QMP_CLIENT_ANSWER_MS / 1000};
	size_t len = strlen(path);

	if (len >= sizeof address.sun_path)
		return fail(why, ENAMETOOLONG, "cannot connect to %s", path);
	memcpy(address.sun_path, path, len + 1);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
	if (fd < 0)
		return fail(why, errno, "cannot make a socket");
	/* It holds for connect, too: a VM that hangs has a full backlog one day. */
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
	if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
		return fd;
	int ret = fail(why, errno == EAGAIN ? ETIMEDOUT : errno, "cannot connect to %s", path);
	close(fd);
	return ret;
}

static int check_greeting(const json_t *greeting, struct fail *why)
{
	const char *desc = json_string_value(json_object_get(json_object_get(greeting, "error"), "desc"));

	if (desc)
		return fail(why, EPROTO, "the VM turns us away: %s", desc);
	return json_object_get(greeting, "QMP") ? 0 : fail(why, EPROTO, "what answers does not speak QMP");
}

static int negotiate(struct qmp_client *client, struct fail *why)
{
	json_t *greeting;
	char *line;
	int ret = read_message(client, now_ms() + QMP_CLIENT_ANSWER_MS, &greeting, &line, why);

	if (ret < 0)
		return ret;
	ret = check_greeting(greeting, why);
	json_decref(greeting);
	return ret == 0 ? qmp_client_call(client, "qmp_capabilities", NULL, NULL, why) : ret;
}

/* flags as for connect_to(); `greet` is what comes after it. */
static int open_client(const char *path, int flags, int (*greet)(struct qmp_client *client, struct fail *why), struct qmp_client **out, struct fail *why)
{
	struct qmp_client *client = calloc(1, sizeof *client);
	if (!client)
		return fail(why, ENOMEM, "cannot connect to %s", path);
	client->fd = connect_to(path, flags, why);
	int ret = client->fd < 0 ? client->fd : greet(client, why);
	if (ret < 0) {
		qmp_client_close(client);
		return ret;
	}
	*out = client;
	return 0;
}

int qmp_client_open(const char *path, struct qmp_client **out, struct fail *why)
{
	return open_client(path, 0, negotiate, out, why);
}

void qmp_client_close(struct qmp_client *client)
{
	if (!client)
		return;
	if (client->fd >= 0)
		close(client->fd);
	while (client->first) {
		struct event *event = client->first;
		client->first = event->next;
		free(event);
	}
	free(client->handed_out);
	free(client->bytes);
	free(client);
}

/* ---- Without waiting ------------------------------------------------- */

static int ask_to_agree(struct qmp_client *client, struct fail *why)
{
	return qmp_client_send(client, "qmp_capabilities", NULL, why);
}

int qmp_client_begin(const char *path, struct qmp_client **out, struct fail *why)
{
	return open_client(path, SOCK_NONBLOCK, ask_to_agree, out, why);
}

int qmp_client_fd(const struct qmp_client *client)
{
	return client->fd;
}

/* One message: 0 with an answer in *result; 1 when it was something else. */
static int take_message(struct qmp_client *client, const json_t *message, json_t **result, struct fail *why)
{
	int ret;

	if (!client->greeted) {
		ret = check_greeting(message, why);
		client->greeted = true;
		return ret < 0 ? ret : 1;
	}
	if (json_object_get(message, "event"))
		return 1;
	if (client->agreed)
		return take_answer(client, message, result, why);
	ret = take_answer(client, message, NULL, why);
	client->agreed = ret == 0;
	return ret < 0 ? fail(why, EPROTO, "what answers does not speak QMP") : 1;
}

int qmp_client_next(struct qmp_client *client, json_t **result, struct fail *why)
{
	bool received = false;
	int ret = 1;

	*result = NULL;
	while (ret > 0) {
		json_t *message;
		const char *line = take_line(client);
		if (!line && received)
			return -EAGAIN;
		if (!line) {
			ret = receive_some(client, why);
			if (ret < 0)
				return ret;
			received = true;
			ret = 1;
			continue;
		}
		ret = parse_message(line, &message, why);
		if (ret == 0) {
			ret = take_message(client, message, result, why);
			json_decref(message);
		}
	}
	return ret;
}

/* ---- Values ---------------------------------------------------------- */

uint64_t qmp_client_u64(const json_t *value)
{
	double number = json_is_number(value) ? json_number_value(value) : -1;

	/* 2^64 as a double; 2^64 - 1 rounds to it. */
	return number >= 0 && number < 18446744073709551616.0 ? (uint64_t)number : UINT64_MAX;
}

uint64_t qmp_client_member_u64(const json_t *object, const char *key)
{
	return qmp_client_u64(json_object_get(object, key));
}
