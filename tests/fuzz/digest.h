/* A number made of all that an input brought about: registers, memory and what the host was asked for. */
#ifndef TESTS_FUZZ_DIGEST_H
#define TESTS_FUZZ_DIGEST_H

struct fuzz_machine;

void digest_begin(struct fuzz_machine *m); /* before the input */
void digest_end(struct fuzz_machine *m);   /* after it; then fuzz_digest() has it */

#endif
