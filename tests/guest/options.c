#include "tests/guest/options.h"

#include <stddef.h>

#include "tests/bench/patterns.h"
#include "tests/guest/report.h"

#define WORD_MAX 64

static bool is_equal(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return *a == *b;
}

/* The value if `word` starts with key and '=', else NULL. */
static const char *value_of(const char *word, const char *key)
{
	while (*key && *word == *key)
		word++, key++;
	return !*key && *word == '=' ? word + 1 : NULL;
}

static uint32_t number(const char *word, const char *value)
{
	uint32_t n = 0;
	const char *p = value;
	for (; *p >= '0' && *p <= '9' && n < 100000000; p++)
		n = 10 * n + (uint32_t)(*p - '0');
	if (p == value || *p)
		fail("option %s: a number below 1000000000 is wanted", word);
	return n;
}

/* Which of the NULL-terminated names `value` is. */
static unsigned choice(const char *word, const char *value, const char *const names[])
{
	for (unsigned i = 0; names[i]; i++)
		if (is_equal(value, names[i]))
			return i;
	fail("option %s: unknown value", word);
}

static unsigned pattern_number(const char *word, const char *value)
{
	if (is_equal(value, "whole"))
		return 0;
	for (unsigned i = 0; i < n_patterns; i++)
		if (is_equal(value, patterns[i].name))
			return i + 1;
	fail("option %s: unknown value", word);
}

static void parse_word(struct options *o, const char *word)
{
	const char *value;
	if ((value = value_of(word, "mode"))) {
		o->mode =
			(enum mode)choice(word, value, (const char *const[]){"selftest", "bench", "follow", "hint", "idle", "race", "refill", "hostile", NULL});
	} else if ((value = value_of(word, "hold_ms"))) {
		o->hold_ms = number(word, value);
	} else if ((value = value_of(word, "touch_mb"))) {
		o->touch_mb = number(word, value);
	} else if ((value = value_of(word, "seconds"))) {
		o->seconds = number(word, value);
	} else if ((value = value_of(word, "seed"))) {
		o->seed = number(word, value);
	} else if ((value = value_of(word, "pause_ms"))) {
		o->pause_ms = number(word, value);
	} else if ((value = value_of(word, "zero"))) {
		o->may_keep = choice(word, value, (const char *const[]){"must", "any", NULL});
	} else if ((value = value_of(word, "numbering"))) {
		unsigned which = choice(word, value, (const char *const[]){"both", "spec", "linux", NULL});
		o->numbering_spec = which != 2;
		o->numbering_linux = which != 1;
	} else if ((value = value_of(word, "pattern"))) {
		o->pattern = pattern_number(word, value);
	} else if ((value = value_of(word, "depth"))) {
		o->depth = number(word, value);
	} else {
		fail("unknown option %s (there are mode, hold_ms, touch_mb, seconds, seed, pause_ms, zero, numbering, pattern, depth)", word);
	}
}

void options_parse(struct options *options, const char *cmdline)
{
	*options = (struct options){.seconds = 10, .seed = 1, .numbering_spec = true, .numbering_linux = true, .depth = 1};
	while (*cmdline) {
		char word[WORD_MAX];
		size_t len = 0;
		for (; *cmdline && *cmdline != ' '; cmdline++)
			if (len < WORD_MAX - 1)
				word[len++] = *cmdline;
		word[len] = '\0';
		if (len)
			parse_word(options, word);
		if (*cmdline)
			cmdline++;
	}
}
