#include "device/vpci.h"

#include <CUnit/CUnit.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/fakeguest.h"
#include "tests/unit/suite.h"

/*
 * A second virtio device, as small as can be: it counts. Queue 0 takes one
 * chain a wakeup, queue 1 all of them; eight bytes of configuration.
 */
struct counter {
	struct device dev;
	struct vpci vpci;
	struct virtq_chain chain;
	uint8_t config[8];
	unsigned runs[2], chains[2], driver_oks, resets, queue_resets;
};

#define F_COUNTER FG_BIT(7)

static struct counter *of(struct vpci *vpci)
{
	return container_of(vpci, struct counter, vpci);
}

static void config_read(struct vpci *vpci, uint32_t offset, uint8_t *bytes, uint32_t len)
{
	memcpy(bytes, of(vpci)->config + offset, len);
}

static void config_write(struct vpci *vpci, uint32_t offset, const uint8_t *bytes, uint32_t len)
{
	memcpy(of(vpci)->config + offset, bytes, len);
}

static bool has_queue(const struct vpci *vpci, unsigned index)
{
	return index == 0 || vpci_has_feature(vpci, 7);
}

static void driver_ok(struct vpci *vpci)
{
	of(vpci)->driver_oks++;
}

static bool queue_run(struct vpci *vpci, unsigned index)
{
	struct counter *c = of(vpci);
	struct virtq *vq = &vpci->queues[index].vq;
	int got = 0;
	c->runs[index]++;
	do {
		got = virtq_next(vq, &c->chain);
		if (got > 0) {
			c->chains[index]++;
			virtq_push(vq, c->chain.head, 0);
		}
	} while (got > 0 && index == 1);
	if (got < 0)
		vpci_queue_broken(vpci, index);
	vpci_signal_queue(vpci, index);
	return got > 0;
}

static void queue_reset(struct vpci *vpci, unsigned index)
{
	(void)index;
	of(vpci)->queue_resets++;
}

static void reset_type(struct vpci *vpci)
{
	of(vpci)->resets++;
}

static const uint16_t sizes[] = {128, 16};
static const struct vpci_type counter_type = {
	.device_type = 4,
	.pci_class = 0x00FF00,
	.n_queues = 2,
	.queue_sizes = sizes,
	.config_len = 8,
	.config_read = config_read,
	.config_write = config_write,
	.has_queue = has_queue,
	.driver_ok = driver_ok,
	.queue_run = queue_run,
	.queue_reset = queue_reset,
	.reset = reset_type,
};

static int create(const struct device_init *init, struct device **out);

static void reset(struct device *dev)
{
	vpci_power_on_reset(&container_of(dev, struct counter, dev)->vpci);
}

static void destroy(struct device *dev)
{
	struct counter *c = container_of(dev, struct counter, dev);
	vpci_finish(&c->vpci);
	device_finish(dev);
	free(c);
}

static const struct device_class counter_class = {.driver = {.name = "counter"}, .create = create, .reset = reset, .destroy = destroy};

static int create(const struct device_init *init, struct device **out)
{
	struct counter *c = calloc(1, sizeof *c);
	device_init(&c->dev, &counter_class, init);
	*out = &c->dev;
	return vpci_init(&c->vpci, &c->dev, &counter_type, F_COUNTER, init->pci, FG_SLOT);
}

static struct fakeguest fg;
static struct counter *c;

static void begin(void)
{
	fg_create_class(&fg, &counter_class, NULL, fakehost_create(4096));
	c = container_of(fg.dev, struct counter, dev);
}

static void begin_live(uint64_t features)
{
	begin();
	fg_negotiate(&fg, features);
	fg_msix_on(&fg);
	fg_cc_write(&fg, CC_CFG_VEC, 2, 0);
	fg_queue_on(&fg, 0, 128);
	fg_queue_on(&fg, 1, 16);
	fg_status_write(&fg, 0xF);
}

static void end(void)
{
	CU_ASSERT_EQUAL(fg_destroy(&fg), 0);
}

