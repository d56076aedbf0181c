#include "control/qmp_server.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "control/qmp_command.h"
#include "tests/unit/fakeguest.h"
#include "tests/unit/fakeloop.h"
#include "tests/unit/suite.h"

#define RAM (2 * FAKE_REGION_LEN)
#define NEGOTIATE "{\"execute\":\"qmp_capabilities\"}"
#define EMPTY "{\"return\":{}}"

/* ---- A machine, its server, and clients ------------------------------ */

static struct fakeloop loop;
static struct fakeguest guest;
static struct machine machine;
static struct qmp_server *server;

static enum machine_status status;
static int op_result;
static unsigned n_pauses, n_resumes, n_resets, n_buttons, n_quits;

static enum machine_status op_status(void *opaque)
{
	(void)opaque;
	return status;
}

static int op_pause(void *opaque)
{
	(void)opaque;
	n_pauses++;
	if (op_result == 0)
		status = MACHINE_PAUSED;
	return op_result;
}

static int op_resume(void *opaque)
{
	(void)opaque;
	n_resumes++;
	if (op_result == 0)
		status = MACHINE_RUNNING;
	return op_result;
}

static int op_reset(void *opaque)
{
	(void)opaque;
	n_resets++;
	return op_result;
}

static int op_power_button(void *opaque)
{
	(void)opaque;
	n_buttons++;
	return op_result;
}

static void op_quit(void *opaque)
{
	(void)opaque;
	n_quits++;
}

static int op_ram_rss_bytes(void *opaque, uint64_t *bytes)
{
	(void)opaque;
	*bytes = 12345678;
	return op_result;
}

static pid_t op_vcpu_tid(void *opaque, unsigned index)
{
	(void)opaque;
	return (pid_t)(1000 + index);
}

static const struct machine_ops ops = {
	.status = op_status,
	.pause = op_pause,
	.resume = op_resume,
	.reset = op_reset,
	.power_button = op_power_button,
	.quit = op_quit,
	.ram_rss_bytes = op_ram_rss_bytes,
	.vcpu_tid = op_vcpu_tid,
};

static void begin_without_balloon(void)
{
	fakeloop_init(&loop);
	status = MACHINE_RUNNING;
	op_result = 0;
	n_pauses = n_resumes = n_resets = n_buttons = n_quits = 0;
	machine = (struct machine){.ops = &ops, .name = "web-1", .ram_bytes = RAM, .n_vcpus = 2};
	CU_ASSERT_EQUAL_FATAL(qmp_server_create(&loop.host, &machine, -1, &server), 0);
}

static void begin(void)
{
	begin_without_balloon();
	fg_create(&guest, NULL, 4096);
	machine.balloon = guest.dev;
}

static void end(void)
{
	qmp_server_destroy(server);
	CU_ASSERT_EQUAL(loop.n_watches, 0);
	CU_ASSERT_PTR_NULL(loop.timers);
	if (machine.balloon)
		CU_ASSERT_EQUAL(fg_destroy(&guest), 0);
}

struct client {
	int fd;
	char text[1 << 16];
	size_t len, line_len;
};

static void send_bytes(struct client *client, const char *bytes, size_t len)
{
	CU_ASSERT_EQUAL(send(client->fd, bytes, len, MSG_NOSIGNAL), (ssize_t)len);
	fakeloop_run(&loop);
}

static void say(struct client *client, const char *text)
{
	send_bytes(client, text, strlen(text));
}

/* The next line without its end, "" when there is none, "EOF" when the server has closed. */
static const char *hear(struct client *client)
{
	static char line[1 << 16];

	for (;;) {
		char *crlf = memmem(client->text, client->len, "\r\n", 2);
		if (crlf) {
			size_t len = (size_t)(crlf - client->text);
			memcpy(line, client->text, len);
			line[len] = '\0';
			client->len -= len + 2;
			memmove(client->text, crlf + 2, client->len);
			for (size_t i = 0; i < len; i++)
				CU_ASSERT(line[i] >= 0x20 && line[i] < 0x7f);
			return line;
		}
		ssize_t n = recv(client->fd, client->text + client->len, sizeof client->text - client->len, MSG_DONTWAIT);
		if (n == 0 || (n < 0 && errno == ECONNRESET))
			return "EOF";
		if (n < 0)
			return "";
		client->len += (size_t)n;
		fakeloop_run(&loop);
	}
}

static bool begins(const char *line, const char *start)
{
	return strncmp(line, start, strlen(start)) == 0;
}

static void expect(struct client *client, const char *expected)
{
	const char *line = hear(client);

	if (strcmp(line, expected) != 0)
		fprintf(stderr, "expected %s\n     got %s\n", expected, line);
	CU_ASSERT_STRING_EQUAL(line, expected);
}

/* A line up to its timestamp. */
static void expect_event(struct client *client, const char *expected)
{
	char line[4096], *stamp;
	long long seconds;
	long microseconds;
	int used = 0;

	snprintf(line, sizeof line, "%s", hear(client));
	stamp = strstr(line, "\"timestamp\"");
	CU_ASSERT_PTR_NOT_NULL(stamp);
	if (!stamp) {
		fprintf(stderr, "expected %s\n     got %s\n", expected, line);
		return;
	}
	CU_ASSERT_EQUAL(sscanf(stamp, "\"timestamp\":{\"seconds\":%lld,\"microseconds\":%ld}}%n", &seconds, &microseconds, &used), 2);
	CU_ASSERT_EQUAL(stamp[used], '\0');
	*stamp = '\0';
	CU_ASSERT_STRING_EQUAL(line, expected);
}

static void ask(struct client *client, const char *command, const char *answer)
{
	say(client, command);
	expect(client, answer);
}

/* As one does in the tests: {'execute': name, 'arguments': args}. */
static void run(struct client *client, const char *name, const char *args, const char *answer)
{
	char text[1024];

	snprintf(text, sizeof text, "{'execute':'%s','arguments':{%s}}", name, args);
	ask(client, text, answer);
}

static struct client *connect_quietly(void)
{
	struct client *client = calloc(1, sizeof *client);
	int fds[2];

	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	client->fd = fds[0];
	CU_ASSERT_EQUAL(qmp_server_adopt(server, fds[1]), 0);
	return client;
}

static struct client *connect_one(void)
{
	struct client *client = connect_quietly();

	CU_ASSERT_TRUE(begins(hear(client), "{\"QMP\":"));
	ask(client, NEGOTIATE, EMPTY);
	return client;
}

static void hang_up(struct client *client)
{
	close(client->fd);
	free(client);
	fakeloop_run(&loop);
}

/* ---- Protocol -------------------------------------------------------- */

