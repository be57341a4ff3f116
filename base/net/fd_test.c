#include "base/core/mem.h"
#include "base/net/fd.h"
#include <dirent.h>
#include <fcntl.h>
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

static int make_folder(_unused_ void **state)
{
	memcpy(folder, "/tmp/fd_test.XXXXXX", sizeof "/tmp/fd_test.XXXXXX");
	return mkdtemp(folder) == NULL ? -1 : 0;
}

static char *path_of(const char *name)
{
	return mem_printf("%s/%s", folder, name);
}

static unsigned num_files(void)
{
	unsigned num = 0;
	DIR *dir = opendir(folder);
	assert_non_null(dir);
	for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir))
		num += entry->d_name[0] != '.';
	closedir(dir);
	return num;
}

static int remove_folder(_unused_ void **state)
{
	DIR *dir = opendir(folder);
	assert_non_null(dir);
	for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir))
		unlinkat(dirfd(dir), entry->d_name, 0);
	closedir(dir);
	return rmdir(folder);
}

static void creates_nonblocking_close_on_exec_sockets(_unused_ void **state)
{
	_cleanup_fd_ int fd = -1;
	assert_int_equal(fd_socket(AF_INET, SOCK_STREAM, &fd), ERR_NONE);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
}

static void accepts_nonblocking_close_on_exec_sockets(_unused_ void **state)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof at;
	struct addr peer;
	_cleanup_fd_ int listening = -1, client = -1, fd = -1;
	assert_int_equal(fd_socket(AF_INET, SOCK_STREAM, &listening), ERR_NONE);
	assert_int_equal(bind(listening, (struct sockaddr *)&at, len), 0);
	assert_int_equal(listen(listening, 4), 0);
	assert_int_equal(fd_accept(listening, &peer, &fd), ERR_UNAVAILABLE);
	assert_int_equal(fd, -1);

	assert_int_equal(getsockname(listening, (struct sockaddr *)&at, &len), 0);
	client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(client, (struct sockaddr *)&at, len), 0);
	assert_int_equal(fd_accept(listening, &peer, &fd), ERR_NONE);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_true(ip_addr_is_loopback(&peer.ip));
}

static void reads_back_what_it_wrote(_unused_ void **state)
{
	_cleanup_(mem_freep) char *path = path_of("file");
	_cleanup_(buf_done) struct buf content = BUF_INIT(100);
	struct stat stat_of_file;
	assert_int_equal(fd_write_file(path, SPAN_LITERAL("one\0two"), 0640, NULL), ERR_NONE);
	assert_int_equal(fd_read_file(path, 100, &content, NULL), ERR_NONE);
	assert_true(span_eq(buf_span(&content), SPAN_LITERAL("one\0two")));
	assert_int_equal(stat(path, &stat_of_file), 0);
	assert_int_equal(stat_of_file.st_mode & 07777, 0640);
}

static void replaces_a_file_and_leaves_no_other_file(_unused_ void **state)
{
	_cleanup_(mem_freep) char *path = path_of("file");
	_cleanup_(buf_done) struct buf content = BUF_INIT(100);
	assert_int_equal(fd_write_file(path, SPAN_LITERAL("the first and longer one"), 0600, NULL), ERR_NONE);
	assert_int_equal(fd_write_file(path, SPAN_LITERAL("second"), 0600, NULL), ERR_NONE);
	assert_int_equal(fd_read_file(path, 100, &content, NULL), ERR_NONE);
	assert_true(span_eq(buf_span(&content), SPAN_LITERAL("second")));
	assert_int_equal(num_files(), 1);
}

static void keeps_the_old_file_when_it_cannot_be_replaced(_unused_ void **state)
{
	_cleanup_(mem_freep) char *path = path_of("in_the_way");
	struct why why = {.err = ERR_NONE};
	assert_int_equal(mkdir(path, 0700), 0); /* a file cannot replace a folder */
	assert_int_not_equal(fd_write_file(path, SPAN_LITERAL("x"), 0600, &why), ERR_NONE);
	assert_non_null(strstr(why.got, path));
	assert_int_equal(num_files(), 1);
	assert_int_equal(rmdir(path), 0);
}

static void explains_that_the_folder_is_missing(_unused_ void **state)
{
	_cleanup_(mem_freep) char *path = path_of("missing/file");
	struct why why = {.err = ERR_NONE};
	assert_int_equal(fd_write_file(path, SPAN_LITERAL("x"), 0600, &why), ERR_NOT_FOUND);
	assert_int_equal(why.err, ERR_NOT_FOUND);
	assert_true(why.expected[0] != '\0' && why.got[0] != '\0' && why.fix[0] != '\0');
}

static void C16_does_not_write_through_a_planted_link(_unused_ void **state)
{
	_cleanup_(mem_freep) char *path = path_of("file");
	_cleanup_(mem_freep) char *victim = path_of("victim");
	_cleanup_(buf_done) struct buf content = BUF_INIT(100);
	assert_int_equal(fd_write_file(victim, SPAN_LITERAL("precious"), 0600, NULL), ERR_NONE);
	assert_int_equal(symlink(victim, path), 0);
	assert_int_equal(fd_write_file(path, SPAN_LITERAL("x"), 0600, NULL), ERR_NONE);
	assert_int_equal(fd_read_file(victim, 100, &content, NULL), ERR_NONE);
	assert_true(span_eq(buf_span(&content), SPAN_LITERAL("precious")));
}

