#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/runtime_dir.h"

/*
 * Returns an fd of the folder, or -errno: -ENOENT when there is none. One in
 * /tmp may be another user's, who would be taken for our VMs.
 */
static int open_own_folder(const char *path, struct fail *why)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return fail(why, errno, "cannot open folder %s", path);
	if (fstat(fd, &st) == 0 && st.st_uid == geteuid())
		return fd;
	close(fd);
	return fail(why, EPERM, "folder %s is not yours", path);
}

static int socket_path(const char *folder, const char *name, char path[RUNTIME_PATH_MAX], struct fail *why)
{
	int len = snprintf(path, RUNTIME_PATH_MAX, "%s/%s.sock", folder, name);

	return len >= 0 && (size_t)len < RUNTIME_PATH_MAX ? 0 : fail(why, ENAMETOOLONG, "cannot use %s/%s.sock", folder, name);
}

int runtime_dir_find(const char *name, char path[RUNTIME_PATH_MAX], struct fail *why)
{
	char folder[PATH_MAX];
	size_t len = strlen(name);

	if (strchr(name, '/')) {
		if (len >= RUNTIME_PATH_MAX)
			return fail(why, ENAMETOOLONG, "cannot use %s", name);
		memcpy(path, name, len + 1);
		return 0;
	}
	int ret = runtime_dir_path(folder, sizeof folder, why);
	int fd = ret == 0 ? open_own_folder(folder, why) : ret;
	if (fd < 0 && fd != -ENOENT)
		return fd;
	ret = socket_path(folder, name, path, fd == -ENOENT ? NULL : why);
	if (fd < 0)
		return ret < 0 ? ret : fd;
	close(fd);
	return ret;
}

/* Whether somebody holds the lock; if so, *pid is what the file says. */
static bool is_locked(int folder_fd, const char *file, pid_t *pid)
{
	struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
	char text[16] = "";
	int fd = openat(folder_fd, file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return false;
	bool locked = fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
	if (locked && read(fd, text, sizeof text - 1) > 0)
		*pid = (pid_t)strtol(text, NULL, 10);
	close(fd);
	return locked;
}

bool runtime_dir_is_running(const char *name)
{
	char folder[PATH_MAX], file[RUNTIME_NAME_MAX + 8];
	pid_t pid;

	if (strchr(name, '/') || runtime_dir_path(folder, sizeof folder, NULL) < 0)
		return false;
	int len = snprintf(file, sizeof file, "%s.pid", name);
	int fd = open_own_folder(folder, NULL);
	bool running = fd >= 0 && len >= 0 && (size_t)len < sizeof file && is_locked(fd, file, &pid);
	if (fd >= 0)
		close(fd);
	return running;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct runtime_vm *)a)->name, ((const struct runtime_vm *)b)->name);
}

/* Takes the entry in when it is the lock of a VM that runs. */
static int add_entry(DIR *dir, const char *folder, const char *file, struct runtime_vm **vms, size_t *n)
{
	size_t len = strlen(file);
	struct runtime_vm vm = {.pid = 0};

	if (len <= 4 || len - 4 >= sizeof vm.name || strcmp(file + len - 4, ".pid") != 0)
		return 0;
	memcpy(vm.name, file, len - 4);
	if (!is_locked(dirfd(dir), file, &vm.pid) || socket_path(folder, vm.name, vm.socket_path, NULL) < 0)
		return 0;
	struct runtime_vm *more = realloc(*vms, (*n + 1) * sizeof **vms);
	if (!more)
		return -ENOMEM;
	*vms = more;
	more[(*n)++] = vm;
	return 0;
}

ssize_t runtime_dir_list(struct runtime_vm **vms, struct fail *why)
{
	char folder[PATH_MAX];
	size_t n = 0;

	*vms = NULL;
	int ret = runtime_dir_path(folder, sizeof folder, why);
	if (ret < 0)
		return ret;
	int fd = open_own_folder(folder, why);
	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	DIR *dir = fdopendir(fd);
	if (!dir) {
		ret = fail(why, errno, "cannot open folder %s", folder);
		close(fd);
		return ret;
	}
	for (const struct dirent *entry; ret == 0 && (entry = readdir(dir));)
		ret = add_entry(dir, folder, entry->d_name, vms, &n);
	closedir(dir);
	if (ret < 0) {
		free(*vms);
		*vms = NULL;
		return fail(why, -ret, "cannot list the VMs");
	}
	if (n > 0)
		qsort(*vms, n, sizeof **vms, by_name);
	return (ssize_t)n;
}