static void greets_with_its_version(void)
{
	begin();
	struct client *client = connect_quietly();
	const char *line = hear(client);
	CU_ASSERT_PTR_NOT_NULL(strstr(line, "{\"QMP\":{\"version\":{\"qemu\":{\"micro\":0,\"minor\":0,\"major\":9},\"package\":\"vmm-balloon "));
	CU_ASSERT_PTR_NOT_NULL(strstr(line, "\"},\"capabilities\":[]}}"));
	hang_up(client);
	end();
}

static void negotiation_comes_first(void)
{
	begin();
	struct client *client = connect_quietly();
	hear(client);
	const char *refusal = "{\"error\":{\"class\":\"CommandNotFound\",\"desc\":\"Expecting capabilities negotiation with 'qmp_capabilities'\"}}";
	ask(client, "{'execute':'query-status'}", refusal);
	ask(client, "{'execute':'no-such-command'}", refusal);
	qmp_server_note(server, QMP_NOTE_STOP, QMP_CAUSE_SIGNAL);
	expect(client, ""); /* no event either */
	run(client, "qmp_capabilities", "'enable':['oob']", "{\"error\":{\"class\":\"GenericError\",\"desc\":\"Capability 'oob' not available\"}}");
	run(client, "qmp_capabilities", "'enable':[7]",
	    "{\"error\":{\"class\":\"GenericError\",\"desc\":\"Invalid parameter type for 'enable[0]', expected: string\"}}");
	run(client, "qmp_capabilities", "'enable':[]", EMPTY);
	ask(client, NEGOTIATE, "{\"error\":{\"class\":\"CommandNotFound\",\"desc\":\"Capabilities negotiation is already complete, command ignored\"}}");
	ask(client, "{'execute':'query-status'}", "{\"return\":{\"running\":true,\"status\":\"running\"}}");
	qmp_server_note(server, QMP_NOTE_STOP, QMP_CAUSE_SIGNAL);
	expect_event(client, "{\"event\":\"STOP\",");
	hang_up(client);
	end();
}

static void any_id_comes_back(void)
{
	static const char *const ids[] = {"7", "\"x\"", "null", "true", "[1,{\"a\":[]}]", "{\"b\":1,\"a\":2}", "-1", "1.5", "\"\\u0000\\u00E9\""};
	char text[256], answer[256];

	begin();
	struct client *client = connect_one();
	for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
		snprintf(text, sizeof text, "{\"id\":%s,\"execute\":\"query-name\"}", ids[i]);
		snprintf(answer, sizeof answer, "{\"return\":{\"name\":\"web-1\"},\"id\":%s}", ids[i]);
		ask(client, text, answer);
	}
	ask(client, "{'execute':'query-name','id':18446744073709551615}", "{\"return\":{\"name\":\"web-1\"},\"id\":1.8446744073709552e19}");
	ask(client, "{'execute':'balloon','arguments':{'value':18446744073709551615},'id':'a'}",
	    "{\"error\":{\"class\":\"GenericError\",\"desc\":\"Invalid parameter type for 'value', expected: integer\"},\"id\":\"a\"}");
	ask(client, "{'execute':'x','id':3}", "{\"error\":{\"class\":\"CommandNotFound\",\"desc\":\"The command x has not been found\"},\"id\":3}");
	ask(client, "{'id':4}", "{\"error\":{\"class\":\"GenericError\",\"desc\":\"QMP input lacks member 'execute'\"},\"id\":4}");
	hang_up(client);
	end();
}

static void messages_must_be_messages(void)
{
	static const struct {
		const char *text, *desc;
	} bad[] = {
		{"[1]", "QMP input must be a JSON object"},
		{"\"text\"", "QMP input must be a JSON object"},
		{"17 ", "QMP input must be a JSON object"},
		{"{'execute':7}", "QMP input member 'execute' must be a string"},
		{"{'execute':'quit\\u0000'}", "QMP input member 'execute' must be a string"},
		{"{'execute':'quit','arguments':[]}", "QMP input member 'arguments' must be an object"},
		{"{'execute':'quit','argument':{}}", "QMP input member 'argument' is unexpected"},
		{"{'exec-oob':'quit'}", "QMP input member 'exec-oob' is unexpected"},
		{"{'execute':'quit','a\"\\u00e9\\n':1}", "QMP input member 'a\\\"\\u00e9\\u000a' is unexpected"},
	};
	char answer[256];

	begin();
	struct client *client = connect_one();
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		snprintf(answer, sizeof answer, "{\"error\":{\"class\":\"GenericError\",\"desc\":\"%s\"}}", bad[i].desc);
		ask(client, bad[i].text, answer);
	}
	CU_ASSERT_EQUAL(n_quits, 0);
	hang_up(client);
	end();
}

static void what_is_not_json_has_no_id(void)
{
	static const char *const bad[] = {"{'id':1,}",
					  "{'id':1 'execute':'quit'}",
					  "{'execute':'quit','execute':'quit','id':1}",
					  "{]",
					  "}",
					  "nonsense ",
					  "{'id':1e999}",
					  "{'id':'\xff",
					  "{\"id\":\"\xc3(\"}",
					  "\x01"};

	begin();
	struct client *client = connect_one();
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		say(client, bad[i]);
		const char *line = hear(client);
		CU_ASSERT_TRUE(begins(line, "{\"error\":{\"class\":\"GenericError\",\"desc\":\"JSON parse error, "));
		CU_ASSERT_PTR_NULL(strstr(line, "\"id\":"));
		ask(client, "{'execute':'query-name'}", "{\"return\":{\"name\":\"web-1\"}}");
	}
	hang_up(client);
	end();
}

static void nesting_has_an_end(void)
{
	char text[20001];

	begin();
	struct client *client = connect_one();
	memset(text, '[', 10000);
	memset(text + 10000, ']', 10000);
	text[20000] = '\0';
	say(client, text);
	CU_ASSERT_PTR_NOT_NULL(strstr(hear(client), "JSON parse error"));
	ask(client, "{'execute':'query-name'}", "{\"return\":{\"name\":\"web-1\"}}");
	hang_up(client);
	end();
}

static void pieces_and_packets(void)
{
	static const char text[] = "{'execute':'query-name','id':1}\r\n {'execute':'query-status','id':2}{'execute':'quit','id':3}";

	begin();
	struct client *client = connect_one();
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; round == 0 && text[i]; i++)
			send_bytes(client, text + i, 1);
		if (round == 1)
			say(client, text);
		expect(client, "{\"return\":{\"name\":\"web-1\"},\"id\":1}");
		expect(client, "{\"return\":{\"running\":true,\"status\":\"running\"},\"id\":2}");
		expect(client, "{\"return\":{},\"id\":3}");
		expect(client, "");
	}
	CU_ASSERT_EQUAL(n_quits, 2);
	hang_up(client);
	end();
}

