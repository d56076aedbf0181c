#include "kvm/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

/* No library wraps these calls. What is younger than Linux 6.1, whose headers may be all that there is, comes by number. */
struct ruleset {
	uint64_t fs;
	uint64_t net;	 /* version 4 */
	uint64_t scoped; /* version 6 */
};

#define FS_REFER (1ULL << 13)
#define FS_TRUNCATE (1ULL << 14)
#define FS_IOCTL_DEV (1ULL << 15)
#define FS_ALL_OF_VERSION_1 ((1ULL << 13) - 1)
#define NET_BIND_AND_CONNECT_TCP 3
#define SCOPE_ABSTRACT_SOCKETS_AND_SIGNALS 3

/* All that this version can forbid. A size that it does not know would be refused. */
static size_t forbid_all(struct ruleset *ruleset, int version)
{
	*ruleset = (struct ruleset){.fs = FS_ALL_OF_VERSION_1, .net = NET_BIND_AND_CONNECT_TCP, .scoped = SCOPE_ABSTRACT_SOCKETS_AND_SIGNALS};
	if (version >= 2)
		ruleset->fs |= FS_REFER;
	if (version >= 3)
		ruleset->fs |= FS_TRUNCATE;
	if (version >= 5)
		ruleset->fs |= FS_IOCTL_DEV;
	if (version >= 6)
		return sizeof *ruleset;
	return version >= 4 ? offsetof(struct ruleset, scoped) : offsetof(struct ruleset, net);
}

static int allow_removal(int ruleset_fd, const char *folder)
{
	struct landlock_path_beneath_attr rule = {
		.allowed_access = LANDLOCK_ACCESS_FS_REMOVE_FILE,
		.parent_fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC),
	};
	if (rule.parent_fd < 0)
		return -errno;
	int ret = syscall(SYS_landlock_add_rule, ruleset_fd, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0 ? -errno : 0;
	close(rule.parent_fd);
	return ret;
}

int landlock_leave_only(const char *const *folders, size_t n)
{
	struct ruleset ruleset;
	int version = (int)syscall(SYS_landlock_create_ruleset, NULL, 0UL, LANDLOCK_CREATE_RULESET_VERSION);
	/* ENOSYS: not built in; EOPNOTSUPP: switched off when the kernel was started. */
	if (version < 0)
		return errno == ENOSYS || errno == EOPNOTSUPP ? 0 : -errno;
	size_t size = forbid_all(&ruleset, version);
	int fd = (int)syscall(SYS_landlock_create_ruleset, &ruleset, size, 0);
	if (fd < 0)
		return -errno;
	int ret = 0;
	for (size_t i = 0; i < n && ret == 0; i++)
		ret = allow_removal(fd, folders[i]);
	if (ret == 0 && syscall(SYS_landlock_restrict_self, fd, 0) < 0)
		ret = -errno;
	close(fd);
	return ret < 0 ? ret : version;
}
