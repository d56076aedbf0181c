#include "device/virtq.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/fakehost.h"
#include "tests/unit/suite.h"
#include "util/bytes.h"

#define SIZE 8
#define DESC 0x10000ULL
#define AVAIL 0x20000ULL
#define USED 0x30000ULL
#define TABLE 0x40000ULL
#define NEXT 1
#define WRITE 2
#define INDIRECT 4

static struct fakehost *fh;
static struct virtq vq;
static struct virtq_chain chain;
static uint16_t published;

static const struct virtq_setup plain = {.size = SIZE, .desc = DESC, .avail = AVAIL, .used = USED};

static int enable(const struct virtq_setup *setup)
{
	virtq_disable(&vq);
	published = 0;
	return virtq_enable(&vq, &fh->host.gmem, setup);
}

static void begin(bool event_idx, bool indirect)
{
	struct virtq_setup setup = plain;
	setup.event_idx = event_idx;
	setup.indirect = indirect;
	fh = fakehost_create(4096);
	CU_ASSERT_EQUAL_FATAL(enable(&setup), 0);
}

static void end(void)
{
	fakehost_destroy(fh);
}

static uint8_t *ram(uint64_t gpa)
{
	return fakehost_ram(fh, gpa, 1);
}

static void put_desc(uint64_t table, unsigned index, uint64_t gpa, uint32_t len, uint16_t flags, uint16_t next)
{
	uint8_t *d = ram(table + index * 16);
	store_le64(d, gpa);
	store_le32(d + 8, len);
	store_le16(d + 12, flags);
	store_le16(d + 14, next);
}

static void publish(uint16_t head)
{
	store_le16(ram(AVAIL + 4 + 2 * (published % SIZE)), head);
	store_le16(ram(AVAIL + 2), ++published);
}

static void test_empty(void)
{
	begin(false, false);
	CU_ASSERT_EQUAL(virtq_next(&vq, &chain), 0);
	CU_ASSERT_FALSE(virtq_want_kicks(&vq));
	CU_ASSERT_FALSE(virtq_should_signal(&vq));
	end();
}

static void test_disabled_queue_touches_nothing(void)
{
	begin(false, false);
	virtq_disable(&vq);
	publish(0);
	CU_ASSERT_EQUAL(virtq_next(&vq, &chain), 0);
	virtq_suppress_kicks(&vq);
	CU_ASSERT_FALSE(virtq_want_kicks(&vq));
	CU_ASSERT_FALSE(virtq_should_signal(&vq));
	end();
}

static void test_chain(void)
{
	begin(false, false);
	put_desc(DESC, 5, 0x1111, 10, NEXT, 2);
	put_desc(DESC, 2, 0x2222, 0, NEXT | 0xFFF0, 7);
	put_desc(DESC, 7, 0x3333, 0xFFFFFFFF, WRITE, 99);
	publish(5);
	CU_ASSERT_EQUAL_FATAL(virtq_next(&vq, &chain), 1);
	CU_ASSERT_EQUAL(chain.head, 5);
	CU_ASSERT_EQUAL_FATAL(chain.n_bufs, 3);
	CU_ASSERT_EQUAL(chain.bufs[0].gpa, 0x1111);
	CU_ASSERT_EQUAL(chain.bufs[0].len, 10);
	CU_ASSERT_FALSE(chain.bufs[0].writable);
	CU_ASSERT_FALSE(chain.bufs[1].writable && chain.bufs[1].len);
	CU_ASSERT_EQUAL(chain.bufs[2].len, 0xFFFFFFFF);
	CU_ASSERT_TRUE(chain.bufs[2].writable);
	CU_ASSERT_EQUAL(virtq_next(&vq, &chain), 0);
	end();
}

static void test_used_ring(void)
{
	begin(false, false);
	for (uint32_t i = 0; i < 70000; i++) {
		publish(i % SIZE);
		CU_ASSERT_EQUAL_FATAL(virtq_next(&vq, &chain), 1);
		CU_ASSERT_EQUAL_FATAL(chain.head, i % SIZE);
		virtq_push(&vq, chain.head, i);
		uint8_t *elem = ram(USED + 4 + 8 * (i % SIZE));
		CU_ASSERT_FATAL(load_le32(elem) == i % SIZE && load_le32(elem + 4) == i);
		CU_ASSERT_FATAL(load_le16(ram(USED + 2)) == (uint16_t)(i + 1));
	}
	CU_ASSERT_EQUAL(virtq_next(&vq, &chain), 0);
	end();
}

