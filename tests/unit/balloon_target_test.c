#include <CUnit/CUnit.h>
#include <errno.h>

#include "tests/unit/fakeguest.h"
#include "tests/unit/suite.h"

#define MIB (1ULL << 20)
#define PAGES_PER_MIB 256
#define STALL_MS 10000

static struct fakeguest fg;
static struct balloon_state state;

static uint64_t count(enum host_event_kind kind)
{
	return fg.fh->event_count[kind];
}

static uint64_t value(enum host_event_kind kind)
{
	return fg.fh->event_value[kind];
}

static void actual(uint32_t mib)
{
	fg_dc_write(&fg, DC_ACTUAL, mib * PAGES_PER_MIB);
}

static void target(uint64_t mib)
{
	CU_ASSERT_EQUAL(balloon_set_target(fg.dev, mib * MIB), 0);
}

static void begin(void)
{
	fg_create(&fg, NULL, 4096);
	fg_init(&fg, F_OOM | F_STATS);
}

static void end(void)
{
	CU_ASSERT_EQUAL(fg_destroy(&fg), 0);
}

static void test_set_target(void)
{
	begin();
	target(32);
	CU_ASSERT_EQUAL(fg_dc(&fg, DC_NUM_PAGES), 32 * PAGES_PER_MIB);
	CU_ASSERT_EQUAL(fg_irqs(&fg, 0), 1);
	actual(32);
	target(32);
	CU_ASSERT_EQUAL(fg_irqs(&fg, 0), 1);
	CU_ASSERT_EQUAL(balloon_set_target(fg.dev, 128 * MIB), -ERANGE);
	CU_ASSERT_EQUAL(balloon_set_target(fg.dev, UINT64_MAX), -ERANGE);
	CU_ASSERT_EQUAL(balloon_set_target(fg.dev, 128 * MIB - 1), 0);
	balloon_get_state(fg.dev, &state);
	CU_ASSERT_EQUAL(state.target_bytes, 128 * MIB - 4096);
	end();
}

/* A driver that gave memory back on its own waits for a change of the configuration before it inflates again. */
static void test_same_target_is_told_again(void)
{
	begin();
	target(32);
	actual(32);
	fg_dc(&fg, DC_NUM_PAGES);
	actual(31);
	int irqs = (int)fg_irqs(&fg, 0);
	target(32);
	CU_ASSERT_EQUAL(fg_irqs(&fg, 0), irqs + 1);
	CU_ASSERT_EQUAL(fg_dc(&fg, DC_NUM_PAGES), 32 * PAGES_PER_MIB);
	end();
}

/* Before a driver is there a target is kept for it, without interrupt or timer. */
static void test_target_without_a_driver(void)
{
	fg_create(&fg, NULL, 4096);
	fg_msix_on(&fg);
	target(32);
	CU_ASSERT_EQUAL(fg.fh->n_msis, 0);
	CU_ASSERT_FALSE(fakehost_has_timer(fg.fh));
	fg_init(&fg, 0);
	CU_ASSERT_EQUAL(fg_dc(&fg, DC_NUM_PAGES), 32 * PAGES_PER_MIB);
	CU_ASSERT_EQUAL(count(HOST_EVENT_BALLOON_READY), 1);
	end();
}

static void test_change_and_reached(void)
{
	begin();
	target(3);
	for (uint32_t mib = 1; mib <= 3; mib++) {
		CU_ASSERT_EQUAL(count(HOST_EVENT_BALLOON_REACHED), 0);
		actual(mib);
		CU_ASSERT_EQUAL(count(HOST_EVENT_BALLOON_CHANGE), mib);
		CU_ASSERT_EQUAL(value(HOST_EVENT_BALLOON_CHANGE), mib * MIB);
	}
	CU_ASSERT_EQUAL(count(HOST_EVENT_BALLOON_REACHED), 1);
	CU_ASSERT_EQUAL(value(HOST_EVENT_BALLOON_REACHED), 3 * MIB);
	actual(3);
	CU_ASSERT_EQUAL(count(HOST_EVENT_BALLOON_CHANGE), 3);
	CU_ASSERT_EQUAL(count(HOST_EVENT_BALLOON_REACHED), 1);
	CU_ASSERT_FALSE(fakehost_has_timer(fg.fh));
	balloon_get_state(fg.dev, &state);
	CU_ASSERT_EQUAL(state.actual_bytes, 3 * MIB);
	/* Asked for what is there already. */
	target(5);
	target(3);
	CU_ASSERT_EQUAL(count(HOST_EVENT_BALLOON_REACHED), 2);
	end();
}

