#include <CUnit/CUnit.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/serial_fixture.h"
#include "tests/unit/suite.h"

static void output_reaches_the_fd(void)
{
	char text[64];

	st_begin();
	for (const char *p = "Hello\r\n"; *p; p++)
		st_out(DATA, (uint8_t)*p);
	CU_ASSERT_EQUAL(st_output(text, sizeof text), 0); /* the vCPU itself writes nothing */
	fakeloop_run(&st.loop);
	CU_ASSERT_EQUAL(st_output(text, sizeof text), 7);
	CU_ASSERT_EQUAL(memcmp(text, "Hello\r\n", 7), 0);
	st_end();
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
		st_out(DATA, (uint8_t)i);
	}
	atomic_store(&vcpu->done, true);
	return NULL;
}

/* A file is always ready, and epoll refuses it: whoever took "nothing left" for "blocked" lost the rest. */
static void file_gets_every_byte_of_a_busy_vcpu(void)
{
	int fd = memfd_create("serial", MFD_CLOEXEC);
	struct serial_config_board config = {.port = ST_PORT, .gsi = ST_GSI, .fd_in = -1, .fd_out = fd};
	struct busy_vcpu vcpu = {.fd = fd};
	pthread_t thread;

	st_begin_with(&config);
	struct host_ops ops = *st.loop.host.ops;
	ops.defer = defer_to_main;
	st.loop.host.ops = &ops;
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, run_busy_vcpu, &vcpu), 0);
	while (!atomic_load(&vcpu.done))
		run_wanted_work();
	pthread_join(thread, NULL);
	CU_ASSERT_EQUAL(st.loop.n_watches, 0);
	device_destroy(st.dev);
	CU_ASSERT_EQUAL(lseek(fd, 0, SEEK_END), BUSY_BYTES);
	close(fd);
}

/* A driver that works by interrupts: 16 bytes for each. Returns how many it could send. */
static size_t send_by_interrupts(size_t max)
{
	size_t sent = 0;

	st_out(IIR, 1);
	st_out(IER, 2);
	while (sent < max && (st_in(IIR) & 0x0f) == 2)
		for (int i = 0; i < 16; i++)
			st_out(DATA, (uint8_t)(sent++ * 7));
	return sent;
}

static void slow_reader_slows_the_driver_and_loses_nothing(void)
{
	static char text[1 << 20];

	st_begin();
	size_t sent = 0, got = 0;
	while (sent < 500000) {
		size_t n = send_by_interrupts(500000 - sent);
		CU_ASSERT(n <= 500000);
		for (size_t i = 0; i < n; i++) /* counted anew for each call */
			text[sent + i] = (char)(i * 7);
		sent += n;
		fakeloop_run(&st.loop);
		if (n == 0) {
			CU_ASSERT_FALSE(st.loop.irq[ST_GSI]);
			char part[4096];
			size_t len = st_output(part, sizeof part);
			CU_ASSERT_EQUAL(memcmp(part, text + got, len), 0);
			got += len;
			fakeloop_run(&st.loop);
		}
	}
	for (;;) {
		char part[4096];
		size_t len = st_output(part, sizeof part);
		if (len == 0)
			break;
		CU_ASSERT_EQUAL(memcmp(part, text + got, len), 0);
		got += len;
		fakeloop_run(&st.loop);
	}
	CU_ASSERT_EQUAL(got, sent);
	st_end();
}

static void draining_wakes_the_driver(void)
{
	static char text[1 << 20];

	st_begin();
	while (send_by_interrupts(100000) > 0)
		fakeloop_run(&st.loop);
	CU_ASSERT_FALSE(st.loop.irq[ST_GSI]);
	unsigned edges = st.loop.irq_edges[ST_GSI];
	CU_ASSERT(st_output(text, sizeof text) > 0);
	fakeloop_run(&st.loop);
	CU_ASSERT_TRUE(st.loop.irq[ST_GSI]);
	CU_ASSERT_EQUAL(st.loop.irq_edges[ST_GSI], edges + 1);
	st_end();
}

