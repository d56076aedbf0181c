#include "control/runtime_dir.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/suite.h"

static char top[64], before[PATH_MAX];
static struct fail why;

static int init(void)
{
	const char *xdg = getenv("XDG_RUNTIME_DIR");

	snprintf(before, sizeof before, "%s", xdg ? xdg : "");
	strcpy(top, "/tmp/runtime_dir_test.XXXXXX");
	if (!mkdtemp(top))
		return -1;
	return setenv("XDG_RUNTIME_DIR", top, 1);
}

static int clean(void)
{
	char folder[128];

	snprintf(folder, sizeof folder, "%s/vmm-balloon", top);
	int left = rmdir(folder); /* fails when something was left in it */
	left |= rmdir(top);
	return left | (*before ? setenv("XDG_RUNTIME_DIR", before, 1) : unsetenv("XDG_RUNTIME_DIR"));
}

static const char *path_of(const char *file)
{
	static char path[256];

	snprintf(path, sizeof path, "%s/vmm-balloon/%s", top, file);
	return path;
}

static bool exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

static bool can_connect(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
	bool connected = connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
	close(fd);
	return connected;
}

static void make_socket(const char *path, bool keep_listening, int *fd)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
	*fd = socket(AF_UNIX, SOCK_STREAM, 0);
	CU_ASSERT_EQUAL(bind(*fd, (struct sockaddr *)&address, sizeof address), 0);
	CU_ASSERT_EQUAL(listen(*fd, 1), 0);
	if (!keep_listening)
		close(*fd);
}

static mode_t mode_of(const char *path)
{
	struct stat st = {0};

	stat(path, &st);
	return st.st_mode & 0777;
}

