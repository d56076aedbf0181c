/*
 * Where running VMs are found: a folder of the user with NAME.sock, the QMP
 * socket, and NAME.pid, whose lock says that the VM is alive (fcntl
 * F_OFD_SETLK: one may ask about it without taking it). The lock ends with the
 * process however it ends, so that a VM that was killed hinders nobody: its
 * files are taken over by the next one of the name.
 *
 * The folder is $XDG_RUNTIME_DIR/vmm-balloon when the variable names a folder
 * of the user; else /run/vmm-balloon for root, /run/user/UID/vmm-balloon where
 * that is, and /tmp/vmm-balloon-UID where it is not. It is created with mode
 * 0700 and refused when somebody else could write to it.
 *
 * Root also finds the VMs of the unit vmm-balloon@.service, in its own folder:
 * those that have no namesake in root's.
 */
#ifndef CONTROL_RUNTIME_DIR_H
#define CONTROL_RUNTIME_DIR_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/un.h>

#include "util/fail.h"

#define RUNTIME_NAME_MAX 64 /* bytes of a VM's name with the NUL */
/* XDG_RUNTIME_DIR of contrib/systemd/vmm-balloon@.service, as root sees it. */
#define RUNTIME_UNITS_FOLDER "/run/private/vmm-balloon-units/vmm-balloon"
#define RUNTIME_PATH_MAX sizeof(((struct sockaddr_un *)0)->sun_path)

/* What a running VM holds there. Zero-initialise; one VM, one thread. */
struct runtime_dir {
	bool claimed; /* the fields below mean something */
	int dir_fd;
	int lock_fd;
	int listen_fd; /* -1 before runtime_dir_listen() */
	char name[RUNTIME_NAME_MAX];
	char dir[PATH_MAX];
	char socket_path[RUNTIME_PATH_MAX]; /* empty: no socket yet */
	dev_t socket_dev;		    /* the socket's file, to be sure later that it is still ours */
	ino_t socket_ino;
};

/* Writes the path of the folder, which may not exist yet. 0, or -errno with the reason in `why`. */
int runtime_dir_path(char *path, size_t size, struct fail *why);

/*
 * Makes the folder and takes the name: -EEXIST when a VM of that name is
 * running, or another -errno, with the reason in `why`. Do it early: it is what
 * keeps two VMs of one name apart.
 */
int runtime_dir_claim(struct runtime_dir *runtime, const char *name, struct fail *why);

/*
 * Opens the listening socket, mode 0600, not blocking, and puts it in
 * listen_fd. `path` NULL: NAME.sock. Otherwise there, and NAME.sock is a
 * symbolic link to it, so that the VM is still found by its name. A socket
 * nobody listens on is replaced; anything else at `path` is refused (-EADDRINUSE).
 */
int runtime_dir_listen(struct runtime_dir *runtime, const char *path, struct fail *why);

/*
 * The path of the socket of the VM called `name`, which need not run. A name
 * with a '/' is a path already. 0, or -errno with the reason in `why`: -ENOENT
 * when no VM ever ran, with the path that it would have, -EPERM when the folder is another user's.
 */
int runtime_dir_find(const char *name, char path[RUNTIME_PATH_MAX], struct fail *why);

/* One VM that runs. */
struct runtime_vm {
	char name[RUNTIME_NAME_MAX];
	char socket_path[RUNTIME_PATH_MAX];
	pid_t pid; /* 0: unknown */
};

/*
 * The VMs that run, by name; *vms is the caller's to free. Files of VMs that
 * died are passed over. Returns how many there are, or -errno with the reason in `why`.
 */
ssize_t runtime_dir_list(struct runtime_vm **vms, struct fail *why);

/* Whether a VM of that name runs. Its process may outlive its socket by a moment. */
bool runtime_dir_is_running(const char *name);

/* Removes the files, closes the fds, gives the name back. Zeroed or failed before is fine. */
void runtime_dir_release(struct runtime_dir *runtime);

#endif
