#include <CUnit/CUnit.h>
#include <stdio.h>
#include <string.h>

#include "control/qmp_command.h"
#include "tests/unit/qmp_fixture.h"
#include "tests/unit/suite.h"

static void greets_with_its_version(void)
{
	qt_begin();
	struct qt_client *client = qt_connect_quietly();
	const char *line = qt_hear(client);
	CU_ASSERT_PTR_NOT_NULL(strstr(line, "{\"QMP\":{\"version\":{\"qemu\":{\"micro\":0,\"minor\":0,\"major\":9},\"package\":\"vmm-balloon "));
	CU_ASSERT_PTR_NOT_NULL(strstr(line, "\"},\"capabilities\":[]}}"));
	qt_hang_up(client);
	qt_end();
}

static void negotiation_comes_first(void)
{
	qt_begin();
	struct qt_client *client = qt_connect_quietly();
	qt_hear(client);
	const char *refusal = "{\"error\":{\"class\":\"CommandNotFound\",\"desc\":\"Expecting capabilities negotiation with 'qmp_capabilities'\"}}";
	qt_ask(client, "{'execute':'query-status'}", refusal);
	qt_ask(client, "{'execute':'no-such-command'}", refusal);
	qmp_server_note(qt.server, QMP_NOTE_STOP, QMP_CAUSE_SIGNAL);
	qt_expect(client, ""); /* no event either */
	qt_run(client, "qmp_capabilities", "'enable':['oob']", "{\"error\":{\"class\":\"GenericError\",\"desc\":\"Capability 'oob' not available\"}}");
	qt_run(client, "qmp_capabilities", "'enable':[7]",
	       "{\"error\":{\"class\":\"GenericError\",\"desc\":\"Invalid parameter type for 'enable[0]', expected: string\"}}");
	qt_run(client, "qmp_capabilities", "'enable':[]", QT_EMPTY);
	qt_ask(client, QT_NEGOTIATE, "{\"error\":{\"class\":\"CommandNotFound\",\"desc\":\"Capabilities negotiation is already complete, command ignored\"}}");
	qt_ask(client, "{'execute':'query-status'}", "{\"return\":{\"running\":true,\"status\":\"running\"}}");
	qmp_server_note(qt.server, QMP_NOTE_STOP, QMP_CAUSE_SIGNAL);
	qt_expect_event(client, "{\"event\":\"STOP\",");
	qt_hang_up(client);
	qt_end();
}

static void any_id_comes_back(void)
{
	static const char *const ids[] = {"7", "\"x\"", "null", "true", "[1,{\"a\":[]}]", "{\"b\":1,\"a\":2}", "-1", "1.5", "\"\\u0000\\u00E9\""};
	char text[256], answer[256];

	qt_begin();
	struct qt_client *client = qt_connect();
	for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
		snprintf(text, sizeof text, "{\"id\":%s,\"execute\":\"query-name\"}", ids[i]);
		snprintf(answer, sizeof answer, "{\"return\":{\"name\":\"web-1\"},\"id\":%s}", ids[i]);
		qt_ask(client, text, answer);
	}
	qt_ask(client, "{'execute':'query-name','id':18446744073709551615}", "{\"return\":{\"name\":\"web-1\"},\"id\":1.8446744073709552e19}");
	qt_ask(client, "{'execute':'balloon','arguments':{'value':18446744073709551615},'id':'a'}",
	       "{\"error\":{\"class\":\"GenericError\",\"desc\":\"Invalid parameter type for 'value', expected: integer\"},\"id\":\"a\"}");
	qt_ask(client, "{'execute':'x','id':3}", "{\"error\":{\"class\":\"CommandNotFound\",\"desc\":\"The command x has not been found\"},\"id\":3}");
	qt_ask(client, "{'id':4}", "{\"error\":{\"class\":\"GenericError\",\"desc\":\"QMP input lacks member 'execute'\"},\"id\":4}");
	qt_hang_up(client);
	qt_end();
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

	qt_begin();
	struct qt_client *client = qt_connect();
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		snprintf(answer, sizeof answer, "{\"error\":{\"class\":\"GenericError\",\"desc\":\"%s\"}}", bad[i].desc);
		qt_ask(client, bad[i].text, answer);
	}
	CU_ASSERT_EQUAL(qt.n_quits, 0);
	qt_hang_up(client);
	qt_end();
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

	qt_begin();
	struct qt_client *client = qt_connect();
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		qt_say(client, bad[i]);
		const char *line = qt_hear(client);
		CU_ASSERT_TRUE(qt_begins(line, "{\"error\":{\"class\":\"GenericError\",\"desc\":\"JSON parse error, "));
		CU_ASSERT_PTR_NULL(strstr(line, "\"id\":"));
		qt_ask(client, "{'execute':'query-name'}", "{\"return\":{\"name\":\"web-1\"}}");
	}
	qt_hang_up(client);
	qt_end();
}

static void nesting_has_an_end(void)
{
	char text[20001];

	qt_begin();
	struct qt_client *client = qt_connect();
	memset(text, '[', 10000);
	memset(text + 10000, ']', 10000);
	text[20000] = '\0';
	qt_say(client, text);
	CU_ASSERT_PTR_NOT_NULL(strstr(qt_hear(client), "JSON parse error"));
	qt_ask(client, "{'execute':'query-name'}", "{\"return\":{\"name\":\"web-1\"}}");
	qt_hang_up(client);
	qt_end();
}

static void pieces_and_packets(void)
{
	static const char text[] = "{'execute':'query-name','id':1}\r\n {'execute':'query-status','id':2}{'execute':'quit','id':3}";

	qt_begin();
	struct qt_client *client = qt_connect();
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; round == 0 && text[i]; i++)
			qt_send_bytes(client, text + i, 1);
		if (round == 1)
			qt_say(client, text);
		qt_expect(client, "{\"return\":{\"name\":\"web-1\"},\"id\":1}");
		qt_expect(client, "{\"return\":{\"running\":true,\"status\":\"running\"},\"id\":2}");
		qt_expect(client, "{\"return\":{},\"id\":3}");
		qt_expect(client, "");
	}
	CU_ASSERT_EQUAL(qt.n_quits, 2);
	qt_hang_up(client);
	qt_end();
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

	qt_begin();
	struct qt_client *client = qt_connect();
	for (size_t i = 0; bad[i].desc; i++) {
		snprintf(answer, sizeof answer, "{\"error\":{\"class\":\"GenericError\",\"desc\":\"%s\"}}", bad[i].desc);
		qt_run(client, bad[i].name, bad[i].args, answer);
	}
	qt_hang_up(client);
	qt_end();
}

static void every_command_is_listed(void)
{
	char name[64];

	qt_begin();
	struct qt_client *client = qt_connect();
	qt_say(client, "{'execute':'query-commands'}");
	const char *line = qt_hear(client);
	for (size_t i = 0; qmp_command_tables[i]; i++)
		for (const struct qmp_command *command = qmp_command_tables[i]; command->name; command++) {
			snprintf(name, sizeof name, "{\"name\":\"%s\"}", command->name);
			CU_ASSERT_PTR_NOT_NULL(strstr(line, name));
		}
	CU_ASSERT_PTR_NOT_NULL(strstr(line, "{\"name\":\"balloon\"}"));
	qt_hang_up(client);
	qt_end();
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
};

TEST_SUITE(qmp_protocol, cases);
