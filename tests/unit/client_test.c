#include "control/client.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "control/runtime_dir.h"
#include "tests/unit/fakevm.h"
#include "tests/unit/suite.h"

#define GREETING FAKEVM_GREETING
#define EMPTY FAKEVM_EMPTY

static struct qmp_client *client;
static struct fail why;

static int open_with(const char *const *texts)
{
	client = NULL;
	return qmp_client_open(fakevm_start(texts), &client, &why);
}

static void end(void)
{
	qmp_client_close(client);
	fakevm_end();
}

/* ---- The client ------------------------------------------------------ */

static void answers_and_events(void)
{
	static const char *const texts[] = {GREETING,
					    EMPTY,
					    "{\"event\": \"A\", \"data\": {\"x\": 18446744073709551615}}\r\n\r\n{\"event\": \"B\"}\n{\"return\": {\"actual\": "
					    "1073741824, \"none\": 18446744073709551615}}\r\n",
					    "{\"error\": {\"class\": \"DeviceNotActive\", \"desc\": \"No balloon\"}}\r\n",
					    EMPTY "{\"event\": \"C\"}\r\n",
					    NULL};
	json_t *result = NULL;
	const char *line;

	CU_ASSERT_EQUAL_FATAL(open_with(texts), 0);
	CU_ASSERT_EQUAL(qmp_client_call(client, "query-balloon", NULL, &result, &why), 0);
	CU_ASSERT_EQUAL(qmp_client_member_u64(result, "actual"), 1073741824);
	CU_ASSERT_EQUAL(qmp_client_member_u64(result, "none"), UINT64_MAX);
	CU_ASSERT_EQUAL(qmp_client_member_u64(result, "missing"), UINT64_MAX);
	json_decref(result);
	CU_ASSERT_EQUAL(qmp_client_call(client, "balloon", json_pack("{s:i}", "value", 1), NULL, &why), -EREMOTEIO);
	CU_ASSERT_STRING_EQUAL(why.text, "No balloon");
	CU_ASSERT_STRING_EQUAL(qmp_client_error_class(client), "DeviceNotActive");
	CU_ASSERT_EQUAL(qmp_client_call(client, "stop", NULL, NULL, &why), 0);
	CU_ASSERT_EQUAL(qmp_client_event(client, 1000, &line, &why), 0);
	CU_ASSERT_STRING_EQUAL(line, "{\"event\": \"A\", \"data\": {\"x\": 18446744073709551615}}");
	CU_ASSERT_EQUAL(qmp_client_event(client, 1000, &line, &why), 0);
	CU_ASSERT_STRING_EQUAL(line, "{\"event\": \"B\"}");
	CU_ASSERT_EQUAL(qmp_client_event(client, -1, &line, &why), 0);
	CU_ASSERT_STRING_EQUAL(line, "{\"event\": \"C\"}");
	CU_ASSERT_EQUAL(qmp_client_event(client, -1, &line, &why), -ECONNRESET);
	CU_ASSERT_EQUAL(qmp_client_call(client, "stop", NULL, NULL, &why), -ECONNRESET);
	end();
}

static void waits_have_an_end(void)
{
	static const char *const texts[] = {GREETING, EMPTY, "", "", NULL};
	const char *line;

	CU_ASSERT_EQUAL_FATAL(open_with(texts), 0);
	CU_ASSERT_EQUAL(qmp_client_event(client, 20, &line, &why), -ETIMEDOUT);
	CU_ASSERT_EQUAL(qmp_client_event(client, 0, &line, &why), -ETIMEDOUT);
	end();
}

