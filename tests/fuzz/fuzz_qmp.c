/*
 * What QMP clients may do to the server. The input is a list of steps of two
 * bytes: two bits of the first say which of the clients, three what it does. Whatever it is, each client gets the greeting and then lines of ASCII
 * that are valid JSON, and nobody else suffers.
 *
 *   0 to 3   sends the next bytes of the input, as many as the second byte says
 *   4        hangs up and comes again; odd second byte: with the negotiation
 *   5        sends no more
 *   6        a guest's event happens; the second byte says which
 *   7        time goes on, and all clients read what there is for them
 */
#include <errno.h>
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control/qmp_server.h"
#include "tests/unit/fakeguest.h"
#include "tests/unit/fakeloop.h"

#define N_CLIENTS 4

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum machine_status status(void *opaque)
{
	return *(enum machine_status *)opaque;
}

static int pause_machine(void *opaque)
{
	*(enum machine_status *)opaque = MACHINE_PAUSED;
	return 0;
}

static int resume_machine(void *opaque)
{
	*(enum machine_status *)opaque = MACHINE_RUNNING;
	return 0;
}

static int do_nothing(void *opaque)
{
	(void)opaque;
	return 0;
}

static void quit(void *opaque)
{
	(void)opaque;
}

static int ram_rss_bytes(void *opaque, uint64_t *bytes)
{
	(void)opaque;
	*bytes = 4096;
	return 0;
}

static pid_t vcpu_tid(void *opaque, unsigned index)
{
	(void)opaque;
	return (pid_t)index;
}

static const struct machine_ops ops = {
	.status = status,
	.pause = pause_machine,
	.resume = resume_machine,
	.reset = do_nothing,
	.power_button = do_nothing,
	.quit = quit,
	.ram_rss_bytes = ram_rss_bytes,
	.vcpu_tid = vcpu_tid,
};

static void demand(bool holds)
{
	if (!holds)
		abort();
}

/* The first line is the greeting. */
static void check_line(const char *line, size_t len, bool is_first)
{
	demand(len > 2 && memcmp(line + len - 2, "\r\n", 2) == 0);
	for (size_t i = 0; i < len - 2; i++)
		demand(line[i] >= 0x20 && line[i] < 0x7f);
	/* As reals: jansson's integers cannot hold 2^64 - 1. */
	json_t *value = json_loadb(line, len, JSON_DECODE_INT_AS_REAL | JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, NULL);
	demand(json_is_object(value));
	demand(is_first == (json_object_get(value, "QMP") != NULL));
	json_decref(value);
}

struct client {
	int fd;
	bool greeted;
	char *text; /* read, but no whole line yet */
	size_t len;
};

struct scene {
	enum machine_status status;
	struct fakeloop loop;
	struct fakeguest guest;
	struct machine machine;
	struct qmp_server *server;
	struct client clients[N_CLIENTS];
};

/* ---- Clients --------------------------------------------------------- */

static void connect_client(struct scene *scene, struct client *client)
{
	int fds[2], least = 1;

	demand(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
	/* The less the kernel keeps, the sooner the server has to. */
	demand(setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &least, sizeof least) == 0);
	demand(qmp_server_adopt(scene->server, fds[1]) == 0);
	client->fd = fds[0];
	client->greeted = false;
	client->len = 0;
}

static void hang_up(struct scene *scene, struct client *client)
{
	close(client->fd);
	fakeloop_run(&scene->loop);
}

static void take_lines(struct client *client)
{
	char *end;

	while ((end = memchr(client->text, '\n', client->len))) {
		size_t len = (size_t)(end + 1 - client->text);
		check_line(client->text, len, !client->greeted);
		client->greeted = true;
		client->len -= len;
		memmove(client->text, client->text + len, client->len);
	}
	demand(client->len < QMP_OUT_MAX);
}

