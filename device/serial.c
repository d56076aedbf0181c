#include "device/serial.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "device/serial_line.h"

/* Registers by offset, PC16550D data sheet, table 2. With LCR.DLAB the first two are the divisor. */
enum { REG_DATA, REG_IER, REG_IIR_FCR, REG_LCR, REG_MCR, REG_LSR, REG_MSR, REG_SCR };

#define IER_RDA 0x01 /* received data available, also its timeout */
#define IER_THRE 0x02
#define IER_LINE 0x04
#define IER_MODEM 0x08
#define IER_MASK 0x0f

#define IIR_NONE 0x01
#define IIR_MODEM 0x00
#define IIR_THRE 0x02
#define IIR_RDA 0x04
#define IIR_LINE 0x06
#define IIR_TIMEOUT 0x0c
#define IIR_FIFOS 0xc0

#define FCR_ENABLE 0x01
#define FCR_CLEAR_RX 0x02
#define FCR_KEPT 0xc1 /* with the trigger level in the top two bits */

#define LCR_DLAB 0x80

#define MCR_DTR 0x01
#define MCR_RTS 0x02
#define MCR_OUT1 0x04
#define MCR_OUT2 0x08
#define MCR_LOOP 0x10
#define MCR_MASK 0x1f

#define LSR_DATA_READY 0x01
#define LSR_OVERRUN 0x02
#define LSR_THRE 0x20
#define LSR_TEMT 0x40

/* The low half tells which of the high half changed; RI only when it went away. */
#define MSR_RI 0x40
#define MSR_CTS 0x10
#define MSR_DSR 0x20
#define MSR_DCD 0x80

struct serial {
	struct device base;
	struct io_region ports;
	uint32_t gsi;
	bool irq_level;

	uint8_t ier, fcr, lcr, mcr, scr;
	uint8_t modem_lines; /* high half of MSR */
	uint8_t modem_delta; /* low half */
	uint16_t divisor;    /* kept, but the line has no speed */
	bool overrun;
	bool thre_pending; /* the transmitter became empty and nobody was told */
	uint8_t fifo[SERIAL_FIFO_BYTES];
	unsigned fifo_head, fifo_len;
	bool fifo_looped; /* what it holds came from our own transmitter */

	struct serial_line line;
};

static struct serial *from_device(struct device *dev)
{
	return (struct serial *)dev;
}

/* ---- Interrupts ------------------------------------------------------ */

static unsigned rx_trigger(const struct serial *uart)
{
	static const uint8_t triggers[] = {1, 4, 8, 14};

	return uart->fcr & FCR_ENABLE ? triggers[uart->fcr >> 6] : 1;
}

/* The interrupt of the highest priority that is pending and enabled. */
static uint8_t pending_interrupt(const struct serial *uart)
{
	if ((uart->ier & IER_LINE) && uart->overrun)
		return IIR_LINE;
	/* Bytes below the trigger level count as timed out at once: nothing says when the next one comes. */
	if ((uart->ier & IER_RDA) && uart->fifo_len > 0)
		return uart->fifo_len >= rx_trigger(uart) ? IIR_RDA : IIR_TIMEOUT;
	if ((uart->ier & IER_THRE) && uart->thre_pending && ((uart->mcr & MCR_LOOP) || serial_line_wants_more(&uart->line)))
		return IIR_THRE;
	if ((uart->ier & IER_MODEM) && uart->modem_delta)
		return IIR_MODEM;
	return IIR_NONE;
}

static void update_irq(struct serial *uart)
{
	struct host *host = uart->base.host;
	bool level = pending_interrupt(uart) != IIR_NONE;

	if (level == uart->irq_level)
		return;
	uart->irq_level = level;
	host->ops->irq_set(host, uart->gsi, level);
}

/* ---- Receiver and transmitter ---------------------------------------- */

static unsigned fifo_cap(const struct serial *uart)
{
	return uart->fcr & FCR_ENABLE ? SERIAL_FIFO_BYTES : 1;
}

static void fifo_push(struct serial *uart, uint8_t byte)
{
	uart->fifo[(uart->fifo_head + uart->fifo_len) % SERIAL_FIFO_BYTES] = byte;
	uart->fifo_len++;
}

/* Whether the guest lets the other side send. */
static bool is_clear_to_receive(const struct serial *uart)
{
	return !(uart->mcr & MCR_LOOP) && ((uart->mcr & MCR_RTS) || (uart->ier & IER_RDA));
}

