#include "cli/notify.h"

#include <CUnit/CUnit.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/unit/fakehost.h"
#include "tests/unit/suite.h"

/* A manager that listens at `name`; '@' is the abstract name space. */
static int manager_at(const char *name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	size_t len = strlen(name);

	memcpy(address.sun_path, name, len);
	if (*name == '@')
		address.sun_path[0] = '\0';
	unlink(address.sun_path);
	CU_ASSERT_EQUAL_FATAL(bind(fd, (struct sockaddr *)&address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)), 0);
	return fd;
}

static void check_arrives(const char *name)
{
	char heard[64] = "";
	int manager = manager_at(name);

	setenv("NOTIFY_SOCKET", name, 1);
	int fd = notify_open();
	CU_ASSERT(fd >= 0);
	CU_ASSERT_PTR_NULL(getenv("NOTIFY_SOCKET"));
	notify_send(&fd, "READY=1\nSTATUS=x");
	CU_ASSERT_EQUAL(recv(manager, heard, sizeof heard, 0), 16);
	CU_ASSERT_STRING_EQUAL(heard, "READY=1\nSTATUS=x");
	/* Another of its messages. */
	notify_send(&fd, "STOPPING=1");
	CU_ASSERT_EQUAL(recv(manager, heard, sizeof heard, 0), 10);
	close(manager);
	/* That nobody hears is said once, and not tried again. */
	fakehost_capture_log();
	notify_send(&fd, "STOPPING=1");
	notify_send(&fd, "STOPPING=1");
	CU_ASSERT_EQUAL(fakehost_end_log(), 1);
	CU_ASSERT_EQUAL(fd, -1);
}

static void reaches_a_path(void)
{
	char path[64];

	snprintf(path, sizeof path, "/tmp/notify_test.%d", getpid());
	check_arrives(path);
	unlink(path);
}

static void reaches_an_abstract_name(void)
{
	char name[64];

	snprintf(name, sizeof name, "@notify_test.%d", getpid());
	check_arrives(name);
}

static void nobody_can_be_reached(void)
{
	char longest[256];

	memset(longest, 'a', sizeof longest - 1);
	longest[0] = '/';
	longest[sizeof longest - 1] = '\0';
	const char *const names[] = {"@", "/", "relative", "vsock:2:1234", "/nowhere/at/all", longest};
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		setenv("NOTIFY_SOCKET", names[i], 1);
		fakehost_capture_log();
		CU_ASSERT_EQUAL(notify_open(), -1);
		CU_ASSERT_EQUAL(fakehost_end_log(), 1);
		CU_ASSERT_PTR_NULL(getenv("NOTIFY_SOCKET"));
	}
}

static void nobody_wants_to_know(void)
{
	fakehost_capture_log();
	int fd = notify_open();
	CU_ASSERT_EQUAL(fd, -1);
	notify_send(&fd, "READY=1");
	setenv("NOTIFY_SOCKET", "", 1);
	CU_ASSERT_EQUAL(notify_open(), -1);
	CU_ASSERT_PTR_NULL(getenv("NOTIFY_SOCKET"));
	CU_ASSERT_EQUAL(fakehost_end_log(), 0);
}

static const struct test_case cases[] = {
	{"reaches a path", reaches_a_path},
	{"reaches an abstract name", reaches_an_abstract_name},
	{"nobody can be reached", nobody_can_be_reached},
	{"nobody wants to know", nobody_wants_to_know},
};

TEST_SUITE(notify, cases);