static void a_vm_is_found_while_it_lives(void)
{
	struct runtime_dir vm;
	char text[16] = "", pid[16];

	CU_ASSERT_EQUAL(runtime_dir_claim(&vm, "web-1", &why), 0);
	CU_ASSERT_EQUAL(runtime_dir_listen(&vm, NULL, &why), 0);
	CU_ASSERT_STRING_EQUAL(vm.socket_path, path_of("web-1.sock"));
	CU_ASSERT_TRUE(can_connect(path_of("web-1.sock")));
	CU_ASSERT_EQUAL(mode_of(path_of("web-1.sock")), 0600);
	CU_ASSERT_EQUAL(mode_of(path_of("")), 0700);
	int fd = open(path_of("web-1.pid"), O_RDONLY);
	CU_ASSERT(read(fd, text, sizeof text - 1) > 0);
	close(fd);
	snprintf(pid, sizeof pid, "%d\n", getpid());
	CU_ASSERT_STRING_EQUAL(text, pid);
	CU_ASSERT_EQUAL(fcntl(vm.listen_fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	runtime_dir_release(&vm);
	CU_ASSERT_FALSE(exists(path_of("web-1.sock")));
	CU_ASSERT_FALSE(exists(path_of("web-1.pid")));
	runtime_dir_release(&vm);
}

static void one_name_one_vm(void)
{
	struct runtime_dir first, second, other;
	char expected[128];

	CU_ASSERT_EQUAL(runtime_dir_claim(&first, "a", &why), 0);
	CU_ASSERT_EQUAL(runtime_dir_listen(&first, NULL, &why), 0);
	CU_ASSERT_EQUAL(runtime_dir_claim(&second, "a", &why), -EEXIST);
	snprintf(expected, sizeof expected, "a VM named 'a' is already running (pid %d); call this one otherwise with --name", getpid());
	CU_ASSERT_STRING_EQUAL(why.text, expected);
	CU_ASSERT_EQUAL(why.error, 0);
	runtime_dir_release(&second);
	CU_ASSERT_TRUE(can_connect(path_of("a.sock"))); /* it took nothing away */
	CU_ASSERT_EQUAL(runtime_dir_claim(&other, "b", &why), 0);
	runtime_dir_release(&other);
	runtime_dir_release(&first);
	CU_ASSERT_EQUAL(runtime_dir_claim(&second, "a", &why), 0);
	runtime_dir_release(&second);
}

static void killed_vm_hinders_nobody(void)
{
	int pipe_fds[2], status;
	char byte;

	CU_ASSERT_EQUAL_FATAL(pipe(pipe_fds), 0);
	pid_t pid = fork();
	if (pid == 0) {
		struct runtime_dir vm;
		if (runtime_dir_claim(&vm, "dead", &why) < 0 || runtime_dir_listen(&vm, NULL, &why) < 0 || write(pipe_fds[1], "x", 1) != 1)
			_exit(1);
		pause();
	}
	CU_ASSERT_EQUAL(read(pipe_fds[0], &byte, 1), 1);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	CU_ASSERT_TRUE(exists(path_of("dead.sock")));

	struct runtime_dir vm;
	CU_ASSERT_EQUAL(runtime_dir_claim(&vm, "dead", &why), 0);
	CU_ASSERT_EQUAL(runtime_dir_listen(&vm, NULL, &why), 0);
	CU_ASSERT_TRUE(can_connect(path_of("dead.sock")));
	runtime_dir_release(&vm);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

/* --qmp PATH: the socket is there, and still found by name. */
static void a_path_of_the_users(void)
{
	struct runtime_dir vm;
	char path[128];
	int fd;

	snprintf(path, sizeof path, "%s/my.sock", top);
	make_socket(path, false, &fd); /* stale */
	CU_ASSERT_EQUAL(runtime_dir_claim(&vm, "p", &why), 0);
	CU_ASSERT_EQUAL(runtime_dir_listen(&vm, path, &why), 0);
	CU_ASSERT_STRING_EQUAL(vm.socket_path, path);
	CU_ASSERT_TRUE(can_connect(path));
	CU_ASSERT_EQUAL(mode_of(path), 0600);
	CU_ASSERT_TRUE(can_connect(path_of("p.sock")));
	runtime_dir_release(&vm);
	CU_ASSERT_FALSE(exists(path));
	CU_ASSERT_FALSE(exists(path_of("p.sock")));
}

static void what_is_not_ours_stays(void)
{
	struct runtime_dir vm;
	char path[128];
	int fd;

	snprintf(path, sizeof path, "%s/my.sock", top);
	CU_ASSERT_EQUAL(runtime_dir_claim(&vm, "p", &why), 0);
	make_socket(path, true, &fd);
	CU_ASSERT_EQUAL(runtime_dir_listen(&vm, path, &why), -EADDRINUSE);
	CU_ASSERT_TRUE(can_connect(path));
	close(fd);
	unlink(path);

	close(open(path, O_CREAT | O_WRONLY, 0600));
	CU_ASSERT_EQUAL(runtime_dir_listen(&vm, path, &why), -EADDRINUSE);
	CU_ASSERT_PTR_NOT_NULL(strstr(why.text, "is not a socket"));
	CU_ASSERT_TRUE(exists(path));
	unlink(path);

	/* Somebody replaced our socket meanwhile: it is theirs. */
	CU_ASSERT_EQUAL(runtime_dir_listen(&vm, path, &why), 0);
	unlink(path);
	make_socket(path, true, &fd);
	runtime_dir_release(&vm);
	CU_ASSERT_TRUE(can_connect(path));
	close(fd);
	unlink(path);
}

static void paths_that_cannot_be(void)
{
	struct runtime_dir vm;
	char path[256];

	CU_ASSERT(runtime_dir_claim(&vm, "", &why) < 0);
	CU_ASSERT(runtime_dir_claim(&vm, "../x", &why) < 0);
	memset(path, 'n', sizeof path);
	path[RUNTIME_NAME_MAX] = '\0';
	CU_ASSERT(runtime_dir_claim(&vm, path, &why) < 0);
	path[RUNTIME_NAME_MAX - 1] = '\0';
	CU_ASSERT_EQUAL(runtime_dir_claim(&vm, path, &why), 0);
	memset(path, 'x', sizeof path - 1);
	path[0] = '/';
	path[sizeof path - 1] = '\0';
	CU_ASSERT_EQUAL(runtime_dir_listen(&vm, path, &why), -ENAMETOOLONG);
	CU_ASSERT_EQUAL(runtime_dir_listen(&vm, "/nowhere/at/all.sock", &why), -ENOENT);
	runtime_dir_release(&vm);
}

static void unsafe_folders_are_refused(void)
{
	struct runtime_dir vm;
	char folder[128];

	snprintf(folder, sizeof folder, "%s/vmm-balloon", top);
	CU_ASSERT_EQUAL(chmod(folder, 0777), 0);
	CU_ASSERT_EQUAL(runtime_dir_claim(&vm, "x", &why), -EPERM);
	CU_ASSERT_EQUAL(chmod(folder, 0700), 0);
	if (geteuid() == 0) {
		struct runtime_vm *vms;
		char path[RUNTIME_PATH_MAX];
		CU_ASSERT_EQUAL(chown(folder, 12345, 12345), 0);
		CU_ASSERT_EQUAL(runtime_dir_claim(&vm, "x", &why), -EPERM);
		CU_ASSERT_EQUAL(runtime_dir_find("x", path, &why), -EPERM);
		CU_ASSERT_EQUAL(runtime_dir_list(&vms, &why), -EPERM);
		CU_ASSERT_FALSE(runtime_dir_is_running("x"));
		CU_ASSERT_EQUAL(chown(folder, 0, 0), 0);
	}
	CU_ASSERT_EQUAL(rmdir(folder), 0);
	CU_ASSERT_EQUAL(symlink("/tmp", folder), 0);
	CU_ASSERT(runtime_dir_claim(&vm, "x", &why) < 0);
	unlink(folder);
	CU_ASSERT_EQUAL(runtime_dir_claim(&vm, "x", &why), 0);
	runtime_dir_release(&vm);
}

static void links_are_not_followed(void)
{
	struct runtime_dir vm;
	char victim[128];

	snprintf(victim, sizeof victim, "%s/victim", top);
	CU_ASSERT_EQUAL(symlink(victim, path_of("x.pid")), 0);
	CU_ASSERT(runtime_dir_claim(&vm, "x", &why) < 0);
	CU_ASSERT_FALSE(exists(victim));
	unlink(path_of("x.pid"));
}

static void folder_follows_the_environment(void)
{
	char path[PATH_MAX], expected[PATH_MAX];

	snprintf(expected, sizeof expected, "%s/vmm-balloon", top);
	CU_ASSERT_EQUAL(runtime_dir_path(path, sizeof path, &why), 0);
	CU_ASSERT_STRING_EQUAL(path, expected);
	setenv("XDG_RUNTIME_DIR", "relative", 1);
	CU_ASSERT_EQUAL(runtime_dir_path(path, sizeof path, &why), 0);
	CU_ASSERT_STRING_NOT_EQUAL(path, "relative/vmm-balloon");
	setenv("XDG_RUNTIME_DIR", "/nowhere", 1);
	CU_ASSERT_EQUAL(runtime_dir_path(path, sizeof path, &why), 0);
	if (geteuid() == 0)
		CU_ASSERT_STRING_EQUAL(path, "/run/vmm-balloon");
	setenv("XDG_RUNTIME_DIR", top, 1);
}

/* Only root can be another user: one who has no folder of his own, whatever the environment says of root's. */
static void a_left_over_variable_is_not_believed(void)
{
	char path[PATH_MAX];
	int status = -1;

	if (geteuid() != 0)
		return;
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		if (setuid(54321) < 0 || runtime_dir_path(path, sizeof path, &why) < 0)
			_exit(1);
		_exit(strcmp(path, "/tmp/vmm-balloon-54321") == 0 ? 0 : 2);
	}
	CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
	CU_ASSERT_EQUAL(status, 0);
}

static const struct test_case cases[] = {
	{"a VM is found while it lives", a_vm_is_found_while_it_lives},
	{"one name, one VM", one_name_one_vm},
	{"killed VM hinders nobody", killed_vm_hinders_nobody},
	{"a path of the user's", a_path_of_the_users},
	{"what is not ours stays", what_is_not_ours_stays},
	{"paths that cannot be", paths_that_cannot_be},
	{"unsafe folders are refused", unsafe_folders_are_refused},
	{"links are not followed", links_are_not_followed},
	{"folder follows the environment", folder_follows_the_environment},
	{"a left-over variable is not believed", a_left_over_variable_is_not_believed},
};

const struct test_suite runtime_dir_suite = {.name = "runtime_dir", .cases = cases, .n_cases = sizeof cases / sizeof cases[0], .init = init, .clean = clean};
