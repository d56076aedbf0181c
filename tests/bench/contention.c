/*
 * Many vCPUs that kick the balloon at once: through the same three queues of one
 * device each inflates, deflates and reports memory of its own, real memory; or
 * it kicks and there is nothing to do. Beside one vCPU that does all of the
 * same: how fast it goes, what it costs, and how long threads wait for the
 * device's lock. Fails when memory did not really go back, never on time.
 *
 * usage: contention [--json] [--quick] [--false-discards] [MEMORY]
 *
 * The options are those of reclaim. MEMORY: private-4k if there is none.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "kvm/discard.h"
#include "tests/bench/area.h"
#include "tests/bench/arguments.h"
#include "tests/bench/rows.h"
#include "tests/unit/fakeguest.h"
#include "util/bytes.h"

#define INFLATE 0
#define DEFLATE 1
#define REPORT 4
#define MAX_VCPUS 64u
#define ARRAYS 0x400000ULL /* guest address of the page numbers */
#define PER_REQUEST 256u   /* page numbers, as Linux has them */
#define BLOCK 512u	   /* pages */
#define PER_TURN (2 * BLOCK)
#define KICKS_PER_TURN 1000u

static struct arguments asked;
static unsigned turns = 2000; /* of all vCPUs together */
static const struct backing *backing;

static struct area area;
static struct fakeguest fg;
static pthread_mutex_t ring_locks[FG_N_QUEUES]; /* the driver's */
static struct io_region bar;			/* the device's, as a vCPU's exit finds it */
static uint64_t empty_rss;			/* of RAM without the area */
static int turns_left;
static unsigned n_running;

/* ---- The device's lock ----------------------------------------------- */

/* Of one run. Times in nanoseconds. */
static struct lock_figures {
	uint64_t taken, waits, waited_ns, longest_ns;
	uint64_t put_off; /* kicks that found it taken, and were left to the event loop */
} lock_figures;

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;
	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void count_wait(uint64_t ns)
{
	__atomic_fetch_add(&lock_figures.waits, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&lock_figures.waited_ns, ns, __ATOMIC_RELAXED);
	uint64_t longest = __atomic_load_n(&lock_figures.longest_ns, __ATOMIC_RELAXED);
	while (ns > longest && !__atomic_compare_exchange_n(&lock_figures.longest_ns, &longest, ns, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
}

static bool is_watched(const pthread_mutex_t *mutex)
{
	return fg.dev && mutex == &fg.dev->lock;
}

static void count_one(uint64_t *figure)
{
	__atomic_fetch_add(figure, 1, __ATOMIC_RELAXED);
}

/* The linker's --wrap puts these in the place of every call of the functions without __wrap_. */
int __real_pthread_mutex_lock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex);
int __real_pthread_mutex_trylock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_trylock(pthread_mutex_t *mutex);

int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex)
{
	if (!is_watched(mutex))
		return __real_pthread_mutex_lock(mutex);
	count_one(&lock_figures.taken);
	if (__real_pthread_mutex_trylock(mutex) == 0)
		return 0;
	uint64_t begin = clock_ns(CLOCK_MONOTONIC);
	int err = __real_pthread_mutex_lock(mutex);
	count_wait(clock_ns(CLOCK_MONOTONIC) - begin);
	return err;
}

int __wrap_pthread_mutex_trylock(pthread_mutex_t *mutex)
{
	int err = __real_pthread_mutex_trylock(mutex);
	if (is_watched(mutex))
		count_one(err ? &lock_figures.put_off : &lock_figures.taken);
	return err;
}

/* ---- A vCPU ---------------------------------------------------------- */

/* Straight to the device: the fake host's own lock, which a discard holds, is in nobody's way in a real machine. */
static void kick(unsigned queue)
{
	bar.ops->write(bar.opaque, fg.bar + fg.notify + queue * fg.multiplier - bar.base, 2, queue);
}

/* Each vCPU has a descriptor of its own in each queue. Requests of a queue are returned in their order. */
static void send(unsigned vcpu, unsigned queue, uint64_t gpa, uint32_t len, uint16_t flags)
{
	pthread_mutex_lock(&ring_locks[queue]);
	fg_desc(&fg, queue, (uint16_t)vcpu, gpa, len, flags, 0);
	fg_publish(&fg, queue, (uint16_t)vcpu);
	uint16_t sent = fg.q[queue].avail_idx;
	pthread_mutex_unlock(&ring_locks[queue]);
	kick(queue);
	for (useconds_t us = 20; (int16_t)(fg_used_idx(&fg, queue) - sent) < 0; us = us < 1000 ? 2 * us : us)
		usleep(us); /* a real driver sleeps until the interrupt */
}

static uint64_t array_of(unsigned vcpu)
{
	return ARRAYS + vcpu * (uint64_t)BLOCK * 4;
}