static void post(unsigned i, unsigned n)
{
	fg_desc(&fg, i, 0, FG_DATA(i), 4, 0, 0);
	for (unsigned k = 0; k < n; k++)
		fg_publish(&fg, i, 0);
}

static void test_identity(void)
{
	begin();
	CU_ASSERT_EQUAL(fg_pcicfg(&fg, 0, 4), 0x10441AF4);
	CU_ASSERT_EQUAL(fg_pcicfg(&fg, 0x2C, 4), 0x10441AF4);
	CU_ASSERT_EQUAL(fg_offered(&fg), F_COUNTER | F_VERSION_1 | F_INDIRECT | F_EVENT_IDX | F_RING_RESET | F_SUSPEND);
	CU_ASSERT_EQUAL(fg_cc(&fg, CC_NUM_QUEUES, 2), 2);
	CU_ASSERT_EQUAL(fg.n_vectors, 3);
	CU_ASSERT_EQUAL(fg_q(&fg, 0, CC_Q_SIZE, 2), 128);
	CU_ASSERT_EQUAL(fg_q(&fg, 1, CC_Q_SIZE, 2), 16);
	CU_ASSERT_EQUAL(fg_q(&fg, 2, CC_Q_SIZE, 2), 0);
	end();
}

static void test_queues_follow_features(void)
{
	begin();
	fg_negotiate(&fg, 0);
	CU_ASSERT_EQUAL(fg_q(&fg, 1, CC_Q_SIZE, 2), 0);
	fg_queue_on(&fg, 1, 16);
	CU_ASSERT_FALSE(c->vpci.queues[1].vq.enabled);
	end();
}

/* What a wakeup leaves goes on from the event loop, and kicks meanwhile do not run the queue on the vCPU. */
static void test_rest_is_deferred(void)
{
	begin_live(F_COUNTER);
	CU_ASSERT_EQUAL(c->driver_oks, 1);
	unsigned runs = c->runs[0];
	post(0, 3);
	fg_kick(&fg, 0);
	CU_ASSERT_EQUAL(c->chains[0], 1);
	CU_ASSERT_EQUAL(c->runs[0], runs + 1);
	fg_kick(&fg, 0);
	CU_ASSERT_EQUAL(c->runs[0], runs + 1);
	CU_ASSERT_EQUAL(fakehost_run_work(fg.fh), 1);
	CU_ASSERT_EQUAL(c->chains[0], 2);
	CU_ASSERT_TRUE(fakehost_settle(fg.fh, 10));
	CU_ASSERT_EQUAL(c->chains[0], 3);
	CU_ASSERT_EQUAL(fakehost_run_work(fg.fh), 0);
	end();
}

/* The driver may have gone to sleep by then: it is told at once. */
static void test_rest_is_told_at_once(void)
{
	begin_live(F_COUNTER | F_EVENT_IDX);
	fg_used_event(&fg, 0, 0);
	post(0, 2);
	fg_kick(&fg, 0);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, 0), 1);
	CU_ASSERT_EQUAL(fg_irqs(&fg, 1), 0);
	fakehost_run_work(fg.fh);
	CU_ASSERT_EQUAL(fg_used_idx(&fg, 0), 2);
	CU_ASSERT_EQUAL(fg_irqs(&fg, 1), 1);
	fakehost_advance(fg.fh, 100);
	CU_ASSERT_EQUAL(fg_irqs(&fg, 1), 1);
	end();
}

static void test_deferred_work_ends_with_a_reset(void)
{
	begin_live(F_COUNTER);
	post(0, 3);
	fg_kick(&fg, 0);
	fg_status_write(&fg, 0);
	fakehost_settle(fg.fh, 10);
	CU_ASSERT_EQUAL(c->chains[0], 1);
	end();
}

