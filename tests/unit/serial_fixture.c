#include "tests/unit/serial_fixture.h"

#include <CUnit/CUnit.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

struct serial_test st;

uint8_t st_in(unsigned reg)
{
	return (uint8_t)fakeloop_in(&st.loop, ST_PORT + reg, 1);
}

void st_out(unsigned reg, uint8_t value)
{
	fakeloop_out(&st.loop, ST_PORT + reg, 1, value);
}

void st_begin_with(const struct serial_config_board *config)
{
	fakeloop_init(&st.loop);
	st.dev = fakeloop_create(&st.loop, &serial_class, "serial", config);
}

void st_begin_filtered(size_t (*filter)(void *, uint8_t *, size_t))
{
	CU_ASSERT_EQUAL_FATAL(pipe2(st.in_pipe, O_NONBLOCK), 0);
	CU_ASSERT_EQUAL_FATAL(pipe2(st.out_pipe, O_NONBLOCK), 0);
	struct serial_config_board config = {.port = ST_PORT, .gsi = ST_GSI, .fd_in = st.in_pipe[0], .fd_out = st.out_pipe[1], .filter = filter};
	st_begin_with(&config);
}

void st_begin(void)
{
	st_begin_filtered(NULL);
}

void st_close_all(void)
{
	for (int i = 0; i < 2; i++) {
		close(st.in_pipe[i]);
		close(st.out_pipe[i]);
	}
}

void st_end(void)
{
	device_destroy(st.dev);
	CU_ASSERT_EQUAL(st.loop.n_regions, 0);
	CU_ASSERT_EQUAL(st.loop.n_watches, 0);
	CU_ASSERT_PTR_NULL(st.loop.timers);
	st_close_all();
}

void st_type(const char *text)
{
	CU_ASSERT_EQUAL(write(st.in_pipe[1], text, strlen(text)), (ssize_t)strlen(text));
	fakeloop_run(&st.loop);
}

size_t st_output(char *text, size_t size)
{
	size_t len = 0;
	ssize_t n;

	while (len < size && (n = read(st.out_pipe[0], text + len, size - len)) > 0)
		len += (size_t)n;
	return len;
}

size_t st_receive(char *text, size_t size)
{
	size_t len = 0;

	while (len < size - 1 && (st_in(LSR) & 1))
		text[len++] = (char)st_in(DATA);
	text[len] = '\0';
	return len;
}