static void fill_fifo(struct serial *uart)
{
	uint8_t byte;

	if (uart->fifo_looped && uart->fifo_len > 0)
		return;
	while (is_clear_to_receive(uart) && uart->fifo_len < fifo_cap(uart) && serial_line_get(&uart->line, &byte)) {
		uart->fifo_looped = false;
		fifo_push(uart, byte);
	}
}

static uint8_t receive(struct serial *uart)
{
	if (uart->fifo_len == 0)
		return 0;
	uint8_t byte = uart->fifo[uart->fifo_head];
	uart->fifo_head = (uart->fifo_head + 1) % SERIAL_FIFO_BYTES;
	uart->fifo_len--;
	return byte;
}

/* What came from the line goes back to it. */
static void clear_fifo(struct serial *uart)
{
	while (uart->fifo_len > 0 && !uart->fifo_looped) {
		uart->fifo_len--;
		serial_line_unget(&uart->line, uart->fifo[(uart->fifo_head + uart->fifo_len) % SERIAL_FIFO_BYTES]);
	}
	uart->fifo_len = 0;
}

/* The transmitter takes each byte at once and is empty again. */
static void transmit(struct serial *uart, uint8_t byte)
{
	uart->thre_pending = true;
	if (!(uart->mcr & MCR_LOOP))
		serial_line_put(&uart->line, byte);
	else if (uart->fifo_len < fifo_cap(uart))
		fifo_push(uart, byte);
	else
		uart->overrun = true;
}

/* Input came, or output may go on. */
static void line_changed(struct device *dev)
{
	struct serial *uart = from_device(dev);

	fill_fifo(uart);
	update_irq(uart);
}

/* ---- Registers ------------------------------------------------------- */

/* In loopback the modem control outputs are wired to the inputs; otherwise the other side is always there and ready. */
static uint8_t modem_lines(uint8_t mcr)
{
	if (!(mcr & MCR_LOOP))
		return MSR_DCD | MSR_DSR | MSR_CTS;
	return (mcr & MCR_DTR ? MSR_DSR : 0) | (mcr & MCR_RTS ? MSR_CTS : 0) | (mcr & MCR_OUT1 ? MSR_RI : 0) | (mcr & MCR_OUT2 ? MSR_DCD : 0);
}

static void write_mcr(struct serial *uart, uint8_t value)
{
	if ((value & MCR_LOOP) && !(uart->mcr & MCR_LOOP)) {
		clear_fifo(uart);
		uart->fifo_looped = true;
	}
	uart->mcr = value & MCR_MASK;
	uint8_t lines = modem_lines(uart->mcr);
	uint8_t changed = (lines ^ uart->modem_lines) & (lines & MSR_RI ? ~MSR_RI : 0xff);
	uart->modem_delta |= changed >> 4;
	uart->modem_lines = lines;
}

static void write_ier(struct serial *uart, uint8_t value)
{
	/* Enabling it while the transmitter is empty, which it always is, raises the interrupt. */
	if ((value & IER_THRE) && !(uart->ier & IER_THRE))
		uart->thre_pending = true;
	uart->ier = value & IER_MASK;
}

static void write_fcr(struct serial *uart, uint8_t value)
{
	/* A change of mode clears, too. */
	if (((value ^ uart->fcr) & FCR_ENABLE) || (value & FCR_CLEAR_RX))
		clear_fifo(uart);
	uart->fcr = value & FCR_ENABLE ? value & FCR_KEPT : 0;
}

static void write_reg(struct serial *uart, unsigned reg, uint8_t value)
{
	bool dlab = uart->lcr & LCR_DLAB;

	switch (reg) {
	case REG_DATA:
		if (dlab)
			uart->divisor = (uart->divisor & 0xff00) | value;
		else
			transmit(uart, value);
		break;
	case REG_IER:
		if (dlab)
			uart->divisor = (uint16_t)(value << 8 | (uart->divisor & 0xff));
		else
			write_ier(uart, value);
		break;
	case REG_IIR_FCR:
		write_fcr(uart, value);
		break;
	case REG_LCR:
		uart->lcr = value;
		break;
	case REG_MCR:
		write_mcr(uart, value);
		break;
	case REG_SCR:
		uart->scr = value;
		break;
	default: /* the status registers are not for writing */
		break;
	}
}

static uint8_t read_iir(struct serial *uart)
{
	uint8_t pending = pending_interrupt(uart);

	/* Reading it is how a driver says that it knows of the empty transmitter. */
	if (pending == IIR_THRE)
		uart->thre_pending = false;
	return pending | (uart->fcr & FCR_ENABLE ? IIR_FIFOS : 0);
}

