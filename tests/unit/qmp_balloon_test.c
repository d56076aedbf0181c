#include <CUnit/CUnit.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/qmp_fixture.h"
#include "tests/unit/suite.h"

static uint64_t target(void)
{
	struct balloon_state state;

	balloon_get_state(qt.guest.dev, &state);
	return state.target_bytes;
}

static void balloon_counts_what_is_left(void)
{
	qt_begin();
	struct qt_client *client = qt_connect();
	qt_run(client, "balloon", "'value':33554432", QT_EMPTY);
	CU_ASSERT_EQUAL(target(), QT_RAM - 33554432);
	qt_run(client, "balloon", "'value':134217728", QT_EMPTY); /* all of it */
	CU_ASSERT_EQUAL(target(), 0);
	qt_run(client, "balloon", "'value':4096", QT_EMPTY);
	CU_ASSERT_EQUAL(target(), QT_RAM - 4096);
	qt_run(client, "balloon", "'value':9223372036854775807", QT_EMPTY);
	CU_ASSERT_EQUAL(target(), 0);
	qt_run(client, "balloon", "'value':1", QT_EMPTY);
	CU_ASSERT_EQUAL(target(), QT_RAM - 4096);
	qt_run(client, "balloon", "'value':0", "{\"error\":{\"class\":\"GenericError\",\"desc\":\"Parameter 'value' expects a size\"}}");
	qt_run(client, "balloon", "'value':-4096", "{\"error\":{\"class\":\"GenericError\",\"desc\":\"Parameter 'value' expects a size\"}}");
	CU_ASSERT_EQUAL(target(), QT_RAM - 4096);
	qt_ask(client, "{'execute':'query-balloon'}", "{\"return\":{\"actual\":134217728}}");
	fg_probe(&qt.guest);
	fg_init(&qt.guest, F_STATS);
	fg_dc_write(&qt.guest, DC_ACTUAL, 0x1000); /* 16 MiB */
	qt_ask(client, "{'execute':'query-balloon'}", "{\"return\":{\"actual\":117440512}}");
	fg_dc_write(&qt.guest, DC_ACTUAL, 0xffffffff); /* 16 TiB of 128 MiB */
	qt_ask(client, "{'execute':'query-balloon'}", "{\"return\":{\"actual\":0}}");
	qt_hang_up(client);
	qt_end();
}

static void without_balloon_it_says_so(void)
{
	const char *none = "{\"error\":{\"class\":\"DeviceNotActive\",\"desc\":\"No balloon device has been activated\"}}";

	qt_begin_without_balloon();
	struct qt_client *client = qt_connect();
	qt_run(client, "balloon", "'value':4096", none);
	qt_run(client, "query-balloon", "", none);
	qt_run(client, "x-query-balloon", "", none);
	qt_run(client, "x-balloon-request-stats", "", none);
	qt_run(client, "x-balloon-hint", "", none);
	qt_run(client, "qom-get", "'path':'/machine/peripheral/balloon0','property':'guest-stats'",
	       "{\"error\":{\"class\":\"DeviceNotFound\",\"desc\":\"Device '/machine/peripheral/balloon0' not found\"}}");
	qt_run(client, "qom-list", "'path':'/machine/peripheral'", "{\"return\":[{\"name\":\"type\",\"type\":\"string\"}]}");
	qt_hang_up(client);
	qt_end();
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

	qt_begin();
	struct qt_client *client = qt_connect();
	qt_run(client, "qom-get", BALLOON "'property':'guest-stats'",
	       "{\"return\":{\"last-update\":0,\"stats\":{" NO_STATS
	       "\"stat-free-memory\":18446744073709551615,\"stat-total-memory\":18446744073709551615," REST_NO_STATS "}}");
	fg_probe(&qt.guest);
	fg_init(&qt.guest, F_STATS);
	memcpy(fakehost_ram(qt.guest.fh, FG_DATA(2), sizeof stats), stats, sizeof stats);
	fg_send(&qt.guest, 2, FG_DATA(2), sizeof stats, 0);
	fakehost_settle(qt.guest.fh, 10);
	qt_say(client, "{'execute':'qom-get','arguments':{'path':'/machine/peripheral-anon/device[0]','property':'guest-stats'}}");
	const char *line = qt_hear(client);
	CU_ASSERT_PTR_NOT_NULL(strstr(line, NO_STATS "\"stat-free-memory\":4096,\"stat-total-memory\":18446744073709551614," REST_NO_STATS "}}"));
	CU_ASSERT_PTR_NULL(strstr(line, "\"last-update\":0,"));
	qt_hang_up(client);
	qt_end();
}

