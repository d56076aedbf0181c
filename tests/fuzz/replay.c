/*
 * Feeds files to a libFuzzer target without libFuzzer: each argument is a file
 * or a folder of files. Ends with 0 when the target came back from all of them.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
__attribute__((weak)) int LLVMFuzzerInitialize(int *argc, char ***argv);

static int replay_file(const char *path, size_t len)
{
	/* As large as the input and no larger: a sanitizer sees a read past its end. */
	uint8_t *data = malloc(len ? len : 1);
	FILE *file = fopen(path, "rb");
	int failed = !data || !file || fread(data, 1, len, file) != len;
	if (failed)
		perror(path);
	else
		LLVMFuzzerTestOneInput(data, len);
	if (file)
		fclose(file);
	free(data);
	return failed;
}

static int replay(const char *path)
{
	struct stat st;
	if (stat(path, &st) < 0) {
		perror(path);
		return 1;
	}
	if (!S_ISDIR(st.st_mode))
		return replay_file(path, (size_t)st.st_size);
	DIR *folder = opendir(path);
	int failed = !folder;
	for (struct dirent *entry; folder && (entry = readdir(folder));) {
		char child[4096];
		if (entry->d_name[0] == '.')
			continue;
		snprintf(child, sizeof child, "%s/%s", path, entry->d_name);
		failed |= replay(child);
	}
	if (folder)
		closedir(folder);
	return failed;
}

int main(int argc, char **argv)
{
	int failed = 0;
	if (LLVMFuzzerInitialize)
		LLVMFuzzerInitialize(&argc, &argv);
	for (int i = 1; i < argc; i++)
		failed |= replay(argv[i]);
	return failed;
}