static bool is_stalled(void)
{
	balloon_get_state(fg.dev, &state);
	return state.stalled;
}

static void test_stall(void)
{
	begin();
	target(10);
	fakehost_advance(fg.fh, STALL_MS - 1);
	actual(1);
	fakehost_advance(fg.fh, STALL_MS - 1);
	CU_ASSERT_EQUAL(count(HOST_EVENT_BALLOON_STALLED), 0);
	CU_ASSERT_FALSE(is_stalled());
	fakehost_advance(fg.fh, 1);
	CU_ASSERT_EQUAL(count(HOST_EVENT_BALLOON_STALLED), 1);
	CU_ASSERT_EQUAL(value(HOST_EVENT_BALLOON_STALLED), MIB);
	CU_ASSERT_TRUE(is_stalled());
	/* Told once; nothing wakes up the host after that. */
	CU_ASSERT_FALSE(fakehost_has_timer(fg.fh));
	/* Going the wrong way is no progress, going on is. */
	actual(0);
	CU_ASSERT_TRUE(is_stalled());
	CU_ASSERT_FALSE(fakehost_has_timer(fg.fh));
	actual(2);
	CU_ASSERT_FALSE(is_stalled());
	fakehost_advance(fg.fh, STALL_MS);
	CU_ASSERT_EQUAL(count(HOST_EVENT_BALLOON_STALLED), 2);
	/* A new target is a new chance. */
	target(11);
	CU_ASSERT_FALSE(is_stalled());
	fakehost_advance(fg.fh, STALL_MS);
	CU_ASSERT_EQUAL(count(HOST_EVENT_BALLOON_STALLED), 3);
	target(2);
	CU_ASSERT_FALSE(is_stalled());
	end();
}

static void test_target_at_start_can_stall(void)
{
	const struct balloon_config config = {.size = 8 * MIB};
	fg_create(&fg, &config, 4096);
	CU_ASSERT_FALSE(fakehost_has_timer(fg.fh));
	fg_init(&fg, 0);
	fakehost_advance(fg.fh, STALL_MS);
	CU_ASSERT_EQUAL(count(HOST_EVENT_BALLOON_STALLED), 1);
	end();
}

/* The timer is not armed anew with every step. */
static void test_progress_is_cheap(void)
{
	begin();
	target(100);
	uint64_t arms = fg.fh->timer_arms;
	for (uint32_t mib = 1; mib < 100; mib++)
		actual(mib);
	CU_ASSERT_EQUAL(fg.fh->timer_arms, arms);
	end();
}

static void reach(uint32_t mib)
{
	target(mib);
	fg_dc(&fg, DC_NUM_PAGES);
	actual(mib);
}

static void test_own_deflation(void)
{
	begin();
	reach(10);
	actual(9);
	CU_ASSERT_EQUAL(count(HOST_EVENT_BALLOON_OOM), 1);
	CU_ASSERT_EQUAL(value(HOST_EVENT_BALLOON_OOM), 9 * MIB);
	CU_ASSERT_TRUE(fakehost_has_timer(fg.fh));
	actual(10);
	CU_ASSERT_EQUAL(count(HOST_EVENT_BALLOON_REACHED), 2);
	balloon_get_state(fg.dev, &state);
	CU_ASSERT_EQUAL(state.oom_deflations, 1);
	end();
}

static void test_what_is_no_own_deflation(void)
{
	begin();
	/* On the way down to a target. */
	reach(10);
	target(2);
	fg_dc(&fg, DC_NUM_PAGES);
	actual(5);
	actual(2);
	CU_ASSERT_EQUAL(count(HOST_EVENT_BALLOON_OOM), 0);
	/* On the way down when the target goes up: the driver has not seen it. */
	reach(10);
	target(2);
	fg_dc(&fg, DC_NUM_PAGES);
	target(20);
	actual(8);
	CU_ASSERT_EQUAL(count(HOST_EVENT_BALLOON_OOM), 0);
	fg_dc(&fg, DC_NUM_PAGES);
	actual(7);
	CU_ASSERT_EQUAL(count(HOST_EVENT_BALLOON_OOM), 1);
	/* A driver that is unbound gives back all at once. */
	actual(0);
	CU_ASSERT_EQUAL(count(HOST_EVENT_BALLOON_OOM), 1);
	/* Without the feature. */
	fg_init(&fg, 0);
	reach(10);
	actual(9);
	CU_ASSERT_EQUAL(count(HOST_EVENT_BALLOON_OOM), 1);
	end();
}

