#include "base/core/cleanup.h"
#include "base/core/mem.h"
#include "sidecar/admin_socket.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs the four headers above before it */
#include <cmocka.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { OTHER_UID = 65534 };

/* What a process of the given user got from the command, in memory that both processes have. */
struct outcome {
	enum err err;
	char answer[512];
	struct why reason;
};

static const char *on_command(void *arg, enum admin_command command)
{
	*(int *)arg = (int)command;
	return command == ADMIN_QUIT ? "ending" : "draining";
}

static pid_t send_as(uid_t uid, const char *path, const char *keyword, int to)
{
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid != 0)
		return pid;
	struct outcome outcome = {0};
	if (uid != geteuid() && setuid(uid) != 0)
		_exit(1);
	outcome.err = admin_socket_send(path, keyword, outcome.answer, sizeof(outcome.answer), &outcome.reason);
	_exit(write(to, &outcome, sizeof(outcome)) == (ssize_t)sizeof(outcome) ? 0 : 1);
}

struct wait_for_outcome {
	struct loop *loop;
	struct loop_io io;
};

static void on_outcome(struct loop_io *io, unsigned ready)
{
	(void)ready;
	loop_stop(container_of(io, struct wait_for_outcome, io)->loop);
}

/* One command, sent by another process; returns the command that arrived, -1 for none. */
static int run_command(uid_t uid, const char *keyword, unsigned mode, struct outcome *out)
{
	char folder[] = "/tmp/admin_socket_test.XXXXXX";
	int arrived = -1, ends[2], status;
	struct admin_socket *admin;
	assert_non_null(mkdtemp(folder));
	assert_int_equal(chmod(folder, 0755), 0);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	_cleanup_(mem_freep) char *path = mem_printf("%s/sock", folder);
	_cleanup_(loop_freep) struct loop *loop = loop_new(&clock_system);
	assert_int_equal(admin_socket_new(
				 &(struct admin_socket_options){
					 .loop = loop, .path = path, .on_command = on_command, .arg = &arrived},
				 &admin, NULL),
		ERR_NONE);
	assert_int_equal(chmod(path, mode), 0);
	pid_t pid = send_as(uid, path, keyword, ends[1]);
	close(ends[1]);
	struct wait_for_outcome wait = {.loop = loop};
	loop_io_start(loop, &wait.io, ends[0], LOOP_READ, on_outcome);
	loop_run(loop);
	loop_io_stop(&wait.io);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(read(ends[0], out, sizeof(*out)), sizeof(*out));
	close(ends[0]);
	admin_socket_free(admin);
	assert_int_equal(rmdir(folder), 0);
	return arrived;
}

static void answers_the_commands_of_its_own_user(_unused_ void **state)
{
	struct outcome outcome;
	assert_int_equal(run_command(geteuid(), "quit", 0600, &outcome), ADMIN_QUIT);
	assert_int_equal(outcome.err, ERR_NONE);
	assert_string_equal(outcome.answer, "ending");
	assert_int_equal(run_command(geteuid(), "end", 0600, &outcome), -1);
	assert_int_equal(outcome.err, ERR_NONE);
	assert_string_equal(outcome.answer, "unknown command; expected drain, quit or release");
}

static void C19_refuses_another_user_with_a_reason(_unused_ void **state)
{
	struct outcome outcome;
	if (geteuid() != 0)
		skip(); /* becoming another user needs root */
	assert_int_equal(run_command(OTHER_UID, "quit", 0777, &outcome), -1);
	assert_int_equal(outcome.err, ERR_DENIED);
	assert_string_equal(outcome.reason.got, "the sidecar accepts no commands from this user");
	assert_string_equal(outcome.reason.expected, "root or the sidecar's own user (uid 0)");
}

static void C19_names_the_users_where_the_file_is_closed(_unused_ void **state)
{
	struct outcome outcome;
	if (geteuid() != 0)
		skip(); /* becoming another user needs root */
	assert_int_equal(run_command(OTHER_UID, "quit", 0600, &outcome), -1);
	assert_int_equal(outcome.err, ERR_DENIED);
	assert_string_equal(outcome.reason.expected, "root or the sidecar's own user");
}

/* Other settings than those of the sidecar lead to another socket. */
static void a_socket_that_is_not_there_is_named_with_what_to_pass(_unused_ void **state)
{
	struct why why = {0};
	char answer[64];
	assert_int_equal(
		admin_socket_send("/nowhere/sidecar.sock", "drain", answer, sizeof(answer), &why), ERR_UNAVAILABLE);
	assert_string_equal(why.got, "the admin socket /nowhere/sidecar.sock does not exist");
	assert_non_null(strstr(why.fix, "--admin_socket PATH, or --config FILE"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_the_commands_of_its_own_user),
		cmocka_unit_test(C19_refuses_another_user_with_a_reason),
		cmocka_unit_test(C19_names_the_users_where_the_file_is_closed),
		cmocka_unit_test(a_socket_that_is_not_there_is_named_with_what_to_pass),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
