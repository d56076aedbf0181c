#include "control/client.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/vm_client.h"
#include "control/runtime_dir.h"
#include "tests/unit/suite.h"

#define GREETING "{\"QMP\": {\"version\": {}, \"capabilities\": []}}\r\n"
#define EMPTY "{\"return\": {}}\r\n"

/* ---- A server in a child that says what it is told -------------------- */

static char path[64];
static pid_t server;
static struct qmp_client *client;
static struct fail why;

/* Says one text at the start and one for each thing that it hears; NULL ends. A text may be empty. */
static void serve(int fd, const char *const *texts)
{
	char heard[1024];
	int peer = accept(fd, NULL, NULL);

	for (; *texts; texts++) {
		/* In two pieces. */
		size_t half = strlen(*texts) / 2;
		send(peer, *texts, half, MSG_NOSIGNAL);
		usleep(2000);
		send(peer, *texts + half, strlen(*texts) - half, MSG_NOSIGNAL);
		if (texts[1] && recv(peer, heard, sizeof heard, 0) <= 0)
			break;
	}
}

static int open_with(const char *const *texts)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(path, sizeof path, "/tmp/client_test.%d", getpid());
	snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
	unlink(path);
	CU_ASSERT_EQUAL_FATAL(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
	CU_ASSERT_EQUAL_FATAL(listen(fd, 1), 0);
	server = fork();
	if (server == 0) {
		serve(fd, texts);
		_exit(0);
	}
	close(fd);
	client = NULL;
	return qmp_client_open(path, &client, &why);
}

static void end(void)
{
	qmp_client_close(client);
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
	unlink(path);
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

/* ---- What subcommands make of it ------------------------------------- */

static void memory_of_our_vms(void)
{
	static const char *const texts[] = {GREETING, EMPTY, "{\"return\":{\"base-memory\":1000000,\"plugged-memory\":0,\"x-ram-rss\":7}}\r\n",
					    "{\"return\":{\"balloon-target\":4096,\"balloon-actual\":8192,\"driver-ok\":true,\"stalled\":true}}\r\n", NULL};
	struct client_memory memory;

	CU_ASSERT_EQUAL_FATAL(open_with(texts), 0);
	CU_ASSERT_EQUAL(client_query_memory(client, &memory, &why), 0);
	CU_ASSERT(memory.ram_bytes == 1000000 && memory.rss_bytes == 7 && memory.has_balloon);
	CU_ASSERT(memory.target_bytes == 4096 && memory.actual_bytes == 8192 && memory.driver_ok && memory.stalled);
	end();
}

static void memory_of_qemus(void)
{
	static const char *const texts[] = {GREETING,
					    EMPTY,
					    "{\"return\": {\"base-memory\": 1000000, \"plugged-memory\": 0}}\r\n",
					    "{\"error\": {\"class\": \"CommandNotFound\", \"desc\": \"The command x-query-balloon has not been found\"}}\r\n",
					    "{\"return\": {\"actual\": 900000}}\r\n",
					    NULL};
	struct client_memory memory;

	CU_ASSERT_EQUAL_FATAL(open_with(texts), 0);
	CU_ASSERT_EQUAL(client_query_memory(client, &memory, &why), 0);
	CU_ASSERT(memory.ram_bytes == 1000000 && memory.rss_bytes == UINT64_MAX && memory.has_balloon);
	CU_ASSERT(memory.target_bytes == UINT64_MAX && memory.actual_bytes == 100000 && !memory.stalled);
	end();
}

static void memory_without_a_balloon(void)
{
	static const char *const texts[] = {GREETING, EMPTY, "{\"return\":{\"base-memory\":1000000,\"plugged-memory\":0}}\r\n",
					    "{\"error\":{\"class\":\"DeviceNotActive\",\"desc\":\"No balloon device has been activated\"}}\r\n", NULL};
	struct client_memory memory;

	CU_ASSERT_EQUAL_FATAL(open_with(texts), 0);
	CU_ASSERT_EQUAL(client_query_memory(client, &memory, &why), 0);
	CU_ASSERT(memory.ram_bytes == 1000000 && !memory.has_balloon);
	end();
}

static void check_size(uint64_t bytes, const char *expected)
{
	char buf[CLIENT_SIZE_MAX];

	CU_ASSERT_STRING_EQUAL(client_size(buf, bytes), expected);
}

static void sizes_for_people(void)
{
	check_size(0, "0");
	check_size(1023, "1023");
	check_size(1024, "1K");
	check_size(1536, "1.5K");
	check_size(512ULL << 20, "512M");
	check_size((1ULL << 30) - 1, "1023.9M");
	check_size(3ULL << 30, "3G");
	check_size(1ULL << 60, "1E");
	check_size(UINT64_MAX - 1, "15.9E");
	check_size(UINT64_MAX, "-");
}

static bool parses(char **argv, const char *words[CLIENT_MAX_WORDS], bool *flag, uint64_t *seconds, int *status)
{
	bool wait = false;
	const struct client_option options[] = {{"--force", flag, NULL, "x"}, {"--wait", &wait, seconds, "x"}, {.name = NULL}};
	const struct client_usage usage = {.arguments = "", .about = "", .min_words = 1, .max_words = 2, .options = options};
	int argc = 0;

	while (argv[argc])
		argc++;
	*flag = false;
	return client_parse(&usage, argc, argv, words, status);
}

static void arguments(void)
{
	static char *good[][6] = {
		{"x", "vm", "1G", "--force", "--wait=5", NULL}, {"x", "--wait=5", "vm", "--force", "1G", NULL}, {"x", "--wait=5", "--force", "--", "vm", "1G"}};
	static char *bad[][6] = {{"x", NULL},
				 {"x", "vm", "1G", "more", NULL},
				 {"x", "vm", "--nope", NULL},
				 {"x", "vm", "--force=1", NULL},
				 {"x", "vm", "--wait=", NULL},
				 {"x", "vm", "--wait=-1", NULL},
				 {"x", "vm", "--wait=5s", NULL},
				 {"x", "vm", "--wait=99999999999999999999", NULL}};
	const char *words[CLIENT_MAX_WORDS];
	uint64_t seconds = 0;
	bool force;
	int status = 0;

	for (size_t i = 0; i < 3; i++) {
		char *argv[7] = {good[i][0], good[i][1], good[i][2], good[i][3], good[i][4], good[i][5], NULL};
		CU_ASSERT_TRUE(parses(argv, words, &force, &seconds, &status));
		CU_ASSERT_STRING_EQUAL(words[0], "vm");
		CU_ASSERT_STRING_EQUAL(words[1], "1G");
		CU_ASSERT_TRUE(force);
		CU_ASSERT_EQUAL(seconds, 5);
	}
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		CU_ASSERT_FALSE(parses(bad[i], words, &force, &seconds, &status));
		CU_ASSERT_EQUAL(status, 2);
	}
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
	{"memory of our VMs", memory_of_our_vms},
	{"memory of QEMU's", memory_of_qemus},
	{"memory without a balloon", memory_without_a_balloon},
	{"sizes for people", sizes_for_people},
	{"arguments", arguments},
	{"running VMs are listed", running_vms_are_listed},
};

TEST_SUITE(client, cases);
