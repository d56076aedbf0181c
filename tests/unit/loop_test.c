#include "kvm/loop.h"

#include <CUnit/CUnit.h>
#include <pthread.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/suite.h"

static struct loop loop;
static char order[64];

static void note(const char *what)
{
	strncat(order, what, sizeof order - strlen(order) - 1);
}

static void begin(void)
{
	order[0] = '\0';
	CU_ASSERT_EQUAL_FATAL(loop_init(&loop, NULL), 0);
}

static void note_and_end(void *opaque)
{
	note(opaque);
	loop_end(&loop);
}

static void just_note(void *opaque)
{
	note(opaque);
}

static void timers_fire_in_order(void)
{
	struct host_timer late = {.fn = note_and_end, .opaque = "late "};
	struct host_timer early = {.fn = just_note, .opaque = "early "};
	struct host_timer middle = {.fn = just_note, .opaque = "middle "};
	struct host_timer never = {.fn = just_note, .opaque = "never "};
	begin();
	uint64_t start_ms = loop_now_ms();
	loop_timer_arm(&loop, &late, 30);
	loop_timer_arm(&loop, &early, 5);
	loop_timer_arm(&loop, &middle, 15);
	loop_timer_arm(&loop, &never, 10);
	loop_timer_cancel(&loop, &never);
	loop_timer_cancel(&loop, &never);
	CU_ASSERT_EQUAL(loop_run(&loop), 0);
	CU_ASSERT_STRING_EQUAL(order, "early middle late ");
	CU_ASSERT(loop_now_ms() - start_ms >= 30);
	CU_ASSERT_FALSE(late.armed);
	CU_ASSERT_PTR_NULL(loop.timers);
	loop_finish(&loop);
}

static void rearming_moves_a_timer(void)
{
	struct host_timer moved = {.fn = note_and_end, .opaque = "moved "};
	struct host_timer other = {.fn = just_note, .opaque = "other "};
	begin();
	loop_timer_arm(&loop, &moved, 1);
	loop_timer_arm(&loop, &other, 5);
	loop_timer_arm(&loop, &moved, 20);
	loop_run(&loop);
	CU_ASSERT_STRING_EQUAL(order, "other moved ");
	loop_finish(&loop);
}

static void far_deadline_does_not_wrap(void)
{
	struct host_timer forever = {.fn = just_note, .opaque = "forever "};
	struct host_timer soon = {.fn = note_and_end, .opaque = "soon "};
	begin();
	loop_timer_arm(&loop, &forever, UINT64_MAX);
	loop_timer_arm(&loop, &soon, 1);
	loop_run(&loop);
	CU_ASSERT_STRING_EQUAL(order, "soon ");
	CU_ASSERT_TRUE(forever.armed);
	loop_finish(&loop);
}

static struct host_timer greedy;
static unsigned greedy_runs;

static void rearm_for_now(void *opaque)
{
	(void)opaque;
	greedy_runs++;
	loop_timer_arm(&loop, &greedy, 0);
}

/* A timer that is always due leaves room for the others. */
static void greedy_timer_starves_nobody(void)
{
	struct host_timer other = {.fn = note_and_end, .opaque = "other "};
	greedy = (struct host_timer){.fn = rearm_for_now};
	greedy_runs = 0;
	begin();
	loop_timer_arm(&loop, &greedy, 0);
	loop_timer_arm(&loop, &other, 10);
	loop_run(&loop);
	CU_ASSERT_STRING_EQUAL(order, "other ");
	CU_ASSERT(greedy_runs >= 1 && greedy_runs <= 12);
	loop_finish(&loop);
}

static struct host_work again;
static int again_left;

static void queue_again(void *opaque)
{
	(void)opaque;
	note("again ");
	if (again_left-- > 0) {
		loop_defer(&loop, &again);
		loop_defer(&loop, &again);
	} else {
		loop_end(&loop);
	}
}

static void work_runs_once_per_queueing(void)
{
	struct host_work first = {.fn = just_note, .opaque = "first "};
	struct host_work second = {.fn = just_note, .opaque = "second "};
	again = (struct host_work){.fn = queue_again};
	again_left = 2;
	begin();
	loop_defer(&loop, &first);
	loop_defer(&loop, &again);
	loop_defer(&loop, &second);
	loop_defer(&loop, &first);
	loop_run(&loop);
	CU_ASSERT_STRING_EQUAL(order, "first again second again again ");
	CU_ASSERT_FALSE(first.queued);
	loop_finish(&loop);
}

#define N_WORKS 1000
static struct host_work works[N_WORKS];
static unsigned works_done;

static void count_work(void *opaque)
{
	(void)opaque;
	if (++works_done == N_WORKS)
		loop_end(&loop);
}

static void *defer_all(void *opaque)
{
	(void)opaque;
	for (unsigned i = 0; i < N_WORKS; i++)
		loop_defer(&loop, &works[i]);
	return NULL;
}

static void work_comes_from_other_threads(void)
{
	works_done = 0;
	for (unsigned i = 0; i < N_WORKS; i++)
		works[i] = (struct host_work){.fn = count_work};
	begin();
	pthread_t thread;
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, defer_all, NULL), 0);
	loop_run(&loop);
	pthread_join(thread, NULL);
	CU_ASSERT_EQUAL(works_done, N_WORKS);
	loop_finish(&loop);
}

static void *arm_from_thread(void *opaque)
{
	struct timespec nap = {.tv_nsec = 5000000};
	nanosleep(&nap, NULL);
	loop_timer_arm(&loop, opaque, 1);
	return NULL;
}