static void arguments_are_checked(void)
{
	static const struct {
		const char *name, *args, *desc;
	} bad[] = {
		{"balloon", "", "Parameter 'value' is missing"},
		{"balloon", "'value':'1G'", "Invalid parameter type for 'value', expected: integer"},
		{"balloon", "'value':1.5", "Invalid parameter type for 'value', expected: integer"},
		{"balloon", "'value':null", "Invalid parameter type for 'value', expected: integer"},
		{"balloon", "'value':9223372036854775808", "Invalid parameter type for 'value', expected: integer"},
		{"balloon", "'value':-9223372036854775809", "Invalid parameter type for 'value', expected: integer"},
		{"balloon", "'value':1,'more':2", "Parameter 'more' is unexpected"},
		{"query-name", "'x':1", "Parameter 'x' is unexpected"},
		{"qom-get", "'path':'/','property':7", "Invalid parameter type for 'property', expected: string"},
		{"qom-set", "'path':'/','property':'x'", "Parameter 'value' is missing"},
		{"qmp_capabilities", "'enable':'oob'", NULL}, /* after negotiation it is not there */
	};
	char answer[256];

	begin();
	struct client *client = connect_one();
	for (size_t i = 0; bad[i].desc; i++) {
		snprintf(answer, sizeof answer, "{\"error\":{\"class\":\"GenericError\",\"desc\":\"%s\"}}", bad[i].desc);
		run(client, bad[i].name, bad[i].args, answer);
	}
	hang_up(client);
	end();
}

static void every_command_is_listed(void)
{
	char name[64];

	begin();
	struct client *client = connect_one();
	say(client, "{'execute':'query-commands'}");
	const char *line = hear(client);
	for (size_t i = 0; qmp_command_tables[i]; i++)
		for (const struct qmp_command *command = qmp_command_tables[i]; command->name; command++) {
			snprintf(name, sizeof name, "{\"name\":\"%s\"}", command->name);
			CU_ASSERT_PTR_NOT_NULL(strstr(line, name));
		}
	CU_ASSERT_PTR_NOT_NULL(strstr(line, "{\"name\":\"balloon\"}"));
	hang_up(client);
	end();
}

/* ---- The machine ----------------------------------------------------- */

static void stop_and_cont(void)
{
	begin();
	struct client *client = connect_one(), *witness = connect_one();
	say(client, "{'execute':'stop'}");
	expect_event(client, "{\"event\":\"STOP\",");
	expect(client, EMPTY);
	expect_event(witness, "{\"event\":\"STOP\",");
	ask(client, "{'execute':'query-status'}", "{\"return\":{\"running\":false,\"status\":\"paused\"}}");
	ask(client, "{'execute':'stop'}", EMPTY); /* already: no event */
	say(client, "{'execute':'cont'}");
	expect_event(client, "{\"event\":\"RESUME\",");
	expect(client, EMPTY);
	ask(client, "{'execute':'cont'}", EMPTY);
	CU_ASSERT_EQUAL(n_pauses, 1);
	CU_ASSERT_EQUAL(n_resumes, 1);
	op_result = -EIO;
	ask(client, "{'execute':'stop'}", "{\"error\":{\"class\":\"GenericError\",\"desc\":\"Cannot pause the machine: Input/output error\"}}");
	status = MACHINE_PANICKED;
	ask(client, "{'execute':'query-status'}", "{\"return\":{\"running\":false,\"status\":\"guest-panicked\"}}");
	ask(client, "{'execute':'cont'}", "{\"error\":{\"class\":\"GenericError\",\"desc\":\"Resetting the Virtual Machine is required\"}}");
	expect_event(witness, "{\"event\":\"RESUME\",");
	expect(witness, "");
	hang_up(client);
	hang_up(witness);
	end();
}

static void reset_powerdown_quit(void)
{
	begin();
	struct client *client = connect_one();
	ask(client, "{'execute':'system_reset'}", EMPTY);
	ask(client, "{'execute':'system_powerdown'}", EMPTY);
	ask(client, "{'execute':'quit'}", EMPTY);
	CU_ASSERT(n_resets == 1 && n_buttons == 1 && n_quits == 1);
	op_result = -ENODEV;
	ask(client, "{'execute':'system_powerdown'}", "{\"error\":{\"class\":\"GenericError\",\"desc\":\"Cannot power down the machine: No such device\"}}");
	qmp_server_note(server, QMP_NOTE_RESET, QMP_CAUSE_CLIENT);
	qmp_server_note(server, QMP_NOTE_RESET, QMP_CAUSE_GUEST);
	qmp_server_note(server, QMP_NOTE_POWERDOWN, QMP_CAUSE_SIGNAL);
	qmp_server_note(server, QMP_NOTE_RESUME, QMP_CAUSE_HOST_UI);
	qmp_server_note(server, QMP_NOTE_SHUTDOWN, QMP_CAUSE_GUEST);
	qmp_server_note(server, QMP_NOTE_SHUTDOWN, QMP_CAUSE_GUEST_PANIC);
	qmp_server_note(server, QMP_NOTE_SHUTDOWN, QMP_CAUSE_SIGNAL);
	expect_event(client, "{\"event\":\"RESET\",\"data\":{\"guest\":false,\"reason\":\"host-qmp-system-reset\"},");
	expect_event(client, "{\"event\":\"RESET\",\"data\":{\"guest\":true,\"reason\":\"guest-reset\"},");
	expect_event(client, "{\"event\":\"POWERDOWN\",");
	expect_event(client, "{\"event\":\"RESUME\",");
	expect_event(client, "{\"event\":\"SHUTDOWN\",\"data\":{\"guest\":true,\"reason\":\"guest-shutdown\"},");
	expect_event(client, "{\"event\":\"SHUTDOWN\",\"data\":{\"guest\":true,\"reason\":\"guest-panic\"},");
	expect_event(client, "{\"event\":\"SHUTDOWN\",\"data\":{\"guest\":false,\"reason\":\"host-signal\"},");
	hang_up(client);
	end();
}

static void names_and_cpus(void)
{
	begin();
	struct client *client = connect_one();
	ask(client, "{'execute':'query-cpus-fast'}",
	    "{\"return\":[{\"cpu-index\":0,\"qom-path\":\"/machine/unattached/device[0]\",\"thread-id\":1000,\"target\":\"x86_64\"},"
	    "{\"cpu-index\":1,\"qom-path\":\"/machine/unattached/device[1]\",\"thread-id\":1001,\"target\":\"x86_64\"}]}");
	ask(client, "{'execute':'query-memory-size-summary'}", "{\"return\":{\"base-memory\":134217728,\"plugged-memory\":0,\"x-ram-rss\":12345678}}");
	op_result = -EACCES;
	ask(client, "{'execute':'query-memory-size-summary'}", "{\"return\":{\"base-memory\":134217728,\"plugged-memory\":0}}");
	say(client, "{'execute':'query-version'}");
	CU_ASSERT_TRUE(begins(hear(client), "{\"return\":{\"qemu\":{\"micro\":0,\"minor\":0,\"major\":9},\"package\":\"vmm-balloon "));
	hang_up(client);
	end();
}

