#include "control/qmp_session.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control/qmp_command.h"
#include "control/qmp_server.h"
#include "util/log.h"

void qmp_session_drop(struct qmp_session *session)
{
	if (session->is_ended)
		return;
	session->is_ended = true;
	session->host->ops->unwatch(session->host, &session->watch);
	close(session->watch.fd);
	session->ended(session->ended_opaque);
}

/* ---- Output ---------------------------------------------------------- */

static void send_now(struct qmp_session *session)
{
	while (!session->is_ended && session->out.len > 0) {
		ssize_t n = send(session->watch.fd, session->out.bytes, session->out.len, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n > 0)
			json_out_drop(&session->out, (size_t)n);
		else if (n < 0 && errno == EAGAIN)
			return;
		else if (n == 0 || errno != EINTR)
			qmp_session_drop(session);
	}
}

/* Has the loop call for what there is to do. A client that has said and heard all is gone. */
static void watch_on(struct qmp_session *session)
{
	uint32_t events = session->out.len > 0 ? EPOLLOUT : 0;

	if (session->is_ended)
		return;
	/* Further commands wait until the client has read some of its answers. */
	if (!session->at_eof && session->out.len <= QMP_OUT_PAUSE)
		events |= EPOLLIN;
	if (events == 0 || session->host->ops->watch(session->host, &session->watch, events) < 0)
		qmp_session_drop(session);
}

static void put_line(struct qmp_session *session, const char *line, size_t len)
{
	if (session->is_ended)
		return;
	json_out_raw(&session->out, line, len);
	if (!session->out.failed)
		return;
	log_line(LOG_LEVEL_INFO, "qmp", "a client does not read what it is sent; it is dropped");
	qmp_session_drop(session);
}

void qmp_session_tell(struct qmp_session *session, const char *line, size_t len)
{
	if (!session->negotiated)
		return;
	put_line(session, line, len);
	send_now(session);
	watch_on(session);
}

/* ---- Input ----------------------------------------------------------- */

static void answer(struct qmp_session *session, enum qmp_input_result result, const char *why)
{
	struct json_out reply;

	json_out_init(&reply, QMP_OUT_MAX);
	if (result == QMP_INPUT_VALUE)
		qmp_answer(session->machine, session->events, &session->negotiated, session->input.text, session->input.len, &reply);
	else
		qmp_answer_bad(why, &reply);
	/* A client without its answer would take the next one for it. */
	if (reply.failed)
		qmp_session_drop(session);
	else
		put_line(session, reply.bytes, reply.len);
	json_out_finish(&reply);
}

/* What one read brings is short enough for its answers to fit into QMP_OUT_MAX. */
static void read_more(struct qmp_session *session)
{
	char bytes[4096];
	ssize_t n = recv(session->watch.fd, bytes, sizeof bytes, MSG_DONTWAIT);

	if (n < 0 && errno != EAGAIN && errno != EINTR)
		qmp_session_drop(session);
	if (n == 0)
		session->at_eof = true;
	for (size_t done = 0, used; n > 0 && done < (size_t)n && !session->is_ended; done += used) {
		const char *why = NULL;
		enum qmp_input_result result = qmp_input_feed(&session->input, bytes + done, (size_t)n - done, &used, &why);
		if (result != QMP_INPUT_MORE)
			answer(session, result, why);
	}
}

static void ready(void *opaque, uint32_t events)
{
	struct qmp_session *session = opaque;

	/* An error or a hangup shows in send and recv. */
	send_now(session);
	if (!session->is_ended && !session->at_eof && (events & ~(uint32_t)EPOLLOUT))
		read_more(session);
	send_now(session);
	watch_on(session);
}

/* ---- Life ------------------------------------------------------------ */

struct qmp_session *qmp_session_create(int fd, const struct qmp_session_init *init)
{
	struct qmp_session *session = calloc(1, sizeof *session);
	if (!session) {
		close(fd);
		return NULL;
	}
	session->host = init->host;
	session->machine = init->machine;
	session->events = init->events;
	session->ended = init->ended;
	session->ended_opaque = init->opaque;
	session->watch = (struct host_watch){.fd = fd, .fn = ready, .opaque = session};
	session->since_ms = init->host->ops->now_ms(init->host);
	json_out_init(&session->out, QMP_OUT_MAX);
	qmp_greet(&session->out);
	send_now(session);
	watch_on(session);
	return session;
}

void qmp_session_destroy(struct qmp_session *session)
{
	if (!session)
		return;
	send_now(session);
	if (!session->is_ended) {
		session->host->ops->unwatch(session->host, &session->watch);
		close(session->watch.fd);
	}
	qmp_input_finish(&session->input);
	json_out_finish(&session->out);
	free(session);
}
