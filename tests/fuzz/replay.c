/*
 * Feeds files to a libFuzzer target without libFuzzer: each argument is a file
 * or a folder of files. All of them twice, the second time in another order:
 * an input must do the same whatever ran before it, or a finding could not be
 * repeated. Ends with 0 when it did and the target came back from all of them.
 */
#include <dirent.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/fuzz/machine.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
__attribute__((weak)) int LLVMFuzzerInitialize(int *argc, char ***argv);

struct input {
	char path[PATH_MAX];
	uint64_t digest;
};

static struct input *inputs;
static size_t n_inputs;

static int add_file(const char *path)
{
	struct input *more = realloc(inputs, (n_inputs + 1) * sizeof *inputs);
	if (!more)
		return 1;
	inputs = more;
	snprintf(inputs[n_inputs++].path, sizeof inputs->path, "%s", path);
	return 0;
}

static int add(const char *path)
{
	struct stat st;
	if (stat(path, &st) < 0) {
		perror(path);
		return 1;
	}
	if (!S_ISDIR(st.st_mode))
		return add_file(path);
	DIR *folder = opendir(path);
	int failed = !folder;
	for (struct dirent *entry; folder && (entry = readdir(folder));) {
		char child[PATH_MAX];
		if (entry->d_name[0] == '.')
			continue;
		snprintf(child, sizeof child, "%s/%s", path, entry->d_name);
		failed |= add(child);
	}
	if (folder)
		closedir(folder);
	return failed;
}

static int run(const char *path)
{
	struct stat st;
	FILE *file = fopen(path, "rb");
	if (!file || fstat(fileno(file), &st) < 0) {
		perror(path);
		return 1;
	}
	/* As large as the input and no larger: a sanitizer sees a read past its end. */
	size_t len = (size_t)st.st_size;
	uint8_t *data = malloc(len ? len : 1);
	int failed = !data || fread(data, 1, len, file) != len;
	if (failed)
		perror(path);
	else
		LLVMFuzzerTestOneInput(data, len);
	fclose(file);
	free(data);
	return failed;
}

int main(int argc, char **argv)
{
	int failed = 0;
	if (LLVMFuzzerInitialize)
		LLVMFuzzerInitialize(&argc, &argv);
	fuzz_digest_on();
	for (int i = 1; i < argc; i++)
		failed |= add(argv[i]);
	for (size_t i = 0; i < n_inputs; i++) {
		failed |= run(inputs[i].path);
		inputs[i].digest = fuzz_digest();
	}
	for (size_t i = n_inputs; i--;) {
		failed |= run(inputs[i].path);
		if (inputs[i].digest == fuzz_digest())
			continue;
		fprintf(stderr, "%s: does not do the same every time\n", inputs[i].path);
		failed = 1;
	}
	free(inputs);
	return failed;
}
