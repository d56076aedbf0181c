#include "control/qmp_server.h"

#include <errno.h>
#include <jansson.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control/qmp_events.h"
#include "control/qmp_session.h"
#include "util/log.h"

/* How long nobody is let in when the process has no descriptors left. */
#define ACCEPT_RETRY_MS 1000

struct qmp_server {
	struct host *host;
	const struct machine *machine;
	struct host_watch listen_watch;
	struct host_timer accept_timer;
	struct host_work reap_work;
	struct qmp_events events;
	struct qmp_session *sessions;
	unsigned n_sessions;
};

/* ---- Sessions -------------------------------------------------------- */

/* Frees those that ended; when no session is at work. */
static void reap(void *opaque)
{
	struct qmp_server *server = opaque;
	struct qmp_session **link = &server->sessions;
	unsigned n_before = server->n_sessions;

	while (*link) {
		struct qmp_session *session = *link;
		if (!session->is_ended) {
			link = &session->next;
			continue;
		}
		*link = session->next;
		server->n_sessions--;
		qmp_session_destroy(session);
	}
	/* What a crowd of clients took stays with malloc else, for as long as the VM lives. */
	if (server->n_sessions < n_before)
		malloc_trim(0);
}

static void session_ended(void *opaque)
{
	struct qmp_server *server = opaque;

	server->host->ops->defer(server->host, &server->reap_work);
}

static void send_event(void *opaque, const char *line, size_t len)
{
	struct qmp_server *server = opaque;

	for (struct qmp_session *session = server->sessions; session; session = session->next)
		qmp_session_tell(session, line, len);
}

/* Whoever may attach a debugger to us may control the VM, and nobody else. */
static bool is_trusted(int fd)
{
	struct ucred peer;
	socklen_t len = sizeof peer;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		return false;
	if (peer.uid == 0 || peer.uid == geteuid())
		return true;
	log_line(LOG_LEVEL_WARN, "qmp", "user %u (pid %d) was turned away", peer.uid, peer.pid);
	return false;
}

static int turn_away(int fd, const char *why, int error)
{
	char line[128];
	int len = snprintf(line, sizeof line, "{\"error\":{\"class\":\"GenericError\",\"desc\":\"%s\"}}\r\n", why);
	ssize_t sent = send(fd, line, (size_t)len, MSG_DONTWAIT | MSG_NOSIGNAL);

	(void)sent; /* closing says as much */
	close(fd);
	return error;
}

/* Clients that came and said nothing keep others out no longer than a while. The newest is the first of the list. */
static void drop_silent(struct qmp_server *server)
{
	uint64_t now_ms = server->host->ops->now_ms(server->host);
	struct qmp_session *oldest = NULL;

	for (struct qmp_session *session = server->sessions; session; session = session->next)
		if (!session->negotiated)
			oldest = session;
	if (oldest && now_ms - oldest->since_ms >= QMP_NEGOTIATE_MS)
		qmp_session_drop(oldest);
}

static bool has_room(struct qmp_server *server)
{
	if (server->n_sessions < QMP_MAX_CLIENTS)
		return true;
	drop_silent(server);
	reap(server); /* and those that went by themselves */
	return server->n_sessions < QMP_MAX_CLIENTS;
}

int qmp_server_adopt(struct qmp_server *server, int fd)
{
	struct qmp_session_init init = {.host = server->host, .machine = server->machine, .events = &server->events, .ended = session_ended, .opaque = server};

	if (!is_trusted(fd))
		return turn_away(fd, "Permission denied", -EPERM);
	if (!has_room(server))
		return turn_away(fd, "Too many clients", -EUSERS);
	struct qmp_session *session = qmp_session_create(fd, &init);
	if (!session)
		return -ENOMEM;
	session->next = server->sessions;
	server->sessions = session;
	server->n_sessions++;
	return 0;
}

/* ---- The listening socket -------------------------------------------- */

static void start_listening(void *opaque)
{
	struct qmp_server *server = opaque;
	int ret = server->host->ops->watch(server->host, &server->listen_watch, EPOLLIN);
	char text[128];

	if (ret < 0)
		log_line(LOG_LEVEL_ERROR, "qmp", "no more clients are let in: %s", strerror_r(-ret, text, sizeof text));
}