/* ---- The balloon ----------------------------------------------------- */

static uint64_t target(void)
{
	struct balloon_state state;

	balloon_get_state(guest.dev, &state);
	return state.target_bytes;
}

static void balloon_counts_what_is_left(void)
{
	begin();
	struct client *client = connect_one();
	run(client, "balloon", "'value':33554432", EMPTY);
	CU_ASSERT_EQUAL(target(), RAM - 33554432);
	run(client, "balloon", "'value':134217728", EMPTY); /* all of it */
	CU_ASSERT_EQUAL(target(), 0);
	run(client, "balloon", "'value':4096", EMPTY);
	CU_ASSERT_EQUAL(target(), RAM - 4096);
	run(client, "balloon", "'value':9223372036854775807", EMPTY);
	CU_ASSERT_EQUAL(target(), 0);
	run(client, "balloon", "'value':1", EMPTY);
	CU_ASSERT_EQUAL(target(), RAM - 4096);
	run(client, "balloon", "'value':0", "{\"error\":{\"class\":\"GenericError\",\"desc\":\"Parameter 'value' expects a size\"}}");
	run(client, "balloon", "'value':-4096", "{\"error\":{\"class\":\"GenericError\",\"desc\":\"Parameter 'value' expects a size\"}}");
	CU_ASSERT_EQUAL(target(), RAM - 4096);
	ask(client, "{'execute':'query-balloon'}", "{\"return\":{\"actual\":134217728}}");
	fg_probe(&guest);
	fg_init(&guest, F_STATS);
	fg_dc_write(&guest, DC_ACTUAL, 0x1000); /* 16 MiB */
	ask(client, "{'execute':'query-balloon'}", "{\"return\":{\"actual\":117440512}}");
	fg_dc_write(&guest, DC_ACTUAL, 0xffffffff); /* 16 TiB of 128 MiB */
	ask(client, "{'execute':'query-balloon'}", "{\"return\":{\"actual\":0}}");
	hang_up(client);
	end();
}

static void without_balloon_it_says_so(void)
{
	const char *none = "{\"error\":{\"class\":\"DeviceNotActive\",\"desc\":\"No balloon device has been activated\"}}";

	begin_without_balloon();
	struct client *client = connect_one();
	run(client, "balloon", "'value':4096", none);
	run(client, "query-balloon", "", none);
	run(client, "x-query-balloon", "", none);
	run(client, "x-balloon-request-stats", "", none);
	run(client, "x-balloon-hint", "", none);
	run(client, "qom-get", "'path':'/machine/peripheral/balloon0','property':'guest-stats'",
	    "{\"error\":{\"class\":\"DeviceNotFound\",\"desc\":\"Device '/machine/peripheral/balloon0' not found\"}}");
	run(client, "qom-list", "'path':'/machine/peripheral'", "{\"return\":[{\"name\":\"type\",\"type\":\"string\"}]}");
	hang_up(client);
	end();
}

#define NO_STATS                                                                                                                   \
	"\"stat-swap-in\":18446744073709551615,\"stat-swap-out\":18446744073709551615,\"stat-major-faults\":18446744073709551615," \
	"\"stat-minor-faults\":18446744073709551615,"
#define REST_NO_STATS                                                                                                                          \
	"\"stat-available-memory\":18446744073709551615,\"stat-disk-caches\":18446744073709551615,\"stat-htlb-pgalloc\":18446744073709551615," \
	"\"stat-htlb-pgfail\":18446744073709551615,\"stat-oom-kills\":18446744073709551615,\"stat-alloc-stalls\":18446744073709551615,"        \
	"\"stat-async-scans\":18446744073709551615,\"stat-direct-scans\":18446744073709551615,\"stat-async-reclaims\":18446744073709551615,"   \
	"\"stat-direct-reclaims\":18446744073709551615}"

#define BALLOON "'path':'/machine/peripheral/balloon0',"

