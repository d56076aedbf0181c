#include "tests/guest/balloon.h"

#include <linux/virtio_balloon.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>

#include "tests/guest/memory.h"
#include "tests/guest/report.h"

#define BIT(n) (1ULL << (n))
#define WANTED                                                                                                                                    \
	(BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_BALLOON_F_MUST_TELL_HOST) | BIT(VIRTIO_BALLOON_F_STATS_VQ) | BIT(VIRTIO_BALLOON_F_DEFLATE_ON_OOM) | \
	 BIT(VIRTIO_BALLOON_F_PAGE_POISON) | BIT(VIRTIO_BALLOON_F_FREE_PAGE_HINT) | BIT(VIRTIO_BALLOON_F_REPORTING))

/* VIRTIO 1.4, section 5.5.2. */
#define QUEUE_STATS 2
#define QUEUE_HINT 3
#define QUEUE_REPORT 4

static struct virtio_balloon_stat stats_buffer[3];

static void log_features(uint64_t features, enum balloon_numbering numbering)
{
	say("balloon: accepted version_1%s%s%s%s%s%s, queues numbered as %s does", features & BIT(VIRTIO_BALLOON_F_MUST_TELL_HOST) ? " must_tell_host" : "",
	    features & BIT(VIRTIO_BALLOON_F_STATS_VQ) ? " stats" : "", features & BIT(VIRTIO_BALLOON_F_DEFLATE_ON_OOM) ? " deflate_on_oom" : "",
	    features & BIT(VIRTIO_BALLOON_F_PAGE_POISON) ? " page_poison" : "", features & BIT(VIRTIO_BALLOON_F_FREE_PAGE_HINT) ? " hinting" : "",
	    features & BIT(VIRTIO_BALLOON_F_REPORTING) ? " reporting" : "", numbering == NUMBERING_SPEC ? "the specification" : "Linux");
}

bool balloon_find(struct balloon *b)
{
	if (!virtio_find(&b->dev, VIRTIO_ID_BALLOON))
		return false;
	say("balloon: offers features %#lx, wants %u pages", b->dev.features, balloon_target_pages(b));
	if (!(b->dev.features & BIT(VIRTIO_F_VERSION_1)))
		fail("the balloon does not offer VERSION_1");
	return true;
}

static void put_stats(struct balloon *b, uint64_t free_bytes, uint64_t total_bytes)
{
	stats_buffer[0] = (struct virtio_balloon_stat){VIRTIO_BALLOON_S_MEMFREE, free_bytes};
	stats_buffer[1] = (struct virtio_balloon_stat){VIRTIO_BALLOON_S_MEMTOT, total_bytes};
	stats_buffer[2] = (struct virtio_balloon_stat){VIRTIO_BALLOON_S_AVAIL, free_bytes};
	struct virtq_buffer buffer = {(uintptr_t)stats_buffer, sizeof stats_buffer};
	virtq_put(&b->stats, &buffer, 1, false);
	virtq_kick(&b->stats);
}

static void enable_queue(struct balloon *b, struct virtq *q, uint16_t index, const char *role)
{
	virtio_enable_queue(&b->dev, q, index);
	if (!q->size)
		fail("the balloon has no queue %u for %s", index, role);
}

static uint64_t wanted(const struct balloon *b, enum balloon_promise promise, const uint32_t *poison)
{
	uint64_t features = b->dev.features & WANTED;
	if (!poison)
		features &= ~BIT(VIRTIO_BALLOON_F_PAGE_POISON);
	if (promise == USES_AT_ONCE)
		features &= ~BIT(VIRTIO_BALLOON_F_MUST_TELL_HOST);
	return features;
}

void balloon_start_quietly(struct balloon *b, enum balloon_numbering numbering, enum balloon_promise promise, const uint32_t *poison)
{
	uint64_t features = wanted(b, promise, poison);
	b->actual_pages = 0;
	b->has_stats = features & BIT(VIRTIO_BALLOON_F_STATS_VQ);
	b->has_hint = features & BIT(VIRTIO_BALLOON_F_FREE_PAGE_HINT);
	b->has_report = features & BIT(VIRTIO_BALLOON_F_REPORTING);
	b->has_poison = features & BIT(VIRTIO_BALLOON_F_PAGE_POISON);
	virtio_negotiate(&b->dev, features);
	if (poison && b->has_poison)
		virtio_config_write(&b->dev, offsetof(struct virtio_balloon_config, poison_val), *poison);
	uint16_t next = 0;
	enable_queue(b, &b->inflate, next++, "inflating");
	enable_queue(b, &b->deflate, next++, "deflating");
	if (b->has_stats)
		enable_queue(b, &b->stats, numbering == NUMBERING_SPEC ? QUEUE_STATS : next++, "statistics");
	if (b->has_hint)
		enable_queue(b, &b->hint, numbering == NUMBERING_SPEC ? QUEUE_HINT : next++, "hinting");
	if (b->has_report)
		enable_queue(b, &b->report, numbering == NUMBERING_SPEC ? QUEUE_REPORT : next++, "reporting");
	if (b->has_stats) /* Linux does so before DRIVER_OK as well */
		put_stats(b, mem_free_pages() * PAGE_LEN, mem_ram_bytes());
	virtio_start(&b->dev);
}

