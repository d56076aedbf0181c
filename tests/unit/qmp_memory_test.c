/* A server whose allocations fail, one after the other: a client may be lost over it, the server not. */
#include <CUnit/CUnit.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/failalloc.h"
#include "tests/unit/qmp_fixture.h"
#include "tests/unit/suite.h"

static void serves_somebody_new(void)
{
	struct qt_client *client = qt_connect();
	qt_ask(client, "{'execute':'query-status'}", "{\"return\":{\"running\":true,\"status\":\"running\"}}");
	qt_hang_up(client);
}

/* The socket is closed, too. */
static void no_memory_for_a_client(void)
{
	bool failed = true;

	for (long nth = 0; failed; nth++) {
		int fds[2];
		char byte;
		qt_begin();
		CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
		failalloc_begin(nth, false);
		int ret = qmp_server_adopt(qt.server, fds[1]);
		failed = failalloc_end();
		CU_ASSERT(ret == 0 || (failed && ret == -ENOMEM));
		if (ret < 0)
			CU_ASSERT_EQUAL(recv(fds[0], &byte, 1, 0), 0);
		close(fds[0]);
		fakeloop_run(&qt.loop);
		serves_somebody_new();
		qt_end();
	}
}

static void no_memory_for_the_server(void)
{
	bool failed = true;

	for (long nth = 0; failed; nth++) {
		struct qmp_server *server = NULL;
		qt_begin();
		long before = failalloc_in_use();
		failalloc_begin(nth, false);
		int ret = qmp_server_create(&qt.loop.host, &qt.machine, -1, &server);
		failed = failalloc_end();
		CU_ASSERT_EQUAL(ret, failed ? -ENOMEM : 0);
		if (ret == 0)
			qmp_server_destroy(server);
		CU_ASSERT_EQUAL(failalloc_in_use(), before);
		qt_end();
	}
}

/* An answer, an error, or the end of the connection; never nothing. */
static void no_memory_for_an_answer(void)
{
	static const char *const commands[] = {
		"{'execute':'query-commands','id':{'a':[1,2]}}",
		"{'execute':'x-query-balloon','id':'text'}",
		"{'execute':'query-balloon'}",
		"{'execute':'query-cpus-fast'}",
		"{'execute':'balloon','arguments':{'value':8388608}}",
		"{'execute':'qom-list','arguments':{'path':'/machine/peripheral'}}",
		"{'execute':'qom-get','arguments':{'path':'/machine/peripheral/balloon0','property':'guest-stats'}}",
		"{'execute':'qom-set','arguments':{'path':'/machine/peripheral/balloon0','property':'guest-stats-polling-interval','value':2}}",
		"{'execute':'nonsense'}",
		"[1,{'a':",
	};

	for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
		bool failed = true;
		for (long nth = 0; failed && nth < 10000; nth++) {
			long before = failalloc_in_use();
			qt_begin();
			struct qt_client *client = qt_connect();
			failalloc_begin(nth, i % 2);
			qt_say(client, commands[i]);
			failed = failalloc_end();
			const char *line = qt_hear(client);
			CU_ASSERT(commands[i][0] == '[' || *line);
			qt_hang_up(client);
			serves_somebody_new();
			qt_end();
			CU_ASSERT_EQUAL(failalloc_in_use(), before);
		}
		CU_ASSERT_FALSE(failed);
	}
}

static const struct test_case cases[] = {
	{"no memory for a client", no_memory_for_a_client},
	{"no memory for the server", no_memory_for_the_server},
	{"no memory for an answer", no_memory_for_an_answer},
};

TEST_SUITE(qmp_memory, cases);