static void test_reset_keeps_the_target(void)
{
	begin();
	reach(10);
	actual(8);
	fg_status_write(&fg, 0);
	CU_ASSERT_EQUAL(fg_dc(&fg, DC_NUM_PAGES), 10 * PAGES_PER_MIB);
	CU_ASSERT_EQUAL(fg_dc(&fg, DC_ACTUAL), 0);
	CU_ASSERT_EQUAL(value(HOST_EVENT_BALLOON_CHANGE), 0);
	CU_ASSERT_FALSE(fakehost_has_timer(fg.fh));
	balloon_get_state(fg.dev, &state);
	CU_ASSERT_EQUAL(state.target_bytes, 10 * MIB);
	CU_ASSERT_EQUAL(state.actual_bytes, 0);
	CU_ASSERT_FALSE(state.driver_ok);
	end();
}

/* The guest's figure is shown as it is and used for nothing. */
static void test_absurd_actual(void)
{
	begin();
	fg_dc_write(&fg, DC_ACTUAL, 0xFFFFFFFF);
	balloon_get_state(fg.dev, &state);
	CU_ASSERT_EQUAL(state.actual_bytes, 0xFFFFFFFFULL << 12);
	target(1);
	fg_dc_write(&fg, DC_ACTUAL, 0);
	end();
}

static void test_state(void)
{
	fg_create(&fg, NULL, 4096);
	fg_status_write(&fg, 3);
	fg_accept(&fg, F_STATS | F_VERSION_1);
	balloon_get_state(fg.dev, &state);
	CU_ASSERT_EQUAL(state.negotiated_features, 0);
	CU_ASSERT_EQUAL(state.status, 3);
	CU_ASSERT_FALSE(state.driver_ok);
	fg_status_write(&fg, 0xF);
	balloon_get_state(fg.dev, &state);
	CU_ASSERT_EQUAL(state.negotiated_features, F_STATS | F_VERSION_1);
	CU_ASSERT_EQUAL(state.offered_features, fg_offered(&fg));
	CU_ASSERT_TRUE(state.driver_ok);
	end();
}

static struct host_ops listening_ops;

/* What was to be seen when the event came. */
static struct {
	uint64_t actual_bytes, oom_deflations;
	bool stalled;
} heard[HOST_EVENT_BALLOON_HINTED + 1];

static void look_at_once(struct host *host, const struct host_event *event)
{
	(void)host;
	balloon_get_state(fg.dev, &state);
	heard[event->kind].actual_bytes = state.actual_bytes;
	heard[event->kind].oom_deflations = state.oom_deflations;
	heard[event->kind].stalled = state.stalled;
}

static void test_state_is_there_with_the_event(void)
{
	begin();
	listening_ops = *fg.fh->host.ops;
	listening_ops.event = look_at_once;
	fg.fh->host.ops = &listening_ops;
	target(32);
	actual(16);
	CU_ASSERT_EQUAL(heard[HOST_EVENT_BALLOON_CHANGE].actual_bytes, 16 * MIB);
	fakehost_advance(fg.fh, STALL_MS);
	CU_ASSERT_TRUE(heard[HOST_EVENT_BALLOON_STALLED].stalled);
	actual(32);
	CU_ASSERT_EQUAL(heard[HOST_EVENT_BALLOON_REACHED].actual_bytes, 32 * MIB);
	CU_ASSERT_FALSE(heard[HOST_EVENT_BALLOON_REACHED].stalled);
	(void)fg_dc(&fg, DC_NUM_PAGES);
	actual(31);
	CU_ASSERT_EQUAL(heard[HOST_EVENT_BALLOON_OOM].oom_deflations, 1);
	end();
}

static const struct test_case cases[] = {
	{"set target", test_set_target},
	{"same target is told again", test_same_target_is_told_again},
	{"target without a driver", test_target_without_a_driver},
	{"change and reached", test_change_and_reached},
	{"stall", test_stall},
	{"target at start can stall", test_target_at_start_can_stall},
	{"progress is cheap", test_progress_is_cheap},
	{"own deflation", test_own_deflation},
	{"what is no own deflation", test_what_is_no_own_deflation},
	{"reset keeps the target", test_reset_keeps_the_target},
	{"absurd actual", test_absurd_actual},
	{"state", test_state},
	{"state is there with the event", test_state_is_there_with_the_event},
};

TEST_SUITE(balloon_target, cases);
