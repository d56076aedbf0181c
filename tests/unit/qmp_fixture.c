#include "tests/unit/qmp_fixture.h"

#include <CUnit/CUnit.h>
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct qmp_test qt;

/* ---- The machine ----------------------------------------------------- */

static enum machine_status op_status(void *opaque)
{
	(void)opaque;
	return qt.status;
}

static int op_pause(void *opaque)
{
	(void)opaque;
	qt.n_pauses++;
	if (qt.op_result == 0)
		qt.status = MACHINE_PAUSED;
	return qt.op_result;
}

static int op_resume(void *opaque)
{
	(void)opaque;
	qt.n_resumes++;
	if (qt.op_result == 0)
		qt.status = MACHINE_RUNNING;
	return qt.op_result;
}

static int op_reset(void *opaque)
{
	(void)opaque;
	qt.n_resets++;
	return qt.op_result;
}

static int op_power_button(void *opaque)
{
	(void)opaque;
	qt.n_buttons++;
	return qt.op_result;
}

static void op_quit(void *opaque)
{
	(void)opaque;
	qt.n_quits++;
}

static int op_ram_rss_bytes(void *opaque, uint64_t *bytes)
{
	(void)opaque;
	*bytes = 12345678;
	return qt.op_result;
}

static pid_t op_vcpu_tid(void *opaque, unsigned index)
{
	(void)opaque;
	return (pid_t)(1000 + index);
}

static const struct machine_ops ops = {
	.status = op_status,
	.pause = op_pause,
	.resume = op_resume,
	.reset = op_reset,
	.power_button = op_power_button,
	.quit = op_quit,
	.ram_rss_bytes = op_ram_rss_bytes,
	.vcpu_tid = op_vcpu_tid,
};

void qt_begin_without_balloon(void)
{
	fakeloop_init(&qt.loop);
	qt.status = MACHINE_RUNNING;
	qt.op_result = 0;
	qt.n_pauses = qt.n_resumes = qt.n_resets = qt.n_buttons = qt.n_quits = 0;
	qt.machine = (struct machine){.ops = &ops, .name = "web-1", .ram_bytes = QT_RAM, .n_vcpus = 2};
	CU_ASSERT_EQUAL_FATAL(qmp_server_create(&qt.loop.host, &qt.machine, -1, &qt.server), 0);
}

void qt_begin(void)
{
	qt_begin_without_balloon();
	fg_create(&qt.guest, NULL, 4096);
	qt.machine.balloon = qt.guest.dev;
}

void qt_end(void)
{
	qmp_server_destroy(qt.server);
	CU_ASSERT_EQUAL(qt.loop.n_watches, 0);
	CU_ASSERT_PTR_NULL(qt.loop.timers);
	if (qt.machine.balloon)
		CU_ASSERT_EQUAL(fg_destroy(&qt.guest), 0);
}

/* ---- Clients --------------------------------------------------------- */

void qt_send_bytes(struct qt_client *client, const char *bytes, size_t len)
{
	CU_ASSERT_EQUAL(send(client->fd, bytes, len, MSG_NOSIGNAL), (ssize_t)len);
	fakeloop_run(&qt.loop);
}

void qt_say(struct qt_client *client, const char *text)
{
	qt_send_bytes(client, text, strlen(text));
}

const char *qt_hear(struct qt_client *client)
{
	static char line[1 << 16];

	for (;;) {
		char *crlf = memmem(client->text, client->len, "\r\n", 2);
		if (crlf) {
			size_t len = (size_t)(crlf - client->text);
			memcpy(line, client->text, len);
			line[len] = '\0';
			client->len -= len + 2;
			memmove(client->text, crlf + 2, client->len);
			for (size_t i = 0; i < len; i++)
				CU_ASSERT(line[i] >= 0x20 && line[i] < 0x7f);
			return line;
		}
		ssize_t n = recv(client->fd, client->text + client->len, sizeof client->text - client->len, MSG_DONTWAIT);
		if (n == 0 || (n < 0 && errno == ECONNRESET))
			return "EOF";
		if (n < 0)
			return "";
		client->len += (size_t)n;
		fakeloop_run(&qt.loop);
	}
}

bool qt_begins(const char *line, const char *start)
{
	return strncmp(line, start, strlen(start)) == 0;
}

void qt_expect(struct qt_client *client, const char *expected)
{
	const char *line = qt_hear(client);

	if (strcmp(line, expected) != 0)
		fprintf(stderr, "expected %s\n     got %s\n", expected, line);
	CU_ASSERT_STRING_EQUAL(line, expected);
}

void qt_expect_event(struct qt_client *client, const char *expected)
{
	char line[4096], *stamp;
	long long seconds;
	long microseconds;
	int used = 0;

	snprintf(line, sizeof line, "%s", qt_hear(client));
	stamp = strstr(line, "\"timestamp\"");
	CU_ASSERT_PTR_NOT_NULL(stamp);
	if (!stamp) {
		fprintf(stderr, "expected %s\n     got %s\n", expected, line);
		return;
	}
	CU_ASSERT_EQUAL(sscanf(stamp, "\"timestamp\":{\"seconds\":%lld,\"microseconds\":%ld}}%n", &seconds, &microseconds, &used), 2);
	CU_ASSERT_EQUAL(stamp[used], '\0');
	*stamp = '\0';
	CU_ASSERT_STRING_EQUAL(line, expected);
}

void qt_ask(struct qt_client *client, const char *command, const char *answer)
{
	qt_say(client, command);
	qt_expect(client, answer);
}

void qt_run(struct qt_client *client, const char *name, const char *args, const char *answer)
{
	char text[1024];

	snprintf(text, sizeof text, "{'execute':'%s','arguments':{%s}}", name, args);
	qt_ask(client, text, answer);
}

struct qt_client *qt_new_client(int fd)
{
	struct qt_client *client = calloc(1, sizeof *client);

	assert(client);
	client->fd = fd;
	return client;
}

struct qt_client *qt_connect_quietly(void)
{
	int fds[2];

	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	CU_ASSERT_EQUAL(qmp_server_adopt(qt.server, fds[1]), 0);
	return qt_new_client(fds[0]);
}

struct qt_client *qt_connect(void)
{
	struct qt_client *client = qt_connect_quietly();

	CU_ASSERT_TRUE(qt_begins(qt_hear(client), "{\"QMP\":"));
	qt_ask(client, QT_NEGOTIATE, QT_EMPTY);
	return client;
}

void qt_hang_up(struct qt_client *client)
{
	close(client->fd);
	free(client);
	fakeloop_run(&qt.loop);
}