static void test_available_index(void)
{
	begin(false, false);
	store_le16(ram(AVAIL + 2), SIZE);
	CU_ASSERT_EQUAL(virtq_next(&vq, &chain), 1);
	/* One was taken: one more than the ring holds would be SIZE + 2. */
	store_le16(ram(AVAIL + 2), SIZE + 2);
	CU_ASSERT_EQUAL(virtq_next(&vq, &chain), -EPROTO);
	store_le16(ram(AVAIL + 2), SIZE);
	CU_ASSERT_EQUAL(virtq_next(&vq, &chain), -EPROTO); /* for good */
	CU_ASSERT_FALSE(virtq_want_kicks(&vq));
	CU_ASSERT_EQUAL(enable(&plain), 0);
	CU_ASSERT_EQUAL(virtq_next(&vq, &chain), 1);
	/* Backwards. */
	store_le16(ram(AVAIL + 2), 0);
	CU_ASSERT_EQUAL(virtq_next(&vq, &chain), -EPROTO);
	end();
}

static int next_with(uint64_t table, unsigned index, uint64_t gpa, uint32_t len, uint16_t flags, uint16_t next, bool indirect)
{
	struct virtq_setup setup = plain;
	setup.indirect = indirect;
	memset(ram(AVAIL), 0, 64);
	CU_ASSERT_EQUAL_FATAL(enable(&setup), 0);
	put_desc(table, index, gpa, len, flags, next);
	publish(0);
	return virtq_next(&vq, &chain);
}

static void test_broken_chains(void)
{
	begin(false, true);
	CU_ASSERT_EQUAL(next_with(DESC, 0, 0, 4, NEXT, SIZE, true), -EPROTO); /* next beyond the table */
	CU_ASSERT_EQUAL(next_with(DESC, 0, 0, 4, NEXT, 0, true), -EPROTO);    /* a loop of one */
	put_desc(DESC, 1, 0, 4, NEXT, 0);
	CU_ASSERT_EQUAL(next_with(DESC, 0, 0, 4, NEXT, 1, true), -EPROTO); /* of two */
	CU_ASSERT_EQUAL(next_with(DESC, 0, TABLE, 16, INDIRECT, 0, false), -EPROTO);
	CU_ASSERT_EQUAL(next_with(DESC, 0, TABLE, 16, INDIRECT | NEXT, 1, true), -EPROTO);
	CU_ASSERT_EQUAL(next_with(DESC, 0, TABLE, 0, INDIRECT, 0, true), -EPROTO);
	CU_ASSERT_EQUAL(next_with(DESC, 0, TABLE, 24, INDIRECT, 0, true), -EPROTO);
	CU_ASSERT_EQUAL(next_with(DESC, 0, TABLE, 16 * (SIZE + 1), INDIRECT, 0, true), -EPROTO);
	CU_ASSERT_EQUAL(next_with(DESC, 0, TABLE, 0xFFFFFFF0, INDIRECT, 0, true), -EPROTO);
	CU_ASSERT_EQUAL(next_with(DESC, 0, FAKE_REGION_LEN - 16, 32, INDIRECT, 0, true), -EPROTO);
	CU_ASSERT_EQUAL(next_with(DESC, 0, 0xC0000000, 32, INDIRECT, 0, true), -EPROTO);
	CU_ASSERT_EQUAL(next_with(DESC, 0, UINT64_MAX - 15, 32, INDIRECT, 0, true), -EPROTO);
	put_desc(TABLE, 0, 0, 4, INDIRECT, 0);
	CU_ASSERT_EQUAL(next_with(DESC, 0, TABLE, 16, INDIRECT, 0, true), -EPROTO);
	put_desc(TABLE, 0, 0, 4, NEXT, 2);
	CU_ASSERT_EQUAL(next_with(DESC, 0, TABLE, 32, INDIRECT, 0, true), -EPROTO);
	put_desc(TABLE, 0, 0, 4, NEXT, 0);
	CU_ASSERT_EQUAL(next_with(DESC, 0, TABLE, 32, INDIRECT, 0, true), -EPROTO);
	/* A head beyond the table. */
	CU_ASSERT_EQUAL(enable(&plain), 0);
	memset(ram(AVAIL), 0, 64);
	publish(SIZE);
	CU_ASSERT_EQUAL(virtq_next(&vq, &chain), -EPROTO);
	CU_ASSERT_PTR_NOT_NULL(vq.why);
	end();
}