static void guest_stats(void)
{
	static const uint8_t stats[] = {4, 0, 0, 0x10, 0, 0, 0, 0, 0, 0, 5, 0, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

	begin();
	struct client *client = connect_one();
	run(client, "qom-get", BALLOON "'property':'guest-stats'",
	    "{\"return\":{\"last-update\":0,\"stats\":{" NO_STATS
	    "\"stat-free-memory\":18446744073709551615,\"stat-total-memory\":18446744073709551615," REST_NO_STATS "}}");
	fg_probe(&guest);
	fg_init(&guest, F_STATS);
	memcpy(fakehost_ram(guest.fh, FG_DATA(2), sizeof stats), stats, sizeof stats);
	fg_send(&guest, 2, FG_DATA(2), sizeof stats, 0);
	fakehost_settle(guest.fh, 10);
	say(client, "{'execute':'qom-get','arguments':{'path':'/machine/peripheral-anon/device[0]','property':'guest-stats'}}");
	const char *line = hear(client);
	CU_ASSERT_PTR_NOT_NULL(strstr(line, NO_STATS "\"stat-free-memory\":4096,\"stat-total-memory\":18446744073709551614," REST_NO_STATS "}}"));
	CU_ASSERT_PTR_NULL(strstr(line, "\"last-update\":0,"));
	hang_up(client);
	end();
}

static void polling_interval(void)
{
	begin();
	struct client *client = connect_one();
	fg_probe(&guest);
	fg_init(&guest, F_STATS);
	run(client, "qom-set", BALLOON "'property':'guest-stats-polling-interval','value':2", EMPTY);
	run(client, "qom-get", BALLOON "'property':'guest-stats-polling-interval'", "{\"return\":2}");
	run(client, "qom-set", BALLOON "'property':'guest-stats-polling-interval','value':-1",
	    "{\"error\":{\"class\":\"GenericError\",\"desc\":\"timer value must be greater than zero\"}}");
	run(client, "qom-set", BALLOON "'property':'guest-stats-polling-interval','value':4294967296",
	    "{\"error\":{\"class\":\"GenericError\",\"desc\":\"timer value is too big\"}}");
	run(client, "qom-set", BALLOON "'property':'guest-stats-polling-interval','value':'2'",
	    "{\"error\":{\"class\":\"GenericError\",\"desc\":\"Invalid parameter type for 'guest-stats-polling-interval', expected: integer\"}}");
	run(client, "qom-get", BALLOON "'property':'guest-stats-polling-interval'", "{\"return\":2}");
	run(client, "qom-set", BALLOON "'property':'guest-stats-polling-interval','value':4294967295", EMPTY);
	run(client, "qom-set", BALLOON "'property':'guest-stats-polling-interval','value':0", EMPTY);
	run(client, "qom-get", BALLOON "'property':'guest-stats-polling-interval'", "{\"return\":0}");
	hang_up(client);
	end();
}

static void object_tree(void)
{
	begin();
	struct client *client = connect_one();
	run(client, "qom-list", "'path':'/machine'",
	    "{\"return\":[{\"name\":\"type\",\"type\":\"string\"},{\"name\":\"peripheral\",\"type\":\"child<container>\"},"
	    "{\"name\":\"peripheral-anon\",\"type\":\"child<container>\"}]}");
	run(client, "qom-list", "'path':'/machine/peripheral'",
	    "{\"return\":[{\"name\":\"type\",\"type\":\"string\"},{\"name\":\"balloon0\",\"type\":\"child<virtio-balloon-pci>\"}]}");
	say(client, "{'execute':'qom-list','arguments':{'path':'/machine/peripheral/balloon0'}}");
	const char *line = hear(client);
	CU_ASSERT_PTR_NOT_NULL(strstr(line, "{\"name\":\"guest-stats-polling-interval\",\"type\":\"int\"}"));
	CU_ASSERT_PTR_NOT_NULL(strstr(line, "{\"name\":\"guest-stats\",\"type\":\"guest statistics\"}"));
	run(client, "qom-list", "'path':'/machine/peripheral-anon'",
	    "{\"return\":[{\"name\":\"type\",\"type\":\"string\"},{\"name\":\"device[0]\",\"type\":\"child<virtio-balloon-pci>\"}]}");
	run(client, "qom-get", "'path':'/machine/peripheral-anon/device[0]','property':'type'", "{\"return\":\"virtio-balloon-pci\"}");
	run(client, "qom-get", BALLOON "'property':'type'", "{\"return\":\"virtio-balloon-pci\"}");
	run(client, "qom-get", "'path':'balloon0','property':'type'", "{\"return\":\"virtio-balloon-pci\"}");
	run(client, "qom-get", "'path':'/machine','property':'type'", "{\"return\":\"container\"}");
	run(client, "qom-get", BALLOON "'property':'deflate-on-oom'", "{\"return\":true}");
	run(client, "qom-get", BALLOON "'property':'free-page-reporting'", "{\"return\":true}");
	run(client, "qom-get", BALLOON "'property':'free-page-hint'", "{\"return\":true}");
	run(client, "qom-get", BALLOON "'property':'nope'",
	    "{\"error\":{\"class\":\"GenericError\",\"desc\":\"Property 'virtio-balloon-pci.nope' not found\"}}");
	run(client, "qom-set", BALLOON "'property':'guest-stats','value':1",
	    "{\"error\":{\"class\":\"GenericError\",\"desc\":\"Property 'virtio-balloon-pci.guest-stats' is not writable\"}}");
	run(client, "qom-get", "'path':'/machine/peripheral/balloon1','property':'type'",
	    "{\"error\":{\"class\":\"DeviceNotFound\",\"desc\":\"Device '/machine/peripheral/balloon1' not found\"}}");
	hang_up(client);
	end();
}

static void a_balloon_with_an_id_is_not_anonymous(void)
{
	begin();
	machine.balloon_is_named = true;
	struct client *client = connect_one();
	run(client, "qom-list", "'path':'/machine/peripheral-anon'", "{\"return\":[{\"name\":\"type\",\"type\":\"string\"}]}");
	run(client, "qom-get", "'path':'/machine/peripheral-anon/device[0]','property':'type'",
	    "{\"error\":{\"class\":\"DeviceNotFound\",\"desc\":\"Device '/machine/peripheral-anon/device[0]' not found\"}}");
	run(client, "qom-get", BALLOON "'property':'type'", "{\"return\":\"virtio-balloon-pci\"}");
	hang_up(client);
	end();
}

static void everything_about_the_balloon(void)
{
	static const char *const parts[] = {
		"\"id\":\"balloon0\"",
		"\"ram\":134217728",
		"\"ram-rss\":12345678",
		"\"actual\":117440512",
		"\"balloon-target\":4096",
		"\"balloon-actual\":16777216",
		"\"driver-ok\":true",
		"\"status\":15",
		"\"negotiated-features\":[\"statistics\",\"deflate-on-oom\"],\"negotiated-feature-bits\":4294967302",
		"\"queues\":{\"inflate\":{\"buffers\":0,",
	};

	begin();
	struct client *client = connect_one();
	run(client, "balloon", "'value':134213632", EMPTY);
	fg_probe(&guest);
	fg_init(&guest, F_STATS | F_OOM);
	fg_dc_write(&guest, DC_ACTUAL, 0x1000);
	say(client, "{'execute':'x-query-balloon'}");
	const char *line = hear(client);
	for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
		if (!strstr(line, parts[i]))
			fprintf(stderr, "no %s in %s\n", parts[i], line);
		CU_ASSERT_PTR_NOT_NULL(strstr(line, parts[i]));
	}
	json_t *whole = json_loads(line, 0, NULL);
	CU_ASSERT_PTR_NULL(whole); /* jansson cannot hold 2^64 - 1: the reason for json_out */
	op_result = -EACCES;
	say(client, "{'execute':'x-query-balloon'}");
	CU_ASSERT_PTR_NULL(strstr(hear(client), "ram-rss"));
	hang_up(client);
	end();
}

static bool has_part(struct client *client, const char *part)
{
	say(client, "{'execute':'x-query-balloon'}");
	const char *line = hear(client);
	if (strstr(line, part))
		return true;
	fprintf(stderr, "no %s in %s\n", part, line);
	return false;
}

static void statistics_in_full(void)
{
	static const uint8_t stats[] = {4, 0, 0, 0x10, 0, 0, 0, 0, 0, 0, 0x2C, 1, 7, 0, 0, 0, 0, 0, 0, 0};

	begin();
	struct client *client = connect_one();
	CU_ASSERT_TRUE(has_part(client, "\"other-stats\":{},\"stats-asked\":false,")); /* and no age */
	fg_init(&guest, F_STATS);
	memcpy(fakehost_ram(guest.fh, FG_DATA(2), sizeof stats), stats, sizeof stats);
	fg_send(&guest, 2, FG_DATA(2), sizeof stats, 0);
	fakehost_advance(guest.fh, 1500);
	CU_ASSERT_TRUE(has_part(client, "\"other-stats\":{\"300\":7},\"stats-age-ms\":1500,\"stats-asked\":false,"));
	run(client, "x-balloon-request-stats", "", EMPTY);
	CU_ASSERT_TRUE(has_part(client, "\"stats-asked\":true,"));
	fg_status_write(&guest, 0);
	CU_ASSERT_TRUE(has_part(client, "\"last-update\":0,"));
	hang_up(client);
	end();
}

