#include "tests/conformance/threads.h"

#include <sched.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "tests/conformance/fd.h"

#define DEADLOCK_S 600

static bool stopping;

int threads_suite_init(void)
{
	alarm((unsigned)(DEADLOCK_S + threads_soak_ms(0) / 1000 * 4));
	return 0;
}

int threads_suite_clean(void)
{
	alarm(0);
	return 0;
}

void threads_begin(void)
{
	__atomic_store_n(&stopping, false, __ATOMIC_RELEASE);
}

bool threads_are_stopping(void)
{
	return __atomic_load_n(&stopping, __ATOMIC_ACQUIRE);
}

pthread_t threads_start(void *(*fn)(void *), void *arg)
{
	pthread_t thread;
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, fn, arg), 0);
	return thread;
}

void threads_stop(pthread_t *threads, unsigned n)
{
	__atomic_store_n(&stopping, true, __ATOMIC_RELEASE);
	for (unsigned i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
}

void *threads_loop(void *arg)
{
	(void)arg;
	while (!threads_are_stopping())
		if (!fakehost_run_work(fg.fh))
			usleep(50);
	return NULL;
}

void *threads_host(void *arg)
{
	struct balloon_state state;
	unsigned seed = 7;
	(void)arg;
	while (!threads_are_stopping()) {
		balloon_set_target(fg.dev, (uint64_t)rand_r(&seed) % (128 * MIB));
		balloon_get_state(fg.dev, &state);
		balloon_request_stats(fg.dev);
		balloon_set_stats_interval(fg.dev, (uint64_t)rand_r(&seed) % 3);
		balloon_hint_start(fg.dev);
	}
	return NULL;
}

uint64_t threads_clock_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

bool threads_go_on(unsigned i, uint64_t end_ms)
{
	return i < 8 || i % 8 || threads_clock_ms() < end_ms;
}

void threads_spin(void)
{
	static _Thread_local unsigned n;
	if (++n % 256 == 0)
		sched_yield();
}

uint64_t threads_soak_ms(uint64_t ms)
{
	const char *seconds = getenv("CONFORMANCE_SOAK_S");
	return seconds ? strtoull(seconds, NULL, 10) * 1000 : ms;
}
