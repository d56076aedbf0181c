#include "tests/unit/fakewatch.h"

#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static struct fakehost *volatile watched;
static struct sigaction before;

static void broken_promise(struct fakehost *fh, const char *what)
{
	fh->contract_errors++;
	fprintf(stderr, "fakehost: %s\n", what);
}

/* ---- Noting writes --------------------------------------------------- */

static __attribute__((no_sanitize("thread"))) bool let_write(struct fakehost *fh, size_t region, size_t page, size_t n)
{
	for (size_t i = 0; i < n; i++)
		*(volatile uint8_t *)&fh->written[region][page + i] = 1;
	return mprotect(fh->host.gmem.regions[region].hva + page * 4096, n * 4096, PROT_READ | PROT_WRITE) == 0;
}

/*
 * A write to what is, or was a moment ago, watched memory. Anything else happens
 * again with the handler that was there before. Not for the thread sanitizer: a
 * fault may come from amid its own code for an atomic store, where neither an
 * atomic access nor anything else that it watches may come again.
 */
static __attribute__((no_sanitize("thread"))) void on_fault(int signo, siginfo_t *info, void *context)
{
	struct fakehost *fh = watched;
	const uint8_t *at = info->si_addr;
	(void)context;
	for (size_t i = 0; fh && i < fh->host.gmem.n_regions; i++) {
		const struct gmem_region *r = &fh->host.gmem.regions[i];
		if (at < r->hva || at >= r->hva + r->len)
			continue;
		size_t page = (size_t)(at - r->hva) / 4096;
		if (let_write(fh, i, page, 1))
			return;
		/* Memory that is really made of larger pages is protected by these. */
		size_t n = fh->host.gmem.page_size / 4096;
		if (let_write(fh, i, page / n * n, n))
			return;
	}
	sigaction(signo, &before, NULL);
}

static void protect(struct fakehost *fh, int how)
{
	for (size_t i = 0; i < fh->host.gmem.n_regions; i++) {
		const struct gmem_region *r = &fh->host.gmem.regions[i];
		int err = mprotect(r->hva, r->len, how);
		assert(err == 0);
		(void)err;
	}
}

/* The handler stays, and so does `watched`: threads may be on their way into it. */
static void stop(struct fakehost *fh)
{
	protect(fh, PROT_READ | PROT_WRITE);
	fh->watching = false;
}

static void start(struct fakehost *fh)
{
	for (size_t i = 0; i < fh->host.gmem.n_regions; i++) {
		size_t n_pages = fh->host.gmem.regions[i].len / 4096;
		if (fh->written[i])
			memset(fh->written[i], 0, n_pages);
		else
			fh->written[i] = calloc(n_pages, 1);
		assert(fh->written[i]);
	}
	watched = fh;
	struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER}, now;
	sigaction(SIGSEGV, &action, &now);
	if (now.sa_sigaction != on_fault)
		before = now;
	protect(fh, PROT_READ);
	fh->watching = true;
	fh->watches++;
}

int fakewatch_watch(struct host *host, bool on)
{
	struct fakehost *fh = (struct fakehost *)host;
	pthread_mutex_lock(&fh->lock);
	int err = on ? fh->watch_error : 0;
	if (fh->watching)
		stop(fh);
	if (on && !err)
		start(fh);
	pthread_mutex_unlock(&fh->lock);
	return err;
}

void fakewatch_finish(struct fakehost *fh)
{
	if (watched == fh)
		watched = NULL;
	for (size_t i = 0; i < fh->host.gmem.n_regions; i++)
		free(fh->written[i]);
}

/* ---- Holding vCPUs --------------------------------------------------- */

void fakehost_enter_guest(struct fakehost *fh)
{
	pthread_rwlock_rdlock(&fh->guest);
}

void fakehost_leave_guest(struct fakehost *fh)
{
	pthread_rwlock_unlock(&fh->guest);
}

void fakewatch_hold(struct host *host)
{
	struct fakehost *fh = (struct fakehost *)host;
	pthread_rwlock_wrlock(&fh->guest);
	fh->held = true;
	fh->holds++;
}

uint64_t fakewatch_release(struct host *host)
{
	struct fakehost *fh = (struct fakehost *)host;
	fh->held = false;
	pthread_rwlock_unlock(&fh->guest);
	return 1;
}

/* ---- Discarding ------------------------------------------------------ */

static bool was_written(const struct fakehost *fh, uint64_t gpa)
{
	const struct gmem_region *r = gmem_region_of(&fh->host.gmem, gpa);
	return fh->written[r - fh->host.gmem.regions][(gpa - r->gpa) / 4096];
}

/* Whole host pages only. */
static void discard_run(struct fakehost *fh, uint64_t gpa, uint64_t end, struct discard_result *sum)
{
	uint64_t page = fh->host.gmem.page_size;
	uint64_t first = (gpa + page - 1) / page * page, last = end / page * page;
	const struct gmem_range run = {.gpa = first, .len = last > first ? last - first : 0};
	struct discard_result result;
	sum->failed_bytes += end - gpa - run.len;
	if (!run.len)
		return;
	fh->host.ops->discard(&fh->host, &run, 1, &result);
	sum->discarded_bytes += result.discarded_bytes;
	sum->failed_bytes += result.failed_bytes;
	sum->error = sum->error ? sum->error : result.error;
}

static void discard_range(struct fakehost *fh, const struct gmem_range *range, struct discard_result *sum)
{
	uint64_t end = range->gpa + range->len, first = range->gpa;
	for (uint64_t gpa = first; gpa < end; gpa += 4096) {
		if (!was_written(fh, gpa))
			continue;
		discard_run(fh, first, gpa, sum);
		sum->written_bytes += 4096;
		first = gpa + 4096;
	}
	discard_run(fh, first, end, sum);
}

void fakewatch_discard(struct host *host, const struct gmem_range *ranges, size_t n, struct discard_result *result)
{
	struct fakehost *fh = (struct fakehost *)host;
	*result = (struct discard_result){0};
	if (!fh->held)
		broken_promise(fh, "discard_unwritten while vCPUs run");
	if (!fh->watching) {
		broken_promise(fh, "discard_unwritten while no writes are watched");
		return;
	}
	for (size_t i = 0; i < n; i++)
		discard_range(fh, &ranges[i], result);
}
