/*
 * Inside of the transport, shared by its files:
 *
 *   vpci.c           features, queues, status: what registers do
 *   vpci_regs.c      where registers are
 *   vpci_irq.c       how the driver is told
 *   vpci_function.c  the PCI function, life
 *
 * Everything here is called with the device's lock held, but for what says otherwise.
 */
#ifndef DEVICE_VPCI_IMPL_H
#define DEVICE_VPCI_IMPL_H

#include "device/vpci.h"

#define VPCI_BAR 0
#define VPCI_BAR_LEN 0x2000u
#define VPCI_COMMON_OFFSET 0x0000u
#define VPCI_COMMON_LEN 64u
#define VPCI_DEVICE_OFFSET 0x0100u
#define VPCI_ISR_OFFSET 0x0200u
#define VPCI_ISR_LEN 4u
#define VPCI_NOTIFY_OFFSET 0x0300u
#define VPCI_NOTIFY_MULTIPLIER 4u
#define VPCI_MSIX_TABLE_OFFSET 0x1000u
#define VPCI_MSIX_PBA_OFFSET 0x1800u

/* Kernel headers know them late or not yet. */
#define VPCI_F_RING_RESET 40 /* VIRTIO_F_RING_RESET */
#define VPCI_F_SUSPEND 43    /* VIRTIO_F_SUSPEND, VIRTIO 1.4 section 6 */

/* vpci_regs.c: one access to the BAR, from wherever it comes. size 1, 2, 4 or 8; anything else, or past the end, reads 0 and writes nothing. */
extern const struct io_ops vpci_bar_ops;
uint64_t vpci_bar_read(struct vpci *vpci, uint64_t offset, unsigned size);
void vpci_bar_write(struct vpci *vpci, uint64_t offset, unsigned size, uint64_t value);

/* vpci.c */
struct vpci_queue *vpci_selected_queue(struct vpci *vpci); /* NULL when queue_select names none that exists */
void vpci_write_status(struct vpci *vpci, uint8_t value);
void vpci_enable_queue(struct vpci *vpci, struct vpci_queue *queue);
void vpci_reset_queue(struct vpci *vpci, struct vpci_queue *queue);
void vpci_kick(struct vpci *vpci, unsigned index);
void vpci_kick_later(struct vpci *vpci, unsigned index); /* from the event loop; any thread, without the lock */
void vpci_settle(struct vpci *vpci);			 /* at the end of each access that may change something */
bool vpci_is_running(const struct vpci *vpci);		 /* DRIVER_OK is set and nothing is wrong */
void vpci_command_written(struct vpci *vpci);		 /* the function may have become a bus master */
void vpci_reset(struct vpci *vpci);			 /* as the driver does it */
void vpci_run_pending(void *opaque);			 /* of vpci->work; without the lock */

/* vpci_irq.c */
void vpci_update_intx(struct vpci *vpci); /* what the line depends on has changed */
void vpci_signal_config(struct vpci *vpci);
uint8_t vpci_take_isr(struct vpci *vpci); /* reads and clears */
void vpci_end_hold(void *opaque);	  /* of vpci->hold_timer; without the lock */
void vpci_signal_held(struct vpci *vpci); /* what is held back goes, where it is still wanted */
void vpci_forget_held(struct vpci *vpci);

#endif
