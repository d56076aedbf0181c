#include "kvm/write_watch.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <string.h>

#include "kvm/board.h"
#include "tests/unit/suite.h"

#define MIB (UINT64_C(1) << 20)
#define RAM_LEN (4 * MIB)

static struct guest_ram ram;
static struct write_watch watch;

static void begin(void)
{
	const struct memory_config config = {.size = RAM_LEN};
	struct fail why;

	CU_ASSERT_EQUAL_FATAL(ram_init(&ram, &config, &why), 0);
	memset(ram.gmem.regions[0].hva, 7, RAM_LEN);
	write_watch_init(&watch, &ram);
}

static void end(void)
{
	write_watch_finish(&watch);
	ram_finish(&ram);
}

/* A host that does not watch discards nothing: it could not tell what the guest still needs. */
static void what_is_not_watched_stays(void)
{
	const struct gmem_range ranges[] = {{0, MIB}, {2 * MIB, MIB}};
	struct discard_result result;

	begin();
	write_watch_discard(&watch, -1, ranges, 2, &result);
	CU_ASSERT_EQUAL(result.error, EINVAL);
	CU_ASSERT_EQUAL(result.failed_bytes, 2 * MIB);
	CU_ASSERT_EQUAL(result.discarded_bytes, 0);
	CU_ASSERT_EQUAL(ram.gmem.regions[0].hva[0], 7);
	CU_ASSERT_EQUAL(ram.gmem.regions[0].hva[2 * MIB], 7);
	end();
}

/* KVM refuses: it is off, nothing is kept, and it can be tried again. */
static void a_refusal_leaves_it_off(void)
{
	const struct gmem_range range = {0, MIB};
	struct discard_result result;

	begin();
	for (int i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(write_watch_start(&watch, -1), -EBADF);
		CU_ASSERT_FALSE(watch.on);
		CU_ASSERT_PTR_NULL(watch.written[0]);
	}
	write_watch_stop(&watch, -1);
	write_watch_discard(&watch, -1, &range, 1, &result);
	CU_ASSERT_EQUAL(result.failed_bytes, MIB);
	end();
}

/* The log is lost with the VM in mid-run: without it every page counts as written. */
static void a_lost_log_keeps_all(void)
{
	const struct gmem_range range = {MIB, MIB};
	struct discard_result result;

	begin();
	watch.on = true;
	write_watch_discard(&watch, -1, &range, 1, &result);
	CU_ASSERT_EQUAL(result.error, EBADF);
	CU_ASSERT_EQUAL(result.failed_bytes, MIB);
	CU_ASSERT_EQUAL(ram.gmem.regions[0].hva[MIB], 7);
	write_watch_stop(&watch, -1);
	CU_ASSERT_FALSE(watch.on);
	end();
}

static const struct test_case cases[] = {
	{"what is not watched stays", what_is_not_watched_stays},
	{"a refusal leaves it off", a_refusal_leaves_it_off},
	{"a lost log keeps all", a_lost_log_keeps_all},
};

TEST_SUITE(write_watch, cases);
