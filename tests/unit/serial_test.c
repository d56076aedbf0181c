#include <CUnit/CUnit.h>

#include "tests/unit/serial_fixture.h"
#include "tests/unit/suite.h"

static void linux_finds_a_16550a(void)
{
	st_begin();
	st_out(IER, 0);
	CU_ASSERT_EQUAL(st_in(IER) & 0x0f, 0);
	st_out(IER, 0x0f);
	CU_ASSERT_EQUAL(st_in(IER) & 0x0f, 0x0f);
	st_out(IER, 0);
	uint8_t mcr = st_in(MCR);
	st_out(MCR, 0x1a);
	CU_ASSERT_EQUAL(st_in(MSR) & 0xf0, 0x90);
	st_out(MCR, mcr);
	st_out(LCR, 0xbf);
	st_out(IIR, 0);
	st_out(LCR, 0);
	st_out(IIR, 1);
	CU_ASSERT_EQUAL(st_in(IIR) >> 6, 3);
	st_out(LCR, 0x80);
	CU_ASSERT_NOT_EQUAL(st_in(IIR), 0); /* no extended features */
	st_out(LCR, 0xbf);
	CU_ASSERT_NOT_EQUAL(st_in(IIR), 0);
	st_out(LCR, 0xe0);
	uint8_t excr1 = st_in(IIR); /* not National's second bank */
	st_out(LCR, 0);
	st_out(MCR, mcr ^ 0x10);
	st_out(LCR, 0xe0);
	CU_ASSERT_EQUAL((st_in(IIR) ^ excr1) & 0x10, 0);
	st_out(LCR, 0);
	st_out(MCR, mcr);
	st_out(IIR, 0x21); /* not a 16750 with 64 bytes */
	CU_ASSERT_EQUAL(st_in(IIR) >> 5, 6);
	st_out(LCR, 0x80);
	st_out(IIR, 0x21);
	CU_ASSERT_EQUAL(st_in(IIR) >> 5, 6);
	st_out(LCR, 0);
	st_out(IER, 0x40); /* not an XScale */
	CU_ASSERT_EQUAL(st_in(IER), 0);
	st_end();
}

/* serial8250_do_startup(): no UART_BUG_THRE, no UART_BUG_TXEN. */
static void linux_trusts_the_thre_interrupt(void)
{
	st_begin();
	st_out(IIR, 1);
	CU_ASSERT_EQUAL(st_in(LSR), 0x60);
	for (int i = 0; i < 2; i++) {
		st_out(IER, 2);
		CU_ASSERT_TRUE(st.loop.irq[ST_GSI]);
		CU_ASSERT_EQUAL(st_in(IIR), 0xc2);
		CU_ASSERT_FALSE(st.loop.irq[ST_GSI]);
		CU_ASSERT_EQUAL(st_in(IIR), 0xc1);
		st_out(IER, 0);
	}
	st_end();
}

/* size_fifo(): a FIFO of 16 in loopback, and nothing of it on the line. */
static void loopback_has_sixteen_bytes(void)
{
	char text[8];

	st_begin();
	st_out(IIR, 7);
	st_out(MCR, 0x10);
	for (unsigned i = 0; i < 256; i++)
		st_out(DATA, (uint8_t)i);
	CU_ASSERT_EQUAL(st_in(LSR) & 3, 3); /* data, and an overrun */
	CU_ASSERT_EQUAL(st_in(LSR) & 3, 1);
	unsigned n = 0;
	for (; st_in(LSR) & 1; n++)
		CU_ASSERT_EQUAL(st_in(DATA), n);
	CU_ASSERT_EQUAL(n, 16);
	st_out(MCR, 0);
	fakeloop_run(&st.loop);
	CU_ASSERT_EQUAL(st_output(text, sizeof text), 0);
	st_end();
}