/* The loop sleeps towards a late deadline when another thread arms an early one. */
static void timer_comes_from_another_thread(void)
{
	struct host_timer late = {.fn = just_note, .opaque = "late "};
	struct host_timer early = {.fn = note_and_end, .opaque = "early "};
	begin();
	loop_timer_arm(&loop, &late, 10000);
	pthread_t thread;
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, arm_from_thread, &early), 0);
	loop_run(&loop);
	pthread_join(thread, NULL);
	CU_ASSERT_STRING_EQUAL(order, "early ");
	loop_finish(&loop);
}

static struct host_watch watches[2];

/* Whichever comes first removes the other, whose event is ready too. */
static void unwatch_the_other(void *opaque, uint32_t events)
{
	struct host_watch *other = opaque;
	CU_ASSERT(events & EPOLLIN);
	note("once ");
	loop_unwatch(&loop, other);
	memset(other, 0x5A, sizeof *other);
	loop_unwatch(&loop, other == &watches[0] ? &watches[1] : &watches[0]);
}

static void watch_may_free_another(void)
{
	int a[2], b[2];
	CU_ASSERT_EQUAL_FATAL(pipe(a), 0);
	CU_ASSERT_EQUAL_FATAL(pipe(b), 0);
	begin();
	watches[0] = (struct host_watch){.fd = a[0], .fn = unwatch_the_other, .opaque = &watches[1]};
	watches[1] = (struct host_watch){.fd = b[0], .fn = unwatch_the_other, .opaque = &watches[0]};
	CU_ASSERT_EQUAL(loop_watch(&loop, &watches[0], EPOLLIN), 0);
	CU_ASSERT_EQUAL(loop_watch(&loop, &watches[1], EPOLLIN), 0);
	CU_ASSERT_EQUAL(write(a[1], "x", 1), 1);
	CU_ASSERT_EQUAL(write(b[1], "x", 1), 1);
	struct host_timer end = {.fn = note_and_end, .opaque = "end "};
	loop_timer_arm(&loop, &end, 10);
	loop_run(&loop);
	CU_ASSERT_STRING_EQUAL(order, "once end ");
	loop_finish(&loop);
	close(a[0]), close(a[1]), close(b[0]), close(b[1]);
}

static void end_on_output(void *opaque, uint32_t events)
{
	(void)opaque;
	if (events & EPOLLOUT)
		note_and_end("out ");
}

static void watching_again_changes_events(void)
{
	int fds[2];
	CU_ASSERT_EQUAL_FATAL(pipe(fds), 0);
	begin();
	struct host_watch watch = {.fd = fds[1], .fn = end_on_output};
	CU_ASSERT_EQUAL(loop_watch(&loop, &watch, 0), 0);
	CU_ASSERT_EQUAL(loop_watch(&loop, &watch, EPOLLOUT), 0);
	loop_run(&loop);
	CU_ASSERT_STRING_EQUAL(order, "out ");
	loop_unwatch(&loop, &watch);
	loop_unwatch(&loop, &watch);
	watch.fd = -1;
	CU_ASSERT(loop_watch(&loop, &watch, EPOLLIN) < 0);
	CU_ASSERT_FALSE(watch.active);
	loop_finish(&loop);
	close(fds[0]), close(fds[1]);
}

static void note_signal(void *opaque, int signo)
{
	(void)opaque;
	note(signo == SIGTERM ? "term " : "other ");
	loop_end(&loop);
}

static void signals_reach_the_loop(void)
{
	sigset_t set, old;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &set, &old);
	begin();
	CU_ASSERT_EQUAL(loop_catch_signals(&loop, &set, note_signal, NULL, NULL), 0);
	kill(getpid(), SIGTERM);
	loop_run(&loop);
	CU_ASSERT_STRING_EQUAL(order, "term ");
	loop_finish(&loop);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static void ended_loop_runs_nothing(void)
{
	struct host_work work = {.fn = just_note, .opaque = "work "};
	begin();
	loop_defer(&loop, &work);
	loop_end(&loop);
	loop_end(&loop);
	CU_ASSERT_EQUAL(loop_run(&loop), 0);
	CU_ASSERT_STRING_EQUAL(order, "");
	loop_finish(&loop);
}

/* With nothing but a late timer the thread sleeps in one system call. */
static void idle_loop_sleeps(void)
{
	struct host_timer late = {.fn = note_and_end, .opaque = "late "};
	begin();
	loop_timer_arm(&loop, &late, 100);
	struct rusage before, after;
	getrusage(RUSAGE_THREAD, &before);
	loop_run(&loop);
	getrusage(RUSAGE_THREAD, &after);
	CU_ASSERT(after.ru_nvcsw - before.ru_nvcsw <= 3);
	loop_finish(&loop);
}

static const struct test_case cases[] = {
	{"timers_fire_in_order", timers_fire_in_order},
	{"rearming_moves_a_timer", rearming_moves_a_timer},
	{"far_deadline_does_not_wrap", far_deadline_does_not_wrap},
	{"greedy_timer_starves_nobody", greedy_timer_starves_nobody},
	{"work_runs_once_per_queueing", work_runs_once_per_queueing},
	{"work_comes_from_other_threads", work_comes_from_other_threads},
	{"timer_comes_from_another_thread", timer_comes_from_another_thread},
	{"watch_may_free_another", watch_may_free_another},
	{"watching_again_changes_events", watching_again_changes_events},
	{"signals_reach_the_loop", signals_reach_the_loop},
	{"ended_loop_runs_nothing", ended_loop_runs_nothing},
	{"idle_loop_sleeps", idle_loop_sleeps},
};

TEST_SUITE(loop, cases);
