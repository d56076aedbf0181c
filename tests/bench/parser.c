/*
 * How long the parser takes for inputs that are made to be slow, at three
 * sizes. The limit is the same run's: strlen-like work, reading each byte of
 * the input once as UTF-8. Time for a byte should not grow with the size.
 *
 * usage: parser [--json] [--quick]
 *
 *   --quick  tiny sizes, once: shows that it works, and no figure worth reading
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "device/registry.h"
#include "parser/utf8.h"
#include "parser/vmconfig.h"
#include "tests/bench/rows.h"

/* The largest input, and how often each is loaded. */
static const struct plan {
	size_t spec_bytes, option_bytes;
	int rounds;
} full = {1024 * 1024, 64 * 1024, 5}, quick = {16 * 1024, 4 * 1024, 1};

static const struct plan *plan = &full;
static bool as_json;

/* An input is `head`, then `unit` over and over ("%zu" in it counts), then `tail`. */
struct input {
	const char *name;
	const char *option; /* NULL: a spec */
	const char *head, *unit, *tail;
};

static const struct input inputs[] = {
	{"spec: a long comment", NULL, "memory: 1G\n#", "c", "\n"},
	{"spec: comment lines", NULL, "memory: 1G\n", "# comment\n", ""},
	{"spec: a long command line", NULL, "payload: {cmdline: \"", "word ", "\"}\n"},
	{"spec: many lines in a text", NULL, "payload:\n  cmdline: |\n", "    line\n", ""},
	{"spec: escapes", NULL, "payload: {cmdline: \"", "\\x41\\n", "\"}\n"},
	{"spec: unknown keys", NULL, "", "key%zu: 1\n", ""},
	{"spec: a repeated key", NULL, "", "memory: 1G\n", ""},
	{"spec: near misses", NULL, "memory:\n", "  sise%zu: 1\n", ""},
	{"spec: one giant key", NULL, "? ", "k", "\n: 1\n"},
	{"spec: devices", NULL, "devices:\n", "- {driver: virtio-balloon, size: 1M}\n", ""},
	{"spec: open brackets", NULL, "", "[", ""},
	{"spec: open braces, a line each", NULL, "", "{\n", ""},
	{"spec: dashes", NULL, "", "- ", ""},
	{"spec: question marks", NULL, "", "? ", ""},
	{"spec: empty items", NULL, "[", "a,\n", "]"},
	{"spec: anchors", NULL, "[", "&a a,", "]"},
	{"spec: an open quote", NULL, "name: \"", "x\n", ""},
	{"spec: tabs", NULL, "memory:\n", "\t", "size: 1G"},
	{"spec: three bytes a character", NULL, "memory: 1G # ", "\xe6\x97\xa5", "\n"},
	{"spec: one flow line, an error last", NULL, "devices: [", "x, ", "&"},
	{"string: unknown keys", "--balloon", "size=1M", ",key%zu=1", ""},
	{"string: a repeated key", "--balloon", "size=1M", ",id=x", ""},
	{"string: commas", "--balloon", "size=1M", ",", ""},
	{"string: open brackets", "--balloon", "size=", "[", ""},
	{"string: quotes", "--serial", "file=\"", "\"\"", "\""},
	{"string: blanks", "--memory", "size=", " ", "1G"},
	{"string: digits", "--memory", "size=", "9", ""},
};

static char *build(const struct input *input, size_t size)
{
	char *text = malloc(size + 256), unit[64];
	size_t len = (size_t)snprintf(text, size, "%s", input->head), tail = strlen(input->tail);
	for (size_t i = 0; len + sizeof unit + tail < size + 64; i++) {
		const char *number = strstr(input->unit, "%zu");
		size_t n = (size_t)snprintf(unit, sizeof unit, "%s", input->unit);
		if (number)
			n = (size_t)snprintf(unit, sizeof unit, "%.*s%zu%s", (int)(number - input->unit), input->unit, i, number + 3);
		if (len + n + tail > size)
			break;
		memcpy(text + len, unit, n);
		len += n;
	}
	snprintf(text + len, tail + 1, "%s", input->tail);
	return text;
}