static void polling_interval(void)
{
	qt_begin();
	struct qt_client *client = qt_connect();
	fg_probe(&qt.guest);
	fg_init(&qt.guest, F_STATS);
	qt_run(client, "qom-set", BALLOON "'property':'guest-stats-polling-interval','value':2", QT_EMPTY);
	qt_run(client, "qom-get", BALLOON "'property':'guest-stats-polling-interval'", "{\"return\":2}");
	qt_run(client, "qom-set", BALLOON "'property':'guest-stats-polling-interval','value':-1",
	       "{\"error\":{\"class\":\"GenericError\",\"desc\":\"timer value must be greater than zero\"}}");
	qt_run(client, "qom-set", BALLOON "'property':'guest-stats-polling-interval','value':4294967296",
	       "{\"error\":{\"class\":\"GenericError\",\"desc\":\"timer value is too big\"}}");
	qt_run(client, "qom-set", BALLOON "'property':'guest-stats-polling-interval','value':'2'",
	       "{\"error\":{\"class\":\"GenericError\",\"desc\":\"Invalid parameter type for 'guest-stats-polling-interval', expected: integer\"}}");
	qt_run(client, "qom-get", BALLOON "'property':'guest-stats-polling-interval'", "{\"return\":2}");
	qt_run(client, "qom-set", BALLOON "'property':'guest-stats-polling-interval','value':4294967295", QT_EMPTY);
	qt_run(client, "qom-set", BALLOON "'property':'guest-stats-polling-interval','value':0", QT_EMPTY);
	qt_run(client, "qom-get", BALLOON "'property':'guest-stats-polling-interval'", "{\"return\":0}");
	qt_hang_up(client);
	qt_end();
}