static void driver_and_faults(void)
{
	begin();
	struct client *client = connect_one();
	CU_ASSERT_TRUE(has_part(client, "\"suspended\":false,"));
	CU_ASSERT_TRUE(has_part(client, "\"queue-numbering\":\"unknown\",\"poison-val\":0,"));
	CU_ASSERT_TRUE(has_part(client, "\"stalled\":false,\"stall-timeout\":"));
	CU_ASSERT_TRUE(has_part(client, "\"balloon-actual\":0,\"held-bytes\":0,"));
	fg_negotiate(&guest, F_POISON);
	fg_dc_write(&guest, DC_POISON, 0xAAAAAAAA);
	CU_ASSERT_TRUE(has_part(client, "\"poison-val\":2863311530,"));
	fg_init(&guest, F_STATS);
	CU_ASSERT_TRUE(has_part(client, "\"queue-numbering\":\"specification\","));
	fg_send_pfns(&guest, 0, (const uint32_t[]){0xFFFFFFFF}, 1);
	CU_ASSERT_TRUE(has_part(client, "\"written-bytes\":0,\"bad-pages\":1,\"bad-buffers\":1,\"faults\":{\"outside-memory\":1,\"partial-page\":0,"));
	hang_up(client);
	end();
}

static void hinting(void)
{
	begin();
	struct client *client = connect_one();
	run(client, "x-balloon-hint", "", "{\"error\":{\"class\":\"GenericError\",\"desc\":\"The guest has no driver that hints at free pages\"}}");
	CU_ASSERT_TRUE(has_part(client, "\"hint\":{\"phase\":\"none\",\"id\":0,\"runs\":0,"));
	fg_init(&guest, F_HINT);
	guest.fh->watch_error = -EPERM;
	run(client, "x-balloon-hint", "",
	    "{\"error\":{\"class\":\"KVMMissingCap\",\"desc\":\"KVM cannot watch the guest's writes: Operation not permitted\"}}");
	guest.fh->watch_error = 0;
	run(client, "x-balloon-hint", "", EMPTY);
	CU_ASSERT_TRUE(has_part(client, "\"hint\":{\"phase\":\"running\",\"id\":2,\"runs\":1,\"hinted\":0,"));
	run(client, "x-balloon-hint", "", "{\"error\":{\"class\":\"GenericError\",\"desc\":\"A free page hinting run is on already\"}}");
	hang_up(client);
	end();
}

/* ---- Events ---------------------------------------------------------- */

static void report(enum host_event_kind kind, uint64_t value)
{
	struct host_event event = {.kind = kind, .device_id = "balloon0", .value = value};

	qmp_server_event(server, &event);
	fakeloop_run(&loop);
}

static void balloon_change_is_throttled(void)
{
	begin();
	struct client *client = connect_one();
	for (uint64_t mib = 1; mib <= 5; mib++)
		report(HOST_EVENT_BALLOON_CHANGE, mib << 20);
	expect_event(client, "{\"event\":\"BALLOON_CHANGE\",\"data\":{\"actual\":133169152},");
	expect(client, "");
	fakeloop_advance(&loop, 999);
	expect(client, "");
	fakeloop_advance(&loop, 1);
	expect_event(client, "{\"event\":\"BALLOON_CHANGE\",\"data\":{\"actual\":128974848},");
	expect(client, "");
	report(HOST_EVENT_BALLOON_CHANGE, 6 << 20); /* within the second after the last one */
	expect(client, "");
	fakeloop_advance(&loop, 1000);
	expect_event(client, "{\"event\":\"BALLOON_CHANGE\",\"data\":{\"actual\":127926272},");
	fakeloop_advance(&loop, 1000);
	expect(client, "");
	report(HOST_EVENT_BALLOON_CHANGE, UINT64_MAX);
	expect_event(client, "{\"event\":\"BALLOON_CHANGE\",\"data\":{\"actual\":0},");
	hang_up(client);
	end();
}

static void other_events_do_not_wait_for_it(void)
{
	begin();
	struct client *client = connect_one();
	report(HOST_EVENT_BALLOON_CHANGE, 0);
	report(HOST_EVENT_BALLOON_REACHED, 4096);
	report(HOST_EVENT_BALLOON_STALLED, 8192);
	report(HOST_EVENT_BALLOON_OOM, 0);
	report(HOST_EVENT_BALLOON_HINTED, 12288);
	report(HOST_EVENT_PANIC, 0);
	report(HOST_EVENT_CRASH_LOADED, 0);
	report(HOST_EVENT_BALLOON_READY, 0);
	report(HOST_EVENT_POWEROFF, 0);
	report(HOST_EVENT_RESET, 0);
	expect_event(client, "{\"event\":\"BALLOON_CHANGE\",\"data\":{\"actual\":134217728},");
	expect_event(client, "{\"event\":\"X_BALLOON_TARGET_REACHED\",\"data\":{\"actual\":134213632,\"balloon-actual\":4096},");
	expect_event(client, "{\"event\":\"X_BALLOON_STALLED\",\"data\":{\"actual\":134209536,\"balloon-actual\":8192},");
	expect_event(client, "{\"event\":\"X_BALLOON_OOM_DEFLATE\",\"data\":{\"actual\":134217728,\"balloon-actual\":0},");
	expect_event(client, "{\"event\":\"X_BALLOON_HINT_DONE\",\"data\":{\"discarded\":12288},");
	expect_event(client, "{\"event\":\"GUEST_PANICKED\",\"data\":{\"action\":\"poweroff\"},");
	expect_event(client, "{\"event\":\"GUEST_CRASHLOADED\",\"data\":{\"action\":\"run\"},");
	expect(client, "");
	hang_up(client);
	end();
}

static void guest_cannot_flood(void)
{
	begin();
	struct client *silent = connect_one();
	for (int i = 0; i < 100000; i++) {
		report(HOST_EVENT_PANIC, 0);
		report(HOST_EVENT_BALLOON_OOM, 0);
	}
	expect_event(silent, "{\"event\":\"GUEST_PANICKED\",\"data\":{\"action\":\"poweroff\"},");
	expect_event(silent, "{\"event\":\"X_BALLOON_OOM_DEFLATE\",\"data\":{\"actual\":134217728,\"balloon-actual\":0},");
	expect(silent, "");
	hang_up(silent);
	end();
}

static void what_was_held_back_goes_out_at_the_end(void)
{
	begin();
	struct client *client = connect_one();
	report(HOST_EVENT_BALLOON_CHANGE, 4096);
	report(HOST_EVENT_BALLOON_CHANGE, 8192);
	end();
	expect_event(client, "{\"event\":\"BALLOON_CHANGE\",\"data\":{\"actual\":134213632},");
	expect_event(client, "{\"event\":\"BALLOON_CHANGE\",\"data\":{\"actual\":134209536},");
	expect(client, "EOF");
	close(client->fd);
	free(client);
}

