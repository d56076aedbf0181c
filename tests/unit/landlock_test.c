#include <CUnit/CUnit.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kvm/landlock.h"
#include "tests/unit/sandbox_fixture.h"
#include "tests/unit/suite.h"

/* What Landlock forbids by itself, without any system call filter above it. */

#define OUTSIDE "/tmp/landlock_test.outside"

/* 0 or less without it. */
static int landlock_version(void)
{
	return (int)syscall(SYS_landlock_create_ruleset, NULL, 0UL, 1U);
}

/* ---- Files ----------------------------------------------------------- */

static int try_files(void)
{
	const char *const folders[] = {sb_folder};
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || landlock_leave_only(folders, 1) < 0)
		return 1;
	if (open("/etc/passwd", O_RDONLY) >= 0 || errno != EACCES)
		return 2;
	if (open("/tmp/landlock_test.new", O_WRONLY | O_CREAT, 0600) >= 0 || errno != EACCES)
		return 3;
	if (open(sb_folder, O_RDONLY | O_DIRECTORY) >= 0 || errno != EACCES)
		return 4;
	if (execl("/bin/true", "true", (char *)NULL) == 0 || errno != EACCES)
		return 5;
	return 0;
}

static void landlock_alone_holds(void)
{
	/* A kernel without Landlock lets it read the file. */
	CU_ASSERT_EQUAL(sb_in_child(try_files), landlock_version() > 0 ? 0 : 2 << 8);
}

/* ---- Beyond files ---------------------------------------------------- */

static struct sockaddr_un abstract = {.sun_family = AF_UNIX};

static int try_tcp(int (*call)(int fd, const struct sockaddr *address, socklen_t len))
{
	const struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return call(fd, (const struct sockaddr *)&address, sizeof address) < 0 ? errno : 0;
}

static int try_bind(void)
{
	return try_tcp(bind);
}

/* Nobody listens at port 0. */
static int try_connect(void)
{
	return try_tcp(connect);
}

static int try_abstract_socket(void)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	return connect(fd, (const struct sockaddr *)&abstract, sizeof abstract) < 0 ? errno : 0;
}

static int try_signal(void)
{
	return kill(getppid(), 0) < 0 ? errno : 0;
}

static int try_truncate(void)
{
	return truncate(OUTSIDE, 0) < 0 ? errno : 0;
}

static const struct {
	const char *what;
	int (*attempt)(void);
	int version; /* that forbids it */
	int error, error_without;
} attempts[] = {
	{"truncate a file", try_truncate, 3, EACCES, 0},
	{"bind a TCP socket", try_bind, 4, EACCES, 0},
	{"connect a TCP socket", try_connect, 4, EACCES, ECONNREFUSED},
	{"reach an abstract socket outside", try_abstract_socket, 6, EPERM, 0},
	{"send a signal outside", try_signal, 6, EPERM, 0},
};

/* In a child, with nothing but Landlock or with nothing at all: the error of the attempt. */
static int error_of(int (*attempt)(void), bool is_inside)
{
	int status = -1;
	fflush(NULL);
	pid_t pid = fork();
	CU_ASSERT_FATAL(pid >= 0);
	if (pid == 0) {
		if (is_inside && (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || landlock_leave_only(NULL, 0) < 0))
			_exit(255);
		_exit(attempt());
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void newer_landlock_holds_more(void)
{
	int version = landlock_version(), listener = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	snprintf(abstract.sun_path + 1, sizeof abstract.sun_path - 1, "landlock_test.%d", getpid());
	CU_ASSERT_EQUAL(bind(listener, (const struct sockaddr *)&abstract, sizeof abstract), 0);
	int file = open(OUTSIDE, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	CU_ASSERT(file >= 0);
	close(file);
	for (size_t i = 0; i < sizeof attempts / sizeof attempts[0]; i++) {
		int without = error_of(attempts[i].attempt, false), inside = error_of(attempts[i].attempt, true);
		if (without != attempts[i].error_without)
			printf("\n    skipped: to %s fails outside as well: %s\n    ", attempts[i].what, strerror(without));
		else if (version < attempts[i].version)
			printf("\n    skipped: to %s is forbidden by version %d of Landlock, the kernel has %d\n    ", attempts[i].what, attempts[i].version,
			       version > 0 ? version : 0);
		else if (inside != attempts[i].error)
			printf("\n    to %s: %s", attempts[i].what, strerror(inside));
		CU_ASSERT(inside == attempts[i].error || without != attempts[i].error_without || version < attempts[i].version);
	}
	CU_ASSERT_EQUAL(unlink(OUTSIDE), 0);
	close(listener);
}

static const struct test_case cases[] = {
	{"files", landlock_alone_holds},
	{"what newer versions hold", newer_landlock_holds_more},
};

const struct test_suite landlock_suite = {
	.name = "landlock", .cases = cases, .n_cases = sizeof cases / sizeof cases[0], .init = sb_make_folder, .clean = sb_remove_folder};
