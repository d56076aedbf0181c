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

/*
 * The folders where VMs are looked for: the user's own, and for root that of
 * the VMs that are units of systemd. These run as a user of their own, behind a
 * folder that root alone can pass. Returns an fd, or -errno: -ENOENT when there
 * is no such folder.
 */
enum folder { FOLDER_OWN, FOLDER_UNITS, N_FOLDERS };

static int open_folder(enum folder which, char path[PATH_MAX], struct fail *why)
{
	if (which == FOLDER_OWN) {
		int ret = runtime_dir_path(path, PATH_MAX, why);
		return ret == 0 ? open_own_folder(path, why) : ret;
	}
	snprintf(path, PATH_MAX, RUNTIME_UNITS_FOLDER);
	int fd = geteuid() == 0 ? open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
	return fd < 0 ? -ENOENT : fd;
}

static bool is_running_in(int folder_fd, const char *name)
{
	char file[RUNTIME_NAME_MAX + 8];
	pid_t pid;
	int len = snprintf(file, sizeof file, "%s.pid", name);

	return len >= 0 && (size_t)len < sizeof file && is_locked(folder_fd, file, &pid);
}

/* Whether a VM of that name runs, with the path of its folder. */
static bool find_running(const char *name, char path[PATH_MAX])
{
	bool found = false;

	for (enum folder which = 0; which < N_FOLDERS && !found; which++) {
		int fd = open_folder(which, path, NULL);
		if (fd < 0)
			continue;
		found = is_running_in(fd, name);
		close(fd);
	}
	return found;
}

bool runtime_dir_is_running(const char *name)
{
	char path[PATH_MAX];

	return !strchr(name, '/') && find_running(name, path);
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
	if (find_running(name, folder))
		return socket_path(folder, name, path, why);
	int fd = open_folder(FOLDER_OWN, folder, why);
	if (fd < 0 && fd != -ENOENT)
		return fd;
	int ret = socket_path(folder, name, path, fd == -ENOENT ? NULL : why);
	if (fd < 0)
		return ret < 0 ? ret : fd;
	close(fd);
	return ret;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct runtime_vm *)a)->name, ((const struct runtime_vm *)b)->name);
}

static bool has_name(const struct runtime_vm *vms, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(vms[i].name, name) == 0)
			return true;
	return false;
}

/* Takes the entry in when it is the lock of a VM that runs. */
static int add_entry(DIR *dir, const char *folder, const char *file, struct runtime_vm **vms, size_t *n)
{
	size_t len = strlen(file);
	struct runtime_vm vm = {.pid = 0};

	if (len <= 4 || len - 4 >= sizeof vm.name || strcmp(file + len - 4, ".pid") != 0)
		return 0;
	memcpy(vm.name, file, len - 4);
	if (has_name(*vms, *n, vm.name) || !is_locked(dirfd(dir), file, &vm.pid) || socket_path(folder, vm.name, vm.socket_path, NULL) < 0)
		return 0;
	struct runtime_vm *more = realloc(*vms, (*n + 1) * sizeof **vms);
	if (!more)
		return -ENOMEM;
	*vms = more;
	more[(*n)++] = vm;
	return 0;
}

/* Adds those of a folder, which need not be there. */
static int list_folder(enum folder which, struct runtime_vm **vms, size_t *n, struct fail *why)
{
	char folder[PATH_MAX];
	int fd = open_folder(which, folder, why);

	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	DIR *dir = fdopendir(fd);
	if (!dir) {
		int ret = fail(why, errno, "cannot open folder %s", folder);
		close(fd);
		return ret;
	}
	int ret = 0;
	for (const struct dirent *entry; ret == 0 && (entry = readdir(dir));)
		ret = add_entry(dir, folder, entry->d_name, vms, n);
	closedir(dir);
	return ret < 0 ? fail(why, -ret, "cannot list the VMs") : 0;
}

ssize_t runtime_dir_list(struct runtime_vm **vms, struct fail *why)
{
	size_t n = 0;
	int ret = 0;

	*vms = NULL;
	for (enum folder which = 0; which < N_FOLDERS && ret == 0; which++)
		ret = list_folder(which, vms, &n, why);
	if (ret < 0) {
		free(*vms);
		*vms = NULL;
		return ret;
	}
	if (n > 0)
		qsort(*vms, n, sizeof **vms, by_name);
	return (ssize_t)n;
}