static void test_deferred_work_ends_with_a_queue_reset(void)
{
	begin_live(F_COUNTER | F_RING_RESET);
	post(0, 3);
	fg_kick(&fg, 0);
	fg_q_write(&fg, 0, CC_Q_RESET, 2, 1);
	fakehost_settle(fg.fh, 10);
	CU_ASSERT_EQUAL(c->chains[0], 1);
	CU_ASSERT_EQUAL(c->queue_resets, 1);
	fg_queue_on(&fg, 0, 64);
	post(0, 1);
	fg_kick(&fg, 0);
	CU_ASSERT_EQUAL(c->chains[0], 2);
	end();
}

static void test_work_waits_for_bus_master(void)
{
	begin_live(F_COUNTER);
	fg_pcicfg_write(&fg, 4, 2, 2);
	post(1, 3);
	fg_kick(&fg, 1);
	fakehost_settle(fg.fh, 10);
	CU_ASSERT_EQUAL(c->chains[1], 0);
	fg_pcicfg_write(&fg, 4, 2, 6);
	fakehost_settle(fg.fh, 10);
	CU_ASSERT_EQUAL(c->chains[1], 3);
	CU_ASSERT_EQUAL(fg_irqs(&fg, 2), 1);
	end();
}

static void test_generation(void)
{
	begin_live(0);
	uint64_t irqs = fg_irqs(&fg, 0);
	uint64_t generation = fg_cc(&fg, CC_GENERATION, 1);
	fg_dc(&fg, 0);
	for (unsigned i = 0; i < 256; i++) {
		pthread_mutex_lock(&c->dev.lock);
		vpci_config_changed(&c->vpci);
		pthread_mutex_unlock(&c->dev.lock);
	}
	CU_ASSERT_EQUAL(fg_irqs(&fg, 0), irqs + 256);
	fg_dc(&fg, 0);
	CU_ASSERT_NOT_EQUAL(fg_cc(&fg, CC_GENERATION, 1), generation);
	end();
}

static void test_broken_queue(void)
{
	begin_live(F_COUNTER);
	fakehost_capture_log();
	fg_set_avail_idx(&fg, 1, 17);
	fg_kick(&fg, 1);
	CU_ASSERT_EQUAL(fg_status(&fg), 0x4F);
	CU_ASSERT_EQUAL(fg_irqs(&fg, 0), 1);
	post(0, 1);
	fg_kick(&fg, 0);
	CU_ASSERT_EQUAL(c->chains[0], 0);
	CU_ASSERT_EQUAL(fakehost_end_log(), 1);
	fg_status_write(&fg, 0);
	CU_ASSERT_EQUAL(fg_status(&fg), 0);
	end();
}

/* A message that a mask held back is not for the next driver. */
static void test_reset_drops_pending_messages(void)
{
	begin_live(F_COUNTER);
	fg_bar_write(&fg, fg.msix_table + 2 * 16 + 12, 4, 1);
	post(1, 1);
	fg_kick(&fg, 1);
	CU_ASSERT_EQUAL(fg_bar(&fg, fg.msix_pba, 8), 4);
	fg_status_write(&fg, 0);
	CU_ASSERT_EQUAL(fg_bar(&fg, fg.msix_pba, 8), 0);
	fg_bar_write(&fg, fg.msix_table + 2 * 16 + 12, 4, 0);
	CU_ASSERT_EQUAL(fg.fh->n_msis, 0);
	end();
}