static void stuck_reader_does_not_stop_the_guest(void)
{
	st_begin();
	while (send_by_interrupts(100000) > 0)
		fakeloop_run(&st.loop);
	fakeloop_advance(&st.loop, SERIAL_STALL_MS - 1);
	CU_ASSERT_FALSE(st.loop.irq[ST_GSI]);
	fakeloop_advance(&st.loop, 1);
	CU_ASSERT_TRUE(st.loop.irq[ST_GSI]);
	CU_ASSERT_EQUAL(send_by_interrupts(1000000), 1000000);
	CU_ASSERT_EQUAL(st_in(LSR), 0x60); /* one that polls never waits */
	unsigned turns = st.loop.turns;
	fakeloop_advance(&st.loop, 60000);
	CU_ASSERT_EQUAL(st.loop.turns, turns);
	st_end();
}

static void reader_that_comes_back_gets_the_rest(void)
{
	static char text[1 << 20];

	st_begin();
	for (unsigned i = 0; i < 300000; i++)
		st_out(DATA, 'x');
	fakeloop_run(&st.loop);
	fakeloop_advance(&st.loop, 10000);
	size_t got = st_output(text, sizeof text);
	fakeloop_run(&st.loop);
	got += st_output(text, sizeof text);
	fakeloop_run(&st.loop);
	CU_ASSERT(got >= SERIAL_OUT_BUFFER && got < 300000);
	CU_ASSERT_EQUAL(st_output(text, sizeof text), 0);
	st_out(DATA, 'y');
	fakeloop_run(&st.loop);
	CU_ASSERT_EQUAL(st_output(text, sizeof text), 1);
	CU_ASSERT_EQUAL(text[0], 'y');
	st_end();
}

static void dead_reader_swallows(void)
{
	st_begin();
	close(st.out_pipe[0]);
	st.out_pipe[0] = -1;
	CU_ASSERT_EQUAL(send_by_interrupts(16), 16);
	fakeloop_run(&st.loop);
	CU_ASSERT_EQUAL(send_by_interrupts(200000), 200000);
	CU_ASSERT_EQUAL(st.loop.n_watches, 1); /* the input's */
	st_end();
}

static void full_disk_is_not_for_ever(void)
{
	int full = open("/dev/full", O_WRONLY);
	struct serial_config_board config = {.port = ST_PORT, .gsi = ST_GSI, .fd_in = -1, .fd_out = full};

	st_begin_with(&config);
	for (unsigned i = 0; i < 200000; i++) {
		st_out(DATA, 'x');
		if (i % 1000 == 0)
			fakeloop_run(&st.loop);
	}
	fakeloop_run(&st.loop);
	CU_ASSERT_EQUAL_FATAL(pipe2(st.out_pipe, O_NONBLOCK), 0);
	dup2(st.out_pipe[1], full); /* now there is room */
	st_out(DATA, 'y');
	fakeloop_run(&st.loop);
	char text[8];
	CU_ASSERT_EQUAL(st_output(text, sizeof text), 1);
	device_destroy(st.dev);
	close(full);
	close(st.out_pipe[0]);
	close(st.out_pipe[1]);
}

static void no_fds_at_all(void)
{
	struct serial_config_board config = {.port = ST_PORT, .gsi = ST_GSI, .fd_in = -1, .fd_out = -1};

	st_begin_with(&config);
	CU_ASSERT_EQUAL(send_by_interrupts(200000), 200000);
	fakeloop_run(&st.loop);
	CU_ASSERT_EQUAL(st_in(LSR), 0x60);
	device_destroy(st.dev);
}

static void last_words_are_written_out(void)
{
	char text[64];

	st_begin();
	for (const char *p = "reboot: Power down\n"; *p; p++)
		st_out(DATA, (uint8_t)*p);
	device_destroy(st.dev);
	CU_ASSERT_EQUAL(st_output(text, sizeof text), 19);
	st_close_all();
}

static const struct test_case cases[] = {
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
};

static int init(void)
{
	signal(SIGPIPE, SIG_IGN);
	return 0;
}

const struct test_suite serial_output_suite = {.name = "serial_output", .cases = cases, .n_cases = sizeof cases / sizeof cases[0], .init = init};
