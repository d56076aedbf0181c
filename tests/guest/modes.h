/* What the guest does, by mode (tests/guest/options.h). Each one returns when the run is a success. */
#ifndef TESTS_GUEST_MODES_H
#define TESTS_GUEST_MODES_H

#include "tests/guest/balloon.h"
#include "tests/guest/options.h"

/* b: NULL without a balloon. */
void selftest_run(struct balloon *b, const struct options *options);
void bench_run(struct balloon *b);
void hint_run(struct balloon *b, const struct options *options);    /* b is not NULL */
void race_run(struct balloon *b, const struct options *options);    /* likewise */
void refill_run(struct balloon *b, const struct options *options);  /* likewise */
void hostile_run(struct balloon *b, const struct options *options); /* likewise */
void follow_run(struct balloon *b, const struct options *options);

#endif