static void shutdown_comes_last(void)
{
	begin();
	struct client *client = connect_one();
	report(HOST_EVENT_BALLOON_CHANGE, 4096);
	report(HOST_EVENT_BALLOON_CHANGE, 8192);
	qmp_server_note(server, QMP_NOTE_SHUTDOWN, QMP_CAUSE_GUEST);
	end();
	expect_event(client, "{\"event\":\"BALLOON_CHANGE\",\"data\":{\"actual\":134213632},");
	expect_event(client, "{\"event\":\"BALLOON_CHANGE\",\"data\":{\"actual\":134209536},");
	expect_event(client, "{\"event\":\"SHUTDOWN\",\"data\":{\"guest\":true,\"reason\":\"guest-shutdown\"},");
	expect(client, "EOF");
	close(client->fd);
	free(client);
}

/* ---- Clients --------------------------------------------------------- */

static void a_client_that_does_not_read_is_dropped(void)
{
	begin();
	struct client *deaf = connect_one(), *good = connect_one();
	for (int i = 0; i < 20000; i++) {
		qmp_server_note(server, QMP_NOTE_POWERDOWN, QMP_CAUSE_SIGNAL);
		fakeloop_run(&loop);
		expect_event(good, "{\"event\":\"POWERDOWN\",");
	}
	const char *line;
	do
		line = hear(deaf);
	while (begins(line, "{\"event\""));
	CU_ASSERT_STRING_EQUAL(line, "EOF");
	ask(good, "{'execute':'query-name'}", "{\"return\":{\"name\":\"web-1\"}}");
	hang_up(deaf);
	hang_up(good);
	end();
}

/* A client that asks much and reads late is not dropped: its commands wait. */
static void a_late_reader_gets_all_answers(void)
{
	static const char command[] = "{'execute':'query-commands','id':%06d}\n";
	char text[64];
	int sent = 0, got = 0;

	begin();
	struct client *client = connect_one(), *good = connect_one();
	for (; sent < 20000; sent++) {
		int len = snprintf(text, sizeof text, command, sent + 100000);
		if (send(client->fd, text, (size_t)len, MSG_DONTWAIT) != len)
			break;
		fakeloop_run(&loop);
	}
	CU_ASSERT(sent > 300 && sent < 20000); /* the pipe is full all the way */
	ask(good, "{'execute':'query-name'}", "{\"return\":{\"name\":\"web-1\"}}");
	shutdown(client->fd, SHUT_WR); /* nor does that lose any */
	for (; got < sent; got++) {
		const char *line = hear(client), *id = strstr(line, "\"id\":");
		if (!id || atoi(id + 5) != got + 100000)
			break;
	}
	CU_ASSERT_EQUAL(got, sent);
	expect(client, "EOF");
	hang_up(client);
	hang_up(good);
	end();
}

/* The answers to one packet, however many, are for the client to read, not a reason to drop it. */
static void longest_answers_to_one_packet(void)
{
	char text[4097];

	begin();
	struct client *client = connect_one();
	memset(text, ']', 4096);
	text[4096] = '\0';
	say(client, text);
	for (int i = 0; i < 4096; i++)
		CU_ASSERT_TRUE(begins(hear(client), "{\"error\""));
	for (size_t i = 0; i + 29 <= 4096; i += 29)
		memcpy(text + i, "{'execute':'x-query-balloon'}", 29);
	text[4089] = '\0'; /* 141 of them */
	say(client, text);
	for (int i = 0; i < 141; i++)
		CU_ASSERT_TRUE(begins(hear(client), "{\"return\":{\"id\":"));
	expect(client, "");
	hang_up(client);
	end();
}

static void half_closed_client_gets_its_answers(void)
{
	begin();
	struct client *client = connect_quietly();
	hear(client);
	CU_ASSERT_EQUAL(send(client->fd, NEGOTIATE "{'execute':'query-name'}", strlen(NEGOTIATE) + 24, 0), (ssize_t)strlen(NEGOTIATE) + 24);
	shutdown(client->fd, SHUT_WR);
	fakeloop_run(&loop);
	expect(client, EMPTY);
	expect(client, "{\"return\":{\"name\":\"web-1\"}}");
	expect(client, "EOF");
	CU_ASSERT_EQUAL(loop.n_watches, 0);
	hang_up(client);
	end();
}

/* The same when the answers do not fit into the socket at once. */
static void half_closed_client_may_read_late(void)
{
	int unread = 0, before = -1, sent = 0, got = 0;

	begin();
	struct client *client = connect_one();
	for (; unread != before; sent++) {
		before = unread;
		say(client, "{'execute':'query-commands'}");
		CU_ASSERT_EQUAL_FATAL(ioctl(client->fd, FIONREAD, &unread), 0);
	}
	shutdown(client->fd, SHUT_WR);
	fakeloop_run(&loop);
	while (begins(hear(client), "{\"return\":["))
		got++;
	CU_ASSERT_EQUAL(got, sent);
	expect(client, "EOF");
	hang_up(client);
	end();
}

static void clients_come_and_go(void)
{
	begin();
	for (int i = 0; i < 300; i++) {
		struct client *client = connect_quietly();
		if (i % 3 == 0)
			say(client, "{'execute':");
		if (i % 3 == 1)
			CU_ASSERT_EQUAL(send(client->fd, NEGOTIATE NEGOTIATE, 10, 0), 10);
		hang_up(client);
		CU_ASSERT_EQUAL(loop.n_watches, 0);
	}
	end();
}

static void not_more_than_so_many(void)
{
	struct client *clients[QMP_MAX_CLIENTS];
	char text[128] = "";
	int fds[2];

	begin();
	for (int i = 0; i < QMP_MAX_CLIENTS; i++)
		clients[i] = connect_one();
	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	CU_ASSERT_EQUAL(qmp_server_adopt(server, fds[1]), -EUSERS);
	CU_ASSERT(read(fds[0], text, sizeof text - 1) > 0);
	CU_ASSERT_STRING_EQUAL(text, "{\"error\":{\"class\":\"GenericError\",\"desc\":\"Too many clients\"}}\r\n");
	CU_ASSERT_EQUAL(read(fds[0], text, sizeof text), 0);
	close(fds[0]);
	hang_up(clients[0]);
	clients[0] = connect_one();
	for (int i = 0; i < QMP_MAX_CLIENTS; i++)
		hang_up(clients[i]);
	end();
}

static void silence_makes_room(void)
{
	struct client *clients[QMP_MAX_CLIENTS];
	int fds[2];

	begin();
	for (int i = 0; i < QMP_MAX_CLIENTS; i++) {
		clients[i] = i < 2 ? connect_quietly() : connect_one();
		fakeloop_advance(&loop, 1);
	}
	fakeloop_advance(&loop, QMP_NEGOTIATE_MS - QMP_MAX_CLIENTS - 1);
	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	CU_ASSERT_EQUAL(qmp_server_adopt(server, fds[1]), -EUSERS);
	close(fds[0]);
	fakeloop_advance(&loop, 1);
	struct client *next = connect_one();
	CU_ASSERT_TRUE(begins(hear(clients[0]), "{\"QMP\":"));
	expect(clients[0], "EOF"); /* the older of the two */
	CU_ASSERT_TRUE(begins(hear(clients[1]), "{\"QMP\":"));
	ask(clients[1], NEGOTIATE, EMPTY);
	/* Those that negotiated may be silent. */
	fakeloop_advance(&loop, 10 * QMP_NEGOTIATE_MS);
	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	CU_ASSERT_EQUAL(qmp_server_adopt(server, fds[1]), -EUSERS);
	close(fds[0]);
	hang_up(next);
	for (int i = 0; i < QMP_MAX_CLIENTS; i++)
		hang_up(clients[i]);
	end();
}

