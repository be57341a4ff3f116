#include "base/core/mem.h"
#include "control/state_folder.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
/* cmocka requires the four above */
#include <cmocka.h>

static void C16_makes_missing_folders_and_refuses_one_that_others_may_enter(void **state)
{
	(void)state;
	char parent[] = "/tmp/stateXXXXXX";
	assert_non_null(mkdtemp(parent));
	_cleanup_(mem_freep) char *path = mem_printf("%s/state", parent);
	_cleanup_(state_folder_done) struct state_folder folder = {0};
	struct stat found;
	assert_int_equal(state_folder_open(path, &folder, NULL), ERR_NONE);
	assert_int_equal(stat(folder.store_folder, &found), 0);
	assert_int_equal(found.st_mode & 07777, 0700);
	assert_int_equal(chmod(path, 0750), 0);
	assert_int_equal(state_folder_open(path, &folder, NULL), ERR_DENIED); /* exit code 77 */
	rmdir(folder.store_folder);
	rmdir(path);
	rmdir(parent);
}

/* `restore` as root in the place of the control plane's user. */
static void C16_refuses_a_folder_of_another_user(void **state)
{
	(void)state;
	char path[] = "/tmp/stateXXXXXX";
	assert_non_null(mkdtemp(path));
	assert_int_equal(state_folder_own(path, NULL), ERR_NONE);
	if (geteuid() == 0) {
		assert_int_equal(chown(path, 1336, 1336), 0);
		assert_int_equal(state_folder_own(path, NULL), ERR_DENIED);
	}
	rmdir(path);
}

static void returns_the_folder_of_a_path(void **state)
{
	(void)state;
	_cleanup_(mem_freep) char *deep = folder_of("/a/b/c"), *root = folder_of("/c"), *here = folder_of("c");
	assert_string_equal(deep, "/a/b");
	assert_string_equal(root, "/");
	assert_string_equal(here, ".");
}

static void finds_whether_a_path_is_in_a_folder(void **state)
{
	(void)state;
	assert_true(folder_lies_in("/a/b", "/a/b"));
	assert_true(folder_lies_in("/a/b/c", "/a/b"));
	assert_true(folder_lies_in("/a/b/c", "/a/b//"));
	assert_true(folder_lies_in("/a", "/"));
	assert_true(folder_lies_in("/", "/"));
	assert_false(folder_lies_in("/a/bc", "/a/b"));
	assert_false(folder_lies_in("/a", "/a/b"));
	assert_false(folder_lies_in("a", "/"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(C16_makes_missing_folders_and_refuses_one_that_others_may_enter),
		cmocka_unit_test(C16_refuses_a_folder_of_another_user),
		cmocka_unit_test(returns_the_folder_of_a_path),
		cmocka_unit_test(finds_whether_a_path_is_in_a_folder),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