static void object_tree(void)
{
	qt_begin();
	struct qt_client *client = qt_connect();
	qt_run(client, "qom-list", "'path':'/machine'",
	       "{\"return\":[{\"name\":\"type\",\"type\":\"string\"},{\"name\":\"peripheral\",\"type\":\"child<container>\"},"
	       "{\"name\":\"peripheral-anon\",\"type\":\"child<container>\"}]}");
	qt_run(client, "qom-list", "'path':'/machine/peripheral'",
	       "{\"return\":[{\"name\":\"type\",\"type\":\"string\"},{\"name\":\"balloon0\",\"type\":\"child<virtio-balloon-pci>\"}]}");
	qt_say(client, "{'execute':'qom-list','arguments':{'path':'/machine/peripheral/balloon0'}}");
	const char *line = qt_hear(client);
	CU_ASSERT_PTR_NOT_NULL(strstr(line, "{\"name\":\"guest-stats-polling-interval\",\"type\":\"int\"}"));
	CU_ASSERT_PTR_NOT_NULL(strstr(line, "{\"name\":\"guest-stats\",\"type\":\"guest statistics\"}"));
	qt_run(client, "qom-list", "'path':'/machine/peripheral-anon'",
	       "{\"return\":[{\"name\":\"type\",\"type\":\"string\"},{\"name\":\"device[0]\",\"type\":\"child<virtio-balloon-pci>\"}]}");
	qt_run(client, "qom-get", "'path':'/machine/peripheral-anon/device[0]','property':'type'", "{\"return\":\"virtio-balloon-pci\"}");
	qt_run(client, "qom-get", BALLOON "'property':'type'", "{\"return\":\"virtio-balloon-pci\"}");
	qt_run(client, "qom-get", "'path':'balloon0','property':'type'", "{\"return\":\"virtio-balloon-pci\"}");
	qt_run(client, "qom-get", "'path':'/machine','property':'type'", "{\"return\":\"container\"}");
	qt_run(client, "qom-get", BALLOON "'property':'deflate-on-oom'", "{\"return\":true}");
	qt_run(client, "qom-get", BALLOON "'property':'free-page-reporting'", "{\"return\":true}");
	qt_run(client, "qom-get", BALLOON "'property':'free-page-hint'", "{\"return\":true}");
	qt_run(client, "qom-get", BALLOON "'property':'nope'",
	       "{\"error\":{\"class\":\"GenericError\",\"desc\":\"Property 'virtio-balloon-pci.nope' not found\"}}");
	qt_run(client, "qom-set", BALLOON "'property':'guest-stats','value':1",
	       "{\"error\":{\"class\":\"GenericError\",\"desc\":\"Property 'virtio-balloon-pci.guest-stats' is not writable\"}}");
	qt_run(client, "qom-get", "'path':'/machine/peripheral/balloon1','property':'type'",
	       "{\"error\":{\"class\":\"DeviceNotFound\",\"desc\":\"Device '/machine/peripheral/balloon1' not found\"}}");
	qt_hang_up(client);
	qt_end();
}

static void a_balloon_with_an_id_is_not_anonymous(void)
{
	qt_begin();
	qt.machine.balloon_is_named = true;
	struct qt_client *client = qt_connect();
	qt_run(client, "qom-list", "'path':'/machine/peripheral-anon'", "{\"return\":[{\"name\":\"type\",\"type\":\"string\"}]}");
	qt_run(client, "qom-get", "'path':'/machine/peripheral-anon/device[0]','property':'type'",
	       "{\"error\":{\"class\":\"DeviceNotFound\",\"desc\":\"Device '/machine/peripheral-anon/device[0]' not found\"}}");
	qt_run(client, "qom-get", BALLOON "'property':'type'", "{\"return\":\"virtio-balloon-pci\"}");
	qt_hang_up(client);
	qt_end();
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

	qt_begin();
	struct qt_client *client = qt_connect();
	qt_run(client, "balloon", "'value':134213632", QT_EMPTY);
	fg_probe(&qt.guest);
	fg_init(&qt.guest, F_STATS | F_OOM);
	fg_dc_write(&qt.guest, DC_ACTUAL, 0x1000);
	qt_say(client, "{'execute':'x-query-balloon'}");
	const char *line = qt_hear(client);
	for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
		if (!strstr(line, parts[i]))
			fprintf(stderr, "no %s in %s\n", parts[i], line);
		CU_ASSERT_PTR_NOT_NULL(strstr(line, parts[i]));
	}
	json_t *whole = json_loads(line, 0, NULL);
	CU_ASSERT_PTR_NULL(whole); /* jansson cannot hold 2^64 - 1: the reason for json_out */
	qt.op_result = -EACCES;
	qt_say(client, "{'execute':'x-query-balloon'}");
	CU_ASSERT_PTR_NULL(strstr(qt_hear(client), "ram-rss"));
	qt_hang_up(client);
	qt_end();
}

static bool has_part(struct qt_client *client, const char *part)
{
	qt_say(client, "{'execute':'x-query-balloon'}");
	const char *line = qt_hear(client);
	if (strstr(line, part))
		return true;
	fprintf(stderr, "no %s in %s\n", part, line);
	return false;
}

