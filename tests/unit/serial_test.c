#include "device/serial.h"

#include <CUnit/CUnit.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/fakeloop.h"
#include "tests/unit/suite.h"

#define PORT 0x3f8
#define GSI 4
enum { DATA, IER, IIR, LCR, MCR, LSR, MSR, SCR };

static struct fakeloop loop;
static struct device *dev;
static int in_pipe[2], out_pipe[2]; /* [0] is for reading */

static uint8_t in(unsigned reg)
{
	return (uint8_t)fakeloop_in(&loop, PORT + reg, 1);
}

static void out(unsigned reg, uint8_t value)
{
	fakeloop_out(&loop, PORT + reg, 1, value);
}

static void begin_with(const struct serial_config_board *config)
{
	fakeloop_init(&loop);
	dev = fakeloop_create(&loop, &serial_class, "serial", config);
}

static void begin_filtered(size_t (*filter)(void *, uint8_t *, size_t))
{
	CU_ASSERT_EQUAL_FATAL(pipe2(in_pipe, O_NONBLOCK), 0);
	CU_ASSERT_EQUAL_FATAL(pipe2(out_pipe, O_NONBLOCK), 0);
	struct serial_config_board config = {.port = PORT, .gsi = GSI, .fd_in = in_pipe[0], .fd_out = out_pipe[1], .filter = filter};
	begin_with(&config);
}

static void begin(void)
{
	begin_filtered(NULL);
}

static void close_all(void)
{
	for (int i = 0; i < 2; i++) {
		close(in_pipe[i]);
		close(out_pipe[i]);
	}
}

static void end(void)
{
	device_destroy(dev);
	CU_ASSERT_EQUAL(loop.n_regions, 0);
	CU_ASSERT_EQUAL(loop.n_watches, 0);
	CU_ASSERT_PTR_NULL(loop.timers);
	close_all();
}

static void type(const char *text)
{
	CU_ASSERT_EQUAL(write(in_pipe[1], text, strlen(text)), (ssize_t)strlen(text));
	fakeloop_run(&loop);
}

/* Reads all that came out; returns its length. */
static size_t output(char *text, size_t size)
{
	size_t len = 0;
	ssize_t n;

	while (len < size && (n = read(out_pipe[0], text + len, size - len)) > 0)
		len += (size_t)n;
	return len;
}

/* As a driver reads: while there is something. */
static size_t receive(char *text, size_t size)
{
	size_t len = 0;

	while (len < size - 1 && (in(LSR)&1))
		text[len++] = (char)in(DATA);
	text[len] = '\0';
	return len;
}

/* The steps of Linux drivers/tty/serial/8250/8250_port.c: autoconfig(), autoconfig_16550a(). */
static void linux_finds_a_16550a(void)
{
	begin();
	out(IER, 0);
	CU_ASSERT_EQUAL(in(IER)&0x0f, 0);
	out(IER, 0x0f);
	CU_ASSERT_EQUAL(in(IER)&0x0f, 0x0f);
	out(IER, 0);
	uint8_t mcr = in(MCR);
	out(MCR, 0x1a);
	CU_ASSERT_EQUAL(in(MSR)&0xf0, 0x90);
	out(MCR, mcr);
	out(LCR, 0xbf);
	out(IIR, 0);
	out(LCR, 0);
	out(IIR, 1);
	CU_ASSERT_EQUAL(in(IIR) >> 6, 3);
	out(LCR, 0x80);
	CU_ASSERT_NOT_EQUAL(in(IIR), 0); /* no extended features */
	out(LCR, 0xbf);
	CU_ASSERT_NOT_EQUAL(in(IIR), 0);
	out(LCR, 0xe0);
	uint8_t excr1 = in(IIR); /* not National's second bank */
	out(LCR, 0);
	out(MCR, mcr ^ 0x10);
	out(LCR, 0xe0);
	CU_ASSERT_EQUAL((in(IIR) ^ excr1) & 0x10, 0);
	out(LCR, 0);
	out(MCR, mcr);
	out(IIR, 0x21); /* not a 16750 with 64 bytes */
	CU_ASSERT_EQUAL(in(IIR) >> 5, 6);
	out(LCR, 0x80);
	out(IIR, 0x21);
	CU_ASSERT_EQUAL(in(IIR) >> 5, 6);
	out(LCR, 0);
	out(IER, 0x40); /* not an XScale */
	CU_ASSERT_EQUAL(in(IER), 0);
	end();
}

