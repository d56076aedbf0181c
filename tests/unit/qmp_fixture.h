/*
 * A QMP server on a fake event loop, the machine that it speaks for, with or
 * without a balloon, and clients of it. For the tests of control/.
 */
#ifndef TESTS_UNIT_QMP_FIXTURE_H
#define TESTS_UNIT_QMP_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>

#include "control/qmp_server.h"
#include "tests/unit/fakeguest.h"
#include "tests/unit/fakeloop.h"

#define QT_RAM (2 * FAKE_REGION_LEN)
#define QT_NEGOTIATE "{\"execute\":\"qmp_capabilities\"}"
#define QT_EMPTY "{\"return\":{}}"

struct qmp_test {
	struct fakeloop loop;
	struct fakeguest guest;
	struct machine machine;
	struct qmp_server *server;
	enum machine_status status;
	int op_result; /* of the machine's operations */
	unsigned n_pauses, n_resumes, n_resets, n_buttons, n_quits;
};
extern struct qmp_test qt;

/* A machine with a balloon of no size, and its server; qt_end() looks whether anything is left. */
void qt_begin(void);
void qt_begin_without_balloon(void);
void qt_end(void);

/* ---- Clients --------------------------------------------------------- */

struct qt_client {
	int fd;
	char text[1 << 16];
	size_t len, line_len;
};

struct qt_client *qt_new_client(int fd);
struct qt_client *qt_connect_quietly(void); /* has not read the greeting */
struct qt_client *qt_connect(void);	    /* has negotiated */
void qt_hang_up(struct qt_client *client);

void qt_send_bytes(struct qt_client *client, const char *bytes, size_t len);
void qt_say(struct qt_client *client, const char *text);

/* The next line without its end, "" when there is none, "EOF" when the server has closed. */
const char *qt_hear(struct qt_client *client);
bool qt_begins(const char *line, const char *start);
void qt_expect(struct qt_client *client, const char *expected);

/* A line up to its timestamp. */
void qt_expect_event(struct qt_client *client, const char *expected);

void qt_ask(struct qt_client *client, const char *command, const char *answer);

/* As one does in the tests: {'execute': name, 'arguments': args}. */
void qt_run(struct qt_client *client, const char *name, const char *args, const char *answer);

#endif
