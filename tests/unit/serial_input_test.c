#include <CUnit/CUnit.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "tests/unit/serial_fixture.h"
#include "tests/unit/suite.h"

/* What the guest reads until nothing comes; how much. */
static size_t receive_all(char *got, size_t size)
{
	size_t len = 0;
	for (size_t n = 1; n > 0; len += n) {
		n = st_receive(got + len, size - len);
		fakeloop_run(&st.loop);
	}
	return len;
}

static void input_waits_for_the_guest_to_be_ready(void)
{
	char text[64];

	st_begin();
	st_type("root\n");
	st_out(IIR, 7); /* Linux clears the FIFO when the port is opened */
	CU_ASSERT_EQUAL(st_in(LSR) & 1, 0);
	CU_ASSERT_EQUAL(st_in(DATA), 0);
	st_out(MCR, 0x0b);
	CU_ASSERT_EQUAL(st_receive(text, sizeof text), 5);
	CU_ASSERT_STRING_EQUAL(text, "root\n");
	st_out(MCR, 0);
	st_type("x");
	CU_ASSERT_EQUAL(st_in(LSR) & 1, 0);
	st_out(IER, 1);
	CU_ASSERT_EQUAL(st_in(LSR) & 1, 1);
	st_end();
}

/* The line holds what the guest clears unread. The steps are those of Linux's driver, from its probe to the first read. */
static void drivers_that_clear_the_fifo_lose_nothing(void)
{
	char text[64];

	st_begin();
	st_type("0123456789abcdefXY");
	st_out(IER, 0x0f); /* autoconfig(): are there four bits? */
	CU_ASSERT_EQUAL(st_in(LSR) & 1, 1);
	st_out(IER, 0);
	st_out(MCR, 0x1a);
	CU_ASSERT_EQUAL(st_in(LSR) & 1, 0); /* the line is cut off in loopback */
	st_out(MCR, 0);
	st_out(IIR, 1);
	st_out(IIR, 7); /* startup: clears, and reads what is left */
	st_out(IIR, 0);
	CU_ASSERT_EQUAL(st_in(LSR) & 1, 0);
	CU_ASSERT_EQUAL(st_in(DATA), 0);
	st_out(IER, 5); /* set_termios: from here on, something may come */
	CU_ASSERT_EQUAL(st_in(LSR) & 1, 1);
	st_out(IIR, 1);
	st_out(IIR, 0x81);
	st_out(MCR, 0x0b);
	CU_ASSERT_EQUAL(st_receive(text, 4), 3);
	CU_ASSERT_STRING_EQUAL(text, "012");
	device_reset(st.dev);
	st_out(MCR, 2);
	CU_ASSERT_EQUAL(st_receive(text, sizeof text), 15);
	CU_ASSERT_STRING_EQUAL(text, "3456789abcdefXY");
	st_end();
}

static void cleared_bytes_find_room_in_a_full_buffer(void)
{
	static char sent[SERIAL_IN_BUFFER + 100], got[SERIAL_IN_BUFFER + 101];

	st_begin();
	for (size_t i = 0; i < sizeof sent; i++)
		sent[i] = (char)('a' + i % 23);
	st_out(IIR, 1);
	st_out(MCR, 2);
	CU_ASSERT_EQUAL(write(st.in_pipe[1], sent, sizeof sent), sizeof sent);
	fakeloop_run(&st.loop); /* 16 in the FIFO, the buffer full, the rest in the pipe */
	st_out(MCR, 0);
	st_out(IIR, 3);
	CU_ASSERT_EQUAL(st_in(LSR) & 1, 0);
	st_out(MCR, 2);
	size_t len = st_receive(got, sizeof got);
	CU_ASSERT_EQUAL(len, SERIAL_IN_BUFFER + 16);
	fakeloop_run(&st.loop);
	CU_ASSERT_EQUAL(len + st_receive(got + len, sizeof got - len), sizeof sent);
	CU_ASSERT_EQUAL(memcmp(sent, got, sizeof sent), 0);
	st_end();
}

static void input_interrupts(void)
{
	st_begin();
	st_out(IIR, 0x81); /* trigger level 8 */
	st_out(IER, 1);
	CU_ASSERT_FALSE(st.loop.irq[ST_GSI]);
	st_type("abc");
	CU_ASSERT_TRUE(st.loop.irq[ST_GSI]);
	CU_ASSERT_EQUAL(st_in(IIR), 0xcc);
	st_type("defgh");
	CU_ASSERT_EQUAL(st_in(IIR), 0xc4);
	for (int i = 0; i < 8; i++) {
		CU_ASSERT_TRUE(st.loop.irq[ST_GSI]);
		CU_ASSERT_EQUAL(st_in(DATA), 'a' + i);
	}
	CU_ASSERT_FALSE(st.loop.irq[ST_GSI]);
	CU_ASSERT_EQUAL(st_in(IIR), 0xc1);
	st_end();
}

