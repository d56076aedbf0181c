#include <CUnit/CUnit.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "control/qmp_command.h"
#include "tests/unit/qmp_fixture.h"
#include "tests/unit/suite.h"

static void a_client_that_does_not_read_is_dropped(void)
{
	qt_begin();
	struct qt_client *deaf = qt_connect(), *good = qt_connect();
	for (int i = 0; i < 20000; i++) {
		qmp_server_note(qt.server, QMP_NOTE_POWERDOWN, QMP_CAUSE_SIGNAL);
		fakeloop_run(&qt.loop);
		qt_expect_event(good, "{\"event\":\"POWERDOWN\",");
	}
	const char *line;
	do
		line = qt_hear(deaf);
	while (qt_begins(line, "{\"event\""));
	CU_ASSERT_STRING_EQUAL(line, "EOF");
	qt_ask(good, "{'execute':'query-name'}", "{\"return\":{\"name\":\"web-1\"}}");
	qt_hang_up(deaf);
	qt_hang_up(good);
	qt_end();
}

/* A client that asks much and reads late is not dropped: its commands wait. */
static void a_late_reader_gets_all_answers(void)
{
	static const char command[] = "{'execute':'query-commands','id':%06d}\n";
	char text[64];
	int sent = 0, got = 0;

	qt_begin();
	struct qt_client *client = qt_connect(), *good = qt_connect();
	for (; sent < 20000; sent++) {
		int len = snprintf(text, sizeof text, command, sent + 100000);
		if (send(client->fd, text, (size_t)len, MSG_DONTWAIT) != len)
			break;
		fakeloop_run(&qt.loop);
	}
	CU_ASSERT(sent > 300 && sent < 20000); /* the pipe is full all the way */
	qt_ask(good, "{'execute':'query-name'}", "{\"return\":{\"name\":\"web-1\"}}");
	shutdown(client->fd, SHUT_WR); /* nor does that lose any */
	for (; got < sent; got++) {
		const char *line = qt_hear(client), *id = strstr(line, "\"id\":");
		if (!id || atoi(id + 5) != got + 100000)
			break;
	}
	CU_ASSERT_EQUAL(got, sent);
	qt_expect(client, "EOF");
	qt_hang_up(client);
	qt_hang_up(good);
	qt_end();
}

/* The answers to one packet, however many, are for the client to read, not a reason to drop it. */
static void longest_answers_to_one_packet(void)
{
	char text[4097];

	qt_begin();
	struct qt_client *client = qt_connect();
	memset(text, ']', 4096);
	text[4096] = '\0';
	qt_say(client, text);
	for (int i = 0; i < 4096; i++)
		CU_ASSERT_TRUE(qt_begins(qt_hear(client), "{\"error\""));
	for (size_t i = 0; i + 29 <= 4096; i += 29)
		memcpy(text + i, "{'execute':'x-query-balloon'}", 29);
	text[4089] = '\0'; /* 141 of them */
	qt_say(client, text);
	for (int i = 0; i < 141; i++)
		CU_ASSERT_TRUE(qt_begins(qt_hear(client), "{\"return\":{\"id\":"));
	qt_expect(client, "");
	qt_hang_up(client);
	qt_end();
}

static void half_closed_client_gets_its_answers(void)
{
	qt_begin();
	struct qt_client *client = qt_connect_quietly();
	qt_hear(client);
	CU_ASSERT_EQUAL(send(client->fd, QT_NEGOTIATE "{'execute':'query-name'}", strlen(QT_NEGOTIATE) + 24, 0), (ssize_t)strlen(QT_NEGOTIATE) + 24);
	shutdown(client->fd, SHUT_WR);
	fakeloop_run(&qt.loop);
	qt_expect(client, QT_EMPTY);
	qt_expect(client, "{\"return\":{\"name\":\"web-1\"}}");
	qt_expect(client, "EOF");
	CU_ASSERT_EQUAL(qt.loop.n_watches, 0);
	qt_hang_up(client);
	qt_end();
}