static void who_does_not_speak_qmp(void)
{
	static const char *const ssh[] = {"SSH-2.0-OpenSSH_9.2p1\r\n", "", NULL};
	static const char *const other[] = {"{\"hello\": 1}\r\n", "", NULL};
	static const char *const full[] = {"{\"error\": {\"class\": \"GenericError\", \"desc\": \"Too many clients\"}}\r\n", NULL};
	static const char *const gone[] = {NULL};
	static const char *const odd[] = {GREETING, EMPTY, "[1]\r\n", NULL};

	CU_ASSERT_EQUAL(open_with(ssh), -EPROTO);
	end();
	CU_ASSERT_EQUAL(open_with(other), -EPROTO);
	end();
	CU_ASSERT_EQUAL(open_with(full), -EPROTO);
	CU_ASSERT_PTR_NOT_NULL(strstr(why.text, "Too many clients"));
	end();
	CU_ASSERT_EQUAL(open_with(gone), -ECONNRESET);
	end();
	CU_ASSERT_EQUAL(open_with(odd), 0);
	CU_ASSERT_EQUAL(qmp_client_call(client, "x", NULL, NULL, &why), -EPROTO);
	end();
}

static void nobody_there(void)
{
	CU_ASSERT_EQUAL(qmp_client_open("/nowhere/x.sock", &client, &why), -ENOENT);
	CU_ASSERT_EQUAL(qmp_client_open("/tmp", &client, &why), -ECONNREFUSED);
	qmp_client_close(NULL);
}

/* ---- Hostile servers ------------------------------------------------- */

static void check_flood(const char *text)
{
	const char *line;
	int ret = qmp_client_open(fakevm_start_flood(GREETING EMPTY, text), &client, &why);

	CU_ASSERT_EQUAL(ret, 0);
	if (ret == 0) {
		ret = qmp_client_event(client, 10, &line, &why);
		CU_ASSERT(ret == -ETIMEDOUT || ret == -EPROTO);
	}
	end();
}

static void floods_have_an_end(void)
{
	static char newlines[65536]; /* so many at once that the client always finds more */
	time_t begin = time(NULL);

	memset(newlines, '\n', sizeof newlines - 1);
	check_flood(newlines);
	check_flood("{\"return\": {}}\n");
	CU_ASSERT(time(NULL) - begin < 10);
}

static void too_many_events(void)
{
	CU_ASSERT_EQUAL_FATAL(qmp_client_open(fakevm_start_flood(GREETING EMPTY, "{\"event\": \"A\"}\n"), &client, &why), 0);
	CU_ASSERT_EQUAL(qmp_client_call(client, "stop", NULL, NULL, &why), -ENOMEM);
	end();
}

/* ---- Without waiting ------------------------------------------------- */

/* Goes on until it is no -EAGAIN. */
static int next(json_t **result)
{
	int ret;

	while ((ret = qmp_client_next(client, result, &why)) == -EAGAIN)
		usleep(1000);
	return ret;
}

static void without_waiting(void)
{
	static const char *const texts[] = {GREETING "{\"event\": \"A\"}\r\n" EMPTY, "{\"return\": {\"x\": 1}}\r\n{\"event\": \"B\"}\r\n",
					    "{\"error\": {\"class\": \"GenericError\", \"desc\": \"no\"}}\r\n", NULL};
	json_t *result;

	CU_ASSERT_EQUAL_FATAL(qmp_client_begin(fakevm_start(texts), &client, &why), 0);
	CU_ASSERT_EQUAL(qmp_client_next(client, &result, &why), -EAGAIN);
	usleep(20000); /* the server hears two things, not one */
	CU_ASSERT_EQUAL(qmp_client_send(client, "a", NULL, &why), 0);
	CU_ASSERT_EQUAL(next(&result), 0);
	CU_ASSERT_EQUAL(qmp_client_member_u64(result, "x"), 1);
	json_decref(result);
	CU_ASSERT_EQUAL(qmp_client_send(client, "b", NULL, &why), 0);
	CU_ASSERT_EQUAL(next(&result), -EREMOTEIO);
	CU_ASSERT_STRING_EQUAL(why.text, "no");
	CU_ASSERT_EQUAL(next(&result), -ECONNRESET);
	end();
}

