/* For tests: a folder under /tmp, which goes with its files when the test ends. */
#pragma once

struct test_folder {
	char path[64];
};

/* Of cmocka: *state is a test_folder. */
int test_folder_set_up(void **state);
int test_folder_tear_down(void **state);
char *test_folder_path(const struct test_folder *folder, const char *name); /* the caller frees */
void test_folder_put(const struct test_folder *folder, const char *name, const char *text, unsigned mode);