static void reads_a_file_of_the_maximum_size_and_no_larger_one(_unused_ void **state)
{
	_cleanup_(mem_freep) char *path = path_of("file");
	_cleanup_(buf_done) struct buf content = BUF_INIT(100);
	struct why why = {.err = ERR_NONE};
	assert_int_equal(fd_write_file(path, SPAN_LITERAL("12345678"), 0600, NULL), ERR_NONE);
	assert_int_equal(fd_read_file(path, 7, &content, &why), ERR_TOO_LARGE);
	assert_int_equal(why.err, ERR_TOO_LARGE);
	assert_int_equal(buf_len(&content), 0);
	assert_int_equal(fd_read_file(path, 8, &content, NULL), ERR_NONE);
	assert_int_equal(buf_len(&content), 8);
}

static void reads_nothing_when_the_buffer_has_no_room(_unused_ void **state)
{
	_cleanup_(mem_freep) char *path = path_of("file");
	_cleanup_(buf_done) struct buf content = BUF_INIT(10);
	assert_int_equal(fd_write_file(path, SPAN_LITERAL("12345678"), 0600, NULL), ERR_NONE);
	assert_int_equal(buf_append_str(&content, "abc"), ERR_NONE);
	assert_int_equal(fd_read_file(path, 100, &content, NULL), ERR_TOO_LARGE);
	assert_string_equal(buf_cstr(&content), "abc");
}

static void reads_the_head_of_a_larger_file(_unused_ void **state)
{
	_cleanup_(mem_freep) char *path = path_of("file");
	_cleanup_(buf_done) struct buf content = BUF_INIT(100);
	assert_int_equal(fd_write_file(path, SPAN_LITERAL("12345678"), 0600, NULL), ERR_NONE);
	assert_int_equal(fd_read_head(path, 5, &content, NULL), ERR_NONE);
	assert_true(span_eq(buf_span(&content), SPAN_LITERAL("12345")));
	buf_clear(&content);
	assert_int_equal(fd_read_head(path, 9, &content, NULL), ERR_NONE); /* it has fewer */
	assert_true(span_eq(buf_span(&content), SPAN_LITERAL("12345678")));
	struct why why = {0};
	_cleanup_(buf_done) struct buf small = BUF_INIT(4);
	assert_int_equal(fd_read_head(path, 5, &small, &why), ERR_TOO_LARGE);
	assert_int_equal(why.err, ERR_TOO_LARGE);
	assert_int_equal(buf_len(&small), 0);
}

static void C16_a_file_with_a_secret_is_read_only_if_others_cannot_read_it(_unused_ void **state)
{
	static const unsigned good[] = {0600, 0400, 0440, 0640}, bad[] = {0644, 0604, 0620, 0660, 0601};
	_cleanup_(mem_freep) char *path = path_of("file");
	_cleanup_(buf_done) struct buf content = BUF_INIT(100);
	struct why why = {.err = ERR_NONE};
	assert_int_equal(fd_write_file(path, SPAN_LITERAL("secret"), 0600, NULL), ERR_NONE);
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		assert_int_equal(chmod(path, good[i]), 0);
		assert_int_equal(fd_read_private_file(path, 100, &content, NULL), ERR_NONE);
	}
	buf_clear(&content);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_int_equal(chmod(path, bad[i]), 0);
		assert_int_equal(fd_read_private_file(path, 100, &content, &why), ERR_DENIED);
		assert_non_null(strstr(why.fix, "chmod it to 0600"));
	}
	assert_int_equal(fd_read_private_file(folder, 100, &content, NULL), ERR_DENIED);
	assert_int_equal(buf_len(&content), 0);
}

static void reads_an_empty_file(_unused_ void **state)
{
	_cleanup_(mem_freep) char *path = path_of("file");
	_cleanup_(buf_done) struct buf content = BUF_INIT(10);
	assert_int_equal(fd_write_file(path, span_of(NULL, 0), 0600, NULL), ERR_NONE);
	assert_int_equal(fd_read_file(path, 0, &content, NULL), ERR_NONE);
	assert_int_equal(buf_len(&content), 0);
}

static void reads_a_file_of_unknown_size(_unused_ void **state)
{
	_cleanup_(buf_done) struct buf content = BUF_INIT(65536);
	assert_int_equal(fd_read_file("/proc/self/status", 65536, &content, NULL), ERR_NONE);
	assert_true(buf_len(&content) > 100);
}

static void does_not_block_on_a_pipe_nor_read_a_folder(_unused_ void **state)
{
	_cleanup_(mem_freep) char *path = path_of("pipe");
	_cleanup_(buf_done) struct buf content = BUF_INIT(10);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(fd_read_file(path, 10, &content, NULL), ERR_UNSUPPORTED);
	assert_int_equal(fd_read_file(folder, 10, &content, NULL), ERR_UNSUPPORTED);
	assert_int_equal(fd_read_file("", 10, &content, NULL), ERR_NOT_FOUND);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(creates_nonblocking_close_on_exec_sockets),
		cmocka_unit_test(accepts_nonblocking_close_on_exec_sockets),
		IN_FOLDER(reads_back_what_it_wrote),
		IN_FOLDER(replaces_a_file_and_leaves_no_other_file),
		IN_FOLDER(keeps_the_old_file_when_it_cannot_be_replaced),
		IN_FOLDER(explains_that_the_folder_is_missing),
		IN_FOLDER(C16_does_not_write_through_a_planted_link),
		IN_FOLDER(reads_a_file_of_the_maximum_size_and_no_larger_one),
		IN_FOLDER(reads_nothing_when_the_buffer_has_no_room),
		IN_FOLDER(reads_the_head_of_a_larger_file),
		IN_FOLDER(C16_a_file_with_a_secret_is_read_only_if_others_cannot_read_it),
		IN_FOLDER(reads_an_empty_file),
		IN_FOLDER(reads_a_file_of_unknown_size),
		IN_FOLDER(does_not_block_on_a_pipe_nor_read_a_folder),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