static void accept_one(void *opaque, uint32_t events)
{
	struct qmp_server *server = opaque;
	struct host *host = server->host;
	int fd = accept4(server->listen_watch.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	char text[128];
	(void)events;

	if (fd >= 0) {
		qmp_server_adopt(server, fd);
		return;
	}
	/* The client that waits would have the loop spin. */
	if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
		log_line(LOG_LEVEL_WARN, "qmp", "a client has to wait: %s", strerror_r(errno, text, sizeof text));
		host->ops->unwatch(host, &server->listen_watch);
		host->ops->timer_arm(host, &server->accept_timer, ACCEPT_RETRY_MS);
	}
}

int qmp_server_create(struct host *host, const struct machine *machine, int listen_fd, struct qmp_server **out)
{
	struct qmp_server *server = calloc(1, sizeof *server);
	if (!server)
		return -ENOMEM;
	/* Else jansson opens /dev/urandom when the first object is parsed, by when no file can be opened any more. */
	json_object_seed(0);
	server->host = host;
	server->machine = machine;
	server->listen_watch = (struct host_watch){.fd = listen_fd, .fn = accept_one, .opaque = server};
	server->accept_timer = (struct host_timer){.fn = start_listening, .opaque = server};
	server->reap_work = (struct host_work){.fn = reap, .opaque = server};
	qmp_events_init(&server->events, host, send_event, server);
	int ret = listen_fd < 0 ? 0 : host->ops->watch(host, &server->listen_watch, EPOLLIN);
	if (ret < 0) {
		free(server);
		return ret;
	}
	*out = server;
	return 0;
}

void qmp_server_destroy(struct qmp_server *server)
{
	if (!server)
		return;
	qmp_events_flush(&server->events);
	server->host->ops->unwatch(server->host, &server->listen_watch);
	server->host->ops->timer_cancel(server->host, &server->accept_timer);
	while (server->sessions) {
		struct qmp_session *session = server->sessions;
		server->sessions = session->next;
		qmp_session_destroy(session);
	}
	free(server);
}

/* ---- Events ---------------------------------------------------------- */

void qmp_server_event(struct qmp_server *server, const struct host_event *event)
{
	qmp_emit_host_event(&server->events, event, server->machine->ram_bytes);
}

/* Names of QEMU's ShutdownCause. */
static void emit_with_cause(struct qmp_server *server, enum qmp_event event, enum qmp_cause cause)
{
	static const char *const on_shutdown[] = {
		[QMP_CAUSE_GUEST] = "guest-shutdown", [QMP_CAUSE_GUEST_PANIC] = "guest-panic", [QMP_CAUSE_CLIENT] = "host-qmp-quit",
		[QMP_CAUSE_SIGNAL] = "host-signal",   [QMP_CAUSE_HOST_UI] = "host-ui",	       [QMP_CAUSE_HOST_ERROR] = "host-error",
	};
	bool is_guest = cause == QMP_CAUSE_GUEST || cause == QMP_CAUSE_GUEST_PANIC;
	const char *reason = on_shutdown[cause];
	char data[QMP_EVENT_DATA_MAX];

	if (event == QMP_EVENT_RESET && cause == QMP_CAUSE_GUEST)
		reason = "guest-reset";
	if (event == QMP_EVENT_RESET && cause == QMP_CAUSE_CLIENT)
		reason = "host-qmp-system-reset";
	snprintf(data, sizeof data, "{\"guest\":%s,\"reason\":\"%s\"}", is_guest ? "true" : "false", reason);
	qmp_emit(&server->events, event, data);
}

void qmp_server_note(struct qmp_server *server, enum qmp_note note, enum qmp_cause cause)
{
	switch (note) {
	case QMP_NOTE_STOP:
		qmp_emit(&server->events, QMP_EVENT_STOP, NULL);
		break;
	case QMP_NOTE_RESUME:
		qmp_emit(&server->events, QMP_EVENT_RESUME, NULL);
		break;
	case QMP_NOTE_POWERDOWN:
		qmp_emit(&server->events, QMP_EVENT_POWERDOWN, NULL);
		break;
	case QMP_NOTE_RESET:
		emit_with_cause(server, QMP_EVENT_RESET, cause);
		break;
	case QMP_NOTE_SHUTDOWN:
		emit_with_cause(server, QMP_EVENT_SHUTDOWN, cause);
		break;
	}
}