/* The same when the answers do not fit into the socket at once. */
static void half_closed_client_may_read_late(void)
{
	int unread = 0, before = -1, sent = 0, got = 0;

	qt_begin();
	struct qt_client *client = qt_connect();
	for (; unread != before; sent++) {
		before = unread;
		qt_say(client, "{'execute':'query-commands'}");
		CU_ASSERT_EQUAL_FATAL(ioctl(client->fd, FIONREAD, &unread), 0);
	}
	shutdown(client->fd, SHUT_WR);
	fakeloop_run(&qt.loop);
	while (qt_begins(qt_hear(client), "{\"return\":["))
		got++;
	CU_ASSERT_EQUAL(got, sent);
	qt_expect(client, "EOF");
	qt_hang_up(client);
	qt_end();
}

static void clients_come_and_go(void)
{
	qt_begin();
	for (int i = 0; i < 300; i++) {
		struct qt_client *client = qt_connect_quietly();
		if (i % 3 == 0)
			qt_say(client, "{'execute':");
		if (i % 3 == 1)
			CU_ASSERT_EQUAL(send(client->fd, QT_NEGOTIATE QT_NEGOTIATE, 10, 0), 10);
		qt_hang_up(client);
		CU_ASSERT_EQUAL(qt.loop.n_watches, 0);
	}
	qt_end();
}

static void not_more_than_so_many(void)
{
	struct qt_client *clients[QMP_MAX_CLIENTS];
	char text[128] = "";
	int fds[2];

	qt_begin();
	for (int i = 0; i < QMP_MAX_CLIENTS; i++)
		clients[i] = qt_connect();
	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	CU_ASSERT_EQUAL(qmp_server_adopt(qt.server, fds[1]), -EUSERS);
	CU_ASSERT(read(fds[0], text, sizeof text - 1) > 0);
	CU_ASSERT_STRING_EQUAL(text, "{\"error\":{\"class\":\"GenericError\",\"desc\":\"Too many clients\"}}\r\n");
	CU_ASSERT_EQUAL(read(fds[0], text, sizeof text), 0);
	close(fds[0]);
	qt_hang_up(clients[0]);
	clients[0] = qt_connect();
	for (int i = 0; i < QMP_MAX_CLIENTS; i++)
		qt_hang_up(clients[i]);
	qt_end();
}

static void silence_makes_room(void)
{
	struct qt_client *clients[QMP_MAX_CLIENTS];
	int fds[2];

	qt_begin();
	for (int i = 0; i < QMP_MAX_CLIENTS; i++) {
		clients[i] = i < 2 ? qt_connect_quietly() : qt_connect();
		fakeloop_advance(&qt.loop, 1);
	}
	fakeloop_advance(&qt.loop, QMP_NEGOTIATE_MS - QMP_MAX_CLIENTS - 1);
	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	CU_ASSERT_EQUAL(qmp_server_adopt(qt.server, fds[1]), -EUSERS);
	close(fds[0]);
	fakeloop_advance(&qt.loop, 1);
	struct qt_client *next = qt_connect();
	CU_ASSERT_TRUE(qt_begins(qt_hear(clients[0]), "{\"QMP\":"));
	qt_expect(clients[0], "EOF"); /* the older of the two */
	CU_ASSERT_TRUE(qt_begins(qt_hear(clients[1]), "{\"QMP\":"));
	qt_ask(clients[1], QT_NEGOTIATE, QT_EMPTY);
	/* Those that negotiated may be silent. */
	fakeloop_advance(&qt.loop, 10 * QMP_NEGOTIATE_MS);
	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	CU_ASSERT_EQUAL(qmp_server_adopt(qt.server, fds[1]), -EUSERS);
	close(fds[0]);
	qt_hang_up(next);
	for (int i = 0; i < QMP_MAX_CLIENTS; i++)
		qt_hang_up(clients[i]);
	qt_end();
}

/* ---- The listening socket -------------------------------------------- */

/* ---- The listening socket -------------------------------------------- */

static int listen_somewhere(struct sockaddr_un *address, socklen_t *len)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	/* Without a path the kernel finds an abstract name. */
	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	CU_ASSERT_EQUAL(bind(fd, (struct sockaddr *)address, sizeof address->sun_family), 0);
	CU_ASSERT_EQUAL(listen(fd, 16), 0);
	*len = sizeof *address;
	CU_ASSERT_EQUAL(getsockname(fd, (struct sockaddr *)address, len), 0);
	return fd;
}

