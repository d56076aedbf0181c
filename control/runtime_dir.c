#include "control/runtime_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* An ending VM removes its lock file; one that starts meanwhile locks the removed file and tries again. */
#define LOCK_TRIES 100

#define BACKLOG 16

/* ---- The folder ------------------------------------------------------ */

static bool is_folder_of_user(const char *path)
{
	struct stat st;

	return path[0] == '/' && stat(path, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid();
}

int runtime_dir_path(char *path, size_t size, struct fail *why)
{
	const char *xdg = getenv("XDG_RUNTIME_DIR");
	char run_user[64];
	int len;

	snprintf(run_user, sizeof run_user, "/run/user/%u", geteuid());
	/* The variable may be left over from before a sudo: then the folder is another user's. */
	if (xdg && is_folder_of_user(xdg))
		len = snprintf(path, size, "%s/vmm-balloon", xdg);
	else if (geteuid() == 0)
		len = snprintf(path, size, "/run/vmm-balloon");
	else if (is_folder_of_user(run_user))
		len = snprintf(path, size, "%s/vmm-balloon", run_user);
	else
		len = snprintf(path, size, "/tmp/vmm-balloon-%u", geteuid());
	if (len < 0 || (size_t)len >= size)
		return fail(why, ENAMETOOLONG, "cannot use XDG_RUNTIME_DIR %s", xdg);
	return 0;
}

/* Returns an fd of the folder, made when it is missing, or -errno. */
static int open_folder(const char *path, struct fail *why)
{
	struct stat st;

	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return fail(why, errno, "cannot make folder %s", path);
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return fail(why, errno, "cannot open folder %s", path);
	int ret = 0;
	if (fstat(fd, &st) < 0)
		ret = fail(why, errno, "cannot examine folder %s", path);
	else if (st.st_uid != geteuid())
		ret = fail(why, EPERM, "folder %s belongs to user %u", path, st.st_uid);
	else if (st.st_mode & (S_IWGRP | S_IWOTH))
		ret = fail(why, EPERM, "others can write to folder %s (its mode should be 0700)", path);
	if (ret == 0)
		return fd;
	close(fd);
	return ret;
}

/* ---- The name -------------------------------------------------------- */

static void file_name(const struct runtime_dir *runtime, const char *suffix, char name[RUNTIME_NAME_MAX + 8])
{
	snprintf(name, RUNTIME_NAME_MAX + 8, "%s.%s", runtime->name, suffix);
}

static int fail_running(int lock_fd, const char *name, struct fail *why)
{
	char pid[16] = "";
	ssize_t n = pread(lock_fd, pid, sizeof pid - 1, 0);

	pid[n > 0 ? strspn(pid, "0123456789") : 0] = '\0';
	fail(why, 0, "a VM named '%s' is already running (pid %s); call this one otherwise with --name", name, *pid ? pid : "unknown");
	return -EEXIST;
}

/* Opens and locks the file once. -EAGAIN: it was removed in between. */
static int lock_once(struct runtime_dir *runtime, const char *file, struct fail *why)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	struct stat ours, there;
	int fd = openat(runtime->dir_fd, file, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return fail(why, errno, "cannot open %s/%s", runtime->dir, file);
	int ret = 0;
	if (fcntl(fd, F_OFD_SETLK, &lock) < 0)
		ret = errno == EAGAIN ? fail_running(fd, runtime->name, why) : fail(why, errno, "cannot lock %s/%s", runtime->dir, file);
	else if (fstat(fd, &ours) < 0)
		ret = fail(why, errno, "cannot examine %s/%s", runtime->dir, file);
	else if (fstatat(runtime->dir_fd, file, &there, AT_SYMLINK_NOFOLLOW) < 0 || there.st_dev != ours.st_dev || there.st_ino != ours.st_ino)
		ret = -EAGAIN;
	if (ret == 0) {
		runtime->lock_fd = fd;
		return 0;
	}
	close(fd);
	return ret;
}

static int take_name(struct runtime_dir *runtime, struct fail *why)
{
	char file[RUNTIME_NAME_MAX + 8], text[16];
	int ret = -EAGAIN;

	file_name(runtime, "pid", file);
	for (int i = 0; i < LOCK_TRIES && ret == -EAGAIN; i++)
		ret = lock_once(runtime, file, why);
	if (ret == -EAGAIN)
		return fail(why, EAGAIN, "cannot lock %s/%s", runtime->dir, file);
	if (ret < 0)
		return ret;
	int len = snprintf(text, sizeof text, "%d\n", getpid());
	if (ftruncate(runtime->lock_fd, 0) == 0 && pwrite(runtime->lock_fd, text, (size_t)len, 0) == len)
		return 0;
	ret = fail(why, errno, "cannot write %s/%s", runtime->dir, file);
	unlinkat(runtime->dir_fd, file, 0);
	close(runtime->lock_fd);
	return ret;
}

int runtime_dir_claim(struct runtime_dir *runtime, const char *name, struct fail *why)
{
	memset(runtime, 0, sizeof *runtime);
	runtime->listen_fd = -1;
	size_t len = strlen(name);
	if (len == 0 || len >= sizeof runtime->name || strchr(name, '/'))
		return fail(why, 0, "'%s' cannot be the name of a VM", name);
	memcpy(runtime->name, name, len + 1);

	int ret = runtime_dir_path(runtime->dir, sizeof runtime->dir, why);
	if (ret < 0)
		return ret;
	runtime->dir_fd = open_folder(runtime->dir, why);
	if (runtime->dir_fd < 0)
		return runtime->dir_fd;
	ret = take_name(runtime, why);
	if (ret < 0)
		close(runtime->dir_fd);
	runtime->claimed = ret == 0;
	return ret;
}

/* ---- The socket ------------------------------------------------------ */

static struct sockaddr_un address_of(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	memcpy(address.sun_path, path, strlen(path) + 1);
	return address;
}

/* Whether somebody listens there: 0 nobody does, 1, or -errno. */
static int is_alive(const char *path)
{
	struct sockaddr_un address = address_of(path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	int error = connect(fd, (struct sockaddr *)&address, sizeof address) < 0 ? errno : 0;
	close(fd);
	/* EAGAIN: somebody does, but has no room for one more just now. */
	if (error == 0 || error == EAGAIN)
		return 1;
	return error == ECONNREFUSED || error == ENOENT ? 0 : -error;
}

/* Removes a socket that a dead process left behind. */
static int clear_path(const char *path, struct fail *why)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : fail(why, errno, "cannot examine %s", path);
	if (!S_ISSOCK(st.st_mode)) {
		fail(why, 0, "cannot make a socket at %s: it exists and is not a socket", path);
		return -EADDRINUSE;
	}
	int ret = is_alive(path);
	if (ret < 0)
		return fail(why, -ret, "cannot tell whether %s is in use", path);
	if (ret > 0) {
		fail(why, 0, "cannot make a socket at %s: another process listens there", path);
		return -EADDRINUSE;
	}
	return unlink(path) < 0 && errno != ENOENT ? fail(why, errno, "cannot remove %s", path) : 0;
}

static int bind_socket(struct runtime_dir *runtime, struct fail *why)
{
	struct sockaddr_un address = address_of(runtime->socket_path);
	struct stat st;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return fail(why, errno, "cannot make a socket");
	/* Linux gives the file the mode that the socket has when it is bound: at no moment is it open to others. */
	if (fchmod(fd, 0600) == 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0) {
		if (lstat(runtime->socket_path, &st) == 0 && listen(fd, BACKLOG) == 0) {
			runtime->socket_dev = st.st_dev;
			runtime->socket_ino = st.st_ino;
			runtime->listen_fd = fd;
			return 0;
		}
		int ret = fail(why, errno, "cannot listen at %s", runtime->socket_path);
		unlink(runtime->socket_path);
		close(fd);
		return ret;
	}
	int ret = fail(why, errno, "cannot make a socket at %s", runtime->socket_path);
	close(fd);
	return ret;
}

/* Where the socket goes, as an absolute path; relative ones start at the current folder. */
static int set_socket_path(struct runtime_dir *runtime, const char *path, struct fail *why)
{
	char here[PATH_MAX] = "";
	int len;

	if (path && path[0] != '/' && !getcwd(here, sizeof here))
		return fail(why, errno, "cannot tell the current folder");
	if (!path)
		len = snprintf(runtime->socket_path, sizeof runtime->socket_path, "%s/%s.sock", runtime->dir, runtime->name);
	else
		len = snprintf(runtime->socket_path, sizeof runtime->socket_path, "%s%s%s", here, *here ? "/" : "", path);
	if (len >= 0 && (size_t)len < sizeof runtime->socket_path)
		return 0;
	runtime->socket_path[0] = '\0';
	return fail(why, ENAMETOOLONG, "cannot make a socket at %s: the path may have %zu bytes", path ? path : runtime->dir, sizeof runtime->socket_path - 1);
}

int runtime_dir_listen(struct runtime_dir *runtime, const char *path, struct fail *why)
{
	char link_name[RUNTIME_NAME_MAX + 8];
	int ret = set_socket_path(runtime, path, why);

	if (ret < 0)
		return ret;
	/* What is left of a dead VM of this name. */
	file_name(runtime, "sock", link_name);
	if (unlinkat(runtime->dir_fd, link_name, 0) < 0 && errno != ENOENT) {
		ret = fail(why, errno, "cannot remove %s/%s", runtime->dir, link_name);
		goto forget_path;
	}
	ret = path ? clear_path(runtime->socket_path, why) : 0;
	if (ret == 0)
		ret = bind_socket(runtime, why);
	if (ret < 0)
		goto forget_path;
	/* The user may have named the very place where the link would be. */
	if (path && symlinkat(runtime->socket_path, runtime->dir_fd, link_name) < 0 && errno != EEXIST)
		return fail(why, errno, "cannot make the link %s/%s", runtime->dir, link_name);
	return 0;

forget_path:
	runtime->socket_path[0] = '\0';
	return ret;
}

void runtime_dir_release(struct runtime_dir *runtime)
{
	char file[RUNTIME_NAME_MAX + 8];
	struct stat st;

	if (!runtime->claimed)
		return;
	if (runtime->listen_fd >= 0) {
		if (lstat(runtime->socket_path, &st) == 0 && st.st_dev == runtime->socket_dev && st.st_ino == runtime->socket_ino)
			unlink(runtime->socket_path);
		file_name(runtime, "sock", file);
		unlinkat(runtime->dir_fd, file, 0);
		close(runtime->listen_fd);
	}
	/* The lock goes last, and its file before it: whoever gets the lock next finds the name free. */
	file_name(runtime, "pid", file);
	unlinkat(runtime->dir_fd, file, 0);
	close(runtime->lock_fd);
	close(runtime->dir_fd);
	memset(runtime, 0, sizeof *runtime);
}
