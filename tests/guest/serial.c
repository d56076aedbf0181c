#include "tests/guest/serial.h"

#include <stdbool.h>
#include <stddef.h>

#include "kvm/board.h"
#include "tests/guest/x86.h"

/* Registers and bits of a 16550, as in <linux/serial_reg.h>. */
#define REG_DATA (BOARD_PORT_SERIAL + 0)
#define REG_INTERRUPTS (BOARD_PORT_SERIAL + 1)
#define REG_FIFO (BOARD_PORT_SERIAL + 2)
#define REG_LINE_STATUS (BOARD_PORT_SERIAL + 5)
#define FIFO_ENABLE_AND_CLEAR 0x07
#define LINE_STATUS_EMPTY 0x20 /* the transmit FIFO */
#define FIFO_LEN 16

/* A port access leaves the VM, which costs tens of microseconds: an absent or stuck UART must not cost minutes. */
#define MAX_STATUS_READS 10000

void serial_init(void)
{
	out8(REG_INTERRUPTS, 0);
	out8(REG_FIFO, FIFO_ENABLE_AND_CLEAR);
}

static void put(char c)
{
	static unsigned room; /* in the FIFO */
	for (unsigned reads = 0; !room; reads++)
		if ((in8(REG_LINE_STATUS) & LINE_STATUS_EMPTY) || reads == MAX_STATUS_READS)
			room = FIFO_LEN;
	out8(REG_DATA, (uint8_t)c);
	room--;
}

static void put_string(const char *s)
{
	while (*s)
		put(*s++);
}

static void put_number(uint64_t value, unsigned base)
{
	char digits[21];
	size_t i = sizeof digits;
	digits[--i] = '\0';
	do
		digits[--i] = "0123456789abcdef"[value % base];
	while (value /= base);
	put_string(digits + i);
}

static void put_char(char c)
{
	if (c == '\n')
		put('\r');
	put(c);
}

void serial_vprint(const char *format, va_list args)
{
	for (const char *p = format; *p; p++) {
		if (*p != '%') {
			put_char(*p);
			continue;
		}
		bool prefix = p[1] == '#';
		p += prefix;
		bool is_long = p[1] == 'l';
		p += is_long;
		switch (*++p) {
		case 's':
			put_string(va_arg(args, const char *));
			break;
		case 'c':
			put_char((char)va_arg(args, int));
			break;
		case 'u':
			put_number(is_long ? va_arg(args, unsigned long) : va_arg(args, unsigned), 10);
			break;
		case 'x':
			put_string(prefix ? "0x" : "");
			put_number(is_long ? va_arg(args, unsigned long) : va_arg(args, unsigned), 16);
			break;
		default:
			put('%');
		}
	}
}

void serial_print(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	serial_vprint(format, args);
	va_end(args);
}
