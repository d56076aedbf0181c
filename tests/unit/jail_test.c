#include "kvm/jail.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/sandbox_fixture.h"
#include "tests/unit/suite.h"

#define UID 54321 /* of no account */

static int become_nobody(void)
{
	char before[2][64] = {""}, after[2][64] = {""};
	const char *const namespaces[] = {"/proc/self/ns/net", "/proc/self/ns/mnt"};
	struct fail why;
	gid_t group;
	for (int i = 0; i < 2; i++)
		if (readlink(namespaces[i], before[i], sizeof before[i] - 1) < 0)
			return 1;
	if (jail_enter("54321", NULL, &why) < 0)
		return 2;
	if (geteuid() != UID || getuid() != UID || getegid() != UID || getgroups(1, &group) != 1 || group != UID)
		return 3;
	for (int i = 0; i < 2; i++)
		if (readlink(namespaces[i], after[i], sizeof after[i] - 1) < 0 || strcmp(before[i], after[i]) == 0)
			return 4 + i;
	/* What the VM opens of its own process once it is somebody else. */
	if (open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC) < 0)
		return 6;
	return setresuid(0, 0, 0) == 0 ? 7 : 0;
}

static int change_group_only(void)
{
	struct fail why;
	if (jail_enter(NULL, "54321", &why) < 0)
		return 1;
	return geteuid() == 0 && getegid() == UID ? 0 : 2;
}

static int use_names(void)
{
	struct fail why;
	return jail_enter("root", "root", &why) == 0 && geteuid() == 0 && getegid() == 0 ? 0 : 1;
}

/* Its root is a folder like any other, no mount. */
static int become_nobody_in_a_chroot(void)
{
	struct fail why;
	if (chroot("/etc") < 0 || chdir("/") < 0)
		return 1;
	return jail_enter("54321", NULL, &why) == 0 && getuid() == UID ? 0 : 2;
}

static int ask_for_unknown(void)
{
	struct fail why;
	if (jail_enter("no-such-user", NULL, &why) == 0 || !strstr(why.text, "'no-such-user'"))
		return 1;
	if (jail_enter(NULL, "no-such-group", &why) == 0 || !strstr(why.text, "'no-such-group'"))
		return 2;
	/* The kernel's "no change", a sign, a blank, more than fits: no numbers of users. */
	if (jail_enter("4294967295", NULL, &why) == 0 || jail_enter("-1", NULL, &why) == 0 || jail_enter(" 1", NULL, &why) == 0 ||
	    jail_enter("1x", NULL, &why) == 0 || jail_enter("18446744073709551616", NULL, &why) == 0 || jail_enter("", NULL, &why) == 0)
		return 3;
	return geteuid() == 0 ? 0 : 4;
}

static int ask_as_a_user(void)
{
	struct fail why;
	if (geteuid() == 0 && setresuid(UID, UID, UID) < 0)
		return 1;
	if (jail_enter("root", NULL, &why) == 0 || !strstr(why.text, "only root"))
		return 2;
	return jail_enter(NULL, NULL, &why) == 0 ? 0 : 3;
}

static void root_becomes_somebody(void)
{
	if (geteuid() != 0)
		return;
	CU_ASSERT_EQUAL(sb_in_child(become_nobody), 0);
	CU_ASSERT_EQUAL(sb_in_child(change_group_only), 0);
	CU_ASSERT_EQUAL(sb_in_child(use_names), 0);
	CU_ASSERT_EQUAL(sb_in_child(become_nobody_in_a_chroot), 0);
	CU_ASSERT_EQUAL(sb_in_child(ask_for_unknown), 0);
}

static void nobody_else_does(void)
{
	CU_ASSERT_EQUAL(sb_in_child(ask_as_a_user), 0);
}

static const struct test_case cases[] = {
	{"root becomes somebody", root_becomes_somebody},
	{"nobody else does", nobody_else_does},
};

TEST_SUITE(jail, cases);
