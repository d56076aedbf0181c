#include <CUnit/CUnit.h>
#include <errno.h>

#include "tests/unit/qmp_fixture.h"
#include "tests/unit/suite.h"

static void stop_and_cont(void)
{
	qt_begin();
	struct qt_client *client = qt_connect(), *witness = qt_connect();
	qt_say(client, "{'execute':'stop'}");
	qt_expect_event(client, "{\"event\":\"STOP\",");
	qt_expect(client, QT_EMPTY);
	qt_expect_event(witness, "{\"event\":\"STOP\",");
	qt_ask(client, "{'execute':'query-status'}", "{\"return\":{\"running\":false,\"status\":\"paused\"}}");
	qt_ask(client, "{'execute':'stop'}", QT_EMPTY); /* already: no event */
	qt_say(client, "{'execute':'cont'}");
	qt_expect_event(client, "{\"event\":\"RESUME\",");
	qt_expect(client, QT_EMPTY);
	qt_ask(client, "{'execute':'cont'}", QT_EMPTY);
	CU_ASSERT_EQUAL(qt.n_pauses, 1);
	CU_ASSERT_EQUAL(qt.n_resumes, 1);
	qt.op_result = -EIO;
	qt_ask(client, "{'execute':'stop'}", "{\"error\":{\"class\":\"GenericError\",\"desc\":\"Cannot pause the machine: Input/output error\"}}");
	qt.status = MACHINE_PANICKED;
	qt_ask(client, "{'execute':'query-status'}", "{\"return\":{\"running\":false,\"status\":\"guest-panicked\"}}");
	qt_ask(client, "{'execute':'cont'}", "{\"error\":{\"class\":\"GenericError\",\"desc\":\"Resetting the Virtual Machine is required\"}}");
	qt_expect_event(witness, "{\"event\":\"RESUME\",");
	qt_expect(witness, "");
	qt_hang_up(client);
	qt_hang_up(witness);
	qt_end();
}

static void reset_powerdown_quit(void)
{
	qt_begin();
	struct qt_client *client = qt_connect();
	qt_ask(client, "{'execute':'system_reset'}", QT_EMPTY);
	qt_ask(client, "{'execute':'system_powerdown'}", QT_EMPTY);
	qt_ask(client, "{'execute':'quit'}", QT_EMPTY);
	CU_ASSERT(qt.n_resets == 1 && qt.n_buttons == 1 && qt.n_quits == 1);
	qt.op_result = -ENODEV;
	qt_ask(client, "{'execute':'system_powerdown'}", "{\"error\":{\"class\":\"GenericError\",\"desc\":\"Cannot power down the machine: No such device\"}}");
	qmp_server_note(qt.server, QMP_NOTE_RESET, QMP_CAUSE_CLIENT);
	qmp_server_note(qt.server, QMP_NOTE_RESET, QMP_CAUSE_GUEST);
	qmp_server_note(qt.server, QMP_NOTE_POWERDOWN, QMP_CAUSE_SIGNAL);
	qmp_server_note(qt.server, QMP_NOTE_RESUME, QMP_CAUSE_HOST_UI);
	qmp_server_note(qt.server, QMP_NOTE_SHUTDOWN, QMP_CAUSE_GUEST);
	qmp_server_note(qt.server, QMP_NOTE_SHUTDOWN, QMP_CAUSE_GUEST_PANIC);
	qmp_server_note(qt.server, QMP_NOTE_SHUTDOWN, QMP_CAUSE_SIGNAL);
	qt_expect_event(client, "{\"event\":\"RESET\",\"data\":{\"guest\":false,\"reason\":\"host-qmp-system-reset\"},");
	qt_expect_event(client, "{\"event\":\"RESET\",\"data\":{\"guest\":true,\"reason\":\"guest-reset\"},");
	qt_expect_event(client, "{\"event\":\"POWERDOWN\",");
	qt_expect_event(client, "{\"event\":\"RESUME\",");
	qt_expect_event(client, "{\"event\":\"SHUTDOWN\",\"data\":{\"guest\":true,\"reason\":\"guest-shutdown\"},");
	qt_expect_event(client, "{\"event\":\"SHUTDOWN\",\"data\":{\"guest\":true,\"reason\":\"guest-panic\"},");
	qt_expect_event(client, "{\"event\":\"SHUTDOWN\",\"data\":{\"guest\":false,\"reason\":\"host-signal\"},");
	qt_hang_up(client);
	qt_end();
}

static void names_and_cpus(void)
{
	qt_begin();
	struct qt_client *client = qt_connect();
	qt_ask(client, "{'execute':'query-cpus-fast'}",
	       "{\"return\":[{\"cpu-index\":0,\"qom-path\":\"/machine/unattached/device[0]\",\"thread-id\":1000,\"target\":\"x86_64\"},"
	       "{\"cpu-index\":1,\"qom-path\":\"/machine/unattached/device[1]\",\"thread-id\":1001,\"target\":\"x86_64\"}]}");
	qt_ask(client, "{'execute':'query-memory-size-summary'}", "{\"return\":{\"base-memory\":134217728,\"plugged-memory\":0,\"x-ram-rss\":12345678}}");
	qt.op_result = -EACCES;
	qt_ask(client, "{'execute':'query-memory-size-summary'}", "{\"return\":{\"base-memory\":134217728,\"plugged-memory\":0}}");
	qt_say(client, "{'execute':'query-version'}");
	CU_ASSERT_TRUE(qt_begins(qt_hear(client), "{\"return\":{\"qemu\":{\"micro\":0,\"minor\":0,\"major\":9},\"package\":\"vmm-balloon "));
	qt_hang_up(client);
	qt_end();
}

static const struct test_case cases[] = {
	{"stop and cont", stop_and_cont},
	{"reset, powerdown, quit", reset_powerdown_quit},
	{"names and CPUs", names_and_cpus},
};

TEST_SUITE(qmp_machine, cases);