static void statistics_in_full(void)
{
	static const uint8_t stats[] = {4, 0, 0, 0x10, 0, 0, 0, 0, 0, 0, 0x2C, 1, 7, 0, 0, 0, 0, 0, 0, 0};

	qt_begin();
	struct qt_client *client = qt_connect();
	CU_ASSERT_TRUE(has_part(client, "\"other-stats\":{},\"stats-asked\":false,")); /* and no age */
	fg_init(&qt.guest, F_STATS);
	memcpy(fakehost_ram(qt.guest.fh, FG_DATA(2), sizeof stats), stats, sizeof stats);
	fg_send(&qt.guest, 2, FG_DATA(2), sizeof stats, 0);
	fakehost_advance(qt.guest.fh, 1500);
	CU_ASSERT_TRUE(has_part(client, "\"other-stats\":{\"300\":7},\"stats-age-ms\":1500,\"stats-asked\":false,"));
	qt_run(client, "x-balloon-request-stats", "", QT_EMPTY);
	CU_ASSERT_TRUE(has_part(client, "\"stats-asked\":true,"));
	fg_status_write(&qt.guest, 0);
	CU_ASSERT_TRUE(has_part(client, "\"last-update\":0,"));
	qt_hang_up(client);
	qt_end();
}

static void driver_and_faults(void)
{
	qt_begin();
	struct qt_client *client = qt_connect();
	CU_ASSERT_TRUE(has_part(client, "\"suspended\":false,"));
	CU_ASSERT_TRUE(has_part(client, "\"queue-numbering\":\"unknown\",\"poison-val\":0,"));
	CU_ASSERT_TRUE(has_part(client, "\"stalled\":false,\"stall-timeout\":"));
	CU_ASSERT_TRUE(has_part(client, "\"balloon-actual\":0,\"held-bytes\":0,"));
	fg_negotiate(&qt.guest, F_POISON);
	fg_dc_write(&qt.guest, DC_POISON, 0xAAAAAAAA);
	CU_ASSERT_TRUE(has_part(client, "\"poison-val\":2863311530,"));
	fg_init(&qt.guest, F_STATS);
	CU_ASSERT_TRUE(has_part(client, "\"queue-numbering\":\"specification\","));
	fg_send_pfns(&qt.guest, 0, (const uint32_t[]){0xFFFFFFFF}, 1);
	CU_ASSERT_TRUE(has_part(client, "\"written-bytes\":0,\"bad-pages\":1,\"bad-buffers\":1,\"faults\":{\"outside-memory\":1,\"partial-page\":0,"));
	qt_hang_up(client);
	qt_end();
}

static void hinting(void)
{
	qt_begin();
	struct qt_client *client = qt_connect();
	qt_run(client, "x-balloon-hint", "", "{\"error\":{\"class\":\"GenericError\",\"desc\":\"The guest has no driver that hints at free pages\"}}");
	CU_ASSERT_TRUE(has_part(client, "\"hint\":{\"phase\":\"none\",\"id\":0,\"runs\":0,"));
	fg_init(&qt.guest, F_HINT);
	qt.guest.fh->watch_error = -EPERM;
	qt_run(client, "x-balloon-hint", "",
	       "{\"error\":{\"class\":\"KVMMissingCap\",\"desc\":\"KVM cannot watch the guest's writes: Operation not permitted\"}}");
	qt.guest.fh->watch_error = 0;
	qt_run(client, "x-balloon-hint", "", QT_EMPTY);
	CU_ASSERT_TRUE(has_part(client, "\"hint\":{\"phase\":\"running\",\"id\":2,\"runs\":1,\"hinted\":0,"));
	qt_run(client, "x-balloon-hint", "", "{\"error\":{\"class\":\"GenericError\",\"desc\":\"A free page hinting run is on already\"}}");
	qt_hang_up(client);
	qt_end();
}

static const struct test_case cases[] = {
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
};

TEST_SUITE(qmp_balloon, cases);
