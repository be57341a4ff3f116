#include "base/kube/test_folder.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/net/fd.h"
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int test_folder_set_up(void **state)
{
	struct test_folder *folder = mem_new(struct test_folder);
	snprintf(folder->path, sizeof folder->path, "/tmp/handfast-kube-XXXXXX");
	CHECK(mkdtemp(folder->path) != NULL);
	*state = folder;
	return 0;
}

int test_folder_tear_down(void **state)
{
	struct test_folder *folder = *state;
	DIR *entries = opendir(folder->path);
	CHECK(entries != NULL);
	for (const struct dirent *entry; (entry = readdir(entries)) != NULL;) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		_cleanup_(mem_freep) char *path = test_folder_path(folder, entry->d_name);
		unlink(path);
	}
	closedir(entries);
	CHECK(rmdir(folder->path) == 0);
	mem_free(folder);
	return 0;
}

char *test_folder_path(const struct test_folder *folder, const char *name)
{
	return mem_printf("%s/%s", folder->path, name);
}

void test_folder_put(const struct test_folder *folder, const char *name, const char *text, unsigned mode)
{
	_cleanup_(mem_freep) char *path = test_folder_path(folder, name);
	CHECK(fd_write_file(path, span_of_str(text), mode, NULL) == ERR_NONE);
}