/* ---- The listening socket -------------------------------------------- */

static int listen_somewhere(struct sockaddr_un *address, socklen_t *len)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	/* Without a path the kernel finds an abstract name. */
	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	CU_ASSERT_EQUAL(bind(fd, (struct sockaddr *)address, sizeof address->sun_family), 0);
	CU_ASSERT_EQUAL(listen(fd, 16), 0);
	*len = sizeof *address;
	CU_ASSERT_EQUAL(getsockname(fd, (struct sockaddr *)address, len), 0);
	return fd;
}

static void lets_clients_in(void)
{
	struct sockaddr_un address;
	socklen_t len;
	struct client *client = calloc(1, sizeof *client);

	begin();
	qmp_server_destroy(server);
	int fd = listen_somewhere(&address, &len);
	CU_ASSERT_EQUAL_FATAL(qmp_server_create(&loop.host, &machine, fd, &server), 0);
	client->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	CU_ASSERT_EQUAL(connect(client->fd, (struct sockaddr *)&address, len), 0);
	fakeloop_run(&loop);
	CU_ASSERT_TRUE(begins(hear(client), "{\"QMP\":"));
	ask(client, NEGOTIATE, EMPTY);
	hang_up(client);
	end();
	close(fd);
}

/* Only as root can one be another user. */
static void other_users_are_turned_away(void)
{
	static const char refusal[] = "{\"error\":{\"class\":\"GenericError\",\"desc\":\"Permission denied\"}}\r\n";
	struct sockaddr_un address;
	socklen_t len;
	int status_of_child = 0;

	begin();
	qmp_server_destroy(server);
	int fd = listen_somewhere(&address, &len);
	CU_ASSERT_EQUAL_FATAL(qmp_server_create(&loop.host, &machine, fd, &server), 0);
	pid_t pid = geteuid() == 0 ? fork() : -1;
	if (pid == 0) {
		char text[256] = "";
		int peer = socket(AF_UNIX, SOCK_STREAM, 0);
		if (setuid(12345) < 0 || connect(peer, (struct sockaddr *)&address, len) < 0)
			_exit(1);
		ssize_t n = recv(peer, text, sizeof text - 1, 0);
		_exit(n == (ssize_t)strlen(refusal) && strcmp(text, refusal) == 0 && recv(peer, text, 1, 0) == 0 ? 0 : 2);
	}
	while (pid > 0 && waitpid(pid, &status_of_child, WNOHANG) == 0)
		fakeloop_run(&loop);
	CU_ASSERT_EQUAL(status_of_child, 0);
	CU_ASSERT_EQUAL(loop.n_watches, 1);
	end();
	close(fd);
}

static void no_descriptors_left_does_not_spin(void)
{
	struct sockaddr_un address;
	socklen_t len;
	struct rlimit before, few;

	begin();
	qmp_server_destroy(server);
	int fd = listen_somewhere(&address, &len);
	CU_ASSERT_EQUAL_FATAL(qmp_server_create(&loop.host, &machine, fd, &server), 0);
	struct client *client = calloc(1, sizeof *client);
	client->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	CU_ASSERT_EQUAL(connect(client->fd, (struct sockaddr *)&address, len), 0);
	getrlimit(RLIMIT_NOFILE, &before);
	few = (struct rlimit){.rlim_cur = 0, .rlim_max = before.rlim_max};
	setrlimit(RLIMIT_NOFILE, &few);
	/* poll(2) of the fake loop needs its limit: accept by hand. */
	CU_ASSERT_EQUAL(loop.n_watches, 1);
	loop.watches[0]->fn(loop.watches[0]->opaque, 0);
	CU_ASSERT_EQUAL(loop.n_watches, 0);
	setrlimit(RLIMIT_NOFILE, &before);
	fakeloop_run(&loop);
	expect(client, "");
	fakeloop_advance(&loop, 1000);
	CU_ASSERT_TRUE(begins(hear(client), "{\"QMP\":"));
	hang_up(client);
	end();
	close(fd);
}

static const struct test_case cases[] = {
	{"greets with its version", greets_with_its_version},
	{"negotiation comes first", negotiation_comes_first},
	{"any id comes back", any_id_comes_back},
	{"messages must be messages", messages_must_be_messages},
	{"what is not JSON has no id", what_is_not_json_has_no_id},
	{"nesting has an end", nesting_has_an_end},
	{"pieces and packets", pieces_and_packets},
	{"arguments are checked", arguments_are_checked},
	{"every command is listed", every_command_is_listed},
	{"stop and cont", stop_and_cont},
	{"reset, powerdown, quit", reset_powerdown_quit},
	{"names and CPUs", names_and_cpus},
	{"balloon counts what is left", balloon_counts_what_is_left},
	{"without balloon it says so", without_balloon_it_says_so},
	{"guest-stats", guest_stats},
	{"polling interval", polling_interval},
	{"object tree", object_tree},
	{"a balloon with an id is not anonymous", a_balloon_with_an_id_is_not_anonymous},
	{"everything about the balloon", everything_about_the_balloon},
	{"statistics in full", statistics_in_full},
	{"driver and faults", driver_and_faults},
	{"hinting", hinting},
	{"BALLOON_CHANGE is throttled", balloon_change_is_throttled},
	{"other events do not wait for it", other_events_do_not_wait_for_it},
	{"guest cannot flood", guest_cannot_flood},
	{"what was held back goes out at the end", what_was_held_back_goes_out_at_the_end},
	{"SHUTDOWN comes last", shutdown_comes_last},
	{"a client that does not read is dropped", a_client_that_does_not_read_is_dropped},
	{"a late reader gets all answers", a_late_reader_gets_all_answers},
	{"longest answers to one packet", longest_answers_to_one_packet},
	{"half-closed client gets its answers", half_closed_client_gets_its_answers},
	{"half-closed client may read late", half_closed_client_may_read_late},
	{"clients come and go", clients_come_and_go},
	{"not more than so many", not_more_than_so_many},
	{"silence makes room", silence_makes_room},
	{"lets clients in", lets_clients_in},
	{"other users are turned away", other_users_are_turned_away},
	{"no descriptors left does not spin", no_descriptors_left_does_not_spin},
};

TEST_SUITE(qmp_server, cases);