/* serial8250_do_startup(): no UART_BUG_THRE, no UART_BUG_TXEN. */
static void linux_trusts_the_thre_interrupt(void)
{
	begin();
	out(IIR, 1);
	CU_ASSERT_EQUAL(in(LSR), 0x60);
	for (int i = 0; i < 2; i++) {
		out(IER, 2);
		CU_ASSERT_TRUE(loop.irq[GSI]);
		CU_ASSERT_EQUAL(in(IIR), 0xc2);
		CU_ASSERT_FALSE(loop.irq[GSI]);
		CU_ASSERT_EQUAL(in(IIR), 0xc1);
		out(IER, 0);
	}
	end();
}

/* size_fifo(): a FIFO of 16 in loopback, and nothing of it on the line. */
static void loopback_has_sixteen_bytes(void)
{
	char text[8];

	begin();
	out(IIR, 7);
	out(MCR, 0x10);
	for (unsigned i = 0; i < 256; i++)
		out(DATA, (uint8_t)i);
	CU_ASSERT_EQUAL(in(LSR)&3, 3); /* data, and an overrun */
	CU_ASSERT_EQUAL(in(LSR)&3, 1);
	unsigned n = 0;
	for (; in(LSR)&1; n++)
		CU_ASSERT_EQUAL(in(DATA), n);
	CU_ASSERT_EQUAL(n, 16);
	out(MCR, 0);
	fakeloop_run(&loop);
	CU_ASSERT_EQUAL(output(text, sizeof text), 0);
	end();
}

static void registers_keep_their_bits(void)
{
	begin();
	out(SCR, 0xa5);
	CU_ASSERT_EQUAL(in(SCR), 0xa5);
	out(LCR, 0x83);
	out(DATA, 0x34);
	out(IER, 0x12);
	CU_ASSERT_EQUAL(in(DATA), 0x34);
	CU_ASSERT_EQUAL(in(IER), 0x12);
	out(LCR, 3);
	CU_ASSERT_EQUAL(in(IER), 0);
	out(MCR, 0xff);
	CU_ASSERT_EQUAL(in(MCR), 0x1f);
	CU_ASSERT_EQUAL(in(IIR), 0x01); /* no FIFO before it is enabled */
	fakeloop_out(&loop, PORT + LCR, 2, 0x0b1b);
	CU_ASSERT_EQUAL(fakeloop_in(&loop, PORT + LCR, 2), 0x0b1b);
	end();
}

static void modem_status_tells_what_changed(void)
{
	begin();
	CU_ASSERT_EQUAL(in(MSR), 0xb0);
	out(IER, 8);
	out(MCR, 0x14); /* loopback with OUT1: only RI */
	CU_ASSERT_TRUE(loop.irq[GSI]);
	CU_ASSERT_EQUAL(in(IIR)&0x0f, 0);
	CU_ASSERT_EQUAL(in(MSR), 0x4b); /* RI rose: no delta of its own */
	CU_ASSERT_FALSE(loop.irq[GSI]);
	out(MCR, 0x10);
	CU_ASSERT_EQUAL(in(MSR), 0x04); /* RI fell */
	CU_ASSERT_EQUAL(in(MSR), 0x00);
	end();
}

