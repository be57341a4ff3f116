#include "base/core/cleanup.h"
#include "base/sandbox/landlock.h"
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
/* cmocka requires the four headers above */
#include <cmocka.h>

enum { NOT_CONFINED = 100 };

struct place {
	char folder[32], open[48], read[48], closed[48];
};

static void make_file(const char *folder, const char *text)
{
	char path[64];
	snprintf(path, sizeof path, "%s/file", folder);
	FILE *file = fopen(path, "we");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void place_make(struct place *place)
{
	*place = (struct place){.folder = "/tmp/landlock_test.XXXXXX"};
	assert_non_null(mkdtemp(place->folder));
	snprintf(place->open, sizeof place->open, "%s/open", place->folder);
	snprintf(place->read, sizeof place->read, "%s/read", place->folder);
	snprintf(place->closed, sizeof place->closed, "%s/closed", place->folder);
	const char *const folders[] = {place->open, place->read, place->closed};
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(mkdir(folders[i], 0700), 0);
		make_file(folders[i], "text");
	}
}

static void place_remove(const struct place *place)
{
	const char *const folders[] = {place->open, place->read, place->closed};
	char path[64];
	for (size_t i = 0; i < 3; i++) {
		snprintf(path, sizeof path, "%s/file", folders[i]);
		unlink(path);
		rmdir(folders[i]);
	}
	rmdir(place->folder);
}

/* Whether a file in that folder can be opened: 0, or errno. */
static int try(const char *folder, int flags)
{
	char path[64];
	snprintf(path, sizeof path, "%s/file", folder);
	int fd = open(path, flags | O_CLOEXEC);
	int result = fd < 0 ? errno : 0;
	if (fd >= 0)
		close(fd);
	return result;
}

static int act(const struct place *place)
{
	int list;
	const struct landlock_path paths[] = {{place->open, true}, {place->read, false}};
	if (landlock_new(&list, NULL) != ERR_NONE)
		return NOT_CONFINED;
	if (!landlock_allow(list, &paths[0]) || !landlock_allow(list, &paths[1]) ||
		landlock_allow(list, &(struct landlock_path){"/nowhere", false}) ||
		landlock_enforce(list, NULL) != ERR_NONE || prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		return 1;
	if (try(place->open, O_RDWR | O_TRUNC) != 0 || try(place->read, O_RDONLY) != 0)
		return 2;
	if (try(place->read, O_WRONLY) != EACCES || try(place->closed, O_RDONLY) != EACCES)
		return 3;
	return mkdir("/tmp/landlock_test.more", 0700) == 0 || errno != EACCES ? 4 : 0;
}

static void only_the_listed_paths_can_be_opened(_unused_ void **state)
{
	struct place place;
	int status;
	place_make(&place);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0)
		_exit(act(&place));
	assert_int_equal(waitpid(child, &status, 0), child);
	place_remove(&place);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == NOT_CONFINED)
		skip(); /* a kernel without Landlock */
	assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(only_the_listed_paths_can_be_opened)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