/* A vCPU's memory is written, one half of it goes into the balloon and comes back, the other is reported. */
static void move_memory(unsigned vcpu)
{
	size_t first = vcpu * (size_t)PER_TURN;
	area_touch(&area, first, PER_TURN);
	for (unsigned queue = INFLATE; queue <= DEFLATE; queue++)
		for (uint64_t i = 0; i < BLOCK; i += PER_REQUEST)
			send(vcpu, queue, array_of(vcpu) + i * 4, PER_REQUEST * 4, 0);
	send(vcpu, REPORT, area_gpa(&area, first + BLOCK), (uint32_t)(BLOCK * AREA_PAGE), D_WRITE);
}

static void only_kick(unsigned vcpu)
{
	static const unsigned queues[] = {INFLATE, DEFLATE, REPORT};
	for (unsigned i = 0; i < KICKS_PER_TURN; i++)
		kick(queues[(vcpu + i) % 3]);
}

static const struct load {
	const char *name, *unit;
	void (*turn)(unsigned vcpu);
	unsigned units, bytes; /* of a turn */
} loads[] = {
	{"memory", "pages", move_memory, PER_TURN, PER_TURN *AREA_PAGE},
	{"kicks", "kicks", only_kick, KICKS_PER_TURN, 0},
};

struct vcpu {
	pthread_t thread;
	unsigned number;
	const struct load *load;
};

static void *vcpu_thread(void *arg)
{
	const struct vcpu *vcpu = arg;
	while (__atomic_fetch_sub(&turns_left, 1, __ATOMIC_RELAXED) > 0)
		vcpu->load->turn(vcpu->number);
	__atomic_fetch_sub(&n_running, 1, __ATOMIC_RELEASE);
	return NULL;
}

/* ---- A run ----------------------------------------------------------- */

struct run {
	const struct load *load;
	unsigned vcpus;
	double s, cpu_s;
	uint64_t returned_bytes; /* as the device says */
	uint64_t kept_bytes;	 /* of the area, in RSS */
	struct lock_figures lock;
};

/* What the event loop does, until all vCPUs are done. Its clock is the real one. */
static void run_loop(void)
{
	uint64_t last_ms = clock_ns(CLOCK_MONOTONIC) / 1000000;
	while (__atomic_load_n(&n_running, __ATOMIC_ACQUIRE)) {
		if (!fakehost_run_work(fg.fh))
			usleep(50);
		uint64_t now_ms = clock_ns(CLOCK_MONOTONIC) / 1000000;
		if (now_ms > last_ms)
			fakehost_advance(fg.fh, now_ms - last_ms);
		last_ms = now_ms;
	}
	fakehost_settle(fg.fh, 1000);
	fakehost_advance(fg.fh, 20);
	fakehost_settle(fg.fh, 1000);
}

static uint64_t discarded_bytes(void)
{
	struct balloon_state state;
	balloon_get_state(fg.dev, &state);
	return state.queues[BALLOON_Q_INFLATE].discarded_bytes + state.queues[BALLOON_Q_REPORT].discarded_bytes;
}

static struct run run(const struct load *load, unsigned n_vcpus)
{
	struct run r = {.load = load, .vcpus = n_vcpus};
	struct vcpu vcpus[MAX_VCPUS];
	uint64_t discarded = discarded_bytes();
	turns_left = (int)turns;
	n_running = n_vcpus;
	lock_figures = (struct lock_figures){0};
	uint64_t begin = clock_ns(CLOCK_MONOTONIC), cpu_begin = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	for (unsigned i = 0; i < n_vcpus; i++) {
		vcpus[i] = (struct vcpu){.number = i, .load = load};
		if (pthread_create(&vcpus[i].thread, NULL, vcpu_thread, &vcpus[i]))
			abort();
	}
	run_loop();
	for (unsigned i = 0; i < n_vcpus; i++)
		pthread_join(vcpus[i].thread, NULL);
	r.s = (double)(clock_ns(CLOCK_MONOTONIC) - begin) / 1e9;
	r.cpu_s = (double)(clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu_begin) / 1e9;
	r.lock = lock_figures;
	r.returned_bytes = discarded_bytes() - discarded;
	uint64_t rss_after = backing_rss(area.ram);
	r.kept_bytes = rss_after > empty_rss ? rss_after - empty_rss : 0;
	return r;
}

static bool is_ok(const struct run *r)
{
	return r->returned_bytes == (uint64_t)turns * r->load->bytes && !r->kept_bytes;
}

/* ---- Output ---------------------------------------------------------- */

static double per_s(const struct run *r)
{
	return (double)turns * r->load->units / r->s;
}

static double cpu_ns(const struct run *r)
{
	return r->cpu_s * 1e9 / ((double)turns * r->load->units);
}

static double waits_share(const struct run *r)
{
	return (double)r->lock.waits / (double)r->lock.taken;
}

static double wait_us(const struct run *r)
{
	return r->lock.waits ? (double)r->lock.waited_ns / 1e3 / (double)r->lock.waits : 0;
}

static void print_row(const struct run *r, const struct run *one)
{
	printf("  %-8s %5u | %11.0f %-5s %6.2f | %9.1f %6.2f | %9llu %7.2f%% %9.1f %9.1f %8llu%s\n", r->load->name, r->vcpus, per_s(r), r->load->unit,
	       per_s(r) / per_s(one), cpu_ns(r), cpu_ns(r) / cpu_ns(one), (unsigned long long)r->lock.taken, 100 * waits_share(r), wait_us(r),
	       (double)r->lock.longest_ns / 1e3, (unsigned long long)r->lock.put_off, is_ok(r) ? "" : "  FAILED: memory did not go back");
}