static void test_longest_chain(void)
{
	begin(false, true);
	for (unsigned i = 0; i < SIZE; i++)
		put_desc(DESC, i, i, 1, i + 1 < SIZE ? NEXT : 0, (uint16_t)(i + 1));
	publish(0);
	CU_ASSERT_EQUAL(virtq_next(&vq, &chain), 1);
	CU_ASSERT_EQUAL(chain.n_bufs, SIZE);
	/* As many in an indirect table. */
	for (unsigned i = 0; i < SIZE; i++)
		put_desc(TABLE + 1, i, i, 1, i + 1 < SIZE ? NEXT : 0, (uint16_t)(i + 1));
	put_desc(DESC, 3, TABLE + 1, 16 * SIZE, INDIRECT, 0);
	publish(3);
	CU_ASSERT_EQUAL(virtq_next(&vq, &chain), 1);
	CU_ASSERT_EQUAL(chain.n_bufs, SIZE);
	/* One before the table is one too many. */
	put_desc(DESC, 2, 0, 1, NEXT, 3);
	publish(2);
	CU_ASSERT_EQUAL(virtq_next(&vq, &chain), -EPROTO);
	end();
}

static void test_indirect(void)
{
	begin(false, true);
	put_desc(DESC, 0, 0xA, 4, NEXT, 1);
	put_desc(DESC, 1, 0xB, 8, NEXT, 2);
	put_desc(DESC, 2, TABLE, 4 * 16, INDIRECT | WRITE, 77);
	put_desc(TABLE, 0, 0xC, 1, NEXT, 3);
	put_desc(TABLE, 3, 0xD, 1, NEXT | WRITE, 1);
	put_desc(TABLE, 1, 0xE, 1, 0, 0);
	put_desc(TABLE, 2, 0xF, 1, 0, 0);
	publish(0);
	CU_ASSERT_EQUAL(virtq_next(&vq, &chain), 1);
	CU_ASSERT_EQUAL(chain.head, 0);
	CU_ASSERT_EQUAL_FATAL(chain.n_bufs, 5);
	for (unsigned i = 0; i < 5; i++)
		CU_ASSERT_EQUAL(chain.bufs[i].gpa, 0xA + i);
	CU_ASSERT_FALSE(chain.bufs[2].writable);
	CU_ASSERT_TRUE(chain.bufs[3].writable);
	end();
}

static void test_enable_checks(void)
{
	const struct {
		uint64_t desc, avail, used;
		int want;
	} rows[] = {
		{DESC, AVAIL, USED, 0},
		{DESC + 8, AVAIL, USED, -EINVAL},
		{DESC, AVAIL + 1, USED, -EINVAL},
		{DESC, AVAIL + 2, USED, 0},
		{DESC, AVAIL, USED + 2, -EINVAL},
		{FAKE_REGION_LEN - 16 * SIZE, AVAIL, USED, 0},
		{FAKE_REGION_LEN - 16 * SIZE + 16, AVAIL, USED, -EINVAL},
		{DESC, FAKE_REGION_LEN - 4 - 2 * SIZE, USED, 0},
		{DESC, FAKE_REGION_LEN - 2 - 2 * SIZE, USED, -EINVAL},
		{DESC, AVAIL, FAKE_REGION_LEN - 4 - 8 * SIZE, 0},
		{DESC, AVAIL, FAKE_REGION_LEN - 8 * SIZE, -EINVAL},
		{0xC0000000, AVAIL, USED, -EINVAL},
		{FAKE_HIGH_GPA - 16, AVAIL, USED, -EINVAL},
		{DESC, AVAIL, UINT64_MAX - 15, -EINVAL},
		{DESC, UINT64_MAX - 15, USED, -EINVAL},
		{UINT64_MAX - 15, AVAIL, USED, -EINVAL},
	};
	begin(false, false);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct virtq_setup setup = {.size = SIZE, .desc = rows[i].desc, .avail = rows[i].avail, .used = rows[i].used};
		CU_ASSERT_EQUAL(enable(&setup), rows[i].want);
		CU_ASSERT_EQUAL(vq.enabled, rows[i].want == 0);
	}
	/* The event words count only with the feature. */
	struct virtq_setup setup = {.size = SIZE, .desc = DESC, .avail = FAKE_REGION_LEN - 4 - 2 * SIZE, .used = USED, .event_idx = true};
	CU_ASSERT_EQUAL(enable(&setup), -EINVAL);
	setup = (struct virtq_setup){.size = SIZE, .desc = DESC, .avail = AVAIL, .used = FAKE_REGION_LEN - 4 - 8 * SIZE, .event_idx = true};
	CU_ASSERT_EQUAL(enable(&setup), -EINVAL);
	const uint16_t sizes[] = {0, 3, 129, 2048, 32768, 65535};
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		setup = plain;
		setup.size = sizes[i];
		CU_ASSERT_EQUAL(enable(&setup), -EINVAL);
	}
	end();
}

