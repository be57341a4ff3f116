#include "base/core/mem.h"
#include "base/net/exchanged_file.h"
#include "base/net/fd.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
/* cmocka requires the four headers above */
#include <cmocka.h>

struct world {
	char folder[64];
	char *path, *spare;
};

static int make_world(void **state)
{
	struct world *world = mem_new(struct world);
	memcpy(world->folder, "/tmp/exchanged_file_test.XXXXXX", sizeof "/tmp/exchanged_file_test.XXXXXX");
	if (mkdtemp(world->folder) == NULL)
		return -1;
	world->path = mem_printf("%s/file", world->folder);
	world->spare = mem_printf("%s/file.spare", world->folder);
	*state = world;
	return 0;
}

static int free_world(void **state)
{
	struct world *world = *state;
	unlink(world->path);
	unlink(world->spare);
	int left = rmdir(world->folder); /* fails where a write has left another file */
	mem_free(world->path);
	mem_free(world->spare);
	mem_free(world);
	return left;
}

static void write_text(const struct world *world, const char *text)
{
	struct why why = {0};
	assert_int_equal(exchanged_file_write(world->path, span_of_str(text), 0600, &why), ERR_NONE);
}

static void expect_text(const char *path, const char *text)
{
	_cleanup_(buf_done) struct buf content = BUF_INIT(EXCHANGED_FILE_MAX);
	assert_int_equal(fd_read_file(path, EXCHANGED_FILE_MAX, &content, NULL), ERR_NONE);
	assert_true(span_eq(buf_span(&content), span_of_str(text)));
}

static ino_t inode_of(const char *path)
{
	struct stat found;
	assert_int_equal(stat(path, &found), 0);
	return found.st_ino;
}

static void the_first_write_makes_the_file_and_its_spare(void **state)
{
	const struct world *world = *state;
	struct stat found;
	write_text(world, "1\n");
	expect_text(world->path, "1\n");
	expect_text(world->spare, "1\n");
	assert_int_equal(stat(world->path, &found), 0);
	assert_int_equal(found.st_mode & 07777, 0600);
}

/* Room for a third file is never needed. */
static void later_writes_use_the_same_two_files(void **state)
{
	const struct world *world = *state;
	static const char *const texts[] = {"22 longer\n", "3\n", "", "a fifth one\n"};
	write_text(world, "1\n");
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		ino_t file = inode_of(world->path), spare = inode_of(world->spare);
		write_text(world, texts[i]);
		expect_text(world->path, texts[i]);
		assert_int_equal(inode_of(world->path), spare);
		assert_int_equal(inode_of(world->spare), file);
	}
}

static void a_file_of_an_older_release_gets_a_spare(void **state)
{
	const struct world *world = *state;
	assert_int_equal(fd_write_file(world->path, SPAN_LITERAL("41\n"), 0600, NULL), ERR_NONE);
	ino_t before = inode_of(world->path);
	write_text(world, "42\n");
	expect_text(world->path, "42\n");
	assert_int_equal(inode_of(world->spare), before);
}

/* The content of a link's target, or of a file with another name, stays. */
static void a_spare_that_is_a_link_is_replaced(void **state)
{
	const struct world *world = *state;
	_cleanup_(mem_freep) char *other = mem_printf("%s/other", world->folder);
	assert_int_equal(fd_write_file(other, SPAN_LITERAL("kept"), 0600, NULL), ERR_NONE);
	write_text(world, "1\n");
	for (int is_hard = 0; is_hard < 2; is_hard++) {
		assert_int_equal(unlink(world->spare), 0);
		assert_int_equal(is_hard ? link(other, world->spare) : symlink(other, world->spare), 0);
		write_text(world, "2\n");
		expect_text(world->path, "2\n");
		expect_text(other, "kept");
		write_text(world, "3\n"); /* with a spare of its own again */
		expect_text(world->path, "3\n");
	}
	assert_int_equal(unlink(other), 0);
}

static void a_folder_that_is_not_there_is_named(void **state)
{
	const struct world *world = *state;
	struct why why = {0};
	_cleanup_(mem_freep) char *path = mem_printf("%s/none/file", world->folder);
	assert_int_not_equal(exchanged_file_write(path, SPAN_LITERAL("1"), 0600, &why), ERR_NONE);
	assert_non_null(strstr(why.got, path));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_first_write_makes_the_file_and_its_spare, make_world, free_world),
		cmocka_unit_test_setup_teardown(later_writes_use_the_same_two_files, make_world, free_world),
		cmocka_unit_test_setup_teardown(a_file_of_an_older_release_gets_a_spare, make_world, free_world),
		cmocka_unit_test_setup_teardown(a_spare_that_is_a_link_is_replaced, make_world, free_world),
		cmocka_unit_test_setup_teardown(a_folder_that_is_not_there_is_named, make_world, free_world),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