static void test_intx(void)
{
	begin();
	fg_negotiate(&fg, F_COUNTER);
	fg_queue_on(&fg, 1, 16);
	fg_status_write(&fg, 0xF);
	post(1, 1);
	fg_kick(&fg, 1);
	CU_ASSERT_TRUE(fg.fh->irq_level[FG_GSI]);
	pthread_mutex_lock(&c->dev.lock);
	vpci_config_changed(&c->vpci);
	pthread_mutex_unlock(&c->dev.lock);
	CU_ASSERT_EQUAL(fg_bar(&fg, fg.isr, 1), 3);
	CU_ASSERT_FALSE(fg.fh->irq_level[FG_GSI]);
	CU_ASSERT_EQUAL(fg_bar(&fg, fg.isr, 1), 0);
	/* Switching MSI-X on takes the line down, switching it off brings it back. */
	post(1, 1);
	fg_kick(&fg, 1);
	CU_ASSERT_TRUE(fg.fh->irq_level[FG_GSI]);
	fg_pcicfg_write(&fg, fg.msix_cap + 2, 2, 0x8000);
	CU_ASSERT_FALSE(fg.fh->irq_level[FG_GSI]);
	fg_pcicfg_write(&fg, fg.msix_cap + 2, 2, 0);
	CU_ASSERT_TRUE(fg.fh->irq_level[FG_GSI]);
	CU_ASSERT_EQUAL(fg.fh->n_msis, 0);
	end();
}

static void test_window(void)
{
	begin();
	CU_ASSERT_EQUAL(fg_window(&fg, 0, fg.common + CC_NUM_QUEUES, 2), 2);
	fg_window(&fg, 0, fg.device + 4, 4);
	fg_pcicfg_write(&fg, fg.window_cap + 16, 4, 0xA1B2C3D4);
	CU_ASSERT_EQUAL(fg_dc(&fg, 4), 0xA1B2C3D4);
	CU_ASSERT_EQUAL(fg_window(&fg, 0, fg.device + 4, 1), 0xD4);
	/* Whether the BAR is decoded does not matter. */
	fg_pcicfg_write(&fg, 4, 2, 0);
	CU_ASSERT_EQUAL(fg_window(&fg, 0, fg.device + 6, 2), 0xA1B2);
	fg_pcicfg_write(&fg, 4, 2, 6);
	const struct {
		uint8_t bar;
		uint32_t offset, len;
	} bad[] = {{1, 0x104, 4},	   {6, 0x104, 4}, {255, 0x104, 4}, {0, 0x104, 0},  {0, 0x104, 3},     {0, 0x104, 8},
		   {0, 0x104, 0xFFFFFFFF}, {0, 0x105, 2}, {0, 0x102, 4},   {0, 0x2000, 4}, {0, 0xFFFFFFFC, 4}};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		CU_ASSERT_EQUAL(fg_window(&fg, bad[i].bar, bad[i].offset, bad[i].len), 0);
		fg_pcicfg_write(&fg, fg.window_cap + 16, 4, 0);
	}
	CU_ASSERT_EQUAL(fg_dc(&fg, 4), 0xA1B2C3D4);
	end();
}

static void test_power_on_reset(void)
{
	begin_live(F_COUNTER);
	unsigned resets = c->resets;
	device_reset(fg.dev);
	CU_ASSERT_EQUAL(c->resets, resets + 1);
	CU_ASSERT_EQUAL(fg_pcicfg(&fg, 4, 2), 0);
	CU_ASSERT_EQUAL(fg_pcicfg(&fg, fg.msix_cap + 2, 2), 2);
	fg_probe(&fg);
	CU_ASSERT_EQUAL(fg_status(&fg), 0);
	CU_ASSERT_EQUAL(fg_bar(&fg, fg.msix_table + 12, 4), 1);
	fg_status_write(&fg, 1);
	CU_ASSERT_EQUAL(fg_status(&fg), 1);
	end();
}

static const struct test_case cases[] = {
	{"identity", test_identity},
	{"queues follow features", test_queues_follow_features},
	{"rest is deferred", test_rest_is_deferred},
	{"rest is told at once", test_rest_is_told_at_once},
	{"deferred work ends with a reset", test_deferred_work_ends_with_a_reset},
	{"deferred work ends with a queue reset", test_deferred_work_ends_with_a_queue_reset},
	{"work waits for bus master", test_work_waits_for_bus_master},
	{"generation", test_generation},
	{"broken queue", test_broken_queue},
	{"reset drops pending messages", test_reset_drops_pending_messages},
	{"INTx", test_intx},
	{"window", test_window},
	{"power-on reset", test_power_on_reset},
};

TEST_SUITE(vpci, cases);