void balloon_start(struct balloon *b, enum balloon_numbering numbering, enum balloon_promise promise, const uint32_t *poison)
{
	balloon_start_quietly(b, numbering, promise, poison);
	log_features(wanted(b, promise, poison), numbering);
}

void balloon_stop(struct balloon *b)
{
	virtio_reset(&b->dev);
	b->actual_pages = 0;
}

uint32_t balloon_target_pages(const struct balloon *b)
{
	return virtio_config_read(&b->dev, offsetof(struct virtio_balloon_config, num_pages));
}

static void set_actual(struct balloon *b, uint32_t pages)
{
	b->actual_pages = pages;
	virtio_config_write(&b->dev, offsetof(struct virtio_balloon_config, actual), pages);
}

/* One batch of up to `depth` buffers. Returns the pages in it. */
static size_t send_batch(struct virtq *q, const uint32_t *pfns, size_t n, unsigned depth)
{
	size_t sent = 0;
	for (unsigned i = 0; i < depth && sent < n && virtq_has_room(q, 1); i++) {
		size_t pages = n - sent < BALLOON_BUFFER_PAGES ? n - sent : BALLOON_BUFFER_PAGES;
		struct virtq_buffer buffer = {(uintptr_t)(pfns + sent), (uint32_t)(pages * sizeof *pfns)};
		virtq_put(q, &buffer, 1, false);
		sent += pages;
	}
	virtq_kick(q);
	virtq_wait(q);
	return sent;
}

void balloon_inflate(struct balloon *b, const uint32_t *pfns, size_t n, unsigned depth)
{
	for (size_t done = 0; done < n;) {
		size_t sent = send_batch(&b->inflate, pfns + done, n - done, depth);
		done += sent;
		set_actual(b, b->actual_pages + (uint32_t)sent);
	}
}

void balloon_deflate(struct balloon *b, const uint32_t *pfns, size_t n, unsigned depth)
{
	for (size_t done = 0; done < n;) {
		size_t sent = send_batch(&b->deflate, pfns + done, n - done, depth);
		done += sent;
		set_actual(b, b->actual_pages - (uint32_t)sent);
	}
}

uint32_t balloon_hint_command(const struct balloon *b)
{
	return virtio_config_read(&b->dev, offsetof(struct virtio_balloon_config, free_page_hint_cmd_id));
}

static void send_hint(struct balloon *b, struct virtq_buffer buffer, bool writable)
{
	virtq_put(&b->hint, &buffer, 1, writable);
	virtq_kick(&b->hint);
	virtq_wait(&b->hint);
}

void balloon_hint_say(struct balloon *b, uint32_t command)
{
	static uint32_t word;
	word = command;
	send_hint(b, (struct virtq_buffer){(uintptr_t)&word, sizeof word}, false);
}

void balloon_hint_pages(struct balloon *b, uint64_t gpa, uint32_t len)
{
	send_hint(b, (struct virtq_buffer){gpa, len}, true);
}

size_t balloon_report_max(const struct balloon *b)
{
	return b->report.size < BALLOON_REPORT_RANGES ? b->report.size : BALLOON_REPORT_RANGES;
}

void balloon_report(struct balloon *b, const struct virtq_buffer *ranges, size_t n)
{
	virtq_put(&b->report, ranges, n, true);
	virtq_kick(&b->report);
	virtq_wait(&b->report);
}

void balloon_answer_stats(struct balloon *b, uint64_t free_bytes, uint64_t total_bytes)
{
	if (b->has_stats && virtq_poll(&b->stats))
		put_stats(b, free_bytes, total_bytes);
}

void balloon_check_status(const struct balloon *b)
{
	if (virtio_status(&b->dev) & VIRTIO_CONFIG_S_NEEDS_RESET)
		fail("the balloon asks for a reset: status %#x", virtio_status(&b->dev));
}
