/* A serial port on a fake event loop, with a pipe for what goes in and one for what comes out. */
#ifndef TESTS_UNIT_SERIAL_FIXTURE_H
#define TESTS_UNIT_SERIAL_FIXTURE_H

#include <stddef.h>
#include <stdint.h>

#include "device/serial.h"
#include "tests/unit/fakeloop.h"

#define ST_PORT 0x3f8
#define ST_GSI 4
enum { DATA, IER, IIR, LCR, MCR, LSR, MSR, SCR };

struct serial_test {
	struct fakeloop loop;
	struct device *dev;
	int in_pipe[2], out_pipe[2]; /* [0] is for reading */
};
extern struct serial_test st;

/* With a configuration of one's own there are no pipes. */
void st_begin_with(const struct serial_config_board *config);
void st_begin_filtered(size_t (*filter)(void *, uint8_t *, size_t));
void st_begin(void);
void st_close_all(void); /* the pipes */
void st_end(void);

uint8_t st_in(unsigned reg);
void st_out(unsigned reg, uint8_t value);

void st_type(const char *text);

/* Reads all that came out; returns its length. */
size_t st_output(char *text, size_t size);

/* As a driver reads: while there is something. */
size_t st_receive(char *text, size_t size);

#endif
