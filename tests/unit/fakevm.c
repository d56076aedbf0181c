#include "tests/unit/fakevm.h"

#include <CUnit/CUnit.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static char path[64];
static pid_t server;

static void serve(int fd, const char *const *texts)
{
	char heard[4096];
	int peer = accept(fd, NULL, NULL);

	for (; *texts; texts++) {
		size_t half = strlen(*texts) / 2;
		send(peer, *texts, half, MSG_NOSIGNAL);
		usleep(2000);
		send(peer, *texts + half, strlen(*texts) - half, MSG_NOSIGNAL);
		if (texts[1] && recv(peer, heard, sizeof heard, 0) <= 0)
			break;
	}
}

static void flood(int fd, const char *greeting, const char *text)
{
	int peer = accept(fd, NULL, NULL);

	send(peer, greeting, strlen(greeting), MSG_NOSIGNAL);
	while (send(peer, text, strlen(text), MSG_NOSIGNAL) > 0)
		;
}

static int start_listening(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(path, sizeof path, "/tmp/fakevm.%d", getpid());
	snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
	unlink(path);
	CU_ASSERT_EQUAL_FATAL(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
	CU_ASSERT_EQUAL_FATAL(listen(fd, 1), 0);
	return fd;
}

const char *fakevm_start(const char *const *texts)
{
	int fd = start_listening();

	server = fork();
	if (server == 0) {
		serve(fd, texts);
		_exit(0);
	}
	close(fd);
	return path;
}

const char *fakevm_start_flood(const char *greeting, const char *text)
{
	int fd = start_listening();

	server = fork();
	if (server == 0) {
		flood(fd, greeting, text);
		_exit(0);
	}
	close(fd);
	return path;
}

void fakevm_end(void)
{
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
	unlink(path);
}