static void without_waiting_for_what_is_no_vm(void)
{
	static const char *const ssh[] = {"SSH-2.0-OpenSSH_9.2p1\r\n", "", NULL};
	static const char *const other[] = {"{\"hello\": 1}\r\n", "", NULL};
	static const char *const unwilling[] = {GREETING "{\"error\": {}}\r\n", "", NULL};
	static const char *const *const all[] = {ssh, other, unwilling};
	json_t *result;

	for (size_t i = 0; i < 3; i++) {
		CU_ASSERT_EQUAL_FATAL(qmp_client_begin(fakevm_start(all[i]), &client, &why), 0);
		CU_ASSERT_EQUAL(next(&result), -EPROTO);
		end();
	}
	CU_ASSERT_EQUAL(qmp_client_begin("/nowhere/x.sock", &client, &why), -ENOENT);
}

static void a_flood_is_taken_in_pieces(void)
{
	json_t *result;

	CU_ASSERT_EQUAL_FATAL(qmp_client_begin(fakevm_start_flood(GREETING EMPTY, "{\"event\": \"A\"}\n"), &client, &why), 0);
	for (int i = 0; i < 100; i++)
		CU_ASSERT_EQUAL(qmp_client_next(client, &result, &why), -EAGAIN);
	end();
}

/* ---- Finding VMs ----------------------------------------------------- */

static void running_vms_are_listed(void)
{
	char top[] = "/tmp/client_test.XXXXXX", expected[128], stale[128], found[RUNTIME_PATH_MAX];
	const char *before = getenv("XDG_RUNTIME_DIR");
	char *saved = before ? strdup(before) : NULL;
	struct runtime_dir b, a;
	struct runtime_vm *vms;

	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(top));
	setenv("XDG_RUNTIME_DIR", top, 1);
	CU_ASSERT_EQUAL(runtime_dir_list(&vms, &why), 0); /* no folder yet */
	CU_ASSERT_EQUAL(runtime_dir_claim(&b, "b", &why), 0);
	CU_ASSERT_EQUAL(runtime_dir_claim(&a, "a", &why), 0);
	snprintf(stale, sizeof stale, "%s/vmm-balloon/dead.pid", top);
	fclose(fopen(stale, "w"));
	CU_ASSERT_EQUAL_FATAL(runtime_dir_list(&vms, &why), 2);
	CU_ASSERT_STRING_EQUAL(vms[0].name, "a");
	CU_ASSERT_STRING_EQUAL(vms[1].name, "b");
	CU_ASSERT_EQUAL(vms[0].pid, getpid());
	snprintf(expected, sizeof expected, "%s/vmm-balloon/a.sock", top);
	CU_ASSERT_STRING_EQUAL(vms[0].socket_path, expected);
	free(vms);
	CU_ASSERT_EQUAL(runtime_dir_find("a", found, &why), 0);
	CU_ASSERT_STRING_EQUAL(found, expected);
	CU_ASSERT_EQUAL(runtime_dir_find("./x.sock", found, &why), 0);
	CU_ASSERT_STRING_EQUAL(found, "./x.sock");
	CU_ASSERT_TRUE(runtime_dir_is_running("a"));
	CU_ASSERT_FALSE(runtime_dir_is_running("dead"));
	CU_ASSERT_FALSE(runtime_dir_is_running("never"));
	runtime_dir_release(&a);
	CU_ASSERT_FALSE(runtime_dir_is_running("a"));
	runtime_dir_release(&b);
	unlink(stale);
	snprintf(expected, sizeof expected, "%s/vmm-balloon", top);
	CU_ASSERT_EQUAL(rmdir(expected), 0);
	rmdir(top);
	if (saved)
		setenv("XDG_RUNTIME_DIR", saved, 1);
	else
		unsetenv("XDG_RUNTIME_DIR");
	free(saved);
}

static const struct test_case cases[] = {
	{"answers and events", answers_and_events},
	{"waits have an end", waits_have_an_end},
	{"who does not speak QMP", who_does_not_speak_qmp},
	{"nobody there", nobody_there},
	{"floods have an end", floods_have_an_end},
	{"too many events", too_many_events},
	{"without waiting", without_waiting},
	{"without waiting for what is no VM", without_waiting_for_what_is_no_vm},
	{"a flood is taken in pieces", a_flood_is_taken_in_pieces},
	{"running VMs are listed", running_vms_are_listed},
};

TEST_SUITE(client, cases);