static void without_fifo_one_byte_at_a_time(void)
{
	st_begin();
	st_out(MCR, 3);
	st_type("ab");
	CU_ASSERT_EQUAL(st_in(LSR) & 1, 1);
	CU_ASSERT_EQUAL(st_in(DATA), 'a');
	CU_ASSERT_EQUAL(st_in(LSR) & 1, 1);
	CU_ASSERT_EQUAL(st_in(DATA), 'b');
	CU_ASSERT_EQUAL(st_in(LSR) & 1, 0);
	st_end();
}

static void input_beyond_the_buffer_stays_in_the_pipe(void)
{
	static char sent[40000], got[40001];

	st_begin();
	for (size_t i = 0; i < sizeof sent; i++)
		sent[i] = (char)('a' + i % 23);
	CU_ASSERT_EQUAL(write(st.in_pipe[1], sent, sizeof sent), sizeof sent);
	fakeloop_run(&st.loop);
	unsigned turns = st.loop.turns;
	fakeloop_run(&st.loop);
	CU_ASSERT_EQUAL(st.loop.turns, turns); /* no spinning on a full buffer */
	st_out(IIR, 1);
	st_out(MCR, 3);
	CU_ASSERT_EQUAL(receive_all(got, sizeof got), sizeof sent);
	CU_ASSERT_EQUAL(memcmp(got, sent, sizeof sent), 0);
	st_end();
}

static unsigned seen;

static size_t drop_z(void *opaque, uint8_t *bytes, size_t len)
{
	size_t kept = 0;

	(void)opaque;
	for (size_t i = 0; i < len; i++) {
		seen++;
		if (bytes[i] != 'z')
			bytes[kept++] = bytes[i];
	}
	return kept;
}

static void filter_sees_every_byte(void)
{
	char text[64];
	static char many[20000];

	st_begin_filtered(drop_z);
	seen = 0;
	st_out(IIR, 1);
	st_out(MCR, 3);
	st_type("azbzz");
	st_type("z");
	st_receive(text, sizeof text);
	CU_ASSERT_STRING_EQUAL(text, "ab");
	memset(many, 'q', sizeof many);
	CU_ASSERT_EQUAL(write(st.in_pipe[1], many, sizeof many), sizeof many);
	fakeloop_run(&st.loop);
	CU_ASSERT_EQUAL(seen, 6 + sizeof many);
	st_end();
}

static void end_of_input_is_only_that(void)
{
	char text[64];

	st_begin();
	CU_ASSERT_EQUAL(write(st.in_pipe[1], "bye", 3), 3);
	close(st.in_pipe[1]);
	st.in_pipe[1] = -1;
	fakeloop_run(&st.loop);
	CU_ASSERT_EQUAL(st.loop.n_watches, 0);
	st_out(IIR, 1);
	st_out(MCR, 3);
	st_receive(text, sizeof text);
	CU_ASSERT_STRING_EQUAL(text, "bye");
	st_out(DATA, 'k');
	fakeloop_run(&st.loop);
	CU_ASSERT_EQUAL(st_output(text, sizeof text), 1);
	st_end();
}

static void input_comes_from_a_file_too(void)
{
	char name[] = "/tmp/serial_test.XXXXXX";
	static char sent[20000], got[20001];
	int fd = mkstemp(name);
	struct serial_config_board config = {.port = ST_PORT, .gsi = ST_GSI, .fd_in = fd, .fd_out = -1};

	unlink(name);
	memset(sent, 'f', sizeof sent);
	CU_ASSERT_EQUAL(write(fd, sent, sizeof sent), sizeof sent);
	lseek(fd, 0, SEEK_SET);
	st_begin_with(&config);
	fakeloop_run(&st.loop);
	st_out(IIR, 1);
	st_out(MCR, 3);
	CU_ASSERT_EQUAL(receive_all(got, sizeof got), sizeof sent);
	device_destroy(st.dev);
	close(fd);
}

static const struct test_case cases[] = {
	{"input waits for the guest to be ready", input_waits_for_the_guest_to_be_ready},
	{"drivers that clear the FIFO lose nothing", drivers_that_clear_the_fifo_lose_nothing},
	{"cleared bytes find room in a full buffer", cleared_bytes_find_room_in_a_full_buffer},
	{"input interrupts", input_interrupts},
	{"without FIFO one byte at a time", without_fifo_one_byte_at_a_time},
	{"input beyond the buffer stays in the pipe", input_beyond_the_buffer_stays_in_the_pipe},
	{"filter sees every byte", filter_sees_every_byte},
	{"end of input is only that", end_of_input_is_only_that},
	{"input comes from a file too", input_comes_from_a_file_too},
};

TEST_SUITE(serial_input, cases);