static void output_reaches_the_fd(void)
{
	char text[64];

	begin();
	for (const char *p = "Hello\r\n"; *p; p++)
		out(DATA, (uint8_t)*p);
	CU_ASSERT_EQUAL(output(text, sizeof text), 0); /* the vCPU itself writes nothing */
	fakeloop_run(&loop);
	CU_ASSERT_EQUAL(output(text, sizeof text), 7);
	CU_ASSERT_EQUAL(memcmp(text, "Hello\r\n", 7), 0);
	end();
}

/* ---- A vCPU and the loop at once ------------------------------------- */

#define BUSY_BYTES 20000

static struct host_work *_Atomic wanted_work;

static void defer_to_main(struct host *host, struct host_work *work)
{
	(void)host;
	atomic_store(&wanted_work, work);
}

static void run_wanted_work(void)
{
	struct host_work *work = atomic_exchange(&wanted_work, NULL);
	if (work)
		work->fn(work->opaque);
}

struct busy_vcpu {
	int fd; /* where the bytes go */
	atomic_bool done;
};

/* Sends the next byte as soon as the last one was written: often just when the loop has found the buffer empty. */
static void *run_busy_vcpu(void *opaque)
{
	struct busy_vcpu *vcpu = opaque;
	struct stat file = {0};
	for (off_t i = 0; i < BUSY_BYTES; i++) {
		for (unsigned tries = 0; tries < 100 && file.st_size < i; tries++)
			fstat(vcpu->fd, &file);
		for (volatile unsigned pause = (unsigned)i % 256; pause; pause--)
			;
		out(DATA, (uint8_t)i);
	}
	atomic_store(&vcpu->done, true);
	return NULL;
}

/* A file is always ready, and epoll refuses it: whoever took "nothing left" for "blocked" lost the rest. */
static void file_gets_every_byte_of_a_busy_vcpu(void)
{
	int fd = memfd_create("serial", MFD_CLOEXEC);
	struct serial_config_board config = {.port = PORT, .gsi = GSI, .fd_in = -1, .fd_out = fd};
	struct busy_vcpu vcpu = {.fd = fd};
	pthread_t thread;

	begin_with(&config);
	struct host_ops ops = *loop.host.ops;
	ops.defer = defer_to_main;
	loop.host.ops = &ops;
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, run_busy_vcpu, &vcpu), 0);
	while (!atomic_load(&vcpu.done))
		run_wanted_work();
	pthread_join(thread, NULL);
	CU_ASSERT_EQUAL(loop.n_watches, 0);
	device_destroy(dev);
	CU_ASSERT_EQUAL(lseek(fd, 0, SEEK_END), BUSY_BYTES);
	close(fd);
}

/* A driver that works by interrupts: 16 bytes for each. Returns how many it could send. */
static size_t send_by_interrupts(size_t max)
{
	size_t sent = 0;

	out(IIR, 1);
	out(IER, 2);
	while (sent < max && (in(IIR)&0x0f) == 2)
		for (int i = 0; i < 16; i++)
			out(DATA, (uint8_t)(sent++ * 7));
	return sent;
}

static void slow_reader_slows_the_driver_and_loses_nothing(void)
{
	static char text[1 << 20];

	begin();
	size_t sent = 0, got = 0;
	while (sent < 500000) {
		size_t n = send_by_interrupts(500000 - sent);
		CU_ASSERT(n <= 500000);
		for (size_t i = 0; i < n; i++) /* counted anew for each call */
			text[sent + i] = (char)(i * 7);
		sent += n;
		fakeloop_run(&loop);
		if (n == 0) {
			CU_ASSERT_FALSE(loop.irq[GSI]);
			char part[4096];
			size_t len = output(part, sizeof part);
			CU_ASSERT_EQUAL(memcmp(part, text + got, len), 0);
			got += len;
			fakeloop_run(&loop);
		}
	}
	for (;;) {
		char part[4096];
		size_t len = output(part, sizeof part);
		if (len == 0)
			break;
		CU_ASSERT_EQUAL(memcmp(part, text + got, len), 0);
		got += len;
		fakeloop_run(&loop);
	}
	CU_ASSERT_EQUAL(got, sent);
	end();
}

