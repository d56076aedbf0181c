#include "cli/metrics_text.h"

#include <CUnit/CUnit.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/suite.h"

static json_t *parse(const char *text)
{
	json_t *value = json_loads(text, JSON_DECODE_INT_AS_REAL, NULL);

	CU_ASSERT_PTR_NOT_NULL_FATAL(value);
	return value;
}

/* One VM that tells all, one that is QEMU's, one that does not answer. */
static char *written(enum metrics_format format)
{
	json_t *ours[VM_N_ANSWERS] = {
		parse("{\"status\":\"running\",\"running\":true}"),
		parse("{\"base-memory\":1073741824,\"x-ram-rss\":4096}"),
		parse("{\"balloon-target\":8192,\"balloon-actual\":4096,\"held-bytes\":12,\"driver-ok\":true,\"stalled\":false,\"oom-deflations\":2,"
		      "\"hint\":{\"phase\":\"done\",\"runs\":3,\"hinted\":100,\"discarded\":90,\"duration-ms\":1500,\"longest-hold-us\":250},"
		      "\"guest-stats\":{\"last-update\":1700000000,\"stats\":{\"stat-free-memory\":11,\"stat-swap-in\":18446744073709551615,"
		      "\"stat-oom-kills\":7}},"
		      "\"queues\":{\"inflate\":{\"buffers\":5,\"discarded-bytes\":4096,\"faults\":{\"outside-memory\":6}},\"report\":{\"buffers\":1}}}"),
		parse("{\"actual\":1073737728}"),
	};
	json_t *qemus[VM_N_ANSWERS] = {parse("{\"status\":\"paused\",\"running\":false}"), parse("{\"base-memory\":1000}"), NULL, parse("{\"actual\":900}")};
	const struct metrics_vm vms[] = {{"web-1", ours}, {"./q \"x\\\n\033[2J", qemus}, {"dead", NULL}};
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	CU_ASSERT_PTR_NOT_NULL_FATAL(out);
	metrics_write(out, format, vms, 3);
	fclose(out);
	for (size_t i = 0; i < VM_N_ANSWERS; i++) {
		json_decref(ours[i]);
		json_decref(qemus[i]);
	}
	return text;
}

static void has(const char *text, const char *part)
{
	if (!strstr(text, part))
		CU_FAIL(part);
}

#define ODD "./q \\\"x\\\\\\\\x0a\\\\x1b[2J" /* escaped for a terminal, then for a label */

static void openmetrics(void)
{
	char *text = written(METRICS_OPENMETRICS);

	has(text, "# HELP vmm_balloon_up Whether the VM answers on its control socket.\n# TYPE vmm_balloon_up gauge\n"
		  "vmm_balloon_up{vm=\"web-1\"} 1\n");
	has(text, "\nvmm_balloon_up{vm=\"dead\"} 0\n");
	has(text, "# TYPE vmm_balloon_ram_bytes gauge\n# UNIT vmm_balloon_ram_bytes bytes\nvmm_balloon_ram_bytes{vm=\"web-1\"} 1073741824\n");
	has(text, "# TYPE vmm_balloon_queue_discarded_bytes counter\n# UNIT vmm_balloon_queue_discarded_bytes bytes\n"
		  "vmm_balloon_queue_discarded_bytes_total{vm=\"web-1\",queue=\"inflate\"} 4096\n");
	has(text, "\nvmm_balloon_queue_faults_total{vm=\"web-1\",queue=\"inflate\",fault=\"outside-memory\"} 6\n");
	has(text, "\nvmm_balloon_queue_buffers_total{vm=\"web-1\",queue=\"report\"} 1\n");
	has(text, "\nvmm_balloon_held_bytes{vm=\"web-1\"} 12\n");
	has(text, "\nvmm_balloon_hint_duration_seconds{vm=\"web-1\"} 1.5\n");
	has(text, "\nvmm_balloon_hint_longest_hold_seconds{vm=\"web-1\"} 0.00025\n");
	has(text, "\nvmm_balloon_guest_stats_timestamp_seconds{vm=\"web-1\"} 1700000000\n");
	has(text, "\nvmm_balloon_guest_oom_kills_total{vm=\"web-1\"} 7\n");
	has(text, "\nvmm_balloon_left_bytes{vm=\"" ODD "\"} 900\n");
	has(text, "\nvmm_balloon_running{vm=\"" ODD "\"} 0\n");
	CU_ASSERT_PTR_NULL(strstr(text, "\nvmm_balloon_guest_swap_in_bytes_total{")); /* unset */
	CU_ASSERT_PTR_NULL(strstr(text, "\nvmm_balloon_running{vm=\"dead"));
	CU_ASSERT_STRING_EQUAL(text + strlen(text) - 6, "# EOF\n");
	free(text);
}

static void prometheus(void)
{
	char *text = written(METRICS_PROMETHEUS);

	has(text, "# TYPE vmm_balloon_queue_discarded_bytes_total counter\n"
		  "vmm_balloon_queue_discarded_bytes_total{vm=\"web-1\",queue=\"inflate\"} 4096\n");
	CU_ASSERT_PTR_NULL(strstr(text, "# UNIT"));
	CU_ASSERT_PTR_NULL(strstr(text, "# EOF"));
	free(text);
}

static const struct test_case cases[] = {
	{"OpenMetrics", openmetrics},
	{"Prometheus", prometheus},
};

TEST_SUITE(metrics_text, cases);