static void registers_keep_their_bits(void)
{
	st_begin();
	st_out(SCR, 0xa5);
	CU_ASSERT_EQUAL(st_in(SCR), 0xa5);
	st_out(LCR, 0x83);
	st_out(DATA, 0x34);
	st_out(IER, 0x12);
	CU_ASSERT_EQUAL(st_in(DATA), 0x34);
	CU_ASSERT_EQUAL(st_in(IER), 0x12);
	st_out(LCR, 3);
	CU_ASSERT_EQUAL(st_in(IER), 0);
	st_out(MCR, 0xff);
	CU_ASSERT_EQUAL(st_in(MCR), 0x1f);
	CU_ASSERT_EQUAL(st_in(IIR), 0x01); /* no FIFO before it is enabled */
	fakeloop_out(&st.loop, ST_PORT + LCR, 2, 0x0b1b);
	CU_ASSERT_EQUAL(fakeloop_in(&st.loop, ST_PORT + LCR, 2), 0x0b1b);
	st_end();
}

static void modem_status_tells_what_changed(void)
{
	st_begin();
	CU_ASSERT_EQUAL(st_in(MSR), 0xb0);
	st_out(IER, 8);
	st_out(MCR, 0x14); /* loopback with OUT1: only RI */
	CU_ASSERT_TRUE(st.loop.irq[ST_GSI]);
	CU_ASSERT_EQUAL(st_in(IIR) & 0x0f, 0);
	CU_ASSERT_EQUAL(st_in(MSR), 0x4b); /* RI rose: no delta of its own */
	CU_ASSERT_FALSE(st.loop.irq[ST_GSI]);
	st_out(MCR, 0x10);
	CU_ASSERT_EQUAL(st_in(MSR), 0x04); /* RI fell */
	CU_ASSERT_EQUAL(st_in(MSR), 0x00);
	st_end();
}

static void looped_bytes_do_not_get_on_the_line(void)
{
	char text[64];

	st_begin();
	st_type("real");
	st_out(IIR, 1);
	st_out(MCR, 0x12);
	st_out(DATA, 'L');
	st_out(MCR, 2);
	CU_ASSERT_EQUAL(st_receive(text, sizeof text), 5);
	CU_ASSERT_STRING_EQUAL(text, "Lreal");
	st_type("more");
	st_out(MCR, 0x12);
	st_out(DATA, 'L');
	st_out(IIR, 3); /* gone */
	CU_ASSERT_EQUAL(st_in(LSR) & 1, 0);
	st_out(MCR, 2);
	st_receive(text, sizeof text);
	CU_ASSERT_STRING_EQUAL(text, "more");
	st_end();
}

static void reset_keeps_what_is_on_the_line(void)
{
	char text[64];

	st_begin();
	st_out(IIR, 1);
	st_out(IER, 2);
	st_out(LCR, 3);
	st_out(DATA, 'a');
	CU_ASSERT_TRUE(st.loop.irq[ST_GSI]);
	device_reset(st.dev);
	CU_ASSERT_FALSE(st.loop.irq[ST_GSI]);
	CU_ASSERT_EQUAL(st_in(IER), 0);
	CU_ASSERT_EQUAL(st_in(LCR), 0);
	CU_ASSERT_EQUAL(st_in(IIR), 1);
	fakeloop_run(&st.loop);
	CU_ASSERT_EQUAL(st_output(text, sizeof text), 1);
	st_end();
}

static const struct test_case cases[] = {
	{"Linux finds a 16550A", linux_finds_a_16550a},
	{"Linux trusts the THRE interrupt", linux_trusts_the_thre_interrupt},
	{"loopback has sixteen bytes", loopback_has_sixteen_bytes},
	{"registers keep their bits", registers_keep_their_bits},
	{"modem status tells what changed", modem_status_tells_what_changed},
	{"looped bytes do not get on the line", looped_bytes_do_not_get_on_the_line},
	{"reset keeps what is on the line", reset_keeps_what_is_on_the_line},
};

TEST_SUITE(serial, cases);
