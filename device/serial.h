/*
 * A 16550A UART (National Semiconductor PC16550D): the guest's serial console.
 *
 * Output. A byte that the guest writes goes into a buffer of
 * SERIAL_OUT_BUFFER bytes, and the event loop writes that to fd_out: a vCPU
 * never waits for a terminal or a pipe. The transmitter is always ready
 * (LSR.THRE), so a kernel that polls never waits either. A driver that works by
 * interrupts is slowed down to the speed of the reader: above half a buffer the
 * THRE interrupt waits until the buffer drains, so a slow reader loses nothing.
 * When fd_out takes nothing for SERIAL_STALL_MS the interrupt comes anyway;
 * bytes that find the buffer full are dropped and counted in a log line. A dead
 * fd_out swallows everything. The VM goes on in each case.
 *
 * Input. The event loop reads fd_in into a buffer of SERIAL_IN_BUFFER bytes,
 * from which the receiver's FIFO is filled. As on a line with hardware flow
 * control, bytes wait until the guest raises MCR.RTS or enables the receive
 * interrupt; and what a guest clears from the FIFO unread, as each driver does
 * when it starts, comes again. So what is piped in reaches whoever reads
 * first, whole. End of file and errors end the input, and only that.
 *
 * Without a filter, what the guest has no room for stays in fd_in (a pipe or a
 * file waits). With one, fd_in is read always, so that the filter sees every
 * key even when the guest reads none; what finds no room is dropped.
 *
 * The process must ignore SIGPIPE.
 */
#ifndef DEVICE_SERIAL_H
#define DEVICE_SERIAL_H

#include <stddef.h>
#include <stdint.h>

#include "device/device.h"

#define SERIAL_N_PORTS 8
#define SERIAL_OUT_BUFFER 65536
#define SERIAL_IN_BUFFER 4096
#define SERIAL_STALL_MS 1000

struct serial_config_board {
	uint64_t port; /* first of SERIAL_N_PORTS */
	uint32_t gsi;
	/*
	 * -1: none. Otherwise a file, or an open file description in
	 * O_NONBLOCK mode (cli/terminal.h makes one of a terminal or a pipe).
	 * Stays the caller's, and open longer than the device.
	 */
	int fd_out;
	int fd_in; /* as fd_out; -1: no input */
	/*
	 * Takes out of `bytes` what is not for the guest and returns how many are
	 * left, at most len. Event-loop thread, without the device's lock. NULL
	 * for none.
	 */
	size_t (*filter)(void *opaque, uint8_t *bytes, size_t len);
	void *filter_opaque;
};

/*
 * Config: struct serial_config_board. Input starts with the event loop.
 * Destroying it writes out what fd_out takes within SERIAL_STALL_MS; the event
 * loop must not run any more.
 */
extern const struct device_class serial_class;

#endif
