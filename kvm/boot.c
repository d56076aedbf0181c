#include "kvm/boot.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kvm/boot_image.h"

#define MIB (UINT64_C(1) << 20)
#define PAGE UINT64_C(4096)

static int open_file(struct boot_file *file, const char *what, const char *path, struct fail *why)
{
	struct stat st;

	*file = (struct boot_file){.name = path, .fd = open(path, O_RDONLY | O_CLOEXEC)};
	if (file->fd < 0)
		return fail(why, errno, "cannot open %s %s", what, path);
	if (fstat(file->fd, &st) < 0)
		return fail(why, errno, "cannot inspect %s %s", what, path);
	if (!S_ISREG(st.st_mode))
		return fail(why, 0, "cannot use %s %s: it is not a regular file", what, path);
	if (st.st_size == 0)
		return fail(why, 0, "cannot use %s %s: the file is empty", what, path);
	file->len = (uint64_t)st.st_size;
	return 0;
}

int boot_open(struct boot_source *src, const struct payload_config *payload, const void *builtin, size_t builtin_len, struct fail *why)
{
	int rc = 0;

	*src = (struct boot_source){
		.kernel = {.name = "the built-in guest", .fd = -1, .data = builtin, .len = builtin_len},
		.initramfs = {.fd = -1},
		.cmdline = payload->cmdline ? payload->cmdline : "",
	};
	if (payload->kernel)
		rc = open_file(&src->kernel, "kernel", payload->kernel, why);
	if (rc == 0 && payload->initramfs)
		rc = open_file(&src->initramfs, "initramfs", payload->initramfs, why);
	if (rc < 0)
		boot_close(src);
	return rc;
}

static void close_file(struct boot_file *file)
{
	if (file->name && file->fd >= 0)
		close(file->fd);
	*file = (struct boot_file){.fd = -1};
}

void boot_close(struct boot_source *src)
{
	close_file(&src->kernel);
	close_file(&src->initramfs);
	src->cmdline = "";
}

int boot_file_read(const struct boot_file *file, uint64_t offset, void *dst, uint64_t len, struct fail *why)
{
	if (offset > file->len || len > file->len - offset)
		return fail(why, 0, "%s is truncated: %" PRIu64 " bytes at offset %" PRIu64 " are not there, it has %" PRIu64, file->name, len, offset,
			    file->len);
	if (file->fd < 0) {
		memcpy(dst, file->data + offset, len);
		return 0;
	}
	for (uint64_t done = 0; done < len;) {
		ssize_t n = pread(file->fd, (uint8_t *)dst + done, len - done, (off_t)(offset + done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail(why, errno, "cannot read %s", file->name);
		if (n == 0)
			return fail(why, 0, "%s became shorter while it was read", file->name);
		done += (uint64_t)n;
	}
	return 0;
}

int boot_put_cmdline(const struct boot_source *src, const struct guest_ram *ram, uint64_t max_len, struct fail *why)
{
	uint64_t len = strlen(src->cmdline);

	if (max_len > BOOT_CMDLINE_MAX - 1)
		max_len = BOOT_CMDLINE_MAX - 1;
	if (len > max_len)
		return fail(why, 0, "the command line has %" PRIu64 " bytes, but %s takes no more than %" PRIu64, len, src->kernel.name, max_len);
	char *dst = gmem_at(&ram->gmem, BOOT_CMDLINE_GPA, len + 1);
	if (!dst)
		return fail(why, 0, "guest RAM has no room for the command line; raise memory.size");
	memcpy(dst, src->cmdline, len + 1);
	return 0;
}

int boot_put_initramfs(const struct boot_source *src, const struct guest_ram *ram, uint64_t min_gpa, uint64_t max_gpa, uint64_t *gpa, struct fail *why)
{
	const struct gmem_region *low = &ram->gmem.regions[0];
	uint64_t len = src->initramfs.len;
	uint64_t end = low->gpa + low->len;

	*gpa = 0;
	if (!src->initramfs.name)
		return 0;
	if (end > max_gpa)
		end = max_gpa;
	if (len > end || (end - len) / PAGE * PAGE < min_gpa)
		return fail(why, 0,
			    "initramfs %s (%" PRIu64 " MiB) does not fit between the kernel, which ends at %" PRIu64 " MiB, and %" PRIu64
			    " MiB; raise memory.size or make it smaller",
			    src->initramfs.name, (len + MIB - 1) / MIB, (min_gpa + MIB - 1) / MIB, end / MIB);
	*gpa = (end - len) / PAGE * PAGE;
	return boot_file_read(&src->initramfs, 0, gmem_at(&ram->gmem, *gpa, len), len, why);
}

int boot_load(const struct boot_source *src, struct guest_ram *ram, uint64_t rsdp_gpa, struct boot_state *out, struct fail *why)
{
	struct boot_head head = {.len = src->kernel.len < BOOT_HEAD_LEN ? src->kernel.len : BOOT_HEAD_LEN};
	int rc = boot_file_read(&src->kernel, 0, head.bytes, head.len, why);

	if (rc < 0)
		return rc;
	if (bzimage_is(&head))
		return bzimage_load(src, &head, ram, rsdp_gpa, out, why);
	if (elf_is(&head))
		return pvh_load(src, &head, ram, rsdp_gpa, out, why);
	return fail(why, 0, "cannot boot %s: %s", src->kernel.name, boot_describe(&head));
}
