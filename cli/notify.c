#include "cli/notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "util/log.h"

/* An address that begins with '@' is in the abstract name space, where a NUL stands in its place and there is none at the end. */
static int connect_to(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t len = strlen(path);
	if ((path[0] != '/' && path[0] != '@') || len < 2 || len >= sizeof address.sun_path) {
		errno = EAFNOSUPPORT;
		return -1;
	}
	memcpy(address.sun_path, path, len);
	if (path[0] == '@')
		address.sun_path[0] = '\0';
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	socklen_t address_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&address, address_len) == 0)
		return fd;
	int error = errno;
	if (fd >= 0)
		close(fd);
	errno = error;
	return -1;
}

static void warn(const char *what)
{
	log_line(LOG_LEVEL_WARN, NULL, "%s: %s; the service manager may take this VM for one that does not start", what, strerror(errno));
}

int notify_open(void)
{
	const char *path = getenv("NOTIFY_SOCKET");
	int fd = -1;
	if (path && *path) {
		fd = connect_to(path);
		if (fd < 0)
			warn("cannot connect to $NOTIFY_SOCKET");
	}
	unsetenv("NOTIFY_SOCKET");
	return fd;
}

void notify_send(int *fd, const char *state)
{
	if (*fd < 0 || send(*fd, state, strlen(state), MSG_NOSIGNAL) >= 0)
		return;
	warn("cannot tell $NOTIFY_SOCKET");
	close(*fd);
	*fd = -1;
}