static double now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* Milliseconds for one load and what was said about it; the best of some. */
static double load_ms(const struct input *input, const char *text, const char **result)
{
	const struct vmconfig_flag flag = {input->option, text};
	const struct vmconfig_input loaded = {
		.spec_path = input->option ? NULL : "bench.yaml",
		.spec_text = input->option ? NULL : text,
		.spec_len = strlen(text),
		.flags = &flag,
		.n_flags = input->option != NULL,
		.drivers = device_drivers,
	};
	double best = 1e9;
	for (int i = 0; i < plan->rounds; i++) {
		struct diag_list *diags = diag_list_create();
		struct vm_config config;
		double begin = now_ms();
		int error = vmconfig_load(&config, &loaded, diags);
		double took = now_ms() - begin;
		*result = error ? "refused" : "accepted";
		best = took < best ? took : best;
		vmconfig_finish(&config);
		diag_list_destroy(diags);
	}
	return best;
}

static double limit_ms(const char *text)
{
	double best = 1e9;
	for (int i = 0; i < plan->rounds; i++) {
		double begin = now_ms();
		size_t valid = utf8_first_invalid(text, strlen(text));
		double took = now_ms() - begin;
		if (valid != SIZE_MAX && took < best)
			best = took;
	}
	return best;
}

struct figure {
	const char *name, *result;
	size_t bytes;
	double ms, limit_ms, growth;
};

static void print_row(const struct figure *f)
{
	printf("%-36s %10zu %10.3f %10.1f %9.2fx %10.3f  %s\n", f->name, f->bytes, f->ms, f->ms * 1e6 / (double)f->bytes, f->growth, f->limit_ms, f->result);
}

static void add_row(struct rows *rows, const struct figure *f)
{
	rows_add(rows, json_pack("{ss sI sf sf sf ss}", "input", f->name, "bytes", (json_int_t)f->bytes, "ms", f->ms, "growth-ratio", f->growth, "limit-ms",
				 f->limit_ms, "result", f->result));
}

static void run_input(const struct input *input, struct rows *rows)
{
	size_t largest = input->option ? plan->option_bytes : plan->spec_bytes;
	double first_ns = 0;
	for (size_t size = largest / 16; size <= largest; size *= 4) {
		struct figure f = {.name = input->name};
		char *text = build(input, size);
		f.bytes = strlen(text);
		f.ms = load_ms(input, text, &f.result);
		double ns = f.ms * 1e6 / (double)f.bytes;
		first_ns = first_ns > 0 ? first_ns : ns;
		f.growth = ns / first_ns;
		f.limit_ms = limit_ms(text);
		if (as_json)
			add_row(rows, &f);
		else
			print_row(&f);
		free(text);
	}
}

static bool read_options(char **args)
{
	for (; *args; args++) {
		if (!strcmp(*args, "--json"))
			as_json = true;
		else if (!strcmp(*args, "--quick"))
			plan = &quick;
		else
			return false;
	}
	return true;
}

int main(int argc, char **argv)
{
	if (!argc || !read_options(argv + 1)) {
		fprintf(stderr, "usage: parser [--json] [--quick]\n");
		return 2;
	}
	struct rows rows = {0};
	struct rusage usage;
	if (!as_json)
		printf("%-36s %10s %10s %10s %10s %10s  %s\n", "parser", "bytes", "ms", "ns/byte", "growth", "limit ms", "");
	for (size_t i = 0; i < sizeof inputs / sizeof inputs[0]; i++)
		run_input(&inputs[i], &rows);
	getrusage(RUSAGE_SELF, &usage);
	if (as_json)
		rows_end(&rows);
	else
		printf("%-36s %10ld KiB at most for all of it\n", "resident memory", usage.ru_maxrss);
	return 0;
}
