#include "base/core/mem.h"
#include "base/net/fd.h"
#include "base/net/socket.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
/* cmocka requires the four headers above */
#include <cmocka.h>

static char folder[64];
static char *path;

static int make_folder(_unused_ void **state)
{
	memcpy(folder, "/tmp/unix_socket_test.XXXXXX", sizeof "/tmp/unix_socket_test.XXXXXX");
	if (mkdtemp(folder) == NULL)
		return -1;
	path = mem_printf("%s/socket", folder);
	return 0;
}

static int remove_folder(_unused_ void **state)
{
	unlink(path);
	mem_free(path);
	return rmdir(folder);
}

static void C19_identifies_the_process_that_connected(_unused_ void **state)
{
	_cleanup_fd_ int listening = -1, client = -1, accepted = -1;
	struct addr peer;
	struct peer_process process;
	assert_int_equal(socket_listen_unix(path, 0600, NULL, &listening, NULL), ERR_NONE);
	assert_int_equal(socket_connect_unix(path, &client, NULL), ERR_NONE);
	assert_int_equal(fd_accept(listening, &peer, &accepted), ERR_NONE);
	assert_int_equal(peer.ip.family, 0);
	assert_int_equal(socket_peer_process(accepted, &process), ERR_NONE);
	assert_int_equal(process.pid, getpid());
	assert_int_equal(process.uid, geteuid());
	assert_int_equal(process.gid, getegid());
}

static void C19_sets_the_mode_of_the_file_independent_of_the_umask(_unused_ void **state)
{
	static const struct {
		unsigned mode;
		mode_t umask;
	} cases[] = {{0600, 0}, {0660, 077}, {0666, 022}};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		_cleanup_fd_ int listening = -1;
		struct stat stat;
		mode_t before = umask(cases[i].umask);
		assert_int_equal(socket_listen_unix(path, cases[i].mode, NULL, &listening, NULL), ERR_NONE);
		umask(before);
		assert_int_equal(lstat(path, &stat), 0);
		assert_int_equal(stat.st_mode & 07777, cases[i].mode);
	}
}

static void replaces_a_socket_that_no_program_serves(_unused_ void **state)
{
	int first = -1;
	_cleanup_fd_ int second = -1, client = -1;
	assert_int_equal(socket_listen_unix(path, 0600, NULL, &first, NULL), ERR_NONE);
	fd_close(first); /* as in a crash: the file stays */
	assert_int_equal(socket_connect_unix(path, &client, NULL), ERR_REFUSED);
	assert_int_equal(socket_listen_unix(path, 0600, NULL, &second, NULL), ERR_NONE);
	assert_int_equal(socket_connect_unix(path, &client, NULL), ERR_NONE);
}

static void does_not_replace_a_socket_in_use(_unused_ void **state)
{
	_cleanup_fd_ int first = -1, client = -1;
	int second = -1;
	struct why why = {.err = ERR_NONE};
	assert_int_equal(socket_listen_unix(path, 0600, NULL, &first, NULL), ERR_NONE);
	assert_int_equal(socket_listen_unix(path, 0600, NULL, &second, &why), ERR_EXISTS);
	assert_int_equal(second, -1);
	assert_non_null(strstr(why.got, path));
	assert_int_equal(socket_connect_unix(path, &client, NULL), ERR_NONE);
}

static void removes_the_file_of_a_socket_once_no_program_serves_it(_unused_ void **state)
{
	int first = -1;
	assert_int_equal(socket_listen_unix(path, 0600, NULL, &first, NULL), ERR_NONE);
	int other = dup(first); /* as of another process that has taken it over */
	fd_close(first);
	socket_remove_unix(path);
	assert_int_equal(access(path, F_OK), 0);
	fd_close(other);
	socket_remove_unix(path);
	assert_int_not_equal(access(path, F_OK), 0);
	socket_remove_unix(path);
}

static void W7_does_not_remove_another_kind_of_file(_unused_ void **state)
{
	struct why why = {.err = ERR_NONE};
	int fd = -1;
	assert_int_equal(fd_write_file(path, SPAN_LITERAL("precious"), 0600, NULL), ERR_NONE);
	assert_int_equal(socket_listen_unix(path, 0600, NULL, &fd, &why), ERR_EXISTS);
	assert_true(why.expected[0] != '\0' && why.got[0] != '\0' && why.fix[0] != '\0');
	socket_remove_unix(path);
	assert_int_equal(access(path, F_OK), 0);
}

static void W7_does_not_follow_a_planted_link(_unused_ void **state)
{
	_cleanup_(mem_freep) char *victim = mem_printf("%s/victim", folder);
	_cleanup_fd_ int listening = -1;
	int fd = -1;
	assert_int_equal(socket_listen_unix(victim, 0600, NULL, &listening, NULL), ERR_NONE);
	assert_int_equal(symlink(victim, path), 0);
	assert_int_equal(socket_listen_unix(path, 0600, NULL, &fd, NULL), ERR_EXISTS);
	assert_int_equal(access(victim, F_OK), 0);
	assert_int_equal(unlink(victim), 0);
}

static void W7_does_not_replace_a_socket_of_another_user(_unused_ void **state)
{
	int fd = -1;
	if (geteuid() != 0)
		skip(); /* only root can change the owner */
	assert_int_equal(socket_listen_unix(path, 0600, NULL, &fd, NULL), ERR_NONE);
	fd_close(TAKE_FD(fd));
	if (lchown(path, 1337, 1337) != 0)
		skip(); /* not in a container without CAP_CHOWN */
	assert_int_equal(socket_listen_unix(path, 0600, NULL, &fd, NULL), ERR_DENIED);
	assert_int_equal(fd, -1);
}

static void refuses_a_path_that_does_not_fit_and_an_abstract_one(_unused_ void **state)
{
	char long_path[200];
	int fd = -1;
	memset(long_path, 'x', sizeof long_path - 1);
	long_path[sizeof long_path - 1] = '\0';
	assert_int_equal(socket_listen_unix(long_path, 0600, NULL, &fd, NULL), ERR_CONFIG);
	assert_int_equal(socket_connect_unix(long_path, &fd, NULL), ERR_CONFIG);
	assert_int_equal(socket_listen_unix("", 0600, NULL, &fd, NULL), ERR_CONFIG);
	assert_int_equal(socket_connect_unix("", &fd, NULL), ERR_CONFIG);
	assert_int_equal(fd, -1);
}

static void explains_that_no_program_listens(_unused_ void **state)
{
	struct why why = {.err = ERR_NONE};
	int fd = -1;
	assert_int_equal(socket_connect_unix(path, &fd, &why), ERR_NOT_FOUND);
	assert_int_equal(fd, -1);
	assert_non_null(strstr(why.got, path));
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_FOLDER(C19_identifies_the_process_that_connected),
		IN_FOLDER(C19_sets_the_mode_of_the_file_independent_of_the_umask),
		IN_FOLDER(replaces_a_socket_that_no_program_serves),
		IN_FOLDER(removes_the_file_of_a_socket_once_no_program_serves_it),
		IN_FOLDER(does_not_replace_a_socket_in_use),
		IN_FOLDER(W7_does_not_remove_another_kind_of_file),
		IN_FOLDER(W7_does_not_follow_a_planted_link),
		IN_FOLDER(W7_does_not_replace_a_socket_of_another_user),
		IN_FOLDER(refuses_a_path_that_does_not_fit_and_an_abstract_one),
		IN_FOLDER(explains_that_no_program_listens),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