static void lets_clients_in(void)
{
	struct sockaddr_un address;
	socklen_t len;

	qt_begin();
	qmp_server_destroy(qt.server);
	int fd = listen_somewhere(&address, &len);
	CU_ASSERT_EQUAL_FATAL(qmp_server_create(&qt.loop.host, &qt.machine, fd, &qt.server), 0);
	struct qt_client *client = qt_new_client(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0));
	CU_ASSERT_EQUAL(connect(client->fd, (struct sockaddr *)&address, len), 0);
	fakeloop_run(&qt.loop);
	CU_ASSERT_TRUE(qt_begins(qt_hear(client), "{\"QMP\":"));
	qt_ask(client, QT_NEGOTIATE, QT_EMPTY);
	qt_hang_up(client);
	qt_end();
	close(fd);
}

/* Only as root can one be another user. */
static void other_users_are_turned_away(void)
{
	static const char refusal[] = "{\"error\":{\"class\":\"GenericError\",\"desc\":\"Permission denied\"}}\r\n";
	struct sockaddr_un address;
	socklen_t len;
	int status_of_child = 0;

	qt_begin();
	qmp_server_destroy(qt.server);
	int fd = listen_somewhere(&address, &len);
	CU_ASSERT_EQUAL_FATAL(qmp_server_create(&qt.loop.host, &qt.machine, fd, &qt.server), 0);
	pid_t pid = geteuid() == 0 ? fork() : -1;
	if (pid == 0) {
		char text[256] = "";
		int peer = socket(AF_UNIX, SOCK_STREAM, 0);
		if (setuid(12345) < 0 || connect(peer, (struct sockaddr *)&address, len) < 0)
			_exit(1);
		ssize_t n = recv(peer, text, sizeof text - 1, 0);
		_exit(n == (ssize_t)strlen(refusal) && strcmp(text, refusal) == 0 && recv(peer, text, 1, 0) == 0 ? 0 : 2);
	}
	while (pid > 0 && waitpid(pid, &status_of_child, WNOHANG) == 0)
		fakeloop_run(&qt.loop);
	CU_ASSERT_EQUAL(status_of_child, 0);
	CU_ASSERT_EQUAL(qt.loop.n_watches, 1);
	qt_end();
	close(fd);
}

static void no_descriptors_left_does_not_spin(void)
{
	struct sockaddr_un address;
	socklen_t len;
	struct rlimit before, few;

	qt_begin();
	qmp_server_destroy(qt.server);
	int fd = listen_somewhere(&address, &len);
	CU_ASSERT_EQUAL_FATAL(qmp_server_create(&qt.loop.host, &qt.machine, fd, &qt.server), 0);
	struct qt_client *client = qt_new_client(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0));
	CU_ASSERT_EQUAL(connect(client->fd, (struct sockaddr *)&address, len), 0);
	getrlimit(RLIMIT_NOFILE, &before);
	few = (struct rlimit){.rlim_cur = 0, .rlim_max = before.rlim_max};
	setrlimit(RLIMIT_NOFILE, &few);
	/* poll(2) of the fake loop needs its limit: accept by hand. */
	CU_ASSERT_EQUAL(qt.loop.n_watches, 1);
	qt.loop.watches[0]->fn(qt.loop.watches[0]->opaque, 0);
	CU_ASSERT_EQUAL(qt.loop.n_watches, 0);
	setrlimit(RLIMIT_NOFILE, &before);
	fakeloop_run(&qt.loop);
	qt_expect(client, "");
	fakeloop_advance(&qt.loop, 1000);
	CU_ASSERT_TRUE(qt_begins(qt_hear(client), "{\"QMP\":"));
	qt_hang_up(client);
	qt_end();
	close(fd);
}

static const struct test_case cases[] = {
	{"a client that does not read is dropped", a_client_that_does_not_read_is_dropped},
	{"a late reader gets all answers", a_late_reader_gets_all_answers},
	{"longest answers to one packet", longest_answers_to_one_packet},
	{"half-closed client gets its answers", half_closed_client_gets_its_answers},
	{"half-closed client may read late", half_closed_client_may_read_late},
	{"clients come and go", clients_come_and_go},
	{"not more than so many", not_more_than_so_many},
	{"silence makes room", silence_makes_room},
	{"lets clients in", lets_clients_in},
	{"other users are turned away", other_users_are_turned_away},
	{"no descriptors left does not spin", no_descriptors_left_does_not_spin},
};

TEST_SUITE(qmp_clients, cases);
