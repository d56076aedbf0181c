#include <CUnit/CUnit.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/doctor_check.h"
#include "tests/unit/suite.h"

static char *text;
static size_t text_len;

static FILE *begin(void)
{
	return open_memstream(&text, &text_len);
}

static void end_and_expect(FILE *out, const char *expected)
{
	fclose(out);
	CU_ASSERT_STRING_EQUAL(text, expected);
	free(text);
}

static struct doctor_finding finding_of(enum doctor_verdict verdict, const char *found, const char *cost, const char *remedy)
{
	struct doctor_finding finding = {0};
	doctor_found(&finding, "%s", found);
	if (verdict == DOCTOR_DEGRADED || verdict == DOCTOR_BROKEN)
		doctor_fault(&finding, verdict, cost, "%s", remedy);
	else
		finding.verdict = verdict;
	return finding;
}

static void one_line_when_ok(void)
{
	struct doctor_finding finding = finding_of(DOCTOR_OK, "ABI 7", "", "");
	FILE *out = begin();
	doctor_print_finding(out, "Landlock", &finding);
	end_and_expect(out, "ok        Landlock         ABI 7\n");
}

static void cost_and_remedy_below(void)
{
	struct doctor_finding finding = finding_of(DOCTOR_BROKEN, "none", "no VM runs", "modprobe kvm");
	FILE *out = begin();
	doctor_print_finding(out, "kvm", &finding);
	end_and_expect(out, "broken    kvm              none\n"
			    "            cost           no VM runs\n"
			    "            remedy         modprobe kvm\n");
}

/* The last word of the first line ends in column 79, the next one would have ended in column 80. */
static void wraps_before_the_edge(void)
{
	struct doctor_finding finding = finding_of(DOCTOR_OK, "1234567890 1234567890 1234567890 1234567890 12345678 1 345", "", "");
	FILE *out = begin();
	doctor_print_finding(out, "x", &finding);
	end_and_expect(out, "ok        x                1234567890 1234567890 1234567890 1234567890 12345678\n"
			    "                           1 345\n");
	finding = finding_of(DOCTOR_OK, "1234567890 1234567890 1234567890 1234567890 123456789", "", "");
	out = begin();
	doctor_print_finding(out, "x", &finding);
	end_and_expect(out, "ok        x                1234567890 1234567890 1234567890 1234567890\n"
			    "                           123456789\n");
}

static void long_words_stand_alone(void)
{
	struct doctor_finding finding =
		finding_of(DOCTOR_OK, "at /a/path/that/is/far/wider/than/the/column/which/it/should/fit/in/but/does/not of yours", "", "");
	FILE *out = begin();
	doctor_print_finding(out, "x", &finding);
	end_and_expect(out, "ok        x                at\n"
			    "                           /a/path/that/is/far/wider/than/the/column/which/it/should/fit/in/but/does/not\n"
			    "                           of yours\n");
}

static void terminals_are_not_driven(void)
{
	struct doctor_finding finding = finding_of(DOCTOR_OK, "/run/\033[2J\n\x9b\x7f", "", "");
	FILE *out = begin();
	doctor_print_finding(out, "x", &finding);
	end_and_expect(out, "ok        x                /run/?[2J???\n");
}

static void sums(void)
{
	struct doctor_finding findings[] = {finding_of(DOCTOR_OK, "a", "", ""), finding_of(DOCTOR_DEGRADED, "b", "c", "d"), finding_of(DOCTOR_OK, "a", "", "")};
	FILE *out = begin();
	CU_ASSERT_TRUE(doctor_runs_vms(findings, 3));
	doctor_print_sum(out, findings, 3);
	end_and_expect(out, "\nVMs run here: 2 ok, 1 degraded, 0 broken\n");
	findings[0].verdict = DOCTOR_BROKEN;
	findings[2].verdict = DOCTOR_UNTRIED;
	out = begin();
	CU_ASSERT_FALSE(doctor_runs_vms(findings, 3));
	doctor_print_sum(out, findings, 3);
	end_and_expect(out, "\nVMs do not run here: 0 ok, 1 degraded, 1 broken, 1 untried\n");
}

static void json(void)
{
	static const struct doctor_row rows[] = {{"kvm", NULL}, {"memfd", NULL}};
	struct doctor_finding findings[] = {finding_of(DOCTOR_BROKEN, "a \"b\"\n", "c", "d"), finding_of(DOCTOR_UNTRIED, "e", "", "")};
	FILE *out = begin();
	CU_ASSERT_TRUE(doctor_print_json(out, rows, findings, 2));
	end_and_expect(
		out,
		"{\"runs-vms\":false,\"checks\":[{\"check\":\"kvm\",\"verdict\":\"broken\",\"found\":\"a \\\"b\\\"\\u000a\",\"cost\":\"c\",\"remedy\":\"d\"},"
		"{\"check\":\"memfd\",\"verdict\":\"untried\",\"found\":\"e\"}]}\n");
}

static void choices_of_the_kernel(void)
{
	CU_ASSERT_TRUE(doctor_chosen("always [madvise] never", "madvise"));
	CU_ASSERT_FALSE(doctor_chosen("always [madvise] never", "always"));
	CU_ASSERT_FALSE(doctor_chosen("always [madvise] never", "mad"));
	CU_ASSERT_FALSE(doctor_chosen("always madvise never", "madvise"));
	CU_ASSERT_FALSE(doctor_chosen("", ""));
}

static void first_lines(void)
{
	char path[] = "/tmp/doctor_test.XXXXXX", line[8];
	int fd = mkstemp(path);
	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT_EQUAL(write(fd, "one\ntwo\n", 8), 8);
	CU_ASSERT_TRUE(doctor_read_line(path, line, sizeof line));
	CU_ASSERT_STRING_EQUAL(line, "one");
	CU_ASSERT_TRUE(doctor_read_line(path, line, 3));
	CU_ASSERT_STRING_EQUAL(line, "on");
	close(fd);
	unlink(path);
	CU_ASSERT_FALSE(doctor_read_line(path, line, sizeof line));
}

static const struct test_case cases[] = {
	{"one line when ok", one_line_when_ok},
	{"cost and remedy below", cost_and_remedy_below},
	{"wraps before the edge", wraps_before_the_edge},
	{"long words stand alone", long_words_stand_alone},
	{"terminals are not driven", terminals_are_not_driven},
	{"sums", sums},
	{"json", json},
	{"choices of the kernel", choices_of_the_kernel},
	{"first lines", first_lines},
};

TEST_SUITE(doctor, cases);