static void draining_wakes_the_driver(void)
{
	static char text[1 << 20];

	begin();
	while (send_by_interrupts(100000) > 0)
		fakeloop_run(&loop);
	CU_ASSERT_FALSE(loop.irq[GSI]);
	unsigned edges = loop.irq_edges[GSI];
	CU_ASSERT(output(text, sizeof text) > 0);
	fakeloop_run(&loop);
	CU_ASSERT_TRUE(loop.irq[GSI]);
	CU_ASSERT_EQUAL(loop.irq_edges[GSI], edges + 1);
	end();
}

static void stuck_reader_does_not_stop_the_guest(void)
{
	begin();
	while (send_by_interrupts(100000) > 0)
		fakeloop_run(&loop);
	fakeloop_advance(&loop, SERIAL_STALL_MS - 1);
	CU_ASSERT_FALSE(loop.irq[GSI]);
	fakeloop_advance(&loop, 1);
	CU_ASSERT_TRUE(loop.irq[GSI]);
	CU_ASSERT_EQUAL(send_by_interrupts(1000000), 1000000);
	CU_ASSERT_EQUAL(in(LSR), 0x60); /* one that polls never waits */
	unsigned turns = loop.turns;
	fakeloop_advance(&loop, 60000);
	CU_ASSERT_EQUAL(loop.turns, turns);
	end();
}

static void reader_that_comes_back_gets_the_rest(void)
{
	static char text[1 << 20];

	begin();
	for (unsigned i = 0; i < 300000; i++)
		out(DATA, 'x');
	fakeloop_run(&loop);
	fakeloop_advance(&loop, 10000);
	size_t got = output(text, sizeof text);
	fakeloop_run(&loop);
	got += output(text, sizeof text);
	fakeloop_run(&loop);
	CU_ASSERT(got >= SERIAL_OUT_BUFFER && got < 300000);
	CU_ASSERT_EQUAL(output(text, sizeof text), 0);
	out(DATA, 'y');
	fakeloop_run(&loop);
	CU_ASSERT_EQUAL(output(text, sizeof text), 1);
	CU_ASSERT_EQUAL(text[0], 'y');
	end();
}

static void dead_reader_swallows(void)
{
	begin();
	close(out_pipe[0]);
	out_pipe[0] = -1;
	CU_ASSERT_EQUAL(send_by_interrupts(16), 16);
	fakeloop_run(&loop);
	CU_ASSERT_EQUAL(send_by_interrupts(200000), 200000);
	CU_ASSERT_EQUAL(loop.n_watches, 1); /* the input's */
	end();
}

static void full_disk_is_not_for_ever(void)
{
	int full = open("/dev/full", O_WRONLY);
	struct serial_config_board config = {.port = PORT, .gsi = GSI, .fd_in = -1, .fd_out = full};

	begin_with(&config);
	for (unsigned i = 0; i < 200000; i++) {
		out(DATA, 'x');
		if (i % 1000 == 0)
			fakeloop_run(&loop);
	}
	fakeloop_run(&loop);
	CU_ASSERT_EQUAL_FATAL(pipe2(out_pipe, O_NONBLOCK), 0);
	dup2(out_pipe[1], full); /* now there is room */
	out(DATA, 'y');
	fakeloop_run(&loop);
	char text[8];
	CU_ASSERT_EQUAL(output(text, sizeof text), 1);
	device_destroy(dev);
	close(full);
	close(out_pipe[0]);
	close(out_pipe[1]);
}

static void no_fds_at_all(void)
{
	struct serial_config_board config = {.port = PORT, .gsi = GSI, .fd_in = -1, .fd_out = -1};

	begin_with(&config);
	CU_ASSERT_EQUAL(send_by_interrupts(200000), 200000);
	fakeloop_run(&loop);
	CU_ASSERT_EQUAL(in(LSR), 0x60);
	device_destroy(dev);
}

