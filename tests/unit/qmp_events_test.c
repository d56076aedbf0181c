#include <CUnit/CUnit.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/unit/qmp_fixture.h"
#include "tests/unit/suite.h"

static void report(enum host_event_kind kind, uint64_t value)
{
	struct host_event event = {.kind = kind, .device_id = "balloon0", .value = value};

	qmp_server_event(qt.server, &event);
	fakeloop_run(&qt.loop);
}

static void balloon_change_is_throttled(void)
{
	qt_begin();
	struct qt_client *client = qt_connect();
	for (uint64_t mib = 1; mib <= 5; mib++)
		report(HOST_EVENT_BALLOON_CHANGE, mib << 20);
	qt_expect_event(client, "{\"event\":\"BALLOON_CHANGE\",\"data\":{\"actual\":133169152},");
	qt_expect(client, "");
	fakeloop_advance(&qt.loop, 999);
	qt_expect(client, "");
	fakeloop_advance(&qt.loop, 1);
	qt_expect_event(client, "{\"event\":\"BALLOON_CHANGE\",\"data\":{\"actual\":128974848},");
	qt_expect(client, "");
	report(HOST_EVENT_BALLOON_CHANGE, 6 << 20); /* within the second after the last one */
	qt_expect(client, "");
	fakeloop_advance(&qt.loop, 1000);
	qt_expect_event(client, "{\"event\":\"BALLOON_CHANGE\",\"data\":{\"actual\":127926272},");
	fakeloop_advance(&qt.loop, 1000);
	qt_expect(client, "");
	report(HOST_EVENT_BALLOON_CHANGE, UINT64_MAX);
	qt_expect_event(client, "{\"event\":\"BALLOON_CHANGE\",\"data\":{\"actual\":0},");
	qt_hang_up(client);
	qt_end();
}

static void other_events_do_not_wait_for_it(void)
{
	qt_begin();
	struct qt_client *client = qt_connect();
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
	qt_expect_event(client, "{\"event\":\"BALLOON_CHANGE\",\"data\":{\"actual\":134217728},");
	qt_expect_event(client, "{\"event\":\"X_BALLOON_TARGET_REACHED\",\"data\":{\"actual\":134213632,\"balloon-actual\":4096},");
	qt_expect_event(client, "{\"event\":\"X_BALLOON_STALLED\",\"data\":{\"actual\":134209536,\"balloon-actual\":8192},");
	qt_expect_event(client, "{\"event\":\"X_BALLOON_OOM_DEFLATE\",\"data\":{\"actual\":134217728,\"balloon-actual\":0},");
	qt_expect_event(client, "{\"event\":\"X_BALLOON_HINT_DONE\",\"data\":{\"discarded\":12288},");
	qt_expect_event(client, "{\"event\":\"GUEST_PANICKED\",\"data\":{\"action\":\"poweroff\"},");
	qt_expect_event(client, "{\"event\":\"GUEST_CRASHLOADED\",\"data\":{\"action\":\"run\"},");
	qt_expect(client, "");
	qt_hang_up(client);
	qt_end();
}

static void guest_cannot_flood(void)
{
	qt_begin();
	struct qt_client *silent = qt_connect();
	for (int i = 0; i < 100000; i++) {
		report(HOST_EVENT_PANIC, 0);
		report(HOST_EVENT_BALLOON_OOM, 0);
	}
	qt_expect_event(silent, "{\"event\":\"GUEST_PANICKED\",\"data\":{\"action\":\"poweroff\"},");
	qt_expect_event(silent, "{\"event\":\"X_BALLOON_OOM_DEFLATE\",\"data\":{\"actual\":134217728,\"balloon-actual\":0},");
	qt_expect(silent, "");
	qt_hang_up(silent);
	qt_end();
}

static void what_was_held_back_goes_out_at_the_end(void)
{
	qt_begin();
	struct qt_client *client = qt_connect();
	report(HOST_EVENT_BALLOON_CHANGE, 4096);
	report(HOST_EVENT_BALLOON_CHANGE, 8192);
	qt_end();
	qt_expect_event(client, "{\"event\":\"BALLOON_CHANGE\",\"data\":{\"actual\":134213632},");
	qt_expect_event(client, "{\"event\":\"BALLOON_CHANGE\",\"data\":{\"actual\":134209536},");
	qt_expect(client, "EOF");
	close(client->fd);
	free(client);
}

static void shutdown_comes_last(void)
{
	qt_begin();
	struct qt_client *client = qt_connect();
	report(HOST_EVENT_BALLOON_CHANGE, 4096);
	report(HOST_EVENT_BALLOON_CHANGE, 8192);
	qmp_server_note(qt.server, QMP_NOTE_SHUTDOWN, QMP_CAUSE_GUEST);
	qt_end();
	qt_expect_event(client, "{\"event\":\"BALLOON_CHANGE\",\"data\":{\"actual\":134213632},");
	qt_expect_event(client, "{\"event\":\"BALLOON_CHANGE\",\"data\":{\"actual\":134209536},");
	qt_expect_event(client, "{\"event\":\"SHUTDOWN\",\"data\":{\"guest\":true,\"reason\":\"guest-shutdown\"},");
	qt_expect(client, "EOF");
	close(client->fd);
	free(client);
}

static const struct test_case cases[] = {
	{"BALLOON_CHANGE is throttled", balloon_change_is_throttled},
	{"other events do not wait for it", other_events_do_not_wait_for_it},
	{"guest cannot flood", guest_cannot_flood},
	{"what was held back goes out at the end", what_was_held_back_goes_out_at_the_end},
	{"SHUTDOWN comes last", shutdown_comes_last},
};

TEST_SUITE(qmp_events, cases);