static void add_row(struct rows *rows, const struct run *r)
{
	uint64_t n = (uint64_t)turns * r->load->units, expected = (uint64_t)turns * r->load->bytes;
	json_t *row = json_pack("{ss ss sI sI sf sf sI sI sf sf sI sI sI sI sb}", "memory", backing->name, "load", r->load->name, "vcpus", (json_int_t)r->vcpus,
				r->load->unit, (json_int_t)n, "s", r->s, "cpu-s", r->cpu_s, "lock-taken", (json_int_t)r->lock.taken, "lock-waits",
				(json_int_t)r->lock.waits, "lock-waited-s", (double)r->lock.waited_ns / 1e9, "lock-longest-wait-us",
				(double)r->lock.longest_ns / 1e3, "kicks-put-off", (json_int_t)r->lock.put_off, "expected-bytes", (json_int_t)expected,
				"returned-bytes", (json_int_t)r->returned_bytes, "kept-bytes", (json_int_t)r->kept_bytes, "ok", is_ok(r));
	rows_add(rows, row);
}

/* ---- All of it ------------------------------------------------------- */

static void discard(struct fakehost *fh, const struct gmem_range *ranges, size_t n, struct discard_result *result)
{
	(void)fh;
	discard_ranges(area.ram, ranges, n, result);
}

static void discard_falsely(struct fakehost *fh, const struct gmem_range *ranges, size_t n, struct discard_result *result)
{
	(void)fh;
	for (size_t i = 0; i < n; i++)
		result->discarded_bytes += ranges[i].len;
}

static void find_bar(void)
{
	struct fakehost *fh = fg.fh;
	for (size_t i = 0; i < fh->n_regions; i++)
		if (fh->regions[i]->space == IO_MMIO && fh->regions[i]->base == fg.bar)
			bar = *fh->regions[i];
	if (!bar.ops)
		abort();
}

/* Each vCPU's page numbers, and the device over the RAM. Returns the fake host's own memory, for its end. */
static struct gmem begin(struct guest_ram *ram)
{
	area = (struct area){.ram = ram, .n_pages = MAX_VCPUS * PER_TURN};
	for (unsigned i = 0; i < FG_N_QUEUES; i++)
		pthread_mutex_init(&ring_locks[i], NULL);
	struct fakehost *fh = fakehost_create(ram->gmem.page_size);
	struct gmem own = fh->host.gmem;
	fh->host.gmem = ram->gmem;
	fh->discards_unrecorded = fh->discards_unchecked = true;
	fh->discard = asked.lies ? discard_falsely : discard;
	fg_create_on(&fg, NULL, fh);
	fg_init(&fg, F_EVENT_IDX | F_MUST_TELL_HOST | F_REPORT);
	find_bar();
	for (unsigned vcpu = 0; vcpu < MAX_VCPUS; vcpu++)
		for (unsigned i = 0; i < BLOCK; i++)
			store_le32(fakehost_ram(fh, array_of(vcpu) + i * 4ULL, 4), (uint32_t)(area_gpa(&area, vcpu * PER_TURN + i) / AREA_PAGE));
	empty_rss = backing_rss(ram);
	return own;
}

static bool run_all(void)
{
	static const unsigned counts[] = {1, 2, 8, MAX_VCPUS};
	struct rows rows = {0};
	bool all_ok = true;
	if (!asked.as_json)
		printf("Contention: vCPUs that kick one device at once, %s\n  %-8s %5s | %17s %6s | %9s %6s | %9s %8s %9s %9s %8s\n", backing->name, "load",
		       "vcpus", "per second", "ratio", "cpu ns", "ratio", "locked", "waited", "mean us", "most us", "put off");
	for (size_t k = 0; k < sizeof loads / sizeof loads[0]; k++) {
		struct run one = {0};
		for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
			struct run r = run(&loads[k], counts[i]);
			one = i ? one : r;
			if (asked.as_json)
				add_row(&rows, &r);
			else
				print_row(&r, &one);
			fflush(stdout);
			all_ok &= is_ok(&r);
		}
	}
	if (asked.as_json)
		rows_end(&rows);
	return all_ok;
}

int main(int argc, char **argv)
{
	if (!arguments_read(&asked, "contention", argc, argv))
		return 2;
	if (asked.is_quick)
		turns = MAX_VCPUS;
	backing = asked.memory ? asked.memory : backing_named("private-4k");
	struct guest_ram ram;
	const char *missing = backing_open(backing, MAX_VCPUS * PER_TURN * AREA_PAGE + FG_PAGES, &ram);
	if (missing) {
		fprintf(stderr, "contention: %s: %s\n", backing->name, missing);
		return 1;
	}
	const struct gmem own = begin(&ram);
	bool all_ok = run_all();
	fg.fh->host.gmem = own;
	if (fg_destroy(&fg))
		abort();
	ram_finish(&ram);
	return !all_ok;
}