static void last_words_are_written_out(void)
{
	char text[64];

	begin();
	for (const char *p = "reboot: Power down\n"; *p; p++)
		out(DATA, (uint8_t)*p);
	device_destroy(dev);
	CU_ASSERT_EQUAL(output(text, sizeof text), 19);
	close_all();
}

static void input_waits_for_the_guest_to_be_ready(void)
{
	char text[64];

	begin();
	type("root\n");
	out(IIR, 7); /* Linux clears the FIFO when the port is opened */
	CU_ASSERT_EQUAL(in(LSR)&1, 0);
	CU_ASSERT_EQUAL(in(DATA), 0);
	out(MCR, 0x0b);
	CU_ASSERT_EQUAL(receive(text, sizeof text), 5);
	CU_ASSERT_STRING_EQUAL(text, "root\n");
	out(MCR, 0);
	type("x");
	CU_ASSERT_EQUAL(in(LSR)&1, 0);
	out(IER, 1);
	CU_ASSERT_EQUAL(in(LSR)&1, 1);
	end();
}

/* The line holds what the guest clears unread. The steps are those of Linux's driver, from its probe to the first read. */
static void drivers_that_clear_the_fifo_lose_nothing(void)
{
	char text[64];

	begin();
	type("0123456789abcdefXY");
	out(IER, 0x0f); /* autoconfig(): are there four bits? */
	CU_ASSERT_EQUAL(in(LSR)&1, 1);
	out(IER, 0);
	out(MCR, 0x1a);
	CU_ASSERT_EQUAL(in(LSR)&1, 0); /* the line is cut off in loopback */
	out(MCR, 0);
	out(IIR, 1);
	out(IIR, 7); /* startup: clears, and reads what is left */
	out(IIR, 0);
	CU_ASSERT_EQUAL(in(LSR)&1, 0);
	CU_ASSERT_EQUAL(in(DATA), 0);
	out(IER, 5); /* set_termios: from here on, something may come */
	CU_ASSERT_EQUAL(in(LSR)&1, 1);
	out(IIR, 1);
	out(IIR, 0x81);
	out(MCR, 0x0b);
	CU_ASSERT_EQUAL(receive(text, 4), 3);
	CU_ASSERT_STRING_EQUAL(text, "012");
	device_reset(dev);
	out(MCR, 2);
	CU_ASSERT_EQUAL(receive(text, sizeof text), 15);
	CU_ASSERT_STRING_EQUAL(text, "3456789abcdefXY");
	end();
}

static void cleared_bytes_find_room_in_a_full_buffer(void)
{
	static char sent[SERIAL_IN_BUFFER + 100], got[SERIAL_IN_BUFFER + 101];

	begin();
	for (size_t i = 0; i < sizeof sent; i++)
		sent[i] = (char)('a' + i % 23);
	out(IIR, 1);
	out(MCR, 2);
	CU_ASSERT_EQUAL(write(in_pipe[1], sent, sizeof sent), sizeof sent);
	fakeloop_run(&loop); /* 16 in the FIFO, the buffer full, the rest in the pipe */
	out(MCR, 0);
	out(IIR, 3);
	CU_ASSERT_EQUAL(in(LSR)&1, 0);
	out(MCR, 2);
	size_t len = receive(got, sizeof got);
	CU_ASSERT_EQUAL(len, SERIAL_IN_BUFFER + 16);
	fakeloop_run(&loop);
	CU_ASSERT_EQUAL(len + receive(got + len, sizeof got - len), sizeof sent);
	CU_ASSERT_EQUAL(memcmp(sent, got, sizeof sent), 0);
	end();
}