/* Until the server has nothing more for it; each read makes room for more. */
static void hear(struct scene *scene, struct client *client)
{
	ssize_t n;

	while ((n = recv(client->fd, client->text + client->len, QMP_OUT_MAX, 0)) > 0) {
		client->len += (size_t)n;
		take_lines(client);
		fakeloop_run(&scene->loop);
	}
	demand(n == 0 || errno == EAGAIN || errno == ECONNRESET);
}

static void hear_all(struct scene *scene)
{
	for (unsigned i = 0; i < N_CLIENTS; i++)
		hear(scene, &scene->clients[i]);
}

static void say(struct scene *scene, struct client *client, const void *bytes, size_t len)
{
	/* It may be dropped by now, or not get rid of all: that is for the fuzzer to find out. */
	ssize_t sent = send(client->fd, bytes, len, MSG_NOSIGNAL);

	demand(sent >= 0 || errno == EPIPE || errno == EAGAIN || errno == ECONNRESET);
	fakeloop_run(&scene->loop);
}

/* ---- Steps ----------------------------------------------------------- */

static void tell_event(struct scene *scene, uint8_t which)
{
	struct host_event event = {.kind = which % (HOST_EVENT_BALLOON_HINTED + 1), .device_id = "balloon0", .value = (uint64_t)which << 20};

	qmp_server_event(scene->server, &event);
	if (which & 0x80)
		qmp_server_note(scene->server, which % (QMP_NOTE_SHUTDOWN + 1), which / 8 % (QMP_CAUSE_HOST_ERROR + 1));
	fakeloop_run(&scene->loop);
}

/* Returns how many bytes of the input belong to the step. */
static size_t step(struct scene *scene, const uint8_t *data, size_t size)
{
	static const char negotiate[] = "{'execute':'qmp_capabilities'}";
	struct client *client = &scene->clients[data[0] & (N_CLIENTS - 1)];
	uint8_t more = size > 1 ? data[1] : 0;
	size_t len = 0;

	switch (data[0] >> 2 & 7) {
	case 4:
		hang_up(scene, client);
		connect_client(scene, client);
		if (more & 1)
			say(scene, client, negotiate, strlen(negotiate));
		break;
	case 5:
		shutdown(client->fd, SHUT_WR);
		fakeloop_run(&scene->loop);
		break;
	case 6:
		tell_event(scene, more);
		break;
	case 7:
		fakeloop_advance(&scene->loop, 100);
		hear_all(scene);
		break;
	default:
		len = size > 2 ? size - 2 : 0;
		len = more < len ? more : len;
		say(scene, client, data + 2, len);
	}
	return size > 1 ? 2 + len : 1;
}

static struct scene *create_scene(void)
{
	struct scene *scene = calloc(1, sizeof *scene);

	demand(scene);
	fakeloop_init(&scene->loop);
	fg_create(&scene->guest, NULL, 4096);
	scene->machine = (struct machine){
		.ops = &ops, .opaque = &scene->status, .name = "fuzz", .ram_bytes = 2 * FAKE_REGION_LEN, .n_vcpus = 2, .balloon = scene->guest.dev};
	for (unsigned i = 0; i < N_CLIENTS; i++) {
		scene->clients[i].text = malloc(2 * (size_t)QMP_OUT_MAX);
		demand(scene->clients[i].text);
	}
	return scene;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct scene *scene;

	if (!scene)
		scene = create_scene();
	scene->status = MACHINE_RUNNING;
	demand(qmp_server_create(&scene->loop.host, &scene->machine, -1, &scene->server) == 0);
	for (unsigned i = 0; i < N_CLIENTS; i++)
		connect_client(scene, &scene->clients[i]);
	for (size_t at = 0; at < size;)
		at += step(scene, data + at, size - at);
	fakeloop_advance(&scene->loop, QMP_NEGOTIATE_MS);
	hear_all(scene);
	for (unsigned i = 0; i < N_CLIENTS; i++)
		hang_up(scene, &scene->clients[i]);
	qmp_server_destroy(scene->server);
	demand(scene->loop.n_watches == 0 && !scene->loop.timers);
	return 0;
}
