#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "cli/doctor_check.h"
#include "cli/wrap.h"
#include "control/json_out.h"

/* Columns: verdict, name, text. */
#define VERDICT_WIDTH 9
#define NAME_WIDTH 16
#define TEXT_COLUMN (VERDICT_WIDTH + 1 + NAME_WIDTH + 1)

#define JSON_MAX_BYTES ((size_t)1 << 20)

static const char *const verdict_names[] = {
	[DOCTOR_OK] = "ok",
	[DOCTOR_DEGRADED] = "degraded",
	[DOCTOR_BROKEN] = "broken",
	[DOCTOR_UNTRIED] = "untried",
};

const char *doctor_verdict_name(enum doctor_verdict verdict)
{
	return verdict_names[verdict];
}

/* ---- Filling in a finding -------------------------------------------- */

void doctor_found(struct doctor_finding *finding, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	vsnprintf(finding->found, sizeof finding->found, fmt, args);
	va_end(args);
}

void doctor_fault(struct doctor_finding *finding, enum doctor_verdict verdict, const char *cost, const char *remedy, ...)
{
	va_list args;
	finding->verdict = verdict;
	snprintf(finding->cost, sizeof finding->cost, "%s", cost);
	va_start(args, remedy);
	vsnprintf(finding->remedy, sizeof finding->remedy, remedy, args);
	va_end(args);
}

bool doctor_read_line(const char *path, char *line, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	ssize_t n = read(fd, line, size - 1);
	int error = errno;
	close(fd);
	errno = error;
	if (n < 0)
		return false;
	line[n] = '\0';
	line[strcspn(line, "\n")] = '\0';
	return true;
}

bool doctor_chosen(const char *line, const char *word)
{
	size_t len = strlen(word);
	const char *open = strchr(line, '[');
	return open && strncmp(open + 1, word, len) == 0 && open[1 + len] == ']';
}

/* ---- Text ------------------------------------------------------------ */

static void put_row(FILE *out, const char *first, const char *second, const char *text)
{
	if (!*text)
		return;
	fprintf(out, "%-*s %-*s ", VERDICT_WIDTH, first, NAME_WIDTH, second);
	wrap_text(out, TEXT_COLUMN, text);
}

void doctor_print_finding(FILE *out, const char *name, const struct doctor_finding *finding)
{
	put_row(out, doctor_verdict_name(finding->verdict), name, finding->found);
	put_row(out, "", "  cost", finding->cost);
	put_row(out, "", "  remedy", finding->remedy);
}

/* ---- The sum --------------------------------------------------------- */

static size_t count(const struct doctor_finding *findings, size_t n, enum doctor_verdict verdict)
{
	size_t found = 0;
	for (size_t i = 0; i < n; i++)
		found += findings[i].verdict == verdict;
	return found;
}

bool doctor_runs_vms(const struct doctor_finding *findings, size_t n)
{
	return count(findings, n, DOCTOR_BROKEN) == 0;
}

void doctor_print_sum(FILE *out, const struct doctor_finding *findings, size_t n)
{
	size_t untried = count(findings, n, DOCTOR_UNTRIED);
	fprintf(out, "\n%s here: %zu ok, %zu degraded, %zu broken", doctor_runs_vms(findings, n) ? "VMs run" : "VMs do not run", count(findings, n, DOCTOR_OK),
		count(findings, n, DOCTOR_DEGRADED), count(findings, n, DOCTOR_BROKEN));
	if (untried)
		fprintf(out, ", %zu untried", untried);
	fputc('\n', out);
}

/* ---- JSON ------------------------------------------------------------ */

static void put_json_finding(struct json_out *out, const char *name, const struct doctor_finding *finding)
{
	json_out_open(out, '{');
	json_out_member_string(out, "check", name);
	json_out_member_string(out, "verdict", doctor_verdict_name(finding->verdict));
	json_out_member_string(out, "found", finding->found);
	if (*finding->cost)
		json_out_member_string(out, "cost", finding->cost);
	if (*finding->remedy)
		json_out_member_string(out, "remedy", finding->remedy);
	json_out_close(out, '}');
}

bool doctor_print_json(FILE *out, const struct doctor_row *rows, const struct doctor_finding *findings, size_t n)
{
	struct json_out json;
	json_out_init(&json, JSON_MAX_BYTES);
	json_out_open(&json, '{');
	json_out_member_bool(&json, "runs-vms", doctor_runs_vms(findings, n));
	json_out_key(&json, "checks");
	json_out_open(&json, '[');
	for (size_t i = 0; i < n; i++)
		put_json_finding(&json, rows[i].name, &findings[i]);
	json_out_close(&json, ']');
	json_out_close(&json, '}');
	json_out_raw(&json, "\n", 1);
	bool good = !json.failed;
	if (good)
		fwrite(json.bytes, 1, json.len, out);
	json_out_finish(&json);
	return good;
}