static void use_one(void)
{
	publish(0);
	CU_ASSERT_EQUAL(virtq_next(&vq, &chain), 1);
	virtq_push(&vq, chain.head, 0);
}

static void test_signal_by_flags(void)
{
	begin(false, false);
	store_le16(ram(AVAIL + 4 + 2 * SIZE), 0x1234); /* used_event means nothing */
	use_one();
	CU_ASSERT_TRUE(virtq_should_signal(&vq));
	CU_ASSERT_FALSE(virtq_should_signal(&vq));
	store_le16(ram(AVAIL), 1);
	use_one();
	CU_ASSERT_FALSE(virtq_should_signal(&vq));
	store_le16(ram(AVAIL), 0xFFFE);
	use_one();
	CU_ASSERT_TRUE(virtq_should_signal(&vq));
	end();
}

static void test_signal_by_event(void)
{
	begin(true, false);
	store_le16(ram(AVAIL), 1); /* the flag means nothing */
	store_le16(ram(AVAIL + 4 + 2 * SIZE), 3);
	for (unsigned i = 0; i < 6; i++) {
		use_one();
		CU_ASSERT_EQUAL(virtq_should_signal(&vq), i == 3);
	}
	store_le16(ram(AVAIL + 4 + 2 * SIZE), 7);
	for (unsigned i = 6; i < 9; i++)
		use_one();
	CU_ASSERT_TRUE(virtq_should_signal(&vq)); /* in the middle of a batch */
	end();
}

/* Right at the wrap of the 16-bit indices. */
static void test_signal_across_the_wrap(void)
{
	begin(true, false);
	for (unsigned i = 0; i < 65530; i++)
		use_one();
	virtq_should_signal(&vq);
	store_le16(ram(AVAIL + 4 + 2 * SIZE), 1);
	for (unsigned i = 65530; i < 65542; i++) {
		use_one();
		CU_ASSERT_EQUAL(virtq_should_signal(&vq), i == 65537);
	}
	end();
}

static void test_kicks_by_flags(void)
{
	begin(false, false);
	virtq_suppress_kicks(&vq);
	CU_ASSERT_EQUAL(load_le16(ram(USED)), 1);
	CU_ASSERT_FALSE(virtq_want_kicks(&vq));
	CU_ASSERT_EQUAL(load_le16(ram(USED)), 0);
	publish(0);
	CU_ASSERT_TRUE(virtq_want_kicks(&vq));
	end();
}

static void test_kicks_by_event(void)
{
	begin(true, false);
	use_one();
	virtq_suppress_kicks(&vq);
	CU_ASSERT_EQUAL(load_le16(ram(USED)), 0);
	CU_ASSERT_EQUAL(load_le16(ram(USED + 4 + 8 * SIZE)), 0);
	CU_ASSERT_FALSE(virtq_want_kicks(&vq));
	CU_ASSERT_EQUAL(load_le16(ram(USED + 4 + 8 * SIZE)), 1);
	CU_ASSERT_EQUAL(load_le16(ram(USED)), 0);
	end();
}

/* Without the feature the words behind the rings are somebody else's. */
static void test_nothing_past_the_ends(void)
{
	begin(false, false);
	store_le16(ram(USED + 4 + 8 * SIZE), 0xC0DE);
	for (unsigned i = 0; i < 100; i++) {
		virtq_suppress_kicks(&vq);
		use_one();
		virtq_want_kicks(&vq);
		virtq_should_signal(&vq);
	}
	CU_ASSERT_EQUAL(load_le16(ram(USED + 4 + 8 * SIZE)), 0xC0DE);
	end();
}

static const struct test_case cases[] = {
	{"empty", test_empty},
	{"disabled queue touches nothing", test_disabled_queue_touches_nothing},
	{"chain", test_chain},
	{"used ring", test_used_ring},
	{"available index", test_available_index},
	{"broken chains", test_broken_chains},
	{"longest chain", test_longest_chain},
	{"indirect", test_indirect},
	{"enable checks", test_enable_checks},
	{"signal by flags", test_signal_by_flags},
	{"signal by event", test_signal_by_event},
	{"signal across the wrap", test_signal_across_the_wrap},
	{"kicks by flags", test_kicks_by_flags},
	{"kicks by event", test_kicks_by_event},
	{"nothing past the ends", test_nothing_past_the_ends},
};

TEST_SUITE(virtq, cases);
