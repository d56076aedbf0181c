#include "cli/stop.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "cli/command.h"
#include "cli/vm_client.h"
#include "control/runtime_dir.h"
#include "util/log.h"

#define BUTTON_S 30
#define FORCE_MS 10000

/* Waits until the socket is closed, passing over events. */
static int wait_for_hangup(struct qmp_client *client, int64_t end_ms, struct fail *why)
{
	const char *line;

	for (;;) {
		int64_t left_ms = end_ms - client_now_ms();
		int ret = left_ms > 0 ? qmp_client_event(client, left_ms > INT32_MAX ? INT32_MAX : (int)left_ms, &line, why) : -ETIMEDOUT;
		if (ret < 0)
			return ret == -ECONNRESET ? 0 : ret;
	}
}

/* Whether the VM of that socket is still the one of its name: a unit may have the name, too. */
static bool has_name(const char *name, const char *path)
{
	char now[RUNTIME_PATH_MAX];

	return runtime_dir_is_running(name) && runtime_dir_find(name, now, NULL) == 0 && strcmp(now, path) == 0;
}

/* After this the name is free: the process lives a little longer than the socket. */
static int wait_for_end(const char *name, const char *path, struct qmp_client *client, int64_t timeout_ms, struct fail *why)
{
	int64_t end_ms = client_now_ms() + timeout_ms;
	int ret = wait_for_hangup(client, end_ms, why);

	while (ret == 0 && has_name(name, path)) {
		client_sleep_ms(10);
		if (client_now_ms() > end_ms + FORCE_MS)
			return fail(why, ETIMEDOUT, "the VM hangs at its end");
	}
	return ret;
}

struct request {
	uint64_t wait_s;
	bool force;
};

static int stop(const struct client_vm *vm, void *opaque)
{
	const struct request *request = opaque;
	const char *name = vm->name;
	struct qmp_client *client = vm->client;
	char path[RUNTIME_PATH_MAX] = "";
	struct fail why;

	runtime_dir_find(name, path, NULL);
	if (!client_call(name, client, "system_powerdown", NULL, NULL))
		return COMMAND_FAILED;
	int ret = wait_for_end(name, path, client, (int64_t)request->wait_s * 1000, &why);
	if (ret == -ETIMEDOUT && !request->force) {
		log_line(LOG_LEVEL_ERROR, name, "the guest does not power off within %" PRIu64 " s; --force ends it all the same", request->wait_s);
		return COMMAND_TIMED_OUT;
	}
	if (ret == -ETIMEDOUT) {
		/* It may end by itself in this very moment: that it is gone is all that is asked for. */
		ret = qmp_client_call(client, "quit", NULL, NULL, &why);
		if (ret == 0)
			ret = wait_for_end(name, path, client, FORCE_MS, &why);
		if (ret == -ECONNRESET)
			ret = 0;
	}
	if (ret < 0)
		client_complain(name, &why);
	return ret < 0 ? COMMAND_FAILED : COMMAND_OK;
}

int cmd_stop(int argc, char **argv)
{
	struct request request = {.wait_s = BUTTON_S};
	const struct client_option options[] = {
		{.name = "--force", .given = &request.force, .help = "end the VM when the guest has not powered off by then"},
		{.name = "--wait", .seconds = &request.wait_s, .help = "how long the guest has for it, 30 s unless told"},
		{.name = NULL},
	};
	const struct client_usage usage = {
		.arguments = "NAME [--force] [--wait[=SEC]]",
		.about = "Presses the power button of the VM NAME and waits until the VM has ended.\n"
			 "Exit status 4: it did not end in time.\n",
		.options = options,
	};

	return client_run(&usage, argc, argv, stop, &request);
}
