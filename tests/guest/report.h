/* What the run found out, and its end. Each line starts with "vmm-balloon guest: ". */
#ifndef TESTS_GUEST_REPORT_H
#define TESTS_GUEST_REPORT_H

/* One line. Formats: tests/guest/serial.h. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* "PASS", then the power goes off: the VM's exit status is 0. */
void pass(void) __attribute__((noreturn));

/* "FAIL: ...", then pvpanic: the VM's exit status is 3. Any ring. */
void fail(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

#endif