static uint8_t read_lsr(struct serial *uart)
{
	uint8_t value = LSR_THRE | LSR_TEMT | (uart->fifo_len > 0 ? LSR_DATA_READY : 0) | (uart->overrun ? LSR_OVERRUN : 0);

	uart->overrun = false;
	return value;
}

static uint8_t read_msr(struct serial *uart)
{
	uint8_t value = uart->modem_lines | uart->modem_delta;

	uart->modem_delta = 0;
	return value;
}

static uint8_t read_reg(struct serial *uart, unsigned reg)
{
	bool dlab = uart->lcr & LCR_DLAB;

	switch (reg) {
	case REG_DATA:
		return dlab ? uart->divisor & 0xff : receive(uart);
	case REG_IER:
		return dlab ? uart->divisor >> 8 : uart->ier;
	case REG_IIR_FCR:
		return read_iir(uart);
	case REG_LCR:
		return uart->lcr;
	case REG_MCR:
		return uart->mcr;
	case REG_LSR:
		return read_lsr(uart);
	case REG_MSR:
		return read_msr(uart);
	default:
		return uart->scr;
	}
}

/* An access of several bytes reaches an eight-bit device as that many accesses. */
static uint64_t ports_read(void *opaque, uint64_t offset, unsigned size)
{
	struct serial *uart = opaque;
	uint64_t value = 0;

	pthread_mutex_lock(&uart->base.lock);
	for (unsigned i = 0; i < size; i++)
		value |= (uint64_t)read_reg(uart, (unsigned)offset + i) << (8 * i);
	fill_fifo(uart);
	update_irq(uart);
	pthread_mutex_unlock(&uart->base.lock);
	return value;
}

static void ports_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
	struct serial *uart = opaque;

	pthread_mutex_lock(&uart->base.lock);
	for (unsigned i = 0; i < size; i++)
		write_reg(uart, (unsigned)offset + i, (uint8_t)(value >> (8 * i)));
	fill_fifo(uart);
	update_irq(uart);
	pthread_mutex_unlock(&uart->base.lock);
}

static const struct io_ops port_ops = {.read = ports_read, .write = ports_write};

/* ---- Class ----------------------------------------------------------- */

/* What is on the line in either direction stays there. Under the lock, or before others know the device. */
static void set_power_on_state(struct serial *uart)
{
	uart->ier = uart->fcr = uart->lcr = uart->mcr = uart->scr = 0;
	uart->modem_lines = modem_lines(0);
	uart->modem_delta = 0;
	uart->divisor = 0;
	uart->overrun = false;
	uart->thre_pending = false;
	clear_fifo(uart);
	uart->fifo_looped = false;
}

static void reset(struct device *dev)
{
	struct serial *uart = from_device(dev);

	pthread_mutex_lock(&dev->lock);
	set_power_on_state(uart);
	update_irq(uart);
	pthread_mutex_unlock(&dev->lock);
}

static int create(const struct device_init *init, struct device **out)
{
	const struct serial_config_board *config = init->config;
	struct serial *uart = calloc(1, sizeof *uart);
	if (!uart)
		return -ENOMEM;

	int ret = device_init(&uart->base, &serial_class, init);
	if (ret < 0)
		goto free_uart;
	uart->gsi = config->gsi;
	set_power_on_state(uart);
	uart->ports = (struct io_region){.space = IO_PIO, .base = config->port, .len = SERIAL_N_PORTS, .ops = &port_ops, .opaque = uart};
	ret = init->host->ops->io_map(init->host, &uart->ports);
	if (ret < 0)
		goto finish_device;
	serial_line_init(&uart->line, &uart->base, config, line_changed);
	*out = &uart->base;
	return 0;

finish_device:
	log_line(LOG_LEVEL_ERROR, init->id, "cannot map ports 0x%" PRIx64, config->port);
	device_finish(&uart->base);
free_uart:
	free(uart);
	return ret;
}

static void destroy(struct device *dev)
{
	struct serial *uart = from_device(dev);

	dev->host->ops->io_unmap(dev->host, &uart->ports);
	serial_line_finish(&uart->line);
	device_finish(dev);
	free(uart);
}

const struct device_class serial_class = {
	.driver = {.name = "serial", .desc = "16550A serial port"},
	.create = create,
	.reset = reset,
	.destroy = destroy,
};
