/*
 * What a QMP client may send. The first byte says in what pieces the rest
 * arrives. Whatever it is, each answer is one line of ASCII and valid JSON.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "control/qmp_command.h"
#include "control/qmp_input.h"
#include "control/qmp_server.h"
#include "tests/unit/fakeguest.h"
#include "tests/unit/fakeloop.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum machine_status status(void *opaque)
{
	return *(enum machine_status *)opaque;
}

static int pause_machine(void *opaque)
{
	*(enum machine_status *)opaque = MACHINE_PAUSED;
	return 0;
}

static int resume_machine(void *opaque)
{
	*(enum machine_status *)opaque = MACHINE_RUNNING;
	return 0;
}

static int do_nothing(void *opaque)
{
	(void)opaque;
	return 0;
}

static void quit(void *opaque)
{
	(void)opaque;
}

static int ram_rss_bytes(void *opaque, uint64_t *bytes)
{
	(void)opaque;
	*bytes = 4096;
	return 0;
}

static pid_t vcpu_tid(void *opaque, unsigned index)
{
	(void)opaque;
	return (pid_t)index;
}

static const struct machine_ops ops = {
	.status = status,
	.pause = pause_machine,
	.resume = resume_machine,
	.reset = do_nothing,
	.power_button = do_nothing,
	.quit = quit,
	.ram_rss_bytes = ram_rss_bytes,
	.vcpu_tid = vcpu_tid,
};

static void demand(bool holds)
{
	if (!holds)
		abort();
}

static void check_line(const char *line, size_t len)
{
	demand(len > 2 && memcmp(line + len - 2, "\r\n", 2) == 0);
	for (size_t i = 0; i < len - 2; i++)
		demand(line[i] >= 0x20 && line[i] < 0x7f);
	/* As reals: jansson's integers cannot hold 2^64 - 1. */
	json_t *value = json_loadb(line, len, JSON_DECODE_INT_AS_REAL | JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, NULL);
	demand(json_is_object(value));
	json_decref(value);
}

static void take_event(void *opaque, const char *line, size_t len)
{
	(void)opaque;
	check_line(line, len);
}

struct scene {
	enum machine_status status;
	struct fakeloop loop;
	struct fakeguest guest;
	struct machine machine;
	struct qmp_events events;
	struct qmp_input input;
	bool negotiated;
};

static void feed(struct scene *scene, const char *bytes, size_t len)
{
	for (size_t done = 0, used; done < len; done += used) {
		const char *why = NULL;
		struct json_out reply;
		enum qmp_input_result result = qmp_input_feed(&scene->input, bytes + done, len - done, &used, &why);
		if (result == QMP_INPUT_MORE)
			continue;
		json_out_init(&reply, QMP_OUT_MAX);
		if (result == QMP_INPUT_VALUE)
			qmp_answer(&scene->machine, &scene->events, &scene->negotiated, scene->input.text, scene->input.len, &reply);
		else
			qmp_answer_bad(why, &reply);
		demand(!reply.failed);
		check_line(reply.bytes, reply.len);
		json_out_finish(&reply);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct scene *scene;

	if (size == 0)
		return 0;
	if (!scene) {
		scene = calloc(1, sizeof *scene);
		demand(scene);
		fakeloop_init(&scene->loop);
		fg_create(&scene->guest, NULL, 4096);
		scene->machine = (struct machine){
			.ops = &ops, .opaque = &scene->status, .name = "fuzz", .ram_bytes = 2 * FAKE_REGION_LEN, .n_vcpus = 2, .balloon = scene->guest.dev};
		qmp_events_init(&scene->events, &scene->loop.host, take_event, NULL);
	}
	scene->negotiated = data[0] & 1;
	size_t piece = (data[0] >> 1) + 1u;
	for (size_t i = 1; i < size; i += piece)
		feed(scene, (const char *)data + i, size - i < piece ? size - i : piece);
	qmp_input_finish(&scene->input);
	fakeloop_advance(&scene->loop, 1000);
	return 0;
}
