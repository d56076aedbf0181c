/* COM1, by polling. */
#ifndef TESTS_GUEST_SERIAL_H
#define TESTS_GUEST_SERIAL_H

#include <stdarg.h>

/* Turns the FIFO on. Once, before anything is printed. */
void serial_init(void);

/*
 * Prints as printf does; knows %s %c %u %lu %x %lx, # before x, and %%. A
 * newline goes out as CR LF.
 */
void serial_print(const char *format, ...) __attribute__((format(printf, 1, 2)));
void serial_vprint(const char *format, va_list args) __attribute__((format(printf, 1, 0)));

#endif
