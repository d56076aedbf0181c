/* A QMP server in a child that says what it is told: our end of a conversation with a VM, good or bad. */
#ifndef TESTS_UNIT_FAKEVM_H
#define TESTS_UNIT_FAKEVM_H

#define FAKEVM_GREETING "{\"QMP\": {\"version\": {}, \"capabilities\": []}}\r\n"
#define FAKEVM_EMPTY "{\"return\": {}}\r\n"

/*
 * Listens, and says to the first who connects one text at the start and one for
 * each thing that it hears, each in two pieces; NULL ends, and hangs up. A text
 * may be empty. Returns the socket's path. One at a time.
 */
const char *fakevm_start(const char *const *texts);

/* As fakevm_start(), but says the text again and again and never listens. */
const char *fakevm_start_flood(const char *greeting, const char *text);

void fakevm_end(void);

#endif
