/*
 * The fake host's watch over guest writes: watched memory is read-only, the
 * fault of the first write to a page notes it. Sees every write, the device's
 * own to its rings included, and also one that changes nothing. One fake host at
 * a time is watched.
 */
#ifndef TESTS_UNIT_FAKEWATCH_H
#define TESTS_UNIT_FAKEWATCH_H

#include "tests/unit/fakehost.h"

/* The ops of the same purpose in device/host.h. */
int fakewatch_watch(struct host *host, bool on);
void fakewatch_hold(struct host *host);
uint64_t fakewatch_release(struct host *host);
void fakewatch_discard(struct host *host, const struct gmem_range *ranges, size_t n, struct discard_result *result);

/* The fake host is about to go. */
void fakewatch_finish(struct fakehost *fh);

#endif