static void looped_bytes_do_not_get_on_the_line(void)
{
	char text[64];

	begin();
	type("real");
	out(IIR, 1);
	out(MCR, 0x12);
	out(DATA, 'L');
	out(MCR, 2);
	CU_ASSERT_EQUAL(receive(text, sizeof text), 5);
	CU_ASSERT_STRING_EQUAL(text, "Lreal");
	type("more");
	out(MCR, 0x12);
	out(DATA, 'L');
	out(IIR, 3); /* gone */
	CU_ASSERT_EQUAL(in(LSR)&1, 0);
	out(MCR, 2);
	receive(text, sizeof text);
	CU_ASSERT_STRING_EQUAL(text, "more");
	end();
}

static void input_interrupts(void)
{
	begin();
	out(IIR, 0x81); /* trigger level 8 */
	out(IER, 1);
	CU_ASSERT_FALSE(loop.irq[GSI]);
	type("abc");
	CU_ASSERT_TRUE(loop.irq[GSI]);
	CU_ASSERT_EQUAL(in(IIR), 0xcc);
	type("defgh");
	CU_ASSERT_EQUAL(in(IIR), 0xc4);
	for (int i = 0; i < 8; i++) {
		CU_ASSERT_TRUE(loop.irq[GSI]);
		CU_ASSERT_EQUAL(in(DATA), 'a' + i);
	}
	CU_ASSERT_FALSE(loop.irq[GSI]);
	CU_ASSERT_EQUAL(in(IIR), 0xc1);
	end();
}

static void without_fifo_one_byte_at_a_time(void)
{
	begin();
	out(MCR, 3);
	type("ab");
	CU_ASSERT_EQUAL(in(LSR)&1, 1);
	CU_ASSERT_EQUAL(in(DATA), 'a');
	CU_ASSERT_EQUAL(in(LSR)&1, 1);
	CU_ASSERT_EQUAL(in(DATA), 'b');
	CU_ASSERT_EQUAL(in(LSR)&1, 0);
	end();
}

static void input_beyond_the_buffer_stays_in_the_pipe(void)
{
	static char sent[40000], got[40001];

	begin();
	for (size_t i = 0; i < sizeof sent; i++)
		sent[i] = (char)('a' + i % 23);
	CU_ASSERT_EQUAL(write(in_pipe[1], sent, sizeof sent), sizeof sent);
	fakeloop_run(&loop);
	unsigned turns = loop.turns;
	fakeloop_run(&loop);
	CU_ASSERT_EQUAL(loop.turns, turns); /* no spinning on a full buffer */
	out(IIR, 1);
	out(MCR, 3);
	size_t len = 0;
	for (size_t n = 1; n > 0; len += n) {
		n = receive(got + len, sizeof got - len);
		fakeloop_run(&loop);
	}
	CU_ASSERT_EQUAL(len, sizeof sent);
	CU_ASSERT_EQUAL(memcmp(got, sent, sizeof sent), 0);
	end();
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

	begin_filtered(drop_z);
	seen = 0;
	out(IIR, 1);
	out(MCR, 3);
	type("azbzz");
	type("z");
	receive(text, sizeof text);
	CU_ASSERT_STRING_EQUAL(text, "ab");
	memset(many, 'q', sizeof many);
	CU_ASSERT_EQUAL(write(in_pipe[1], many, sizeof many), sizeof many);
	fakeloop_run(&loop);
	CU_ASSERT_EQUAL(seen, 6 + sizeof many);
	end();
}

static void end_of_input_is_only_that(void)
{
	char text[64];

	begin();
	CU_ASSERT_EQUAL(write(in_pipe[1], "bye", 3), 3);
	close(in_pipe[1]);
	in_pipe[1] = -1;
	fakeloop_run(&loop);
	CU_ASSERT_EQUAL(loop.n_watches, 0);
	out(IIR, 1);
	out(MCR, 3);
	receive(text, sizeof text);
	CU_ASSERT_STRING_EQUAL(text, "bye");
	out(DATA, 'k');
	fakeloop_run(&loop);
	CU_ASSERT_EQUAL(output(text, sizeof text), 1);
	end();
}

