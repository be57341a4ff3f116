#include "base/core/check.h"
#include "base/core/mem.h"
#include "test/fuzz/fuzz.h"
#include <dirent.h>
#include <stdio.h>

/* Runs each file of the named folders through the target once: the corpus as an ordinary test. With --config=fuzz
 * libFuzzer's own main replaces it. */

#define INPUT_MAX (1024 * 1024)

static void run_file(const char *path)
{
	FILE *file = fopen(path, "rb");
	CHECK(file != NULL);
	uint8_t *bytes = mem_alloc(INPUT_MAX);
	size_t len = fread(bytes, 1, INPUT_MAX, file);
	CHECK(ferror(file) == 0);
	fclose(file);
	uint8_t *exact = mem_dup(bytes, len); /* so that a sanitizer finds an access beyond the end */
	CHECK(LLVMFuzzerTestOneInput(exact, len) == 0);
	mem_free(exact);
	mem_free(bytes);
}

static unsigned run_folder(const char *folder)
{
	unsigned num_files = 0;
	DIR *dir = opendir(folder);
	CHECK(dir != NULL);
	for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
		if (entry->d_name[0] == '.')
			continue;
		char *path = mem_printf("%s/%s", folder, entry->d_name);
		run_file(path);
		mem_free(path);
		num_files++;
	}
	closedir(dir);
	return num_files;
}

int main(int argc, char **argv)
{
	unsigned num_files = 0;
	for (int i = 1; i < argc; i++)
		num_files += run_folder(argv[i]);
	CHECK(num_files > 0); /* an empty corpus tests nothing */
	printf("%u passed, 0 failed\n", num_files);
	return 0;
}
