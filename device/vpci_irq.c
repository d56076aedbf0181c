/* How a virtio device's driver is told: used buffers and changes of the configuration, by MSI-X or by the interrupt line. */
#include "device/vpci_impl.h"

#define ISR_QUEUE 1
#define ISR_CONFIG 2

void vpci_update_intx(struct vpci *vpci)
{
	pci_function_set_intx(&vpci->fn, vpci->isr && !msix_is_enabled(&vpci->msix));
}

void vpci_signal_queue(struct vpci *vpci, unsigned index)
{
	if (!virtq_should_signal(&vpci->queues[index].vq))
		return;
	if (msix_is_enabled(&vpci->msix)) {
		msix_notify(&vpci->msix, vpci->queues[index].vector); /* NO_VECTOR is out of range: silent */
		return;
	}
	vpci->isr |= ISR_QUEUE;
	vpci_update_intx(vpci);
}

/* The ISR bit is set even with MSI-X: section 4.1.4.5.1 makes no exception for it. */
void vpci_signal_config(struct vpci *vpci)
{
	vpci->isr |= ISR_CONFIG;
	if (msix_is_enabled(&vpci->msix))
		msix_notify(&vpci->msix, vpci->config_vector);
	else
		vpci_update_intx(vpci);
}

uint8_t vpci_take_isr(struct vpci *vpci)
{
	uint8_t isr = vpci->isr;
	vpci->isr = 0;
	vpci_update_intx(vpci);
	return isr;
}

/*
 * The generation need only move if the driver read something since it last
 * moved; moving it at every change could take it round 256 steps to the same
 * value between two reads of the driver.
 */
void vpci_config_changed(struct vpci *vpci)
{
	if (vpci_is_suspended(vpci)) {
		vpci->config_is_late = true;
		return;
	}
	if (vpci->config_was_read) {
		vpci->generation++;
		vpci->config_was_read = false;
	}
	if (vpci_is_running(vpci))
		vpci_signal_config(vpci);
}
