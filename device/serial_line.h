/*
 * What the serial port's wire leads to: two file descriptors with a buffer in
 * front of each. device/serial.h says what it does when they are slow or dead.
 *
 * Lock: the device's. Calls that say "locked" are made with it held; the rest
 * of the work is done by callbacks on the event-loop thread that take it.
 */
#ifndef DEVICE_SERIAL_LINE_H
#define DEVICE_SERIAL_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "device/serial.h"
#include "util/log.h"

/* The receiver's. */
#define SERIAL_FIFO_BYTES 16

/* Bytes in the order in which they came. */
struct byte_ring {
	uint8_t *data;
	size_t cap, head, len;
};

struct serial_line {
	struct device *dev;
	void (*changed)(struct device *dev); /* locked: input came, or output may go on */
	size_t (*filter)(void *opaque, uint8_t *bytes, size_t len);
	void *filter_opaque;

	struct byte_ring in;
	struct host_watch in_watch;
	struct host_work in_work;
	bool in_ended;	  /* no fd, end of file, or an error */
	bool in_pollable; /* not a regular file, which epoll refuses and which is always ready */
	bool in_paused;	  /* no room: reading goes on when the guest has made some */

	struct byte_ring out;
	struct host_watch out_watch;
	struct host_work out_work;
	struct host_timer stall_timer;
	bool out_dead;	  /* nobody will ever read it */
	bool out_waiting; /* out_watch tells when the fd takes more */
	bool paced;	  /* the driver waits for room */
	bool stalled;	  /* the fd took nothing for SERIAL_STALL_MS */
	uint64_t lost_bytes, reported_bytes;
	struct log_limit lost_limit, error_limit;

	uint8_t in_bytes[SERIAL_IN_BUFFER + SERIAL_FIFO_BYTES];
	uint8_t out_bytes[SERIAL_OUT_BUFFER];
};

/* Input starts with the event loop. `dev` is initialised and outlives the line. */
void serial_line_init(struct serial_line *line, struct device *dev, const struct serial_config_board *config, void (*changed)(struct device *dev));

/* Writes out what fd_out takes within SERIAL_STALL_MS. Loop thread, the loop does not run any more. */
void serial_line_finish(struct serial_line *line);

/* Locked. Sends a byte; never fails, it may be dropped. */
void serial_line_put(struct serial_line *line, uint8_t byte);

/* Locked. Whether a driver that waits for room should send on. */
bool serial_line_wants_more(const struct serial_line *line);

/* Locked. Takes the next byte of the input; false when there is none. */
bool serial_line_get(struct serial_line *line, uint8_t *byte);

/* Locked. Makes a byte that was taken the next one again; up to SERIAL_FIFO_BYTES of them. */
void serial_line_unget(struct serial_line *line, uint8_t byte);

#endif
