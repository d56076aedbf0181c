#include "cli/vm_state.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <string.h>

#include "tests/unit/fakevm.h"
#include "tests/unit/suite.h"

#define STATUS "{\"return\":{\"status\":\"running\",\"running\":true}}\r\n"
#define MEMORY "{\"return\":{\"base-memory\":1000000,\"plugged-memory\":0,\"x-ram-rss\":7}}\r\n"
#define NO_BALLOON "{\"error\":{\"class\":\"DeviceNotActive\",\"desc\":\"No balloon device has been activated\"}}\r\n"
#define NO_COMMAND "{\"error\":{\"class\":\"CommandNotFound\",\"desc\":\"The command x-query-balloon has not been found\"}}\r\n"
#define LEFT "{\"return\":{\"actual\":900000}}\r\n"

static const char told_by_ours[] =
	"{\"return\":{\"balloon-target\":4096,\"balloon-actual\":8192,\"driver-ok\":true,\"stalled\":true,\"oom-deflations\":3,"
	"\"negotiated-features\":[\"deflate-on-oom\",\"statistics\"],\"guest-stats\":{\"last-update\":5,\"stats\":{\"stat-free-memory\":11,"
	"\"stat-available-memory\":18446744073709551615}}}}\r\n";

static struct vm_state state;

static int query(const char *const *texts)
{
	struct qmp_client *client = NULL;
	struct fail why;

	CU_ASSERT_EQUAL_FATAL(qmp_client_open(fakevm_start(texts), &client, &why), 0);
	int ret = vm_state_query(client, &state, &why);
	qmp_client_close(client);
	fakevm_end();
	return ret;
}

static void ours(void)
{
	static const char *const texts[] = {FAKEVM_GREETING, FAKEVM_EMPTY, STATUS, MEMORY, told_by_ours, LEFT, NULL};

	CU_ASSERT_EQUAL(query(texts), 0);
	CU_ASSERT_STRING_EQUAL(state.status, "running");
	CU_ASSERT(state.ram_bytes == 1000000 && state.rss_bytes == 7 && state.has_balloon && state.tells_all);
	CU_ASSERT(state.target_bytes == 4096 && state.actual_bytes == 8192 && state.driver_ok && state.stalled);
	CU_ASSERT(state.reports_stats && state.oom_deflations == 3 && state.free_bytes == 11 && state.available_bytes == UINT64_MAX);
}

static void qemus(void)
{
	static const char *const texts[] = {FAKEVM_GREETING, FAKEVM_EMPTY, STATUS, "{\"return\": {\"base-memory\": 1000000}}\r\n", NO_COMMAND, LEFT, NULL};

	CU_ASSERT_EQUAL(query(texts), 0);
	CU_ASSERT(state.ram_bytes == 1000000 && state.rss_bytes == UINT64_MAX && state.has_balloon && !state.tells_all);
	CU_ASSERT(state.target_bytes == UINT64_MAX && state.actual_bytes == 100000 && !state.stalled);
}

static void without_a_balloon(void)
{
	static const char *const texts[] = {FAKEVM_GREETING, FAKEVM_EMPTY, STATUS, MEMORY, NO_BALLOON, NO_BALLOON, NULL};

	CU_ASSERT_EQUAL(query(texts), 0);
	CU_ASSERT(state.ram_bytes == 1000000 && !state.has_balloon);
}

static void nonsense(void)
{
	static const char *const texts[] = {FAKEVM_GREETING,
					    FAKEVM_EMPTY,
					    "{\"return\":{\"status\":\"\\u001b[2J\\u009b\\u0000x\"}}\r\n",
					    "{\"return\":{\"base-memory\":-1,\"x-ram-rss\":\"7\"}}\r\n",
					    "{\"return\":[]}\r\n",
					    "{\"return\":{\"actual\":1e300}}\r\n",
					    NULL};
	static const char *const ends[] = {FAKEVM_GREETING, FAKEVM_EMPTY, STATUS, NULL};

	CU_ASSERT_EQUAL(query(texts), 0);
	CU_ASSERT_STRING_EQUAL(state.status, "?[2J??");
	CU_ASSERT(state.ram_bytes == UINT64_MAX && state.rss_bytes == UINT64_MAX && state.actual_bytes == UINT64_MAX && !state.tells_all);
	CU_ASSERT_EQUAL(query(ends), -ECONNRESET);
}

/* ---- Reasons --------------------------------------------------------- */

static void check_reason(const struct vm_state *of, uint64_t to_bytes, const char *expected)
{
	char buf[VM_STATE_REASON_MAX];

	CU_ASSERT_STRING_EQUAL(vm_state_reason(of, to_bytes, buf), expected);
}

static void reasons(void)
{
	struct vm_state of = {.status = "running", .has_balloon = true, .actual_bytes = 4096, .free_bytes = UINT64_MAX, .available_bytes = UINT64_MAX};

	check_reason(&of, 8192, "this VM is QEMU's, which does not tell what its balloon is at");
	of.tells_all = true;
	check_reason(&of, 8192, "the guest has no balloon driver, or not yet");
	of.driver_ok = true;
	check_reason(&of, 8192, "the guest is still at it");
	of.suspended = true;
	check_reason(&of, 8192, "the guest has the balloon suspended");
	CU_ASSERT_STRING_EQUAL(vm_state_note(&of), "suspended");
	of.suspended = false;
	CU_ASSERT_STRING_EQUAL(vm_state_note(&of), "");
	of.stalled = true;
	check_reason(&of, 0, "the guest does not take its memory back");
	check_reason(&of, 8192, "the guest cannot or will not free more; its driver reports no statistics that would tell");
	of.reports_stats = true;
	check_reason(&of, 8192, "the guest cannot or will not free more, and has not said how much it has left");
	of.free_bytes = 12 << 20;
	check_reason(&of, 8192, "the guest is out of puff: it has 12M free");
	of.available_bytes = 20 << 20;
	check_reason(&of, 8192, "the guest is out of puff: it has 12M free, 20M available");
	of.oom_deflations = 1;
	check_reason(&of, 8192, "the guest ran out of memory and took pages back");
	strcpy(of.status, "paused");
	check_reason(&of, 8192, "the VM does not run: its status is paused");
}

static const struct test_case cases[] = {
	{"ours", ours}, {"QEMU's", qemus}, {"without a balloon", without_a_balloon}, {"nonsense", nonsense}, {"reasons", reasons},
};

TEST_SUITE(vm_state, cases);
