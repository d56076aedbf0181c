#include "kvm/jail.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <unistd.h>

/* A number, which need not be that of an account. -1 is what the kernel takes for "no change". */
static bool read_number(const char *text, unsigned *number)
{
	char *end;
	errno = 0;
	unsigned long long value = strtoull(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno || value >= (uid_t)-1)
		return false;
	*number = (unsigned)value;
	return true;
}

static int find_user(const char *user, uid_t *uid, gid_t *gid, struct fail *why)
{
	bool is_number = read_number(user, uid);
	errno = 0;
	const struct passwd *account = is_number ? getpwuid(*uid) : getpwnam(user);
	if (account) {
		*uid = account->pw_uid;
		*gid = account->pw_gid;
		return 0;
	}
	if (!is_number)
		return fail(why, errno, "there is no user '%s'", user);
	*gid = *uid;
	return 0;
}

static int find_group(const char *group, gid_t *gid, struct fail *why)
{
	if (read_number(group, gid))
		return 0;
	errno = 0;
	const struct group *entry = getgrnam(group);
	if (!entry)
		return fail(why, errno, "there is no group '%s'", group);
	*gid = entry->gr_gid;
	return 0;
}

/*
 * What is mounted later does not show up here, nor does what this process might
 * mount show up elsewhere. In a chroot the root folder need not be a mount,
 * which alone can be made private (EINVAL); what has been mounted by then stays
 * as it is, and this process is about to lose the right to mount.
 */
static int enter_namespaces(void)
{
	if (unshare(CLONE_NEWNS | CLONE_NEWNET) < 0)
		return -1;
	return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 && errno != EINVAL ? -1 : 0;
}

int jail_enter(const char *user, const char *group, struct fail *why)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();
	if (!user && !group)
		return 0;
	if (uid != 0)
		return fail(why, 0, "only root can run a VM as another user or group: leave out --user and --group, or use sudo");
	int ret = user ? find_user(user, &uid, &gid, why) : 0;
	if (ret == 0 && group)
		ret = find_group(group, &gid, why);
	if (ret < 0)
		return ret;
	if (enter_namespaces() < 0)
		return fail(why, errno, "cannot make mount and network namespaces");
	if (setgroups(1, &gid) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
		return fail(why, errno, "cannot become user %u and group %u", uid, gid);
	/* As if that user had started us: /proc/self is ours, a core can be dumped (without guest RAM). */
	prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	return 0;
}