static void input_comes_from_a_file_too(void)
{
	char name[] = "/tmp/serial_test.XXXXXX";
	static char sent[20000], got[20001];
	int fd = mkstemp(name);
	struct serial_config_board config = {.port = PORT, .gsi = GSI, .fd_in = fd, .fd_out = -1};

	unlink(name);
	memset(sent, 'f', sizeof sent);
	CU_ASSERT_EQUAL(write(fd, sent, sizeof sent), sizeof sent);
	lseek(fd, 0, SEEK_SET);
	begin_with(&config);
	fakeloop_run(&loop);
	out(IIR, 1);
	out(MCR, 3);
	size_t len = 0;
	for (size_t n = 1; n > 0; len += n) {
		n = receive(got + len, sizeof got - len);
		fakeloop_run(&loop);
	}
	CU_ASSERT_EQUAL(len, sizeof sent);
	device_destroy(dev);
	close(fd);
}

static void reset_keeps_what_is_on_the_line(void)
{
	char text[64];

	begin();
	out(IIR, 1);
	out(IER, 2);
	out(LCR, 3);
	out(DATA, 'a');
	CU_ASSERT_TRUE(loop.irq[GSI]);
	device_reset(dev);
	CU_ASSERT_FALSE(loop.irq[GSI]);
	CU_ASSERT_EQUAL(in(IER), 0);
	CU_ASSERT_EQUAL(in(LCR), 0);
	CU_ASSERT_EQUAL(in(IIR), 1);
	fakeloop_run(&loop);
	CU_ASSERT_EQUAL(output(text, sizeof text), 1);
	end();
}

static const struct test_case cases[] = {
	{"Linux finds a 16550A", linux_finds_a_16550a},
	{"Linux trusts the THRE interrupt", linux_trusts_the_thre_interrupt},
	{"loopback has sixteen bytes", loopback_has_sixteen_bytes},
	{"registers keep their bits", registers_keep_their_bits},
	{"modem status tells what changed", modem_status_tells_what_changed},
	{"output reaches the fd", output_reaches_the_fd},
	{"a file gets every byte of a busy vCPU", file_gets_every_byte_of_a_busy_vcpu},
	{"slow reader slows the driver and loses nothing", slow_reader_slows_the_driver_and_loses_nothing},
	{"draining wakes the driver", draining_wakes_the_driver},
	{"stuck reader does not stop the guest", stuck_reader_does_not_stop_the_guest},
	{"reader that comes back gets the rest", reader_that_comes_back_gets_the_rest},
	{"dead reader swallows", dead_reader_swallows},
	{"full disk is not for ever", full_disk_is_not_for_ever},
	{"no fds at all", no_fds_at_all},
	{"last words are written out", last_words_are_written_out},
	{"input waits for the guest to be ready", input_waits_for_the_guest_to_be_ready},
	{"drivers that clear the FIFO lose nothing", drivers_that_clear_the_fifo_lose_nothing},
	{"cleared bytes find room in a full buffer", cleared_bytes_find_room_in_a_full_buffer},
	{"looped bytes do not get on the line", looped_bytes_do_not_get_on_the_line},
	{"input interrupts", input_interrupts},
	{"without FIFO one byte at a time", without_fifo_one_byte_at_a_time},
	{"input beyond the buffer stays in the pipe", input_beyond_the_buffer_stays_in_the_pipe},
	{"filter sees every byte", filter_sees_every_byte},
	{"end of input is only that", end_of_input_is_only_that},
	{"input comes from a file too", input_comes_from_a_file_too},
	{"reset keeps what is on the line", reset_keeps_what_is_on_the_line},
};

static int init(void)
{
	signal(SIGPIPE, SIG_IGN);
	return 0;
}

const struct test_suite serial_suite = {.name = "serial", .cases = cases, .n_cases = sizeof cases / sizeof cases[0], .init = init};
