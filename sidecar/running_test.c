#include "sidecar/running.h"

#include "base/core/cleanup.h"
#include "base/core/mem.h"
#include "sidecar/admin_socket.h"
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>
/* cmocka requires the headers above */
#include <cmocka.h>

enum { GIVEN = 60000 };

static void the_unit_is_in_the_cgroup(_unused_ void **state)
{
	static const struct {
		const char *lines, *unit;
	} rows[] = {
		{"0::/system.slice/handfast-sidecar.service\n", "handfast-sidecar.service"},
		{"1:name=systemd:/system.slice/a.service\n0::/system.slice/a.service\n", "a.service"},
		{"0::/user.slice/user-0.slice/session-1.scope\n", ""},
		{"0::/user.slice/user-1000.slice/user@1000.service/app.slice/side.service\n", "side.service"},
		{"0::/user.slice/user-1000.slice/user@1000.service/app.slice/shell.scope\n", ""},
		{"0::/user.slice/user-1000.slice/user@1000.service\n", ""},
		{"0::/system.slice/a.service/workers\n", "a.service"},
		{"2:cpu:/\n1:name=systemd:/system.slice/a.service\n", "a.service"},
		{"0::/system.slice/my.service.d\n", ""},
		{"0::/\n", ""},
		{"", ""},
		{"b.service", "b.service"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		char unit[64];
		running_unit_of(rows[i].lines, unit, sizeof(unit));
		assert_string_equal(unit, rows[i].unit);
	}
	char cut[4];
	running_unit_of("0::/long.service", cut, sizeof(cut));
	assert_string_equal(cut, "lon");
}

static void answer(const char *path, struct span given, int listens)
{
	const struct admin_socket_options options = {.loop = loop_new(&clock_system), .path = path, .given = given};
	struct admin_socket *admin;
	if (admin_socket_new(&options, &admin, NULL) == ERR_NONE && write(listens, "1", 1) == 1)
		loop_run(options.loop);
	_exit(1);
}

/* A sidecar in a process of its own, which listens when this returns. */
static pid_t answering(const char *path, struct span given)
{
	int ends[2];
	char byte;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		answer(path, given, ends[1]);
	close(ends[1]);
	assert_int_equal(read(ends[0], &byte, 1), 1);
	close(ends[0]);
	return pid;
}

static void all_of_what_it_was_given_comes(_unused_ void **state)
{
	char folder[] = "/tmp/running_test.XXXXXX";
	assert_non_null(mkdtemp(folder));
	_cleanup_(mem_freep) char *path = mem_printf("%s/sock", folder);
	_cleanup_(mem_freep) char *text = mem_printf("%*s", GIVEN, "x");
	_cleanup_(buf_done) struct buf got = BUF_INIT(GIVEN), small = BUF_INIT(100);
	struct why why = {0};
	pid_t pid = answering(path, span_of(text, GIVEN));
	assert_int_equal(running_given(path, &got, &why), ERR_NONE);
	assert_true(span_eq(buf_span(&got), span_of(text, GIVEN)));
	assert_int_equal(running_given(path, &small, &why), ERR_LIMIT);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(running_given(path, &got, &why), ERR_REFUSED);
	unlink(path);
	rmdir(folder);
}

static void of_a_unit_comes_nothing_and_an_empty_answer_is_an_error(_unused_ void **state)
{
	static const struct {
		size_t len;
		enum err err;
	} rows[] = {{1, ERR_NONE}, {0, ERR_LIMIT}};
	assert_int_equal(setenv("NOTIFY_SOCKET", "/nonexistent", 1), 0); /* as a process of the unit */
	for (size_t i = 0; i < 2; i++) {
		char folder[] = "/tmp/running_test.XXXXXX";
		assert_non_null(mkdtemp(folder));
		_cleanup_(mem_freep) char *path = mem_printf("%s/sock", folder);
		_cleanup_(buf_done) struct buf got = BUF_INIT(GIVEN);
		struct why why = {0};
		pid_t pid = answering(path, span_of("", rows[i].len));
		assert_int_equal(running_given(path, &got, &why), rows[i].err);
		assert_int_equal(buf_len(&got), 0);
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		unlink(path);
		rmdir(folder);
	}
}

/* As hidepid does: no process is seen. False: it may not (story 347 does). */
static bool hide_processes(void)
{
	return unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	       mount("none", "/proc", "tmpfs", 0, NULL) == 0;
}

static bool is_refused(const char *path)
{
	_cleanup_(buf_done) struct buf got = BUF_INIT(GIVEN);
	struct why why = {0};
	return running_given(path, &got, &why) == ERR_CONFLICT && strstr(why.fix, "systemctl reload") != NULL &&
	       buf_len(&got) == 0;
}

/* In a process of its own, which loses its /proc. */
static bool is_refused_where_it_is_hidden(const char *path)
{
	int status;
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct why why = {0};
		int fd = -1;
		bool holds =
			!hide_processes() || (running_connect(path, &fd, &why) == ERR_CONFLICT && is_refused(path));
		_exit(holds ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void beside_a_unit_it_is_refused_also_where_it_is_hidden(_unused_ void **state)
{
	char folder[] = "/tmp/running_test.XXXXXX";
	assert_non_null(mkdtemp(folder));
	_cleanup_(mem_freep) char *path = mem_printf("%s/sock", folder);
	assert_int_equal(unsetenv("NOTIFY_SOCKET"), 0);
	pid_t pid = answering(path, RUNNING_OF_UNIT);
	assert_true(is_refused(path));
	assert_true(is_refused_where_it_is_hidden(path));
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	unlink(path);
	rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_unit_is_in_the_cgroup),
		cmocka_unit_test(all_of_what_it_was_given_comes),
		cmocka_unit_test(of_a_unit_comes_nothing_and_an_empty_answer_is_an_error),
		cmocka_unit_test(beside_a_unit_it_is_refused_also_where_it_is_hidden),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
