/* Between vpci.c, which knows what registers do, and vpci_regs.c, which knows where they are. Device lock held for all. */
#ifndef DEVICE_VPCI_REGS_H
#define DEVICE_VPCI_REGS_H

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

/* In vpci_regs.c: one access to the BAR, from wherever it comes. size 1, 2, 4 or 8; anything else, or past the end, reads 0 and writes nothing. */
extern const struct io_ops vpci_bar_ops;
uint64_t vpci_bar_read(struct vpci *vpci, uint64_t offset, unsigned size);
void vpci_bar_write(struct vpci *vpci, uint64_t offset, unsigned size, uint64_t value);

/* In vpci.c. */
struct vpci_queue *vpci_selected_queue(struct vpci *vpci); /* NULL when queue_select names none that exists */
void vpci_write_status(struct vpci *vpci, uint8_t value);
void vpci_enable_queue(struct vpci *vpci, struct vpci_queue *queue);
void vpci_reset_queue(struct vpci *vpci, struct vpci_queue *queue);
void vpci_kick(struct vpci *vpci, unsigned index);
void vpci_kick_later(struct vpci *vpci, unsigned index); /* from the event loop; any thread, without the lock */
void vpci_settle(struct vpci *vpci);			 /* at the end of each access that may change something */
uint8_t vpci_take_isr(struct vpci *vpci);		 /* reads and clears */

#endif
