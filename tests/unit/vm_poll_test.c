#include "cli/vm_poll.h"

#include <CUnit/CUnit.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli/vm_client.h"
#include "tests/unit/fakevm.h"
#include "tests/unit/suite.h"

#define STATUS "{\"return\":{\"status\":\"running\",\"running\":true}}\r\n"
#define MEMORY "{\"return\":{\"base-memory\":1000000}}\r\n"
#define ERROR "{\"error\":{\"class\":\"CommandNotFound\",\"desc\":\"never heard \\u001b[2J of it\"}}\r\n"
#define LEFT "{\"return\":{\"actual\":900000}}\r\n"
#define ROUND STATUS MEMORY ERROR LEFT ERROR

/* Listens and never answers. */
static int silent_socket(char path[64])
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(path, 64, "/tmp/vm_poll_test.%d", getpid());
	snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
	unlink(path);
	CU_ASSERT_EQUAL_FATAL(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
	CU_ASSERT_EQUAL_FATAL(listen(fd, 1), 0);
	return fd;
}

static void check_state(const struct vm_poll *poll)
{
	struct vm_state state;

	CU_ASSERT_PTR_NOT_NULL_FATAL(vm_poll_answers(poll));
	vm_state_read(&state, vm_poll_answers(poll));
	CU_ASSERT(state.ram_bytes == 1000000 && state.actual_bytes == 100000 && !state.tells_all);
}

/* The silent one costs its time once, and harms nobody. */
static void one_round(void)
{
	static const char *const texts[] = {FAKEVM_GREETING FAKEVM_EMPTY ROUND, "", "", NULL};
	char silent_path[64];
	int fd = silent_socket(silent_path);
	struct vm_poll *polls[] = {vm_poll_create("silent", 0, silent_path), vm_poll_create("gone", 0, "/nowhere/x.sock"),
				   vm_poll_create("good", 7, fakevm_start(texts))};
	int64_t begin_ms = client_now_ms();

	vm_poll_round(polls, 3);
	CU_ASSERT(client_now_ms() - begin_ms < VM_POLL_SILENT_MS + 1000);
	CU_ASSERT(vm_poll_is_silent(polls[0]) && vm_poll_is_busy(polls[0]) && !vm_poll_answers(polls[0]));
	CU_ASSERT(vm_poll_is_silent(polls[1]) && !vm_poll_is_busy(polls[1]) && !vm_poll_answers(polls[1]));
	CU_ASSERT(!vm_poll_is_silent(polls[2]) && vm_poll_pid(polls[2]) == 7 && strcmp(vm_poll_name(polls[2]), "good") == 0);
	check_state(polls[2]);
	begin_ms = client_now_ms();
	vm_poll_round(polls, 2); /* it was waited for already */
	CU_ASSERT(client_now_ms() - begin_ms < 1000);
	for (size_t i = 0; i < 3; i++)
		vm_poll_destroy(polls[i]);
	close(fd);
	unlink(silent_path);
	fakevm_end();
}

/* Until there is a new state, or nothing more is to come. */
static bool take(struct vm_poll *poll)
{
	bool is_new = false;

	for (int i = 0; i < 2000 && !is_new && vm_poll_fd(poll) >= 0; i++) {
		is_new = vm_poll_take(poll);
		usleep(1000);
	}
	return is_new;
}

static void target_and_objection(void)
{
	static const char *const texts[] = {FAKEVM_GREETING FAKEVM_EMPTY ROUND, "", ERROR, ROUND, "", NULL};
	struct vm_poll *poll = vm_poll_create("x", 0, fakevm_start(texts));
	char text[VM_POLL_OBJECTION_MAX];

	CU_ASSERT_FALSE(vm_poll_set_left(poll, 4096)); /* not connected yet */
	vm_poll_ask(poll);
	CU_ASSERT_TRUE(take(poll));
	CU_ASSERT_FALSE(vm_poll_take_objection(poll, text));
	usleep(20000); /* the server hears things one by one */
	CU_ASSERT_TRUE(vm_poll_set_left(poll, 4096));
	usleep(20000);
	vm_poll_ask(poll);
	CU_ASSERT_TRUE(take(poll));
	CU_ASSERT_TRUE(vm_poll_take_objection(poll, text));
	CU_ASSERT_STRING_EQUAL(text, "never heard ?[2J of it");
	CU_ASSERT_FALSE(vm_poll_take_objection(poll, text));
	check_state(poll);
	fakevm_end();
	CU_ASSERT_FALSE(take(poll));
	CU_ASSERT(vm_poll_is_silent(poll) && vm_poll_fd(poll) < 0 && !vm_poll_answers(poll));
	vm_poll_destroy(poll);
}

/* As many commands as fit, not one more. */
static void commands_without_an_answer(void)
{
	static const char *const texts[] = {FAKEVM_GREETING FAKEVM_EMPTY ROUND, "", "", "", "", "", "", "", "", "", "", "", "", NULL};
	struct vm_poll *poll = vm_poll_create("x", 0, fakevm_start(texts));
	int n = 0;

	vm_poll_ask(poll);
	CU_ASSERT_TRUE(take(poll));
	while (n < 100 && vm_poll_set_left(poll, 4096))
		n++;
	CU_ASSERT(n > 1 && n < 20);
	vm_poll_ask(poll);
	CU_ASSERT(vm_poll_is_busy(poll) && !vm_poll_is_silent(poll));
	vm_poll_destroy(poll);
	fakevm_end();
}

static void unwanted_answers(void)
{
	static const char *const texts[] = {FAKEVM_GREETING FAKEVM_EMPTY ROUND ROUND, "", NULL};
	struct vm_poll *poll = vm_poll_create("x", 0, fakevm_start(texts));

	vm_poll_ask(poll);
	take(poll);
	take(poll);
	CU_ASSERT(vm_poll_is_silent(poll) && vm_poll_fd(poll) < 0);
	vm_poll_destroy(poll);
	vm_poll_destroy(NULL);
	fakevm_end();
}

static const struct test_case cases[] = {
	{"one round", one_round},
	{"target and objection", target_and_objection},
	{"commands without an answer", commands_without_an_answer},
	{"unwanted answers", unwanted_answers},
};

TEST_SUITE(vm_poll, cases);
