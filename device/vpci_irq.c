/* How a virtio device's driver is told: used buffers and changes of the configuration, by MSI-X or by the interrupt line. */
#include "device/vpci_impl.h"

#define ISR_QUEUE 1
#define ISR_CONFIG 2

void vpci_update_intx(struct vpci *vpci)
{
	pci_function_set_intx(&vpci->fn, vpci->isr && !msix_is_enabled(&vpci->msix));
}

static void signal_now(struct vpci *vpci, unsigned index)
{
	vpci->held &= ~(1u << index);
	if (!virtq_should_signal(&vpci->queues[index].vq))
		return;
	if (msix_is_enabled(&vpci->msix)) {
		msix_notify(&vpci->msix, vpci->queues[index].vector); /* NO_VECTOR is out of range: silent */
		return;
	}
	vpci->isr |= ISR_QUEUE;
	vpci_update_intx(vpci);
}

/* ---- Interrupts that may not be needed ------------------------------- */

/*
 * A request that is served within its kick is back before the driver can have
 * gone to sleep. Linux's balloon driver looks at the ring before it does
 * (tell_host() in drivers/virtio/virtio_balloon.c), and an interrupt would only
 * take the guest's time. So it is held back for as long as such a driver may take
 * to look. With event indices the ring shows whether it has: it asks for another
 * interrupt then (section 2.7.7.1). One that has not is told now, and for its next
 * requests at once, twice as many each time: it pays for few of them.
 */
#define HOLD_MS 10
#define FIRST_PROMPT 16
#define MOST_PROMPT 65536
#define MOST_HELD 0x4000 /* indices go round at 0x10000 */

static bool may_hold(const struct vpci *vpci, const struct vpci_queue *q)
{
	return vpci->is_kicked && q->vq.event_idx && !q->n_prompt && (uint16_t)(q->vq.used_idx - q->vq.signalled) < MOST_HELD;
}

static void arm(struct vpci *vpci)
{
	if (!vpci->hold_is_armed && vpci->held)
		vpci->dev->host->ops->timer_arm(vpci->dev->host, &vpci->hold_timer, HOLD_MS);
	vpci->hold_is_armed |= vpci->held != 0;
}

static void hold(struct vpci *vpci, unsigned index)
{
	if (!(vpci->held >> index & 1))
		vpci->queues[index].held_idx = vpci->queues[index].vq.used_idx;
	vpci->held |= 1u << index;
	arm(vpci);
}

void vpci_signal_queue(struct vpci *vpci, unsigned index)
{
	struct vpci_queue *q = &vpci->queues[index];
	if (may_hold(vpci, q) && virtq_wants_signal(&q->vq)) {
		hold(vpci, index);
		return;
	}
	if (vpci->is_kicked && q->n_prompt)
		q->n_prompt--;
	signal_now(vpci, index);
}

static void end_hold(struct vpci *vpci, unsigned index)
{
	struct vpci_queue *q = &vpci->queues[index];
	bool sleeps = virtq_wants_signal(&q->vq);
	if (sleeps && q->held_idx != q->vq.used_idx) {
		q->held_idx = q->vq.used_idx; /* it goes on, and may be about to look at this very request */
		return;
	}
	q->prompts = !sleeps ? 0 : !q->prompts ? FIRST_PROMPT : q->prompts < MOST_PROMPT ? 2 * q->prompts : MOST_PROMPT;
	q->n_prompt = q->prompts;
	signal_now(vpci, index);
}

void vpci_end_hold(void *opaque)
{
	struct vpci *vpci = opaque;
	pthread_mutex_lock(&vpci->dev->lock);
	vpci->hold_is_armed = false;
	for (uint32_t left = vpci->held; left; left &= left - 1)
		end_hold(vpci, (unsigned)__builtin_ctz(left));
	arm(vpci);
	pthread_mutex_unlock(&vpci->dev->lock);
}

void vpci_signal_held(struct vpci *vpci)
{
	for (uint32_t left = vpci->held; left; left &= left - 1)
		signal_now(vpci, (unsigned)__builtin_ctz(left));
}

void vpci_forget_held(struct vpci *vpci)
{
	vpci->held = 0;
	vpci->hold_is_armed = false;
	vpci->dev->host->ops->timer_cancel(vpci->dev->host, &vpci->hold_timer);
}

/* ---- Configuration --------------------------------------------------- */

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
